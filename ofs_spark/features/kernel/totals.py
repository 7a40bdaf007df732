"""Counts and exact integer sums over windows.

An anchor whose range was known in full takes the difference of two running totals. They may wrap modulo 2^64; the
difference is exact where the window's own sum fits, which the greatest value and the longest window prove beforehand.
Late-bound anchors ask a Fenwick tree, which takes the key's rows in delivery order. Values that are too great for one
64-bit total are summed in *limbs*: columns of so many of their bits that the longest window's sum of them does fit.
"""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.features.kernel.windows import Windows
from ofs_spark.features.kernel.words import as_words, choose, find_greatest, join_limbs, multiply, split_limbs
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import FLAGS, LONGS, compile_loop, type_array

FITS = 63
"""Bits of a magnitude that one total holds beside the sign."""


def count_rows(w: Windows, counted: Array) -> Array:
    """Rows of each window that are `counted`, int64."""
    return _sum(w, counted.astype(np.int64))


def sum_values(w: Windows, data: Array, counted: Array, power: int = 1) -> Array:
    """Exact sum of the counted rows' data (or its square, power 2): int64, or words where 63 bits may not do."""
    values = choose(counted, data)
    longest = int((w.high - w.low).max(initial=1))
    greatest = find_greatest(values) ** power
    values = multiply(values, values) if power == 2 else values
    if (greatest * longest).bit_length() <= FITS:
        return _sum(w, values)
    bits = FITS - longest.bit_length()
    limbs = split_limbs(as_words(values), bits, greatest.bit_length() // bits + 1)
    sums = np.stack([_sum(w, limb) for limb in limbs])
    return join_limbs(sums, bits, (greatest * longest).bit_length() // 64 + 1)


def _sum(w: Windows, values: Array) -> Array:
    d = w.deliveries
    total: Array = _sum_known(values, w.low, w.high, d.anchor & ~w.late)
    if len(w.starts):
        _sum_late(values, w.low, w.high, w.late, w.starts, w.ends, d.order, w.include, total)
    return total


@compile_loop(type_array(types.int64)(LONGS, LONGS, LONGS, FLAGS))
def _sum_known(values: Array, low: Array, high: Array, wanted: Array) -> Array:
    n = len(values)
    running, out = np.zeros(n + 1, np.int64), np.zeros(n, np.int64)
    for row in range(n):
        running[row + 1] = running[row] + values[row]
    for row in range(n):
        if wanted[row]:
            out[row] = running[high[row]] - running[low[row]]
    return out


@compile_loop(types.int64(LONGS, types.int64, types.int64))
def _read_between(tree: Array, low: int, high: int) -> np.int64:
    """Sum of the nodes' places [low, high), from 0; both walks end where they meet."""
    total = np.int64(0)
    while high > low:
        total += tree[high]
        high &= high - 1
    while low > high:
        total -= tree[low]
        low &= low - 1
    return total


@compile_loop(types.void(LONGS, LONGS, LONGS, FLAGS, LONGS, LONGS, LONGS, types.boolean, type_array(types.int64)))
def _sum_late(
    values: Array,
    low: Array,
    high: Array,
    late: Array,
    starts: Array,
    ends: Array,
    order: Array,
    include: bool,
    out: Array,
) -> None:
    """Fills `out` at late anchors, key by key. An anchor that counts itself asks after it is in."""
    for i in range(len(starts)):
        begin, size = starts[i], ends[i] - starts[i]
        tree = np.zeros(size + 1, np.int64)
        for row in order[begin : begin + size]:
            if late[row] and not include:
                out[row] = _read_between(tree, low[row] - begin, high[row] - begin)
            node = row - begin + 1 if values[row] != 0 else size + 1
            while node <= size:
                tree[node] += values[row]
                node += node & -node
            if late[row] and include:
                out[row] = _read_between(tree, low[row] - begin, high[row] - begin)
