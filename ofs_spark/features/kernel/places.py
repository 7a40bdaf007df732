"""Which row of a window has the least or greatest value, or is the oldest or newest: row numbers, −1 for none."""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.features.kernel.windows import Windows, is_known
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import DOUBLES, FLAGS, LONGS, compile_loop, type_array

_ROWS = type_array(types.int64)


def find_least(w: Windows, data: Array, counted: Array) -> Array:
    """Row of the least counted value of each window (any of equals), by a tree of winners."""
    find = _least_double if data.dtype == np.float64 else _least_long
    rows: Array = find(w.low, w.high, w.dirty, w.except_at, w.except_rows, w.rank, w.anchor, data, counted, w.include)
    return rows


def find_oldest(w: Windows, counted: Array) -> Array:
    """First counted row of each window in total order."""
    rows: Array = _oldest(w.low, w.high, w.rank, w.anchor, counted, w.include)
    return rows


def find_newest(w: Windows, counted: Array, other_than_anchor: bool = False) -> Array:
    """Last counted row of each window in total order."""
    rows: Array = _newest(w.low, w.high, w.rank, w.anchor, counted, w.include and not other_than_anchor)
    return rows


@compile_loop(_ROWS(LONGS, LONGS, LONGS, FLAGS, FLAGS, types.boolean))
def _oldest(low: Array, high: Array, rank: Array, anchor: Array, counted: Array, include: bool) -> Array:
    n = len(low)
    following, out = np.full(n + 1, n, np.int64), np.full(n, -1, np.int64)
    for row in range(n - 1, -1, -1):
        following[row] = row if counted[row] else following[row + 1]
    for row in range(n):
        if anchor[row]:
            e = following[low[row]]
            while e < high[row] and not is_known(rank, e, row, include):
                e = following[e + 1]
            if e < high[row]:
                out[row] = e
    return out


@compile_loop(_ROWS(LONGS, LONGS, LONGS, FLAGS, FLAGS, types.boolean))
def _newest(low: Array, high: Array, rank: Array, anchor: Array, counted: Array, include: bool) -> Array:
    n = len(low)
    preceding, out = np.full(n + 1, -1, np.int64), np.full(n, -1, np.int64)  # preceding[i]: last counted row before i
    for row in range(n):
        preceding[row + 1] = row if counted[row] else preceding[row]
    for row in range(n):
        if anchor[row]:
            e = preceding[high[row]]
            while e >= low[row] and not is_known(rank, e, row, include):
                e = preceding[e]
            if e >= low[row]:
                out[row] = e
    return out


def _least(
    low: Array,
    high: Array,
    dirty: Array,
    except_at: Array,
    except_rows: Array,
    rank: Array,
    anchor: Array,
    data: Array,
    counted: Array,
    include: bool,
) -> Array:
    n = len(data)
    tree, out = np.full(2 * max(n, 1), -1, np.int64), np.full(n, -1, np.int64)  # leaf n + i holds row i
    for row in range(n):
        tree[n + row] = row if counted[row] else -1
    for node in range(n - 1, 0, -1):
        a, b = tree[2 * node], tree[2 * node + 1]
        tree[node] = b if a < 0 else a if b < 0 or data[a] <= data[b] else b
    for row in range(n):
        if not anchor[row]:
            continue
        best = np.int64(-1)
        if dirty[row]:
            for e in range(low[row], high[row]):
                if counted[e] and is_known(rank, e, row, include) and (best < 0 or data[e] < data[best]):
                    best = np.int64(e)
        else:
            begin = low[row]
            for i in range(except_at[row], except_at[row + 1] + 1):  # the stretches between exceptions
                end = except_rows[i] if i < except_at[row + 1] else high[row]
                a, b = begin + n, end + n
                while a < b:
                    if a & 1:
                        if tree[a] >= 0 and (best < 0 or data[tree[a]] < data[best]):
                            best = tree[a]
                        a += 1
                    if b & 1:
                        b -= 1
                        if tree[b] >= 0 and (best < 0 or data[tree[b]] < data[best]):
                            best = tree[b]
                    a >>= 1
                    b >>= 1
                begin = end + 1
        out[row] = best
    return out


_least_long = compile_loop(_ROWS(LONGS, LONGS, FLAGS, LONGS, LONGS, LONGS, FLAGS, LONGS, FLAGS, types.boolean))(_least)
_least_double = compile_loop(_ROWS(LONGS, LONGS, FLAGS, LONGS, LONGS, LONGS, FLAGS, DOUBLES, FLAGS, types.boolean))(
    _least
)
