"""Sums of many changed sequences are what adding one by one gives."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.parity import sums

AMOUNTS = st.lists(st.floats(-1e9, 1e9) | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=12)


def one_by_one(amounts: list[float]) -> float:
    total = 0.0
    for amount in amounts:
        total += amount
    return total


def same(one: float, other: float) -> bool:
    return repr(one) == repr(other)


@given(AMOUNTS)
def test_a_sum_is_added_one_by_one(amounts: list[float]) -> None:
    assert same(sums.add_up(np.array(amounts)), one_by_one(amounts))
    prefixes = sums.list_prefixes(np.array(amounts)).tolist()
    assert all(same(one, one_by_one(amounts[:count])) for count, one in enumerate(prefixes))


@given(AMOUNTS, st.integers(1, 4), st.integers(0, 3))
def test_sums_without_runs(amounts: list[float], length: int, first: int) -> None:
    starts = np.arange(first, max(first, len(amounts) - length + 1))
    found = sums.sum_without_runs(np.array(amounts), starts, length).tolist()
    for start, total in zip(starts.tolist(), found, strict=True):
        assert same(total, one_by_one(amounts[:start] + amounts[start + length :]))


@given(AMOUNTS)
def test_sums_with_one_doubled_or_two_swapped(amounts: list[float]) -> None:
    chosen = np.arange(0, len(amounts), 2)
    for index, total in zip(chosen.tolist(), sums.sum_with_doubled(np.array(amounts), chosen).tolist(), strict=True):
        assert same(total, one_by_one([*amounts[: index + 1], *amounts[index:]]))
    for index, total in enumerate(sums.sum_with_neighbours_swapped(np.array(amounts)).tolist()):
        swapped = [*amounts[:index], amounts[index + 1], amounts[index], *amounts[index + 2 :]]
        assert same(total + 0.0, one_by_one(swapped) + 0.0)


@given(AMOUNTS)
def test_sums_with_one_moved(amounts: list[float]) -> None:
    start = len(amounts) // 3
    found = sums.sum_with_one_moved(np.array(amounts), start, len(amounts)).tolist()
    for row, places in enumerate(found):
        others = [*amounts[: start + row], *amounts[start + row + 1 :]]
        for place, total in enumerate(places):
            assert same(total + 0.0, one_by_one([*others[:place], amounts[start + row], *others[place:]]) + 0.0)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=12))
def test_no_two_ways_of_adding_differ_by_more_than_the_slack(amounts: list[float]) -> None:
    other = sorted(amounts)
    slack = sums.find_slack(np.array(amounts))
    assert abs(one_by_one(amounts) - one_by_one(other)) <= slack or not slack
    exact = sum(map(Fraction, amounts), Fraction(0))
    assert same(sums.sum_exactly(amounts), float(exact) + 0.0)


def test_a_sum_that_is_too_large_is_infinite() -> None:
    assert sums.sum_exactly([1e308, 1e308]) == math.inf
    assert sums.add_up(np.array([1e308, 1e308])) == math.inf


def test_the_compensated_and_the_decimal_sum() -> None:
    assert sums.sum_compensated([1.0, 1e100, 1.0, -1e100]) == 2.0
    assert sums.sum_decimals([0.1] * 10) == 1.0
    assert one_by_one([0.1] * 10) != 1.0
