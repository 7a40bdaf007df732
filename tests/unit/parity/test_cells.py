"""Cells: the bases of many anchors as whole pieces of one, for dense and for sparse offsets."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ofs_spark.foundation.positions import Range
from ofs_spark.parity.cells import AnchorEnd, cut_cells, map_cells
from ofs_spark.replay.basis_slice import BasisSlice

DENSE, SPARSE = ("a", 0, "kafka_offset"), ("b", 1, "kinesis_sequence")


def test_cells_are_cut_at_every_end() -> None:
    cells = cut_cells(
        {DENSE: 5, SPARSE: 10**20},
        [[AnchorEnd(*DENSE, 9), AnchorEnd(*SPARSE, 10**20 + 7)], [AnchorEnd(*DENSE, 20)], [AnchorEnd(*DENSE, 4)], []],
    )
    assert cells.ranges == (
        Range("a", 0, "kafka_offset", 5, 10),
        Range("a", 0, "kafka_offset", 10, 21),
        Range("b", 1, "kinesis_sequence", 10**20, 10**20 + 7),
    )
    assert cells.reach == ({0: 0, 1: 2}, {0: 1}, {}, {})


def test_sparse_cells_share_no_sequence_number() -> None:
    cells = cut_cells({SPARSE: 3}, [[AnchorEnd(*SPARSE, 8)], [AnchorEnd(*SPARSE, 12)]])
    assert [(one.start, one.last) for one in cells.ranges] == [(3, 8), (9, 12)]


def test_a_partition_that_no_anchor_reaches_is_not_numbered() -> None:
    cells = cut_cells({DENSE: 5, SPARSE: 3}, [[AnchorEnd(*DENSE, 4), AnchorEnd(*SPARSE, 3)]])
    assert (len(cells.ranges), cells.reach) == (1, ({0: 0},))


def test_a_partition_without_an_archive_is_an_error() -> None:
    with pytest.raises(KeyError):
        cut_cells({}, [[AnchorEnd(*DENSE, 4)]])


def test_positions_find_their_cells() -> None:
    found = map_cells(4, [BasisSlice(0, 0, 0, 2), BasisSlice(2, 0, 3, 1 << 32), BasisSlice(3, 1, 0, 0)])
    assert found.locate(0, np.array([0, 1, 2, 3, 4, 1 << 32])).tolist() == [0, 0, 0, 2, 2, 2]
    assert found.locate(1, np.array([0])).tolist() == [3]


def test_thousands_of_anchors_are_cut_in_a_moment() -> None:
    anchors = [[AnchorEnd("a", part, "kafka_offset", 100 * number) for part in range(4)] for number in range(5_000)]
    begin = time.perf_counter()
    cells = cut_cells({("a", part, "kafka_offset"): 0 for part in range(4)}, anchors)
    assert len(cells.ranges) == 20_000
    assert time.perf_counter() - begin < 5
