"""Neighbouring equal values inside a window, as a late-bound anchor knows them.

Take the rows in delivery order. Each value's delivered rows, by row number, form a chain; a *pair* (p, e) is a link of
it. A new row e between p and s takes the pair (p, s) away and adds (p, e) and (e, s). Of the rows [low, high) that an
anchor knows, as many are different as they are less their pairs: those alive with low ≤ p and e < high. That count, over
three dimensions (time, e, p), is made by divide and conquer over time: of each half, the earlier one's pairs are put
into a Fenwick tree over p in the order of e, and the later one's anchors ask it when their `high` comes. O(log² n) a row.

Time is counted in late anchors: slot q holds anchor q and what was delivered since anchor q − 1.
"""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.features.kernel.windows import Windows
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import FLAGS, I64, LONGS, compile_loop, type_array, type_tuple

FEW = 64
"""Items that are compared one by one rather than halved once more: measured, half or twice as many take longer."""

_NEW = type_array(types.int64)
_ITEMS = (type_array(types.int32), _NEW)
SHORT = 2**30
"""Items of a target with fewer rows are 32 bits wide: half the room."""


def count_pairs(w: Windows, codes: Array, size: int, few: int = FEW, short: int = SHORT) -> Array:
    """Pairs of equal codes among the known rows of each late anchor's window, int64 per row. Codes −1 do not count.

    `size`: codes are below it. The answer does not depend on `few` and `short`; see FEW and SHORT.
    """
    last, kind = np.full(size, -1, np.int64), np.int32 if len(codes) < short else np.int64
    found: Array = _count_pairs_within(
        w.low, w.high, w.late, w.starts, w.ends, w.deliveries.order, codes, last, np.empty(0, kind), few, w.include
    )
    return found


@compile_loop(type_tuple(_NEW, _NEW)(LONGS, LONGS, FLAGS, LONGS, _NEW))
def _chain(low: Array, high: Array, late: Array, codes: Array, last: Array) -> tuple[Array, Array]:
    """Rows before and after each in its code's chain (−1 for none, −2 outside all chains), when all are delivered.

    Rows that no late anchor's window covers stay outside. `last` holds −1 per code, before and after.
    """
    n = len(codes)
    cover = np.zeros(n + 1, np.int64)
    for row in range(n):
        if late[row]:
            cover[low[row]] += 1
            cover[high[row]] -= 1
    before, after, covering = np.full(n, -2, np.int64), np.full(n, -2, np.int64), 0
    for row in range(n):
        covering += cover[row]
        if covering > 0 and codes[row] >= 0:
            before[row], after[row] = last[codes[row]], -1
            if before[row] >= 0:
                after[before[row]] = row
            last[codes[row]] = row
    for row in range(n):
        if codes[row] >= 0:
            last[codes[row]] = -1
    return before, after


@compile_loop(
    [type_tuple(kind, kind, kind)(LONGS, LONGS, LONGS, FLAGS, _NEW, _NEW, kind, types.boolean) for kind in _ITEMS]
)
def _follow(
    order: Array, low: Array, high: Array, late: Array, before: Array, after: Array, items: Array, include: bool
) -> tuple[Array, Array, Array]:
    """Every question, then every pair that comes or goes, as three numbers: where, slot, what.

    A question: high, slot, −1 − low. A pair (p, e): e, slot, 2p where it comes and 2p + 1 where it goes. Deliveries are
    undone from the last to the first: a row's neighbours are then those it met when it came. `items`: of what type.
    """
    most = late.sum() + 3 * (before != -2).sum()
    where, slots, what = np.empty(most, items.dtype), np.empty(most, items.dtype), np.empty(most, items.dtype)
    slot = 0
    for row in order:
        if late[row]:
            where[slot], slots[slot], what[slot] = high[row], slot, -1 - low[row]
            slot += 1
    total, found = slot, slot
    for i in range(len(order) - 1, -1, -1):
        e = order[i]
        own = slot - 1 if late[e] and include else slot
        slot -= late[e]
        p, s = before[e], after[e]
        if p >= 0:
            after[p] = s
        if s >= 0:
            before[s] = p
        if own == total or p == -2:  # seen by nobody
            continue
        if p >= 0:
            where[found], slots[found], what[found] = e, own, 2 * p
            found += 1
        if s >= 0:
            where[found], slots[found], what[found] = s, own, 2 * e
            found += 1
        if p >= 0 and s >= 0:
            where[found], slots[found], what[found] = s, own, 2 * p + 1
            found += 1
    return where[:found], slots[:found], what[:found]


@compile_loop([type_tuple(kind, kind)(kind, kind, kind, I64) for kind in _ITEMS])
def _by_row(where: Array, slot: Array, what: Array, n: int) -> tuple[Array, Array]:
    """`slot` and `what` by ascending `where` (0 to n), equals in the order given."""
    at = np.zeros(n + 2, np.int64)
    for one in where:
        at[one + 1] += 1
    for i in range(n + 1):
        at[i + 1] += at[i]
    slots, others = np.empty(len(slot), slot.dtype), np.empty(len(slot), slot.dtype)
    for i in range(len(slot)):
        slots[at[where[i]]], others[at[where[i]]] = slot[i], what[i]
        at[where[i]] += 1
    return slots, others


