"""Delivery order: what the online plane had seen before what, and where nobody can say."""

from __future__ import annotations

from typing import Any

import numpy as np

from ofs_spark.replay.rows import NO_ARRIVAL

Array = np.ndarray[Any, np.dtype[Any]]


def delivery_rank(code: Array, part: Array, seq: Array, arrival: Array) -> Array:
    """Rank of every row in (arrival, part, seq) order within its key, distinct; rows are grouped by ascending `code`.

    Arrival never falls within a part, so inside one part this is offset order whether or not arrivals are known.
    """
    order = np.lexsort((seq, part, arrival, code))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def undefined_keys(code: Array, part: Array, arrival: Array, concerned: Array) -> Array:
    """Rows, among the `concerned` (a group's source events and anchors), of keys whose order is undefined.

    Those keys lie in more than one part and one of their concerned rows has no arrival.
    """
    if not len(code):
        return np.zeros(0, np.bool_)
    size = int(code[-1]) + 1
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, -1, np.int64)
    np.minimum.at(low, code[concerned], part[concerned])
    np.maximum.at(high, code[concerned], part[concerned])
    lacking = np.zeros(size, np.bool_)
    lacking[code[concerned & (arrival == NO_ARRIVAL)]] = True
    undefined: Array = concerned & ((low < high) & lacking)[code]
    return undefined
