"""The page people read: coloured only on a terminal, and without control characters.

A token (an id, a digest, a ref, a path, a command) is never broken over lines. Without a terminal nothing is cut, whatever
COLUMNS says: what reads the page there is a program. On a terminal a table fits the page: a cell that does not is cut in its
middle, an id after its first digits, which every command takes. Everything else stands on one line, however long; tokens
that fill a page fill 80 columns where there is no terminal.
"""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

PAGE = 80
"""Columns of a page that is no terminal."""
GAP = "  "
CUT = "…"

_CODES = {"bold": "1", "dim": "2", "red": "1;31", "green": "32", "yellow": "33"}
_PLAIN = str.maketrans({"…": "~", "→": ">", "—": "-"})
"""Our own signs where the stream's encoding has none of them: as wide as what they stand for."""


@dataclass(frozen=True)
class Styled:
    """Text in a style: bold, dim, red, green or yellow."""

    text: str
    style: str


@dataclass(frozen=True)
class TableColumn:
    """A column of a table; the cells of a `whole` one are never cut.

    least: of ids, which are cut after their first characters, no fewer than these. below: of the last column: where the
    page has no room for it, each cell stands on a line of its own, below its row.
    """

    heading: str
    whole: bool = False
    least: int = 0
    below: bool = False


def find_width(stream: TextIO) -> int:
    """Columns of the page: of the terminal, or of what COLUMNS says of it; PAGE where there is none."""
    return shutil.get_terminal_size((PAGE, 24)).columns if stream.isatty() else PAGE


class Screen:
    """Prints on a stream for people. NO_COLOR and TERM=dumb turn colours off."""

    def __init__(self, stream: TextIO) -> None:
        terminal, self.width = stream.isatty(), find_width(stream)
        self._stream = stream
        self._encoding = stream.encoding or "utf-8"
        self._coloured = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._cuts = terminal

    def print_line(self, *parts: str | Styled) -> None:
        """One line, however long."""
        self._stream.write("".join(map(self._render, parts)) + "\n")

    def print_pairs(self, pairs: Mapping[str, Sequence[str]], indent: str = "") -> None:
        """A key and its lines, one below the other; a line is never folded."""
        keys = max(map(len, pairs), default=0)
        for key, lines in pairs.items():
            name: str | Styled = Styled(f"{key:<{keys}}", "bold")
            for line in lines:
                self.print_line(indent, name, GAP, line)
                name = " " * keys

    def print_table(self, columns: Sequence[TableColumn], rows: Iterable[Sequence[str]]) -> bool:
        """Headings and rows in aligned columns that fit the page: whether a cell was cut in its middle."""
        cells = [[self.show(cell) for cell in row] for row in rows]
        widths = self._measure_columns(columns, cells)
        below = self._cuts and columns[-1].below and _add(widths) > self.width
        aside = columns[:-1] if below else columns
        widths = self._fit(aside, cells) if self._cuts else widths
        headings = [_pad(column.heading, width) for column, width in zip(aside, widths, strict=True)]
        self.print_line(Styled(GAP.join(headings).rstrip(), "bold"))
        for row in cells:
            places = zip(aside, row, widths, strict=False)
            shown = [_pad(self.show(_cut(cell, width, column)), width) for column, cell, width in places]
            self.print_line(GAP.join(shown).rstrip())
            if below:
                self.print_line(GAP, row[-1])
        cut = [place for place, column in enumerate(aside) if not column.least]
        return any(_measure(row[place]) > widths[place] for row in cells for place in cut)

    def fill(self, tokens: Iterable[str], separator: str, indent: int) -> list[str]:
        """Lines of tokens, as many on each as the page has room for after `indent` columns; no token is broken."""
        lines: list[str] = []
        end = separator.rstrip()
        for token in tokens:
            longer = f"{lines[-1]}{separator}{token}" if lines else token
            if lines and indent + _measure(self.show(longer + end)) <= self.width:
                lines[-1] = longer
            else:
                lines = [*lines[:-1], *(line + end for line in lines[-1:]), token]
        return lines

    def show(self, text: str) -> str:
        """`text` as it may reach a terminal: what is no printable character of the stream is written as its escape."""
        shown = "".join(char if char.isprintable() else escape(char) for char in text)
        try:
            shown.encode(self._encoding)
        except UnicodeEncodeError:
            return shown.translate(_PLAIN).encode(self._encoding, "backslashreplace").decode(self._encoding)
        return shown

    def shorten(self, text: str, used: int) -> str:
        """`text`, or its beginning, for the rest of a line of which `used` columns are taken."""
        shown, width = self.show(text), self.width - used
        return shown if _measure(shown) <= width else _take(shown, width - 1) + CUT

    def _render(self, part: str | Styled) -> str:
        if isinstance(part, str):
            return self.show(part)
        shown = self.show(part.text)
        return f"\x1b[{_CODES[part.style]}m{shown}\x1b[0m" if self._coloured else shown

    def _measure_columns(self, columns: Sequence[TableColumn], cells: Sequence[Sequence[str]]) -> list[int]:
        """Widths of columns whose cells are whole."""
        return [
            max([len(column.heading), *(_measure(row[place]) for row in cells)]) for place, column in enumerate(columns)
        ]

    def _fit(self, columns: Sequence[TableColumn], cells: Sequence[Sequence[str]]) -> list[int]:
        """Widths of the columns: the widest that may be cut gives way first, down to its heading, an id to its `least`."""
        widths = [min(width, self.width) for width in self._measure_columns(columns, cells)]
        for _ in range(_add(widths) - self.width):
            spare = [
                (width, place)
                for place, (column, width) in enumerate(zip(columns, widths, strict=True))
                if not column.whole and width > max(column.least, len(column.heading))
            ]
            if not spare:
                break
            widths[max(spare)[1]] -= 1
        return [
            max([width, *(_measure(row[place]) for row in cells)]) if columns[place].whole else width
            for place, width in enumerate(widths)
        ]


def escape(char: str) -> str:
    """A character that is not printable, as text."""
    return char.encode("unicode_escape").decode("ascii")


def _measure(text: str) -> int:
    """Columns that `text` takes: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _measure(text))


def _add(widths: Sequence[int]) -> int:
    """Columns that a table's line takes."""
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _cut(text: str, width: int, column: TableColumn) -> str:
    """`text` in at most `width` columns: its two ends where it has more, of an id its beginning."""
    if _measure(text) <= width:
        return text
    if column.least:
        return _take(text, width)
    head, tail = width // 2, width - 1 - width // 2
    return f"{_take(text, head)}{CUT}{_take(text[::-1], tail)[::-1]}"


def _take(text: str, width: int) -> str:
    """The longest beginning of `text` that takes at most `width` columns."""
    taken = 0
    for place, char in enumerate(text):
        taken += _measure(char)
        if taken > width:
            return text[:place]
    return text
