"""Exact integers to float64: always the nearest double, decided by exact comparison with its neighbours."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.features.kernel.rounding import round_quotient, round_root

LONG = st.one_of(st.integers(0, 1 << 20), st.integers(0, 2**63 - 1), st.integers(2**53 - 2, 2**53 + 2))
WIDE = st.integers(0, 10**60)


def is_nearest_root(found: float, square: Fraction) -> bool:
    """Whether no other double is nearer to √square: the middles to both neighbours lie on either side of it."""
    above, below = math.nextafter(found, math.inf), math.nextafter(found, -math.inf)
    upper, lower = (Fraction(found) + Fraction(above)) / 2, (Fraction(found) + Fraction(below)) / 2
    return (lower <= 0 or lower**2 <= square) and square <= upper**2


def root(numerator: int, denominator: int, scale: int, kind: type = np.int64) -> float:
    array = object if kind is object else np.int64
    (found,) = round_root(
        np.array([numerator], array), np.array([denominator], array), scale, np.array([True])
    ).tolist()
    return float(found)


@given(LONG, st.integers(1, 2**62), st.integers(0, 15))
def test_root_of_words(numerator: int, denominator: int, scale: int) -> None:
    assert is_nearest_root(root(numerator, denominator, scale), Fraction(numerator, denominator * 100**scale))


@given(WIDE, st.integers(1, 10**30), st.integers(0, 15))
def test_root_of_wide_integers(numerator: int, denominator: int, scale: int) -> None:
    found = root(numerator, denominator, scale, object)
    assert is_nearest_root(found, Fraction(numerator, denominator * 100**scale))


@given(st.integers(1, 2**31 - 1), st.integers(0, 8))
def test_root_of_a_square_is_its_side(side: int, scale: int) -> None:
    assert root(side * side, 1, scale) == side / 10**scale


def test_words_and_wide_integers_round_alike() -> None:
    """Roots of n ÷ d near the middle of two doubles take the exact way: both ways must meet."""
    near = [(2 * k + 1) ** 2 for k in (2**30, 2**30 + 1, 5 * 2**28 + 7)]
    for numerator in [*near, *(n + 1 for n in near), *(n - 1 for n in near), 2**63 - 1, 2**62 + 1]:
        assert root(numerator, 4, 0) == root(numerator, 4, 0, object)


def test_root_of_nothing_is_zero_and_unwanted_rows_are_left() -> None:
    found = round_root(np.array([0, 4, 9]), np.array([7, 1, 1]), 0, np.array([True, False, True]))
    assert found.tolist() == [0.0, 0.0, 3.0]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**63 - 1))
def test_quotient_of_words(numerator: int, denominator: int) -> None:
    (found,) = round_quotient(np.array([numerator]), np.array([denominator]), np.array([True])).tolist()
    assert found == numerator / denominator  # Python rounds a quotient of integers once
    assert math.copysign(1, found) == 1 or numerator < 0


@pytest.mark.parametrize("numerator", [10**40 + 1, -(10**38), 2**53 + 1, 0])
def test_quotient_of_wide_integers(numerator: int) -> None:
    found = round_quotient(np.array([numerator, 5], object), np.array([3, 0], object), np.array([True, False]))
    assert found.tolist() == [numerator / 3, 0.0]
