"""The demo's summary, as people read it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from ofs_spark.console.parity import print_results
from ofs_spark.console.screen import Screen, Styled


def print_demo(
    facts: Mapping[str, str],
    places: Mapping[str, str],
    parity: Sequence[Mapping[str, Any]],
    commands: Sequence[str],
    stream: TextIO | None = None,
) -> None:
    """What went in and came out, where that lies, which snapshots of the online plane match, and what to try next."""
    screen = Screen(stream or sys.stdout)
    screen.print_line(Styled("One intent became one dataset", "bold"))
    screen.print_pairs({name: [text] for name, text in {**facts, **places}.items()})
    screen.print_line()
    screen.print_line(Styled("Two snapshots of the online plane were rebuilt from the archive", "bold"))
    print_results(screen, parity)
    screen.print_line()
    screen.print_line("next:")
    for command in commands:
        screen.print_line("  ", command)
