"""Where a command is: which wiring, what named it, which object root."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from ofs_spark.console.screen import Screen, Styled

NAMED_BY = {
    "flag": "by --wiring",
    "environment": "by OFS_WIRING",
    "default": "the default: neither --wiring nor OFS_WIRING names one",
}


def show_where(where: Mapping[str, str]) -> str:
    """The wiring, what named it, and the object root; that only where it is known and may be shown."""
    root = f", objects in {where['object_root']}" if "object_root" in where else ""
    return f"wiring {where['wiring']} ({NAMED_BY[where['chosen_by']]}){root}"


def print_where(where: Mapping[str, str], stream: TextIO | None = None) -> None:
    """The first line of a command."""
    with suppress(OSError):  # who stopped reading it does not end a build
        Screen(stream or sys.stderr).print_line(Styled(show_where(where), "dim"))
