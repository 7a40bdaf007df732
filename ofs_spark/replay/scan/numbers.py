"""Digits to exact integers: what a JSON number means as an unscaled integer of a declared scale, never rounded."""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import (
    BYTES,
    FLAGS,
    I64,
    LONGS,
    TEXT,
    compile_loop,
    point_to,
    type_array,
    type_tuple,
)
from ofs_spark.replay.scan.lexemes import find_number_end

_MOST_EXPONENT = 10**17
"""Where exponents stop counting: far beyond the digits that any text in memory can have."""


@compile_loop(I64(TEXT, I64, I64))
def _read_exponent(data: Array, at: int, end: int) -> int:
    """The exponent whose sign or first digit stands at `at`, no further from 0 than _MOST_EXPONENT."""
    exponent, sign = 0, -1 if data[at] == 45 else 1
    if data[at] == 45 or data[at] == 43:
        at += 1
    while at < end:
        exponent = min(exponent * 10 + (data[at] - 48), _MOST_EXPONENT)
        at += 1
    return exponent * sign


@compile_loop(type_tuple(types.boolean, I64)(TEXT, I64, I64, I64, I64))
def _parse_unscaled(data: Array, at: int, end: int, scale: int, digits: int) -> tuple[bool, int]:
    """(exact, value × 10^scale) of the number text data[at:end], if that is whole and has at most `digits` digits.

    `digits` ≤ 18, or 19 for signed 64-bit integers. Leading and trailing zeros and any exponent are understood.
    """
    negative = data[at] == 45
    if negative:
        at += 1
    value, used, zeros, point, seen_point = np.uint64(0), 0, 0, 0, False
    while at < end:
        c = data[at]
        if c == 46:
            seen_point = True
        elif c == 101 or c == 69:
            break
        else:
            point += 1 if seen_point else 0
            if c == 48:
                zeros += 1 if used else 0
            else:
                if used + zeros + 1 > 19:
                    return False, 0
                for _ in range(zeros + 1):
                    value *= np.uint64(10)
                value += np.uint64(c - 48)
                used, zeros = used + zeros + 1, 0
        at += 1
    if used == 0:
        return True, 0
    shift = zeros - point + scale + (_read_exponent(data, at + 1, end) if at < end else 0)
    if shift < 0 or used + shift > digits:
        return False, 0
    for _ in range(shift):
        if value > np.uint64(1844674407370955161):
            return False, 0
        value *= np.uint64(10)
    if value > np.uint64(9223372036854775807) + np.uint64(1 if negative else 0):
        return False, 0
    return True, -np.int64(value) if negative else np.int64(value)  # type: ignore[return-value]  # compiled: int64


@compile_loop(type_tuple(type_array(types.int64), type_array(types.boolean))(BYTES, LONGS, LONGS, FLAGS, I64, I64))
def read_unscaled(
    data: Array, start: Array, end: Array, present: Array, scale: int, digits: int
) -> tuple[Array, Array]:
    """(unscaled values, whether each is exact) of number texts; rows not `present` are 0 and not exact."""
    text = point_to(data)
    values, exact = np.zeros(len(start), np.int64), np.zeros(len(start), np.bool_)
    for row in range(len(start)):
        if present[row]:
            exact[row], values[row] = _parse_unscaled(text, start[row], end[row], scale, digits)
    return values, exact


@compile_loop(type_array(types.boolean)(BYTES, LONGS, LONGS, FLAGS))
def judge_numbers(data: Array, start: Array, end: Array, present: Array) -> Array:
    """Whether each span is exactly one JSON number; false for rows not `present`."""
    out, text = np.zeros(len(start), np.bool_), point_to(data)
    for row in range(len(start)):
        out[row] = present[row] and find_number_end(text, start[row], end[row]) == end[row]
    return out
