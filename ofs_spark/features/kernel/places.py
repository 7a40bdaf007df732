"""Which row of a window has the least or greatest value, or is the oldest or newest: row numbers, −1 for none."""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.features.kernel.windows import Windows
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import DOUBLES, FLAGS, I64, LONGS, compile_loop, type_array

_ROWS = type_array(types.int64)
_NEVER = np.iinfo(np.int64).max
_FEW = 8
"""Pending rows that are passed one by one before the tree of ranks is asked (and grown, for the first time)."""


def find_least(w: Windows, data: Array, counted: Array) -> Array:
    """Row of the least counted value of each window (any of equals), by a tree of winners."""
    d = w.deliveries
    rows: Array = _find_least(w.low, w.high, d.anchor & ~w.late, data, counted)
    if len(w.starts):
        _least_late(w.low, w.high, w.late, w.starts, w.ends, d.order, data, counted, w.include, rows)
    return rows


def find_oldest(w: Windows, counted: Array) -> Array:
    """First counted row of each window in total order."""
    rows: Array = _find_oldest(w.low, w.high, w.horizon, w.deliveries.anchor, _rank_counted(w, counted))
    return rows


def find_newest(w: Windows, counted: Array, other_than_anchor: bool = False) -> Array:
    """Last counted row of each window in total order."""
    horizon = w.deliveries.rank if other_than_anchor else w.horizon
    rows: Array = _find_newest(w.low, w.high, horizon, w.deliveries.anchor, _rank_counted(w, counted))
    return rows


def _rank_counted(w: Windows, counted: Array) -> Array:
    """Delivery rank of counted rows; the others are never known."""
    return np.where(counted, w.deliveries.rank, _NEVER)


@compile_loop(_ROWS(LONGS))
def _grow_ranks(rank: Array) -> Array:
    """Tree of least ranks: node 1 the root, children 2i and 2i + 1, leaf len/2 + row; len/2 is a power of two."""
    size = 1
    while size < len(rank):
        size *= 2
    tree = np.full(2 * size, _NEVER, np.int64)
    tree[size : size + len(rank)] = rank
    for node in range(size - 1, 0, -1):
        tree[node] = min(tree[2 * node], tree[2 * node + 1])
    return tree


@compile_loop(I64(LONGS, I64, I64))
def _first_below(tree: Array, row: int, horizon: int) -> int:
    """First row, from `row` on, with a rank below `horizon`; past the leaves where there is none."""
    size = len(tree) // 2
    node = size + row
    while tree[node] >= horizon:
        while node & 1:  # a right child: the next subtree hangs higher up
            node >>= 1
        if node == 0:
            return size
        node += 1
    while node < size:
        node *= 2
        node += tree[node] >= horizon
    return node - size


@compile_loop(I64(LONGS, I64, I64))
def _last_below(tree: Array, row: int, horizon: int) -> int:
    """Last row, down from `row`, with a rank below `horizon`; −1 where there is none."""
    size = len(tree) // 2
    node = size + row
    while tree[node] >= horizon:
        while node > 1 and not node & 1:
            node >>= 1
        if node == 1:
            return -1
        node -= 1
    while node < size:
        node = 2 * node + 1
        node -= tree[node] >= horizon
    return node - size


@compile_loop(_ROWS(LONGS, LONGS, LONGS, FLAGS, LONGS))
def _find_oldest(low: Array, high: Array, horizon: Array, anchor: Array, rank: Array) -> Array:
    n = len(low)
    following, out = np.full(n + 1, n, np.int64), np.full(n, -1, np.int64)
    for row in range(n - 1, -1, -1):
        following[row] = row if rank[row] != _NEVER else following[row + 1]
    tree = np.empty(0, np.int64)
    for row in range(n):
        if anchor[row]:
            e = following[low[row]]
            steps = 0
            while steps < _FEW and e < high[row] and rank[e] >= horizon[row]:
                e = following[e + 1]
                steps += 1
            if e < high[row] and rank[e] >= horizon[row]:
                if len(tree) == 0:
                    tree = _grow_ranks(rank)
                e = _first_below(tree, e, horizon[row])
            if e < high[row]:
                out[row] = e
    return out


@compile_loop(_ROWS(LONGS, LONGS, LONGS, FLAGS, LONGS))
def _find_newest(low: Array, high: Array, horizon: Array, anchor: Array, rank: Array) -> Array:
    n = len(low)
    preceding, out = np.full(n + 1, -1, np.int64), np.full(n, -1, np.int64)  # preceding[i]: last counted row before i
    for row in range(n):
        preceding[row + 1] = row if rank[row] != _NEVER else preceding[row]
    tree = np.empty(0, np.int64)
    for row in range(n):
        if anchor[row]:
            e = preceding[high[row]]
            steps = 0
            while steps < _FEW and e >= low[row] and rank[e] >= horizon[row]:
                e = preceding[e]
                steps += 1
            if e >= low[row] and rank[e] >= horizon[row]:
                if len(tree) == 0:
                    tree = _grow_ranks(rank)
                e = _last_below(tree, e, horizon[row])
            if e >= low[row]:
                out[row] = e
    return out


@compile_loop([I64(LONGS, data, I64, I64) for data in (LONGS, DOUBLES)])
def _find_winner(tree: Array, data: Array, begin: int, end: int) -> np.int64:
    """Row of the least value among rows [begin, end) in the tree, −1 for none; leaf n + i holds row i."""
    best = np.int64(-1)
    a, b = begin + len(data), end + len(data)
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
    return best


@compile_loop([_ROWS(LONGS, LONGS, FLAGS, data, FLAGS) for data in (LONGS, DOUBLES)])
def _find_least(low: Array, high: Array, wanted: Array, data: Array, counted: Array) -> Array:
    n = len(data)
    tree, out = np.full(2 * max(n, 1), -1, np.int64), np.full(n, -1, np.int64)
    for row in range(n):
        tree[n + row] = row if counted[row] else -1
    for node in range(n - 1, 0, -1):
        a, b = tree[2 * node], tree[2 * node + 1]
        tree[node] = b if a < 0 else a if b < 0 or data[a] <= data[b] else b
    for row in range(n):
        if wanted[row]:
            out[row] = _find_winner(tree, data, low[row], high[row])
    return out


@compile_loop(
    [
        types.void(LONGS, LONGS, FLAGS, LONGS, LONGS, LONGS, data, FLAGS, types.boolean, _ROWS)
        for data in (LONGS, DOUBLES)
    ]
)
def _least_late(
    low: Array,
    high: Array,
    late: Array,
    starts: Array,
    ends: Array,
    order: Array,
    data: Array,
    counted: Array,
    include: bool,
    out: Array,
) -> None:
    """Fills `out` at late anchors: rows enter the tree as they are delivered, and stop climbing where they do not win."""
    n = len(data)
    tree = np.full(2 * n, -1, np.int64)
    for i in range(len(starts)):
        for row in order[starts[i] : ends[i]]:
            if late[row] and not include:
                out[row] = _find_winner(tree, data, low[row], high[row])
            if counted[row]:
                tree[n + row], node = row, (n + row) >> 1
                while node and (tree[node] < 0 or data[row] < data[tree[node]]):
                    tree[node] = row
                    node >>= 1
            if late[row] and include:
                out[row] = _find_winner(tree, data, low[row], high[row])
