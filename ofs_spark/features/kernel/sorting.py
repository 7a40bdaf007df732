"""Rows of each key by three numbers: made for rows that are nearly in that order, as deliveries are."""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import I64, LONGS, compile_loop, type_array

_FEW = 16
"""Rows that are put in order by insertion before such stretches are merged."""


@compile_loop(types.boolean(LONGS, LONGS, LONGS, I64, I64), inline=True)
def _precedes(first: Array, second: Array, third: Array, a: int, b: int) -> bool:
    if first[a] != first[b]:
        return bool(first[a] < first[b])
    return bool(second[a] < second[b] or (second[a] == second[b] and third[a] < third[b]))


@compile_loop(type_array(types.int64)(LONGS, LONGS, LONGS, LONGS))
def sort_within_keys(key: Array, first: Array, second: Array, third: Array) -> Array:
    """Row numbers by (key, first, second, third), equals as they stand; rows are grouped by key, in its order already.

    A merge sort that moves nothing of what is in order: then it takes one look at each row, and one at each stretch.
    """
    n, begin = len(key), 0
    order, room = np.arange(n), np.empty(n, np.int64)
    while begin < n:
        end = begin + 1
        while end < n and key[end] == key[begin]:
            at = end
            while (at - begin) & (_FEW - 1) and _precedes(first, second, third, end, order[at - 1]):
                order[at] = order[at - 1]
                at -= 1
            order[at] = end
            end += 1
        width = _FEW
        while width < end - begin:
            for middle in range(begin + width, end, 2 * width):
                start, last = middle, min(middle + width, end)
                while start > middle - width and _precedes(first, second, third, order[middle], order[start - 1]):
                    start -= 1
                    room[start] = order[start]
                left, right, at = start, middle, start
                while left < middle and right < last:
                    if _precedes(first, second, third, order[right], room[left]):
                        order[at] = order[right]
                        right += 1
                    else:
                        order[at] = room[left]
                        left += 1
                    at += 1
                order[at : at + middle - left] = room[left:middle]
            width *= 2
        begin = end
    return order
