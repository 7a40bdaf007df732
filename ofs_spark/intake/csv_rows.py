"""Rows of a CSV file: separated as stated, quoted as RFC 4180 has it, UTF-8, the first line names the columns.

Every value is text, as it stands; an empty one, quoted or not, is missing. A line is counted as the file counts it, inside
quotes too.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, BinaryIO, NamedTuple

from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.intake import rows as r
from ofs_spark.intake.times import read_times

COMMA = ","
SEPARATORS: Mapping[str, str] = {"comma": COMMA, "semicolon": ";", "tab": "\t", "pipe": "|"}
"""Word → what stands between two values of a line."""


class Separator(NamedTuple):
    """What stands between two values of a line, and the option that states it."""

    mark: str = COMMA
    option: str = "--separator"


COMMAS = Separator()

_BOM = b"\xef\xbb\xbf"


class _Lines:
    """The lines of a file as the csv module takes them. `lost`: lines that were too long to be held."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.at, self.bytes = 0, 0
        self.lost: list[int] = []

    def __iter__(self) -> Iterator[str]:
        for raw in iter(partial(self._file.readline, r.MOST_LINE), b""):
            self.at += 1
            if self.at == 1:
                raw = raw.removeprefix(_BOM)  # noqa: PLW2901  # the mark is no part of the first name
            if len(raw) >= r.MOST_LINE and not raw.endswith(b"\n"):
                self.lost.append(self.at)
                skip_line(self._file)
                raw = b"\n"  # noqa: PLW2901  # an empty line is no row
            self.bytes += len(raw)
            yield raw.decode("utf-8", "surrogateescape")


def skip_line(file: BinaryIO) -> None:
    """Reads on to the end of a line of any length."""
    for raw in iter(partial(file.readline, r.MOST_LINE), b""):
        if raw.endswith(b"\n"):
            return


def read_header(file: BinaryIO, name: str, separator: str = COMMA) -> list[str]:
    """The names of the columns. WrongArgument for a file that has none."""
    try:
        header = next(csv.reader(_Lines(file), strict=True, delimiter=separator), [])
    except csv.Error as error:
        has_returns = "new-line character" in str(error)
        reason = "lines end in CR alone; LF or CRLF is required" if has_returns else "it is not quoted as CSV is"
        raise WrongArgument(f"{name}: the first line is no header: {reason}") from None
    if not header:
        raise WrongArgument(f"{name} is empty: its first line must name the columns")
    if r.has_half_pair("".join(header)):
        raise WrongArgument(f"{name}: the first line is not UTF-8")
    return header


def read_csv(file: BinaryIO, header: Sequence[str], separator: str = COMMA) -> r.Blocks:
    """The rows after the header."""
    csv.field_size_limit(r.MOST_LINE)
    lines = _Lines(file)
    records = csv.reader(lines, strict=True, delimiter=separator)
    next(records, None)
    taken: list[list[str]] = []
    numbers: list[int] = []
    rejects: list[r.Reject] = []
    row: list[str] | None = list(header)
    until = r.MOST_BYTES
    while row is not None:
        start = lines.at + 1
        row, fault = _read_record(records, header, start)
        if fault is not None:
            rejects.append(fault)
        elif row:
            taken.append(row)
            numbers.append(start)
        if lines.lost:
            rejects += [r.Reject(at, None, r.TOO_LONG) for at in lines.lost]
            lines.lost.clear()
        if row is None or len(taken) == r.MOST_ROWS or lines.bytes >= until:
            if taken or rejects:
                yield _make_block(header, taken, numbers), rejects
            taken, numbers, rejects, until = [], [], [], lines.bytes + r.MOST_BYTES


def _read_record(
    records: Iterator[list[str]], header: Sequence[str], start: int
) -> tuple[list[str] | None, r.Reject | None]:
    """(the next record, why it is not well-formed): None at the end of the file, [] for a blank line, which is no row."""
    try:
        row = next(records, None)
    except csv.Error:
        return [], r.Reject(start, None, r.NO_CSV)
    if not row:
        return row, None
    if len(row) != len(header):
        return row, r.Reject(start, None, r.TOO_FEW if len(row) < len(header) else r.TOO_MANY)
    text = "".join(row)
    if not text.isascii() and r.has_half_pair(text):
        column = next(name for name, one in zip(header, row, strict=True) if r.has_half_pair(one))
        return row, r.Reject(start, column, r.NOT_UTF8)
    return row, None


def _make_block(header: Sequence[str], taken: list[list[str]], numbers: list[int]) -> r.Block:
    places = {name: at for at, name in enumerate(header)}

    def read(name: str) -> list[Any]:
        """The texts of a column, None for an empty one."""
        at = places[name]
        return [row[at] or None for row in taken]

    def write(without: frozenset[str]) -> list[str]:
        """Each row as an object of texts."""
        names = sorted(name for name in header if name not in without)
        if not names:
            return ["{}"] * len(taken)
        template, quote = r.make_template(names), r.quote_json
        at = [places[name] for name in names]
        pick = itemgetter(*at) if len(at) > 1 else lambda row: (row[at[0]],)
        return [template % tuple([quote(one) if one else "null" for one in pick(row)]) for row in taken]

    return r.Block(numbers, header, read, lambda name: read_times(read(name)), write)