@compile_loop([types.void(kind, kind, I64, I64, _NEW) for kind in _ITEMS])
def _compare(slot: Array, what: Array, begin: int, end: int, out: Array) -> None:
    """Answers the anchors of items [begin, end) by looking at each item before them."""
    for i in range(begin, end):
        if what[i] < 0:
            low, count = -1 - what[i], 0
            for j in range(begin, i):
                if what[j] >= 2 * low and slot[j] <= slot[i]:
                    count += 1 - 2 * (what[j] & 1)
            out[slot[i]] += count


@compile_loop([types.void(kind, I64, I64) for kind in _ITEMS])
def _put(tree: Array, pair: int, times: int) -> None:
    """Counts a pair that comes (2p) or goes (2p + 1) in the tree, whose prefixes hold the greatest p first."""
    node, change = len(tree) - 1 - (pair >> 1), times * (1 - 2 * (pair & 1))
    while node < len(tree):
        tree[node] += change
        node += node & -node


@compile_loop([types.void(kind, _NEW, kind, kind, I64, I64, I64) for kind in _ITEMS])
def _ask(tree: Array, out: Array, slot: Array, what: Array, begin: int, end: int, bit: int) -> None:
    """Adds to later slots' answers what the earlier half's pairs mean to them; leaves the tree as it was."""
    n = len(tree) - 1
    for i in range(begin, end):
        later = (slot[i] >> bit) & 1
        if later and what[i] < 0:
            node = n + 1 + what[i]
            while node > 0:
                out[slot[i]] += tree[node]
                node &= node - 1
        elif not later and what[i] >= 0:
            _put(tree, what[i], 1)
    for i in range(begin, end):
        if what[i] >= 0 and not (slot[i] >> bit) & 1:
            _put(tree, what[i], -1)


@compile_loop([I64(kind, kind, I64, I64, I64, kind, kind) for kind in _ITEMS])
def _halve(slot: Array, what: Array, begin: int, end: int, bit: int, slots: Array, whats: Array) -> int:
    """Earlier slots first, each half in its order; gives where the later ones begin. `slots`, `whats`: room to work in."""
    middle, kept = begin, 0
    for i in range(begin, end):
        if (slot[i] >> bit) & 1:
            slots[kept], whats[kept] = slot[i], what[i]
            kept += 1
        else:
            slot[middle], what[middle] = slot[i], what[i]
            middle += 1
    slot[middle:end], what[middle:end] = slots[:kept], whats[:kept]
    return middle


@compile_loop([_NEW(kind, kind, kind, kind, I64, I64, I64) for kind in _ITEMS])
def _count(slot: Array, what: Array, slots: Array, whats: Array, asking: int, n: int, few: int) -> Array:
    """Answer of each slot: pairs alive with p ≥ low among the items before it. Reorders its arguments; see _halve."""
    out, tree = np.zeros(asking, np.int64), np.zeros(n + 1, slot.dtype)
    bits = 0
    while asking >> bits:
        bits += 1
    stack = [(0, len(slot), bits - 1)]
    while len(stack):
        begin, end, bit = stack.pop()
        questions = 0
        for i in range(begin, end):
            questions += what[i] < 0
        if questions == 0:
            continue
        if bit < 0 or end - begin <= few:
            _compare(slot, what, begin, end, out)
            continue
        _ask(tree, out, slot, what, begin, end, bit)
        middle = _halve(slot, what, begin, end, bit, slots, whats)
        stack.append((begin, middle, bit - 1))
        stack.append((middle, end, bit - 1))
    return out


@compile_loop(
    [_NEW(LONGS, LONGS, FLAGS, LONGS, LONGS, LONGS, LONGS, _NEW, kind, I64, types.boolean) for kind in _ITEMS]
)
def _count_pairs_within(
    low: Array,
    high: Array,
    late: Array,
    starts: Array,
    ends: Array,
    order: Array,
    codes: Array,
    last: Array,
    items: Array,
    few: int,
    include: bool,
) -> Array:
    out = np.zeros(len(codes), np.int64)
    for i in range(len(starts)):
        begin, end = starts[i], ends[i]
        lows, highs, own = low[begin:end] - begin, high[begin:end] - begin, order[begin:end] - begin
        before, after = _chain(lows, highs, late[begin:end], codes[begin:end], last)
        where, slot, what = _follow(own, lows, highs, late[begin:end], before, after, items, include)
        slots, whats = _by_row(where, slot, what, end - begin)
        found = _count(slots, whats, slot, what, late[begin:end].sum(), end - begin, few)
        asked = 0
        for row in own:
            if late[begin + row]:
                out[begin + row] = found[asked]
                asked += 1
    return out
