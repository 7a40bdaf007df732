"""A column is a number for the starter profile only where every row is one, and its digits hold every value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.intake.numbers import Digits, NumberColumns, measure_numbers
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
