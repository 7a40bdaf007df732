"""The page headers of a Parquet column chunk: what each page says that it decodes to, read before anything is decoded.

Arrow allocates what a page's header states, whatever the footer states of the chunk. A header is a Thrift struct in the
compact protocol, whose fields 1 to 3 are the page's type and sizes. A struct for each type of page states its number of
values and their encoding; all other fields are skipped over. What readers could understand in two ways is no header: a
field that stands twice, an id or a number that does not fit its width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MOST_PAGES = 1_000_000
"""Of one file. A page costs some microseconds here, and as much again where it is decoded."""
_DICTIONARY = 2
"""The type of a dictionary page."""
_STRUCTS = {0: (5, 2), _DICTIONARY: (7, 2), 3: (8, 4)}
"""By the type of a page that holds values: the header's field with its struct, and the struct's with their encoding."""
_WITHIN = 1 << 16
"""A field of a header's struct is found under the struct's id times this, plus its own."""
_I16_MOST, _I32_MOST = 2**15 - 1, 2**31 - 1
_DEPTH = 8
"""Structs within structs of a header: the format has three."""
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


class PageHeaderError(OSError):
    """A column chunk has no readable page header where one must stand."""


class Bytes(Protocol):
    """Bytes that can be looked at one by one; IndexError beyond their end."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> int: ...


@dataclass(frozen=True)
class Page:
    """What a page states: whether it is a dictionary; bytes as decoded and as stored; where its header ends.

    values: of a data page, nulls included, or the entries of a dictionary; 0 for another. encoding: the format's number
    for how they are stored; -1 for a page without values.
    """

    is_dictionary: bool
    uncompressed: int
    compressed: int
    begin: int
    values: int
    encoding: int

    @property
    def size(self) -> int:
        """Bytes that it holds at most: a page that is not compressed is taken as stored, whatever it states beside."""
        return max(self.uncompressed, self.compressed)


def read_page(body: Bytes, place: int) -> Page:
    """The page whose header stands at `place`; PageHeaderError if that is none, or its bytes are not all there."""
    try:
        found, place = _read_fields(body, place, 0)
        values, encoding = 0, -1
        if found[1] in _STRUCTS:
            struct, coding = _STRUCTS[found[1]]
            values, encoding = found[struct * _WITHIN + 1], found[struct * _WITHIN + coding]
        page = Page(found[1] == _DICTIONARY, found[2], found[3], place, values, encoding)
    except (IndexError, KeyError, RecursionError):
        raise PageHeaderError("a page header is unreadable") from None
    if min(page.uncompressed, page.compressed, page.values) < 0 or page.begin + page.compressed > len(body):
        raise PageHeaderError("a page header states sizes that no page has")
    return page


def _read_fields(body: Bytes, place: int, depth: int) -> tuple[dict[int, int], int]:
    """(32-bit fields of a struct by id, and of a header's structs; the place behind it)."""
    if depth > _DEPTH or place < 0:
        raise IndexError
    found: dict[int, int] = {}
    seen, field = set[int](), 0
    while head := body[place]:
        place += 1
        if head >> 4:
            field += head >> 4
        else:
            field, place = _read_zigzag(body, place)
        if field in seen or not 0 < field <= _I16_MOST:
            raise IndexError
        seen.add(field)
        if head & 15 == _I32:
            found[field], place = _read_zigzag(body, place)
            if abs(found[field]) > _I32_MOST:
                raise IndexError
        elif head & 15 == _STRUCT:
            inner, place = _read_fields(body, place, depth + 1)
            if depth == 0:
                found |= {field * _WITHIN + number: value for number, value in inner.items()}
        else:
            place = _skip(body, place, head & 15)
    return found, place + 1


def _skip(body: Bytes, place: int, kind: int) -> int:
    """The place behind a value that is no struct."""
    if kind in (_TRUE, _FALSE):
        return place  # the field's head says it
    if kind in (_I16, _I32, _I64):
        return _read_varint(body, place)[1]
    if kind in (_BYTE, _DOUBLE):
        return place + (1 if kind == _BYTE else 8)
    if kind == _BINARY:
        size, place = _read_varint(body, place)
        return place + size
    raise IndexError  # no page header holds a list or a map


def _read_varint(body: Bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while (byte := body[place]) >= 0x80:
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if shift > 63:
            raise IndexError
    return number | byte << shift, place + 1


def _read_zigzag(body: Bytes, place: int) -> tuple[int, int]:
    number, place = _read_varint(body, place)
    return (number >> 1) ^ -(number & 1), place
