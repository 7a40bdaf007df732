"""The page headers of a Parquet column chunk: what each page says that it decodes to, read before anything is decoded.

Arrow allocates what a page's header states, whatever the footer states of the chunk. A header is a Thrift struct in the
compact protocol, whose fields 1 to 3 are the page's type and sizes. A data page's own struct begins with its number of
values; all other fields are skipped over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MOST_PAGES = 1_000_000
"""Of one file. A page costs some microseconds here, and as much again where it is decoded."""
_VALUES = -1
"""Key of a data page's number of values, beside the ids of a header's own fields."""
_DICTIONARY = 2
"""The type of a dictionary page."""
_DATA = (5, 8)
"""Fields of a header that hold the struct of a data page, of version 1 and 2."""
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

    values: of a data page, nulls included; 0 for another.
    """

    is_dictionary: bool
    uncompressed: int
    compressed: int
    begin: int
    values: int


def read_page(body: Bytes, place: int) -> Page:
    """The page whose header stands at `place`; PageHeaderError if that is none, or its bytes are not all there."""
    try:
        sizes, place = _read_fields(body, place, 0)
        page = Page(sizes[1] == _DICTIONARY, sizes[2], sizes[3], place, sizes.get(_VALUES, 0))
    except (IndexError, KeyError, RecursionError):
        raise PageHeaderError("a page header is unreadable") from None
    if min(page.uncompressed, page.compressed) < 0 or page.begin + page.compressed > len(body):
        raise PageHeaderError("a page header states sizes that no page has")
    return page


def _read_fields(body: Bytes, place: int, depth: int) -> tuple[dict[int, int], int]:
    """(32-bit fields of a struct by id, the place behind it)."""
    if depth > _DEPTH or place < 0:
        raise IndexError
    found: dict[int, int] = {}
    field = 0
    while head := body[place]:
        place += 1
        if head >> 4:
            field += head >> 4
        else:
            field, place = _read_zigzag(body, place)
        if head & 15 == _I32:
            found[field], place = _read_zigzag(body, place)
        elif head & 15 == _STRUCT:
            inner, place = _read_fields(body, place, depth + 1)
            if depth == 0 and field in _DATA:
                found[_VALUES] = inner.get(1, 0)
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
