"""Writes the tables of codes in docs/runbook.md from the one table, `ofs_spark/foundation/codes.py`; --check compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ofs_spark.foundation.codes import BLOCKS, Code

TARGET = Path(__file__).resolve().parents[1] / "docs" / "runbook.md"
MARK = "<!-- written by scripts/runbook_codes.py from the table of codes; a test compares -->\n"
INTRODUCTION = """\
In the order of telling: of several refusals the first is the code, and `details.faults` has them all. "Again" says whether
the same command can succeed without a change of anything but the world around it. A reserved code belongs to a path that
this release does not have.
"""


def write_tables() -> Iterator[str]:
    """A heading and a table per block."""
    for room, exit_status, codes in BLOCKS:
        yield f"\n### {room}, exit {exit_status}\n| code | means | do | again |\n|---|---|---|---|\n"
        yield from map(write_row, codes)


def write_row(code: Code) -> str:
    """One code's row."""
    meaning = f"reserved: {code.meaning}" if code.reserved else code.meaning
    return f"| `{code.name}` | {meaning} | {code.do} | {'yes' if code.retryable else 'no'} |\n"


def main() -> int:
    """Writes the page, or compares it."""
    page = TARGET.read_text(encoding="utf-8")
    text = "".join((page.partition(MARK)[0], MARK, INTRODUCTION, *write_tables()))
    if "--check" in sys.argv:
        return int(text != page)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
