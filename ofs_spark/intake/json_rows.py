"""Rows of a JSON-lines file: an object a line, kept as it is, nested members too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, BinaryIO

from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.intake import rows as r
from ofs_spark.intake.csv_rows import skip_line
from ofs_spark.intake.times import read_times

HEAD = 1_000
"""Lines that are looked at for the names of the members, before anything is written."""


def read_members(file: BinaryIO, name: str) -> list[str]:
    """The members of the objects among the first lines, in the order in which they are met.

    WrongArgument where none of these lines is an object. name: of the file.
    """
    names: dict[str, None] = {}
    first = ""
    for at, raw in enumerate(iter(partial(file.readline, r.MOST_LINE), b""), start=1):
        if at > HEAD:
            break
        try:
            text = _read_text(raw, at)
            found = r.parse_object(text) if text else {}
            r.require_single(text or "{}")
            names |= dict.fromkeys(found)
        except r.BadRowError as bad:
            first = first or f": line {at} {bad.reason}"
    if not names:
        raise WrongArgument(
            f"{name} has no object with a member in its first {HEAD:,} lines{first}; one a line is required"
        )
    return list(names)


def read_json_lines(file: BinaryIO) -> r.Blocks:
    """The objects of the file; a blank line is none."""
    held = _Held()
    for at, raw in enumerate(iter(partial(file.readline, r.MOST_LINE), b""), start=1):
        try:
            if len(raw) >= r.MOST_LINE and not raw.endswith(b"\n"):
                skip_line(file)
                raise r.BadRowError(r.TOO_LONG)
            text = _read_text(raw, at)
            if text:
                held.rows.append(r.parse_object(text))
                held.texts.append(text)
                held.lines.append(at)
        except r.BadRowError as bad:
            held.rejects.append(r.Reject(at, None, bad.reason))
        held.bytes += len(raw)
        if held.is_full():
            yield held.make_block(), held.rejects
            held = _Held()
    held.settle()
    if held.rows or held.rejects:
        yield held.make_block(), held.rejects


def _read_text(raw: bytes, at: int) -> str:
    """The text of a line without blanks at its ends. BadRowError for one that is none."""
    try:
        return (raw.removeprefix(b"\xef\xbb\xbf") if at == 1 else raw).decode().strip(" \t\r\n")
    except UnicodeDecodeError:
        raise r.BadRowError(r.NOT_UTF8) from None


@dataclass
class _Held:
    """Objects of a block that is not yet full, each with its text and line. written: canonical texts of the first of them,
    which state no member twice; bytes: of the lines."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    rejects: list[r.Reject] = field(default_factory=list)
    bytes: int = 0

    def is_full(self) -> bool:
        """Whether a block ends here, counted without the rows that state a member twice."""
        if len(self.rows) == r.MOST_ROWS or self.bytes >= r.MOST_BYTES:
            self.settle()
        return len(self.rows) == r.MOST_ROWS or self.bytes >= r.MOST_BYTES

    def settle(self) -> None:
        """Writes what is not yet written, and rejects what states a member twice."""
        begin, doubled = len(self.written), list[int]()
        self.written += r.write_objects(self.rows[begin:])
        for place in range(begin, len(self.rows)):
            if r.is_doubtful(self.texts[place], self.written[place]):
                try:
                    r.require_single(self.texts[place])
                except r.BadRowError as bad:
                    self.rejects.append(r.Reject(self.lines[place], None, bad.reason))
                    doubled.append(place)
        for place in reversed(doubled):
            for one in (self.rows, self.texts, self.lines, self.written):
                del one[place]

    def make_block(self) -> r.Block:
        """The rows, all of them settled."""
        return _make_block(self.rows, self.written, self.lines)


def _make_block(rows: Sequence[dict[str, Any]], written: list[str], lines: Sequence[int]) -> r.Block:
    def read(name: str) -> list[Any]:
        """The values of a member, None where it is absent."""
        try:
            return list(map(itemgetter(name), rows))
        except KeyError:
            return [row.get(name) for row in rows]

    def write(without: frozenset[str]) -> list[str]:
        """Each object as it is, without the members named."""
        if not without:
            return written
        return r.write_objects([{name: one for name, one in row.items() if name not in without} for row in rows])

    names = list(rows[0]) if rows else []
    return r.Block(lines, names, read, lambda name: read_times(read(name)), write)
