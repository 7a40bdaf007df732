"""What people see: which room is at work, an answer as a short table, a refusal with the next command."""

from __future__ import annotations

import time
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

ROOMS = ("intent", "pins", "replay", "labels", "features", "publish", "signals")


def silent(room: str, detail: str) -> None:
    """Reports nothing."""


class Progress:
    """One line per piece of work: seconds since the start, the room, what it does. Plain text without a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._start = time.monotonic()

    def __call__(self, room: str, detail: str) -> None:
        """Tells people that `room` now does `detail`."""
        elapsed = time.monotonic() - self._start
        self._console.print(f"[dim]{elapsed:6.1f}s[/dim]  [bold]{room:<9}[/bold] {detail}")


def print_answer(answer: dict[str, Any]) -> None:
    """An answer's scalars as a two-column table; what is nested is indented JSON."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for key, value in answer.items():
        table.add_row(f"[bold]{key}[/bold]", _text(value))
    Console().print(table)


def print_refusal(answer: dict[str, Any]) -> None:
    """A refusal: code, message, every fault, the next command."""
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]{answer['code']}[/bold red] ({answer['room']}): {answer['message']}", soft_wrap=True)
    details = dict(answer["details"])
    for fault in details.pop("faults", []):
        console.print(
            f"  [yellow]{fault.get('pointer', '')}[/yellow] {fault.get('code', '')}: {fault.get('message', '')}",
            soft_wrap=True,
        )
    for key, value in details.items():
        console.print(f"  {key}: {_text(value)}", soft_wrap=True)
    if answer["next"]:
        console.print(f"next: [bold]{answer['next']}[/bold]", soft_wrap=True)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{k}={_text(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "\n".join(_text(v) for v in value[:20]) + (f"\n… and {len(value) - 20} more" if len(value) > 20 else "")
    if isinstance(value, float):
        return f"{value:.6g}"
    return "—" if value is None else str(value)
