"""Exact integers to float64: always the nearest double, decided by exact comparison with its neighbours."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.features.kernel.rounding import round_quotient, round_root
from tests.unit.kernel.rows import words

LONG = st.one_of(st.integers(0, 1 << 20), st.integers(0, 2**63 - 1), st.integers(2**53 - 2, 2**53 + 2))
WIDE = st.integers(0, 10**60)


def is_nearest_root(found: float, square: Fraction) -> bool:
    """Whether no other double is nearer to √square: the middles to both neighbours lie on either side of it."""
    above, below = math.nextafter(found, math.inf), math.nextafter(found, -math.inf)
    upper, lower = (Fraction(found) + Fraction(above)) / 2, (Fraction(found) + Fraction(below)) / 2
    return (lower <= 0 or lower**2 <= square) and square <= upper**2


def root(numerator: int, denominator: int, scale: int, wide: bool = False) -> float:
    above, below = (words([n], 4) if wide else np.array([n]) for n in (numerator, denominator))
    (found,) = round_root(above, below, scale, np.array([True])).tolist()
    return float(found)


@given(LONG, st.integers(1, 2**62), st.integers(0, 15))
def test_root_of_words(numerator: int, denominator: int, scale: int) -> None:
    assert is_nearest_root(root(numerator, denominator, scale), Fraction(numerator, denominator * 100**scale))


@given(WIDE, st.integers(1, 10**30), st.integers(0, 15))
def test_root_of_wide_integers(numerator: int, denominator: int, scale: int) -> None:
    found = root(numerator, denominator, scale, wide=True)
    assert is_nearest_root(found, Fraction(numerator, denominator * 100**scale))


@given(st.integers(1, 2**31 - 1), st.integers(0, 8))
def test_root_of_a_square_is_its_side(side: int, scale: int) -> None:
    assert root(side * side, 1, scale) == side / 10**scale


def test_words_and_wide_integers_round_alike() -> None:
    """Roots of n ÷ d near the middle of two doubles take the exact way: both ways must meet."""
    near = [(2 * k + 1) ** 2 for k in (2**30, 2**30 + 1, 5 * 2**28 + 7)]
    for numerator in [*near, *(n + 1 for n in near), *(n - 1 for n in near), 2**63 - 1, 2**62 + 1]:
        assert root(numerator, 4, 0) == root(numerator, 4, 0, wide=True)


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
    found = round_quotient(words([numerator, 5], 3), words([3, 0]), np.array([True, False]))
    assert found.tolist() == [numerator / 3, 0.0]


@given(st.integers(-(10**60), 10**60), st.one_of(st.integers(1, 10**45), st.integers(0, 140).map(lambda k: 2**k)))
def test_quotient_of_any_width(numerator: int, denominator: int) -> None:
    """Powers of two below make exact middles of two doubles."""
    (found,) = round_quotient(words([numerator], 4), words([denominator], 3), np.array([True])).tolist()
    assert found == numerator / denominator


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("denominator", [1, 2, 2**40])
def test_middles_of_two_doubles_go_to_the_even_one(wide: bool, denominator: int) -> None:
    middles = [sign * (2**62 + 512 * k) for k in range(1, 9) for sign in (1, -1)]
    above = words(middles) if wide else np.array(middles)
    found = round_quotient(above, np.full(len(middles), denominator), np.ones(len(middles), np.bool_))
    assert found.tolist() == [n / denominator for n in middles]
