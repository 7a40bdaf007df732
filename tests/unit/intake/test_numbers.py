"""A column is a number for the starter profile only where every row is one, and its digits hold every value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.intake.numbers import MOST_ODD, ODD, Digits, NumberColumns, find_odd, measure_numbers
from ofs_spark.intake.rows import Block
from ofs_spark.intake.times import read_times


@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12), min_size=1
    )
)
def test_digits_hold_every_value(values: list[Decimal]) -> None:
    digits = measure_numbers([format(one, "f") for one in values])
    assert digits is not None
    for one in values:
        assert abs(one) < Decimal(10) ** digits.whole
        assert one == one.quantize(Decimal(1).scaleb(-digits.scale))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-22", "0"], "int"),
        ([1, 22], "int"),
        (["1.50", "2"], "decimal(18,2)"),
        ([1.5, 2], "decimal(18,1)"),
        ([1e-7], "decimal(18,7)"),
        (["1e3", "2.5E-1"], "decimal(18,2)"),
        ([1e22], ""),
        (["1234567890123456789"], ""),
    ],
)
def test_what_kind_of_number_they_are(values: list[Any], kind: str) -> None:
    digits = measure_numbers(values)
    assert digits is not None
    assert digits.type == kind


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "",
        " 1",
        "1 ",
        "+1",
        "01",
        ".5",
        "1.",
        "1,5",
        "NaN",
        "Infinity",
        "0x1",
        "1_000",
        "١",
        True,
        [1],
        "\ud800",
        "1\n",
    ],
)
def test_one_row_that_is_no_number_makes_it_none(odd: Any) -> None:
    assert measure_numbers(["1", odd]) is None


def make_block(columns: dict[str, list[Any]]) -> Block:
    count = len(next(iter(columns.values())))
    return Block(
        range(count), list(columns), columns.__getitem__, lambda name: read_times(columns[name]), lambda _: [""] * count
    )


def test_a_column_stays_only_while_every_taken_row_is_a_number() -> None:
    found = NumberColumns({"id"})
    found.observe(make_block({"id": ["1", "2"], "a": ["1.5", "x"], "b": ["1", "2"], "c": ["x", "2"]}), [0])
    found.observe(make_block({"id": ["1"], "a": ["22.25"], "b": [None], "c": ["1"]}), [0])
    assert found.found == {"a": Digits(2, 2)}


@pytest.mark.parametrize(
    ("values", "place"),
    [
        (["1", "2"], None),
        (["DE", "FR"], None),
        (["", None], None),
        (["1", None, "x"], 1),
        (["x", "1"], 0),
        (["10,50", "3,00"], 0),
        (["1 000", "x"], 0),
        (["1'000.50"], 0),
        (["2026-02-10"], None),
        ([True, [1], {"a": 1}], None),
        ([1, float("1e22"), False], 2),
    ],
)
def test_a_column_that_is_nearly_a_number_is_odd_where_it_is_none(values: list[Any], place: int | None) -> None:
    assert find_odd(values, False) == place


def test_why_a_column_is_no_number_is_told_with_its_line() -> None:
    found = NumberColumns({"id"})
    found.observe(make_block({"id": ["a", "b"], "comma": ["1,5", "2"], "late": ["1", "2"], "text": ["x", "y"]}), [0, 1])
    found.observe(make_block({"id": ["c", "d"], "late": ["x", None]}), [1])
    assert found.describe_odd() == [
        f"comma is in no feature of the starter profile: line 0 has 1,5, {ODD}",
        "late is in no feature of the starter profile: line 1 has none, and only what is a number in every row is",
    ]
    many = NumberColumns(set())
    many.observe(make_block({f"c{n}": ["1", "x"] for n in range(9)}), [0, 1])
    assert len(many.describe_odd()) == MOST_ODD
