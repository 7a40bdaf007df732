"""Where the lexemes of JSON end, to the letter of RFC 8259: numbers, strings, the three literals. Compiled, no allocation."""

from __future__ import annotations

from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, I64, compile_loop


@compile_loop(I64(BYTES, I64, I64))
def _find_digits_end(data: Array, at: int, end: int) -> int:
    """Position after the digits at `at`; `at` itself if there is none."""
    while at < end and 48 <= data[at] <= 57:
        at += 1
    return at


@compile_loop(I64(BYTES, I64, I64))
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


@compile_loop(I64(BYTES, I64, I64))
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


@compile_loop(types.boolean(BYTES, I64, I64, BYTES, I64, I64))
def is_same(data: Array, at: int, end: int, names: Array, start: int, stop: int) -> bool:
    """Whether two spans hold the same bytes."""
    if end - at != stop - start:
        return False
    for i in range(end - at):
        if data[at + i] != names[start + i]:
            return False
    return True


@compile_loop(I64(BYTES, I64, I64))
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
