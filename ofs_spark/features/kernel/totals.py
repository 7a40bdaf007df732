"""Counts and exact integer sums over windows, by differences of running totals.

Running totals wrap modulo 2^64; a difference is exact whenever the window's own sum fits 63 bits, which the greatest
value and the longest window prove beforehand. Otherwise the same is done with Python's integers.
"""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.features.kernel.windows import Windows, is_known
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import FLAGS, LONGS, compile_loop, type_array

FITS = 2**62


def count_rows(w: Windows, counted: Array) -> Array:
    """Rows of each window that are `counted`, int64."""
    total: Array = _totals(w.include, counted.astype(np.int64), *_of(w))
    return total


def sum_values(w: Windows, data: Array, counted: Array, power: int = 1) -> Array:
    """Exact sum of the counted rows' data (or its square, power 2): int64, or Python integers where 63 bits may not do."""
    if data.dtype != object:
        greatest = max((abs(int(v)) for v in (data.min(initial=0), data.max(initial=0))), default=0)
        if greatest**power * max(int((w.high - w.low).max(initial=0)), 1) < FITS:
            values = np.where(counted, data, 0)
            values = values * values if power == 2 else values
            total: Array = _totals(w.include, values, *_of(w))
            return total
    return _wide_sums(w, data, counted, power)


def _of(w: Windows) -> tuple[Array, ...]:
    return w.low, w.high, w.dirty, w.except_at, w.except_rows, w.rank, w.anchor


@compile_loop(type_array(types.int64)(types.boolean, LONGS, LONGS, LONGS, FLAGS, LONGS, LONGS, LONGS, FLAGS))
def _totals(
    include: bool,
    values: Array,
    low: Array,
    high: Array,
    dirty: Array,
    except_at: Array,
    except_rows: Array,
    rank: Array,
    anchor: Array,
) -> Array:
    n = len(values)
    running, out = np.zeros(n + 1, np.int64), np.zeros(n, np.int64)
    for row in range(n):
        running[row + 1] = running[row] + values[row]
    for row in range(n):
        if anchor[row]:
            total = running[high[row]] - running[low[row]]
            for i in range(except_at[row], except_at[row + 1]):
                total -= values[except_rows[i]]
            if dirty[row]:
                for e in range(low[row], high[row]):
                    if not is_known(rank, e, row, include):
                        total -= values[e]
            out[row] = total
    return out


def _wide_sums(w: Windows, data: Array, counted: Array, power: int) -> Array:
    values = np.array([int(v) ** power if c else 0 for v, c in zip(data, counted, strict=True)], dtype=object)
    running = np.concatenate([np.zeros(1, object), np.cumsum(values)]) if len(values) else np.zeros(1, object)
    total: Array = running[w.high] - running[w.low]
    for row in np.flatnonzero(w.anchor & (w.dirty | (np.diff(w.except_at) > 0))).tolist():
        inside = range(int(w.low[row]), int(w.high[row]))
        total[row] -= sum(values[e] for e in inside if not is_known(w.rank, e, row, w.include))
    return total
