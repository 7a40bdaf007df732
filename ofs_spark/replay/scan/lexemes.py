"""Where the lexemes of JSON end, to the letter of RFC 8259: numbers, strings, the three literals. Compiled, no allocation.

Texts come by their address (`compiled.TEXT`), whose bytes the caller keeps.
"""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import I64, TEXT, compile_loop, type_tuple
from ofs_spark.foundation.columnar.text_words import read_word

_ONES = np.uint64(0x0101010101010101)
_BLANKS, _QUOTES, _BACKSLASHES, _HIGHEST = (np.uint64(byte * 0x0101010101010101) for byte in (32, 34, 92, 128))


@compile_loop(I64(TEXT, I64, I64))
def _find_digits_end(data: Array, at: int, end: int) -> int:
    """Position after the digits at `at`; `at` itself if there is none."""
    while at < end and 48 <= data[at] <= 57:
        at += 1
    return at


@compile_loop(I64(TEXT, I64, I64))
def find_number_end(data: Array, at: int, end: int) -> int:
    """Position after the number that starts at `at`, or -1 if there is none."""
    if at < end and data[at] == 45:
        at += 1
    digits = at
    at = at + 1 if at < end and data[at] == 48 else _find_digits_end(data, at, end)
    if at == digits:
        return -1
    if at < end and data[at] == 46:
        digits = at + 1
        at = _find_digits_end(data, digits, end)
        if at == digits:
            return -1
    if at < end and (data[at] == 101 or data[at] == 69):
        at += 1
        if at < end and (data[at] == 43 or data[at] == 45):
            at += 1
        digits = at
        at = _find_digits_end(data, at, end)
        if at == digits:
            return -1
    return at


@compile_loop(I64(TEXT, I64, I64))
def find_blanks_end(data: Array, at: int, end: int) -> int:
    """Position after the blanks at `at`."""
    while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


@compile_loop(types.uint64(TEXT, I64, I64, I64))
def read_head(data: Array, at: int, end: int, size: int) -> np.uint64:
    """The first eight bytes of data[at:end] as a number, the first one greatest; bytes that are not there are zeros.

    size: how many bytes `data` has.
    """
    head = np.uint64(0)
    if at + 8 > size:
        for i in range(at, at + 8):
            head = (head << np.uint64(8)) | np.uint64(data[i] if i < end else 0)
        return head
    for i in range(8):  # one load too
        head = (head << np.uint64(8)) | np.uint64(data[at + i])
    half = np.uint64(4 * max(8 - (end - at), 0))  # a shift by 64 is none
    return ((head >> half) >> half) << half << half


@compile_loop(I64(TEXT, I64, I64, I64), inline=True)
def find_plain_end(data: Array, at: int, end: int, size: int) -> int:
    """Position of the first byte from `at` on that is a quote, a backslash or not printable ASCII; `end` if there is none.

    size: how many bytes `data` has. Eight bytes at a time: a byte's highest bit tells that it is such a one. What it
    borrows or carries reaches later bytes alone, and only the first one counts.
    """
    while at + 8 <= size and at < end:
        word = read_word(data, at)
        quote, backslash = word ^ _QUOTES, word ^ _BACKSLASHES
        special = ((quote - _ONES) & ~quote) | ((backslash - _ONES) & ~backslash)
        special = (special | ((word - _BLANKS) & ~word) | word | (word + _ONES)) & _HIGHEST
        if special:
            below = (special - np.uint64(1)) & ~special
            return min(at + int(np.int64(((below & _ONES) * _ONES) >> np.uint64(56))) - 1, end)
        at += 8
    while at < end and 32 <= data[at] <= 126 and data[at] != 34 and data[at] != 92:
        at += 1
    return min(at, end)


@compile_loop(I64(TEXT, I64, I64))
def find_string_end(data: Array, at: int, end: int) -> int:
    """Position of the closing quote of the string whose text starts at `at`; -1 if broken; negative of it if it holds escapes."""
    escaped = False
    while at < end:
        c = data[at]
        if c == 34:
            return -at if escaped else at
        if c < 32:
            return -1
        if c == 92:
            escaped = True
            at += 1
            if at >= end:
                return -1
            c = data[at]
            if c == 117:
                if at + 4 >= end:
                    return -1
                for digit in range(at + 1, at + 5):
                    h = data[digit]
                    if not (48 <= h <= 57 or 97 <= h <= 102 or 65 <= h <= 70):
                        return -1
                at += 4
            elif not (c == 34 or c == 92 or c == 47 or c == 98 or c == 102 or c == 110 or c == 114 or c == 116):
                return -1
        at += 1
    return -1


@compile_loop(I64(TEXT, I64))
def _read_hex(data: Array, at: int) -> int:
    """The number of the four hex digits at `at`."""
    value = 0
    for i in range(at, at + 4):
        h = data[i]
        value = value * 16 + (h - 48 if h <= 57 else (h | 32) - 87)
    return value


@compile_loop(type_tuple(I64, I64)(TEXT, I64))
def _read_escape(data: Array, at: int) -> tuple[int, int]:
    """(code point, position after it) of the escape whose backslash is at `at`; an unpaired surrogate is itself."""
    c = data[at + 1]
    if c == 117:
        value = _read_hex(data, at + 2)
        if 0xD800 <= value < 0xDC00 and data[at + 6] == 92 and data[at + 7] == 117:
            low = _read_hex(data, at + 8)
            if 0xDC00 <= low < 0xE000:
                return 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00), at + 12
        return value, at + 6
    plain = 8 if c == 98 else 12 if c == 102 else 10 if c == 110 else 13 if c == 114 else 9 if c == 116 else c + 0
    return plain, at + 2


@compile_loop(I64(I64, I64))
def _encode_utf8(point: int, i: int) -> int:
    """Byte `i` of a code point in UTF-8; -1 after its last one."""
    length = 1 if point < 0x80 else 2 if point < 0x800 else 3 if point < 0x10000 else 4
    if i >= length:
        return -1
    if length == 1:
        return point
    if i == 0:
        return ((0xF00 >> length) & 0xFF) | (point >> (6 * (length - 1)))
    return 0x80 | ((point >> (6 * (length - 1 - i))) & 0x3F)


@compile_loop(types.boolean(TEXT, I64, I64, TEXT, I64, I64))
def is_named(data: Array, at: int, end: int, names: Array, start: int, stop: int) -> bool:
    """Whether the string text data[at:end], however it is escaped, spells names[start:stop] in UTF-8."""
    while at < end:
        if data[at] != 92:
            if start >= stop or names[start] != data[at]:
                return False
            at, start = at + 1, start + 1
            continue
        point, at = _read_escape(data, at)
        i, byte = 0, _encode_utf8(point, 0)
        while byte >= 0:
            if start >= stop or names[start] != byte:
                return False
            i, start = i + 1, start + 1
            byte = _encode_utf8(point, i)
    return start == stop


@compile_loop(I64(TEXT, I64, I64))
def find_literal_end(data: Array, at: int, end: int) -> int:
    """Position after true, false or null at `at`, or -1."""
    c = data[at]
    if c == 116 and at + 4 <= end and data[at + 1] == 114 and data[at + 2] == 117 and data[at + 3] == 101:
        return at + 4
    if c == 110 and at + 4 <= end and data[at + 1] == 117 and data[at + 2] == 108 and data[at + 3] == 108:
        return at + 4
    if (
        c == 102
        and at + 5 <= end
        and data[at + 1] == 97
        and data[at + 2] == 108
        and data[at + 3] == 115
        and data[at + 4] == 101
    ):
        return at + 5
    return -1
