"""Rows of a CSV file: comma-separated, quoted as RFC 4180 has it, UTF-8, the first line names the columns.

Every value is text, as it stands; an empty one, quoted or not, is missing. A line is counted as the file counts it, inside
quotes too.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, BinaryIO

from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.intake import rows as r
from ofs_spark.intake.times import read_times

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


def read_header(file: BinaryIO, name: str) -> list[str]:
    """The names of the columns. WrongArgument for a file that has none."""
    try:
        header = next(_parse(_Lines(file)), [])
    except csv.Error as error:
        raise WrongArgument(f"{name}: the first line is no header: {error}") from None
    if not header:
        raise WrongArgument(f"{name} is empty: its first line must name the columns")
    if r.has_half_pair("".join(header)):
        raise WrongArgument(f"{name}: the first line is not UTF-8")
    return header


def read_csv(file: BinaryIO, header: Sequence[str]) -> r.Blocks:
    """The rows after the header."""
    csv.field_size_limit(r.MOST_LINE)
    lines = _Lines(file)
    parsed = _parse(lines)
    next(parsed, None)
    taken, numbers, rejects, bytes_before = [], [], [], 0
    start = lines.at + 1
    while True:
        try:
            row = next(parsed, None)
        except csv.Error:
            rejects.append(r.Reject(start, None, r.NO_CSV))
            start = lines.at + 1
            continue
        rejects += [r.Reject(at, None, r.TOO_LONG) for at in lines.lost]
        lines.lost.clear()
        fault = None if row is None else _find_fault(row, header, start)
        if fault is not None:
            rejects.append(fault)
        elif row:
            taken.append(row)
            numbers.append(start)
        start = lines.at + 1
        if row is None or len(taken) == r.MOST_ROWS or lines.bytes - bytes_before >= r.MOST_BYTES:
            if taken or rejects:
                yield _make_block(header, taken, numbers), rejects
            taken, numbers, rejects, bytes_before = [], [], [], lines.bytes
        if row is None:
            return


def _parse(lines: _Lines) -> Iterator[list[str]]:
    return csv.reader(lines, strict=True)


def _find_fault(row: list[str], header: Sequence[str], line: int) -> r.Reject | None:
    """Why a row is not well-formed. A blank line is no row."""
    if row and len(row) != len(header):
        return r.Reject(line, None, r.TOO_FEW if len(row) < len(header) else r.TOO_MANY)
    text = "".join(row)
    if not text.isascii() and r.has_half_pair(text):
        column = next(name for name, one in zip(header, row, strict=True) if r.has_half_pair(one))
        return r.Reject(line, column, r.NOT_UTF8)
    return None


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
        members = ",".join(r.quote_json(name).replace("%", "%%") + ":%s" for name in names)
        template, quote = f"{{{members}}}", r.quote_json
        at = [places[name] for name in names]
        pick = itemgetter(*at) if len(at) > 1 else lambda row: (row[at[0]],)
        return [template % tuple([quote(one) if one else "null" for one in pick(row)]) for row in taken]

    return r.Block(numbers, header, read, lambda name: read_times(read(name)), write)
