"""Windows as stretches of the sorted rows: for each anchor a half-open range of rows, and whether all of it was known.

Of the rows of a's key, those of the window are e with a.ts − d − w < e.ts ≤ a.ts − d that precede a in delivery order,
and a itself if the group includes it. The times make a contiguous range [low, high); of it, the rows count whose
delivery rank is below the anchor's *horizon* (its own rank, and one more where it counts itself). Where that is the
whole range, an aggregate is read off the sorted rows. Otherwise the anchor is *late-bound*, and aggregates answer it
while they take the key's rows in delivery order: O(log n) or O(log² n) each, however many rows are pending.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import FLAGS, I64, LONGS, compile_loop, type_array, type_tuple

EVERYTHING = -1
"""Length of a window that reaches back to the key's first row."""


@dataclass(frozen=True)
class Deliveries:
    """The rows of a target as windows see them, sorted by key and total order, and the same rows by key and delivery.

    `order` holds row numbers by (key, rank): a key's rows fill the same stretch of it as of the rows themselves.
    """

    key: Array
    ts: Array
    rank: Array
    anchor: Array
    order: Array


@dataclass(frozen=True)
class Windows:
    """Per row (meaningful for anchors): rows [low, high) of its window, of which those count with rank < horizon.

    Anchors with another row in their range are `late`. Row numbers starts[i]:ends[i] are the keys that have such anchors.
    """

    low: Array
    high: Array
    late: Array
    starts: Array
    ends: Array
    horizon: Array
    deliveries: Deliveries
    include: bool


def order_deliveries(key: Array, ts: Array, rank: Array, anchor: Array) -> Deliveries:
    """The rows with their delivery order."""
    return Deliveries(key, ts, rank, anchor, np.lexsort((rank, key)))


def find_windows(
    rows: Deliveries, window_us: int | None, delay_us: int, include: bool, late_only: bool = False
) -> Windows:
    """The windows of all anchors. Times in µs; `window_us` None reaches back to the key's first row.

    `late_only` has every anchor answered in delivery order, which gives the same and takes longer.
    """
    length = EVERYTHING if window_us is None else window_us
    horizon = rows.rank + 1 if include else rows.rank
    low, high, late = _find_bounds(rows.key, rows.ts, rows.rank, length, delay_us, include)
    late = rows.anchor & (late | late_only)
    return Windows(low, high, late, *_find_stretches(rows.key, late), horizon, rows, include)


@compile_loop(type_tuple(type_array(types.int64), type_array(types.int64))(LONGS, FLAGS))
def _find_stretches(key: Array, late: Array) -> tuple[Array, Array]:
    """First and past-the-end row of every key with a late anchor."""
    starts, ends, found, begin = np.empty(len(key), np.int64), np.empty(len(key), np.int64), 0, 0
    some = False
    for row in range(len(key)):
        some = some or late[row]
        if row + 1 == len(key) or key[row + 1] != key[row]:
            if some:
                starts[found], ends[found] = begin, row + 1
                found += 1
            begin, some = row + 1, False
    return starts[:found].copy(), ends[:found].copy()


_BOUNDS = type_tuple(type_array(types.int64), type_array(types.int64), type_array(types.boolean))


@compile_loop(_BOUNDS(LONGS, LONGS, LONGS, I64, I64, types.boolean))
def _find_bounds(
    key: Array, ts: Array, rank: Array, length: int, delay: int, include: bool
) -> tuple[Array, Array, Array]:
    """low, high, late of every row.

    Rows of the anchor's own instant that stand behind it leave the range where none of them was known yet. The greatest
    rank of what remains is the front of a deque of descending ranks.
    """
    n = len(key)
    low, high, late = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    behind = np.empty(n, np.int64)  # least rank among the key's rows of the same instant that stand behind
    for row in range(n - 1, -1, -1):
        tied = row + 1 < n and key[row + 1] == key[row] and ts[row + 1] == ts[row]
        behind[row] = min(behind[row + 1], rank[row + 1]) if tied else np.iinfo(np.int64).max
    deque = np.empty(n, np.int64)
    lo, hi, pushed, front, back = 0, 0, 0, 0, 0
    for row in range(n):
        if row and key[row] != key[row - 1]:
            lo, hi, pushed, front, back = row, row, row, 0, 0
        while hi < n and key[hi] == key[row] and ts[hi] <= ts[row] - delay:
            hi += 1
        if length >= 0:
            while lo < hi and ts[lo] <= ts[row] - delay - length:
                lo += 1
        top = min(hi, row + 1 if include else row)
        while pushed < top:
            while back > front and rank[deque[back - 1]] < rank[pushed]:
                back -= 1
            deque[back] = pushed
            back += 1
            pushed += 1
        while front < back and deque[front] < lo:
            front += 1
        known_behind = hi > row and behind[row] < rank[row]
        low[row], high[row] = lo, max(lo, hi if known_behind else top)
        late[row] = known_behind or (front < back and rank[deque[front]] > rank[row])
    return low, high, late
