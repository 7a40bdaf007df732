"""Delivery order: what the online plane had seen before what, and where nobody can say."""

from __future__ import annotations

import numpy as np

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.replay.rows import NO_ARRIVAL


def rank_deliveries(code: Array, ordinal: Array, seq: Array, arrival: Array) -> Array:
    """Rank of every row in (arrival, partition ordinal, seq) order within its key, distinct; rows are grouped by ascending `code`.

    Arrival never falls within a partition, so inside one partition this is offset order whether or not arrivals are known.
    """
    order = np.lexsort((seq, ordinal, arrival, code))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def find_undefined_keys(code: Array, ordinal: Array, arrival: Array, concerned: Array) -> Array:
    """Rows, among the `concerned` (a group's source events and anchors), of keys whose order is undefined.

    Those keys lie in more than one partition and one of their concerned rows has no arrival.
    """
    if not len(code):
        return np.zeros(0, np.bool_)
    size = int(code[-1]) + 1
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, -1, np.int64)
    np.minimum.at(low, code[concerned], ordinal[concerned])
    np.maximum.at(high, code[concerned], ordinal[concerned])
    lacking = np.zeros(size, np.bool_)
    lacking[code[concerned & (arrival == NO_ARRIVAL)]] = True
    undefined: Array = concerned & ((low < high) & lacking)[code]
    return undefined
