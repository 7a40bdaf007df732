"""Time columns to int64 microseconds since the epoch: exact, UTC only, nothing converted or truncated."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, I64, LONGS, compile_loop, type_array
from ofs_spark.foundation.columnar.hashing import read_text_buffers
from ofs_spark.foundation.columnar.times import NO_INSTANT, is_instant

_YEAR_1, _YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000
_MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_BEFORE_MONTH = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365], np.int64)


@compile_loop(I64(BYTES, I64, I64))
def _read_digits(data: Array, at: int, count: int) -> int:
    """The number that `count` digits at `at` spell; -1 if one of them is no digit."""
    value = 0
    for i in range(at, at + count):
        if data[i] < 48 or data[i] > 57:
            return -1
        value = value * 10 + (data[i] - 48)
    return value


@compile_loop(I64(BYTES, I64, I64, LONGS))
def _read_seconds(data: Array, at: int, end: int, before_month: Array) -> int:
    """Seconds since the epoch of YYYY-MM-DDTHH:MM:SS at `at`; NO_INSTANT if it is no time of the calendar."""
    if end - at < 20 or data[at + 4] != 45 or data[at + 7] != 45 or data[at + 10] != 84:
        return NO_INSTANT
    if data[at + 13] != 58 or data[at + 16] != 58:
        return NO_INSTANT
    year, month, day = _read_digits(data, at, 4), _read_digits(data, at + 5, 2), _read_digits(data, at + 8, 2)
    hour, minute, second = (
        _read_digits(data, at + 11, 2),
        _read_digits(data, at + 14, 2),
        _read_digits(data, at + 17, 2),
    )
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or minute < 0 or second < 0:
        return NO_INSTANT
    leap = 1 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 0
    length = before_month[month + 1] - before_month[month] + (leap if month == 2 else 0)
    if day > length or hour > 23 or minute > 59 or second > 59:
        return NO_INSTANT
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400 - 719162
    days += before_month[month] + (leap if month > 2 else 0) + day - 1
    seconds: int = days * 86400 + hour * 3600 + minute * 60 + second
    return seconds


@compile_loop(type_array(types.int64)(BYTES, LONGS, LONGS))
def _parse(data: Array, offsets: Array, before_month: Array) -> Array:
    out = np.full(len(offsets) - 1, NO_INSTANT, np.int64)
    for row in range(len(out)):
        at, end = offsets[row], offsets[row + 1]
        seconds = _read_seconds(data, at, end, before_month)
        if seconds == NO_INSTANT:
            continue
        at += 19
        fraction, unit, exact = 0, 100_000, True
        if data[at] == 46:
            at += 1
            begin = at
            while at < end and 48 <= data[at] <= 57:
                fraction += (data[at] - 48) * unit
                exact = exact and (unit > 0 or data[at] == 48)
                unit //= 10
                at += 1
            exact = exact and at > begin
        zulu = end - at == 1 and data[at] == 90
        offset = end - at == 6 and data[at] == 43 and data[at + 3] == 58
        if offset:
            offset = _read_digits(data, at + 1, 2) == 0 and _read_digits(data, at + 4, 2) == 0
        if exact and (zulu or offset):
            out[row] = seconds * 1_000_000 + fraction
    return out


def read_micros(column: pa.Array) -> Array:
    """int64 µs of every row, NO_INSTANT where it is null or not an exact UTC time of the years 0001 to 9999.

    Reads RFC 3339 text (`Z` or `+00:00`, more than six fractional digits only if zeros) and timestamps with zone UTC; one
    that is no whole µs is not exact.
    """
    if is_instant(column.type):
        values = _to_micros(np.asarray(column.cast(pa.int64()).fill_null(0)), column.type.unit)
    else:
        data, offsets = read_text_buffers(column)
        values = _parse(data, offsets, _BEFORE_MONTH)
    if column.null_count:  # what stands under a null is anything
        values[~np.asarray(column.is_valid())] = NO_INSTANT
    return values


def _to_micros(values: Array, unit: str) -> Array:
    """Timestamps of a unit as µs, NO_INSTANT where they are not whole or outside the years."""
    if unit == "ns":
        return np.where(values % 1000 == 0, values // 1000, NO_INSTANT)
    factor = _MICROS[unit]
    inside = (values >= _YEAR_1 // factor) & (values < _YEAR_10000 // factor)
    return np.where(inside, values, 0) * factor + np.where(inside, 0, NO_INSTANT)
