"""Rows by key and three numbers, as a stable sort of everything has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.features.kernel.sorting import sort_within_keys


@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.integers(1, 6), st.sampled_from([1, 3, 10**6]))
def test_equals_a_sort_of_everything(seed: int, rows: int, keys: int, values: int) -> None:
    some = np.random.default_rng(seed)
    key = np.sort(some.integers(0, keys, rows))
    first, second, third = some.integers(-values, values, (3, rows))
    assert (sort_within_keys(key, first, second, third) == np.lexsort((third, second, first, key))).all()


@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 1000])
@pytest.mark.parametrize("late", [0, 1, 5])
def test_few_late_rows_and_a_reversed_key(rows: int, late: int) -> None:
    arrival = np.arange(rows)
    arrival[:late] += rows
    key, none = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    assert (sort_within_keys(key, arrival, none, none) == np.argsort(arrival, kind="stable")).all()
    assert (sort_within_keys(key, -arrival, none, none) == np.argsort(-arrival, kind="stable")).all()
