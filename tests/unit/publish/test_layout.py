"""Leaves and files depend on the rows and the policy alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.foundation.clock import DAY_US
from ofs_spark.publish.layout import FilledLeaf, choose_bucket_count, cut_leaves, find_hot_keys, group_files


@pytest.mark.parametrize(
    ("count", "buckets"), [(0, 1), (1, 1), (100, 1), (101, 2), (400, 4), (401, 8), (10**12, 1 << 20)]
)
def test_buckets_are_the_power_of_two_that_keeps_them_small(count: int, buckets: int) -> None:
    assert choose_bucket_count(count, 100) == buckets


def cut(codes: list[int], days: list[int], leaf_rows: int, keyed: int | None = None) -> dict[str, list[int]]:
    ts = np.array(days, np.int64) * DAY_US
    found = cut_leaves(7, np.array(codes), ts, find_hot_keys(np.bincount(codes[:keyed]), leaf_rows))
    return {leaf.leaf: leaf.rows.tolist() for leaf in found}


def test_a_bucket_without_a_hot_key_is_one_leaf() -> None:
    assert cut([0, 0, 1, 1], [0, 1, 0, 1], leaf_rows=2) == {"b0000007": [0, 1, 2, 3]}


def test_a_key_with_more_rows_than_the_limit_has_a_leaf_per_day() -> None:
    assert cut([0, 1, 1, 1, 2], [5, -1, 0, 0, 5], leaf_rows=2) == {
        "b0000007": [0, 4],
        "b0000007.k000000001.1969-12-31": [1],
        "b0000007.k000000001.1970-01-01": [2, 3],
    }


def test_a_bucket_of_one_hot_key_has_no_shared_leaf() -> None:
    assert cut([4, 4], [0, 0], leaf_rows=1) == {"b0000007.k000000004.1970-01-01": [0, 1]}


def test_rows_without_a_key_are_never_hot() -> None:
    assert cut([0, 9, 9, 9], [0, 0, 0, 0], leaf_rows=2, keyed=1) == {"b0000007": [0, 1, 2, 3]}


def test_files_hold_whole_leaves_in_order() -> None:
    sized = [FilledLeaf(str(i), pa.table({"n": range(size)})) for i, size in enumerate([3, 3, 9, 1, 4, 6])]
    assert [[leaf.leaf for leaf in file] for file in group_files(sized, 5)] == [["0"], ["1"], ["2"], ["3", "4"], ["5"]]
    assert list(group_files([], 5)) == []
