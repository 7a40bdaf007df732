"""Ids are equal when their texts are, however they are written: as 32 hex digits, which are compared as words, or otherwise."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.foundation.columnar.ids import find_ids, number_ids

HEX = st.integers(0, 5).map(lambda n: f"{n << 64 | n:032x}")
NEARLY = st.sampled_from(["", "a" * 31, "A" * 32, "a" * 32, "a" * 33, "g" * 32, "ä" * 16, "0" * 32, "\x00" * 32])
COLUMNS = st.one_of(st.lists(HEX), st.lists(st.one_of(HEX, NEARLY)))


@given(COLUMNS)
def test_equal_ids_have_one_number_in_the_order_of_their_first_rows(ids: list[str]) -> None:
    numbers = number_ids(pa.array(ids, pa.string())).tolist()
    assert [ids.index(one) for one in ids] == [numbers.index(number) for number in numbers]
    first = list(dict.fromkeys(numbers))
    assert first == sorted(first)


@given(COLUMNS, COLUMNS)
def test_an_id_is_found_where_it_first_stands(ids: list[str], known: list[str]) -> None:
    expected = [known.index(one) if one in known else -1 for one in ids]
    assert find_ids(pa.array(ids, pa.string()), pa.array(known, pa.string())).tolist() == expected


@pytest.mark.parametrize("ids", [["0" * 31 + "1"] * 3, ["x", "y", "x"]], ids=["words", "texts"])
def test_parts_of_columns_are_columns(ids: list[str]) -> None:
    whole = pa.chunked_array([pa.array(["z", *ids[:1]], pa.string()).slice(1), pa.array(ids[1:], pa.string())])
    assert number_ids(whole).tolist() == number_ids(pa.array(ids)).tolist()
    assert find_ids(whole, pa.array(["z", *ids]).slice(1)).tolist() == [ids.index(one) for one in ids]


def test_ids_that_differ_in_few_bits_are_told_apart_in_time() -> None:
    """Counters, and counters in both halves, as some platforms count."""
    for shift in (0, 32, 64, 96):
        ids = pa.array([f"{n << shift:032x}" for n in range(200_000)])
        assert (number_ids(ids) == range(200_000)).all()
    halves = pa.array([f"{n:016x}{n:016x}" for n in range(200_000)])
    assert (find_ids(halves, halves) == range(200_000)).all()
