"""Delivery order: what the online plane had seen before what, and where nobody can say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ofs_spark.features.kernel.sorting import sort_within_keys
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.replay.rows import NO_ARRIVAL


def rank_deliveries(code: Array, ordinal: Array, seq: Array, arrival: Array) -> Array:
    """Rank of every row in (arrival, partition ordinal, seq) order within its key, distinct; rows are grouped by ascending `code`.

    Arrival never falls within a partition, so inside one partition this is offset order whether or not arrivals are known.
    """
    order = sort_within_keys(code, arrival, ordinal.astype(np.int64), seq)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def find_undefined_keys(code: Array, ordinal: Array, arrival: Array, concerned: Array) -> Array:
    """Rows, among the `concerned` (a group's source events and anchors), of keys whose order is undefined.

    Those keys lie in more than one partition and one of their concerned rows has no arrival.
    """
    if not (concerned & (arrival == NO_ARRIVAL)).any():
        return np.zeros(len(code), np.bool_)
    size = int(code[-1]) + 1
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, -1, np.int64)
    np.minimum.at(low, code[concerned], ordinal[concerned])
    np.maximum.at(high, code[concerned], ordinal[concerned])
    lacking = np.zeros(size, np.bool_)
    lacking[code[concerned & (arrival == NO_ARRIVAL)]] = True
    undefined: Array = concerned & ((low < high) & lacking)[code]
    return undefined


@dataclass
class KeyOrder:
    """Whether the deliveries of one key have an order, as its concerned rows come: as `find_undefined_keys` says."""

    low: int = np.iinfo(np.int64).max
    high: int = -1
    is_lacking: bool = False

    def add(self, ordinal: Array, arrival: Array) -> None:
        """Takes partition ordinals and arrivals of more of its rows."""
        if len(ordinal):
            self.low, self.high = min(self.low, int(ordinal.min())), max(self.high, int(ordinal.max()))
        self.is_lacking |= bool((arrival == NO_ARRIVAL).any())

    @property
    def is_undefined(self) -> bool:
        """Whether nobody can say which came first."""
        return self.low < self.high and self.is_lacking
