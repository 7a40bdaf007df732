"""The basis of many anchors, cut where any of them ends: an anchor's own basis is a number of whole cells.

The scan then says of every cell whether it is complete, and between which order numbers it lies.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.positions import DENSE_KINDS, Range
from ofs_spark.replay.basis_slice import BasisSlice
from ofs_spark.replay.index import Place
from ofs_spark.replay.segment_groups import list_partitions

Reach = Mapping[int, int]
"""Partition ordinal → ordinal of the last cell that an anchor applied; a partition that it did not reach is not there."""


@dataclass(frozen=True)
class AnchorEnd:
    """The greatest offset that an anchor applied in a partition."""

    topic: str
    partition: int
    offset_kind: str
    last: int

    @property
    def place(self) -> Place:
        """(topic, partition, offset_kind)."""
        return (self.topic, self.partition, self.offset_kind)


@dataclass(frozen=True)
class Cells:
    """ranges: the cells, disjoint, in total order; a cell's ordinal is its place there. reach: of each anchor."""

    ranges: tuple[Range, ...]
    reach: tuple[Reach, ...]


def cut_cells(firsts: Mapping[Place, int], anchors: Sequence[Sequence[AnchorEnd]]) -> Cells:
    """The cells of some anchors, each given by its ends, one per partition.

    firsts: the first archived offset of every partition that an anchor names; KeyError for one that is not there. An end
    before it reaches nothing. A partition that no anchor reaches has no cell.
    """
    ends: defaultdict[Place, set[int]] = defaultdict(set)
    for one in (end for anchor in anchors for end in anchor):
        if one.last >= firsts[one.place]:
            ends[one.place].add(one.last)
    ascending = {place: sorted(found) for place, found in sorted(ends.items())}
    ranges = [cell for place, lasts in ascending.items() for cell in _cut(place, firsts[place], lasts)]
    ordinals = {place: ordinal for ordinal, place in enumerate(list_partitions(ranges))}
    begins, before = {}, 0
    for place, lasts in ascending.items():
        begins[place], before = before, before + len(lasts)
    reach = []
    for anchor in anchors:
        own = {}
        for one in anchor:
            cells = bisect_right(ascending.get(one.place, []), one.last)
            if cells:
                own[ordinals[one.place[:2]]] = begins[one.place] + cells - 1
        reach.append(own)
    return Cells(tuple(ranges), tuple(reach))


def _cut(place: Place, first: int, lasts: Sequence[int]) -> list[Range]:
    """The cells of one partition. Between two sparse sequence numbers lie all greater than the one, up to the other."""
    starts = [first, *(last + 1 for last in lasts[:-1])]
    past = 1 if place[2] in DENSE_KINDS else 0
    return [Range(*place, start, last + past) for start, last in zip(starts, lasts, strict=True)]


@dataclass(frozen=True)
class CellMap:
    """Which cell a position lies in. count: of all cells, those without positions too."""

    count: int
    ordinals: Mapping[int, Array]
    lasts: Mapping[int, Array]

    def locate(self, partition: int, seq: Array) -> Array:
        """Ordinals of the cells of a partition's ascending order numbers, int64."""
        bounds = np.searchsorted(seq, self.lasts[partition], "right")
        return np.repeat(self.ordinals[partition], np.diff(bounds, prepend=0))


def map_cells(count: int, slices: Sequence[BasisSlice]) -> CellMap:
    """The map of `count` cells by what the scan found of them."""
    ordinals: defaultdict[int, list[int]] = defaultdict(list)
    lasts: defaultdict[int, list[int]] = defaultdict(list)
    for one in sorted(slices, key=lambda one: one.ordinal):
        ordinals[one.partition_ordinal].append(one.ordinal)
        lasts[one.partition_ordinal].append(one.last_seq)
    return CellMap(
        count,
        {partition: np.array(found, np.int64) for partition, found in ordinals.items()},
        {partition: np.array(found, np.int64) for partition, found in lasts.items()},
    )
