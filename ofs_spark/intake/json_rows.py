"""Rows of a JSON-lines file: an object a line, kept as it is, nested members too."""

from __future__ import annotations

from functools import partial
from typing import Any, BinaryIO

from ofs_spark.intake import rows as r
from ofs_spark.intake.csv_rows import skip_line
from ofs_spark.intake.times import read_times

_Line = tuple[dict[str, Any], str]
HEAD = 1_000
"""Lines that are looked at for the names of the members, before anything is written."""


def read_members(file: BinaryIO) -> list[str]:
    """The members of the objects among the first lines, in the order in which they are met."""
    names: dict[str, None] = {}
    for at, raw in enumerate(iter(partial(file.readline, r.MOST_LINE), b""), start=1):
        if at > HEAD:
            break
        try:
            line = _read_line(raw, at)
            names |= dict.fromkeys(line[0] if line else ())
        except r.BadRowError:
            continue
    return list(names)


def read_json_lines(file: BinaryIO) -> r.Blocks:
    """The objects of the file; a blank line is none."""
    taken: list[_Line] = []
    numbers: list[int] = []
    rejects: list[r.Reject] = []
    size = 0
    for at, raw in enumerate(iter(partial(file.readline, r.MOST_LINE), b""), start=1):
        try:
            if len(raw) >= r.MOST_LINE and not raw.endswith(b"\n"):
                skip_line(file)
                raise r.BadRowError(r.TOO_LONG)
            row = _read_line(raw, at)
            if row is not None:
                taken.append(row)
                numbers.append(at)
        except r.BadRowError as bad:
            rejects.append(r.Reject(at, None, bad.reason))
        size += len(raw)
        if len(taken) == r.MOST_ROWS or size >= r.MOST_BYTES:
            yield _make_block(taken, numbers), rejects
            taken, numbers, rejects, size = [], [], [], 0
    if taken or rejects:
        yield _make_block(taken, numbers), rejects


def _read_line(raw: bytes, at: int) -> _Line | None:
    """The object of a line and its canonical text, None for a blank one. BadRowError for a line that is none."""
    try:
        text = (raw.removeprefix(b"\xef\xbb\xbf") if at == 1 else raw).decode().strip(" \t\r\n")
    except UnicodeDecodeError:
        raise r.BadRowError(r.NOT_UTF8) from None
    return r.parse_object(text) if text else None


def _make_block(taken: list[_Line], numbers: list[int]) -> r.Block:
    def read(name: str) -> list[Any]:
        """The values of a member, None where it is absent."""
        return [row.get(name) for row, _ in taken]

    def write(without: frozenset[str]) -> list[str]:
        """Each object as it is, without the members named."""
        if not without:
            return [text for _, text in taken]
        return [r.write_json_text({name: one for name, one in row.items() if name not in without}) for row, _ in taken]

    names = list(taken[0][0]) if taken else []
    return r.Block(numbers, names, read, lambda name: read_times(read(name)), write)
