"""Which room is at work, a line per piece of work."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TextIO

from ofs_spark.console.screen import Screen, Styled

ROOMS = ("intent", "pins", "replay", "labels", "features", "publish", "signals")


def report_nothing(room: str, detail: str) -> None:
    """Reports nothing."""


class Progress:
    """One line per piece of work: seconds since the start, the room, what it does. Plain text without a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._screen = Screen(stream)
        self._start = time.monotonic()

    def __call__(self, room: str, detail: str) -> None:
        """Tells people that `room` now does `detail`."""
        elapsed = time.monotonic() - self._start
        with suppress(OSError):  # who stopped reading it does not end a build
            self._screen.print_line(Styled(f"{elapsed:6.1f}s", "dim"), "  ", Styled(f"{room:<9}", "bold"), f" {detail}")
