"""Windows as stretches of the sorted rows: for each anchor a half-open range of rows, and whether it has exceptions.

Of the rows of a's key, those of the window are e with a.ts − d − w < e.ts ≤ a.ts − d that precede a in delivery order,
and a itself if the group includes it. In sorted order that is a contiguous range but for its *exceptions*, rows in it
that were not yet known at a. They are few (late deliveries still under way) and listed; an anchor with more than
MOST_EXCEPTIONS is *dirty*, and all rows of its range are looked at one by one (`known`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import FLAGS, I64, LONGS, compile_loop, type_array, type_tuple

MOST_EXCEPTIONS = 64

EVERYTHING = -1
"""Length of a window that reaches back to the key's first row."""


@dataclass(frozen=True)
class Windows:
    """Per row (meaningful for anchors): rows [low, high) of its window but for its exceptions.

    Row i's exceptions are except_rows[except_at[i]:except_at[i + 1]], ascending; a dirty row's are not listed.
    """

    low: Array
    high: Array
    dirty: Array
    except_at: Array
    except_rows: Array
    rank: Array
    anchor: Array
    include: bool


def find_windows(
    key: Array, ts: Array, rank: Array, anchor: Array, window_us: int | None, delay_us: int, include: bool
) -> Windows:
    """The windows of all anchors. Times in µs; `window_us` None reaches back to the key's first row."""
    length = EVERYTHING if window_us is None else window_us
    return Windows(*_bounds(key, ts, rank, anchor, length, delay_us, include), rank, anchor, include)


@compile_loop(types.boolean(LONGS, I64, I64, types.boolean))
def is_known(rank: Array, row: int, at: int, include: bool) -> bool:
    """Whether `row`, inside the time interval of anchor `at`, counts for it."""
    return include if row == at else rank[row] < rank[at]


_BOUNDS = type_tuple(*[type_array(types.int64)] * 2, type_array(types.boolean), *[type_array(types.int64)] * 2)


@compile_loop(_BOUNDS(LONGS, LONGS, LONGS, FLAGS, I64, I64, types.boolean))
def _bounds(
    key: Array, ts: Array, rank: Array, anchor: Array, length: int, delay: int, include: bool
) -> tuple[Array, Array, Array, Array, Array]:
    n = len(key)
    low, high, dirty = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    except_at, except_rows, listed = np.zeros(n + 1, np.int64), np.empty(n + MOST_EXCEPTIONS, np.int64), 0
    least_later = np.empty(n, np.int64)  # least rank among this row and the key's later ones
    pending = np.empty(n, np.int64)  # rows already in reach that some later anchor may not know
    begin = 0
    while begin < n:
        end = begin
        ordered = True
        while end < n and key[end] == key[begin]:
            ordered = ordered and (end == begin or rank[end] > rank[end - 1])
            end += 1
        least = rank[end - 1]
        for row in range(end - 1, begin - 1, -1):
            least = min(least, rank[row])
            least_later[row] = least
        lo, hi, waiting = begin, begin, 0
        for row in range(begin, end):
            except_at[row] = listed
            while hi < end and ts[hi] <= ts[row] - delay:
                if not ordered:
                    pending[waiting] = hi
                    waiting += 1
                hi += 1
            if length >= 0:
                while lo < hi and ts[lo] <= ts[row] - delay - length:
                    lo += 1
            low[row] = lo
            if ordered:
                high[row] = max(lo, min(hi, row + 1 if include else row))
                continue
            kept = 0
            for i in range(waiting):
                if pending[i] >= lo and rank[pending[i]] > least_later[row]:
                    pending[kept] = pending[i]
                    kept += 1
            waiting = kept
            if not anchor[row]:
                high[row] = lo
                continue
            top = hi
            while top > lo and (rank[top - 1] > rank[row] or (top - 1 == row and not include)):
                top -= 1
            high[row] = top
            itself = not include and lo <= row < top
            if listed + waiting + 1 > len(except_rows):
                longer = np.empty(2 * len(except_rows) + waiting, np.int64)
                longer[:listed] = except_rows[:listed]
                except_rows = longer
            found = listed
            for i in range(waiting):
                e = pending[i]
                if itself and e > row:
                    except_rows[found] = row
                    found += 1
                    itself = False
                if e < top and rank[e] > rank[row]:
                    except_rows[found] = e
                    found += 1
            if itself:
                except_rows[found] = row
                found += 1
            if found - listed > MOST_EXCEPTIONS:
                dirty[row] = True
            else:
                listed = found
        begin = end
    except_at[n] = listed
    return low, high, dirty, except_at, except_rows[:listed].copy()
