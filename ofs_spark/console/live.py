"""The work in hand on a terminal: one line that moves. What is over stays above it, a line each.

The line is drawn by rich, which is loaded for work that lasts. The cursor is never hidden: a process that is killed leaves
the terminal as it was.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from ofs_spark.console.outlet import Outlet
from ofs_spark.console.progress import Page, Work, describe_tasks
from ofs_spark.console.screen import Screen, Styled
from ofs_spark.foundation.ports import Tasks

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

LASTS_S = 0.5
"""Work that has taken so long has a line that moves."""
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES = "|/-\\"
"""Where the terminal's encoding has no other."""
_FRAMES_A_SECOND = 4
_TEXT_AT = 2 + 9 + 9 + 2
"""Columns of a line before its text: mark, room, seconds, gap."""


class LivePage(Page):
    """A terminal. outlet: what the stream writes to; None where that is memory."""

    def __init__(self, stream: TextIO, outlet: Outlet | None) -> None:
        self._stream, self._outlet = stream, outlet
        self._screen = Screen(stream)
        self._frames = _FRAMES if (stream.encoding or "utf-8").lower().startswith("utf") else _PLAIN_FRAMES
        self._live: Live | None = None

    def end(self, work: Work, at: float) -> None:
        """A line that stays: one, as wide as the terminal is."""
        self._print(work.room, f"{at - work.start:7.1f} s", self._screen.shorten(work.doing, _TEXT_AT))

    def note(self, said: Work) -> None:
        """All of it stays."""
        self._print(said.room, " " * 9, said.doing)

    def show(self, work: Work | None, tasks: Tasks | None, at: float) -> None:
        """The line that moves, once there is something to wait for; a terminal that is paused keeps the last one."""
        took = at - work.start if work is not None else 0.0
        if work is None or took < LASTS_S or (self._outlet is not None and not self._outlet.drain()):
            return
        line = self._compose(work, tasks, took)
        if self._live is None:
            self._live = _open_live(self._stream)
            self._live.start()
        self._live.update(line, refresh=True)

    def close(self) -> None:
        """Takes the line away."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _print(self, room: str, seconds: str, text: str) -> None:
        self.close()
        self._screen.print_line("  ", Styled(f"{room:<9}", "bold"), Styled(seconds, "dim"), f"  {text}")

    def _compose(self, work: Work, tasks: Tasks | None, took: float) -> Text:
        from rich.text import Text

        frame = self._frames[int(took * _FRAMES_A_SECOND) % len(self._frames)]
        show = self._screen.show
        done = f"{describe_tasks(tasks)}  " if tasks else ""
        return Text.assemble(
            (f"{frame} ", "green"),
            (f"{show(work.room):<9}", "bold"),
            (f"{took:7.1f} s  ", "dim"),
            (done, "green"),
            show(work.doing),
            no_wrap=True,
            overflow="crop",
            end="",
        )


def _open_live(stream: TextIO) -> Live:
    """A line of rich that is drawn when told, and leaves the other streams alone."""
    from rich.console import Console
    from rich.live import Live

    class Terminal(Console):
        """One whose cursor stays where people see it."""

        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002
            """Does nothing."""
            return False

    is_coloured = not os.environ.get("NO_COLOR")
    terminal = Terminal(
        file=stream,
        force_terminal=True,
        force_interactive=True,
        force_jupyter=False,
        color_system="standard" if is_coloured else None,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    return Live(console=terminal, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
