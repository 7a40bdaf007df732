"""Numbers of any exponent: one exact value for values, conditions and filters, against fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ofs_spark.replay.scan.exact_numbers import parse_number
from ofs_spark.replay.scan.numbers import read_unscaled

QUICK = settings(max_examples=300, deadline=None, derandomize=True)
WHOLE = st.one_of(st.just("0"), st.integers(1, 10**20).map(str), st.integers(1, 9).map(lambda d: f"{d}" + "0" * 25))
BEHIND = st.one_of(st.just(""), st.text("019", min_size=1, max_size=25).map(lambda digits: "." + digits))
SIGNS = st.sampled_from(["e", "E", "e+", "E-", "e-000", "e+0"])
EXPONENT = st.one_of(st.just(""), st.tuples(SIGNS, st.integers(0, 45).map(str)).map("".join))
NUMBERS = st.tuples(st.sampled_from(["", "-"]), WHOLE, BEHIND, EXPONENT).map("".join)


@QUICK
@given(NUMBERS, NUMBERS)
def test_numbers_order_as_their_exact_values(one: str, other: str) -> None:
    a, b, x, y = parse_number(one), parse_number(other), Fraction(one), Fraction(other)
    assert ((a < b), (a <= b), (a == b), (a >= b), (a > b)) == (x < y, x <= y, x == y, x >= y, x > y)
    assert (hash(a) == hash(b)) >= (x == y)


@QUICK
@given(NUMBERS, st.integers(0, 38), st.integers(1, 38))
def test_unscaled_values_are_exact_or_none(text: str, scale: int, most: int) -> None:
    value = Fraction(text) * 10**scale
    fits = value.denominator == 1 and abs(value) < 10**most
    assert parse_number(text).format_unscaled(scale, most) == (str(value) if fits else None)
    if most <= 18:
        assert read_one(text, scale, most) == (fits, int(value) if fits else 0)


def read_one(text: str, scale: int, digits: int) -> tuple[bool, int]:
    """(exact, unscaled value) of one text, as the compiled loop reads it."""
    data = np.frombuffer(text.encode(), np.uint8)
    start, end = np.array([0]), np.array([len(data)])
    values, exact = read_unscaled(data, start, end, np.ones(1, np.bool_), scale, digits)
    return bool(exact[0]), int(values[0])


ASCENDING = [
    "-1e1" + "0" * 5000,
    "-1e1000000000000000000",
    "-2",
    "-1e-1000000000000000000",
    "-0e1000000000000000000",
    "1e-1" + "0" * 5000,
    "1e-1000000000000000000",
    "1.1e-1000000000000000000",
    "1e-400",
    "3",
    "1e400",
    "9.99e999999999999999999",
    "1e1000000000000000000000",
    "1e" + "9" * 5000,
]
SAME = [
    ("1e1000000000000000000", "0.001E+1000000000000000003"),
    ("-10.0e-1000000000000000001", "-1e-1000000000000000000"),
    ("1e" + "9" * 5000, "10e" + "9" * 4999 + "8"),
    ("0e1000000000000000000", "-0.0"),
    ("1" + "0" * 6000 + "e-6000", "1"),
    ("0." + "0" * 6000 + "12e6002", "12"),
]


def test_exponents_of_any_size_order_by_their_exact_value() -> None:
    numbers = [parse_number(text) for text in ASCENDING]
    assert sorted(numbers[5:] + numbers[:5]) == numbers
    assert len(set(numbers)) == len(ASCENDING)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_exponents_of_any_size_are_equal_where_their_values_are(one: str, other: str) -> None:
    assert parse_number(one) == parse_number(other)


@pytest.mark.parametrize("digits", [1, 18, 19, 38])
@pytest.mark.parametrize(
    ("text", "value"),
    [("0e1000000000000000000", 0), ("-0.0e-" + "9" * 5000, 0), ("0." + "0" * 6000 + "7e6001", 7), ("7" + "0" * 6000 + "e-6000", 7),
     ("1e1000000000000000000", None), ("1e-1000000000000000000", None), ("7e0" + "0" * 5000, 7)],
)  # fmt: skip
def test_decimals_of_every_width_read_any_exponent_alike(text: str, value: int | None, digits: int) -> None:
    assert parse_number(text).format_unscaled(0, digits) == (None if value is None else str(value))
    if digits <= 19:
        assert read_one(text, 0, digits) == (value is not None, value or 0)
