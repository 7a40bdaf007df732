"""Ids are equal when their texts are, however they are written: as 32 hex digits, which are compared as words, or otherwise."""

from __future__ import annotations

import re
from itertools import product
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.foundation.columnar import ids as ids_module
from ofs_spark.foundation.columnar.ids import (
    find_first_rows,
    find_ids,
    is_packed,
    number_ids,
    pack_ids,
    show_id,
    unpack_ids,
)
from ofs_spark.foundation.errors import show_text

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


@given(COLUMNS, COLUMNS)
def test_packed_ids_are_the_same_ids(ids: list[str], known: list[str]) -> None:
    texts, sought = pa.array(ids, pa.string()), pa.array(known, pa.string())
    packed, others = pack_ids(texts), pack_ids(sought)
    assert is_packed(packed) == all(re.fullmatch("[0-9a-f]{32}", one) is not None for one in ids)
    assert unpack_ids(packed).equals(texts)
    assert [show_id(one) for one in packed.to_pylist()] == [show_text(one) for one in ids]
    assert number_ids(packed).tolist() == number_ids(texts).tolist()
    for mine in (packed.slice(1), texts.slice(1)):
        assert find_ids(mine, others).tolist() == find_ids(texts, sought).tolist()[1:]
        assert find_ids(mine, sought).tolist() == find_ids(texts, sought).tolist()[1:]


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


def craft_ids(rows: int) -> list[str]:
    """Ids that share one place of the table, however large it is: high = -low * the factor of the mix."""
    factor, words = 0xC2B2AE3D27D4EB4F, 2**64
    pairs = ((-low * factor % words, low) for low in range(rows))
    return ["".join(word.to_bytes(8, "little").hex() for word in pair) for pair in pairs]


def test_ids_that_somebody_chose_to_share_a_place_are_told_apart_as_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are sorted: a table would look at half of them for each of them."""
    crafted, sort = craft_ids(20_000), Mock(wraps=ids_module._sort_first_rows)
    monkeypatch.setattr(ids_module, "_sort_first_rows", sort)
    ids = pa.array([*crafted, *crafted[::-1]])
    assert number_ids(ids).tolist() == [*range(20_000), *range(20_000)[::-1]]
    assert find_ids(ids, pa.array(crafted[:5_000])).tolist()[:5_001] == [*range(5_000), -1]
    assert (
        find_ids(pa.array(crafted[256:]), pa.array(crafted[:256])).tolist() == [-1] * 19_744
    )  # known ones do not crowd
    assert sort.call_count == 3


@given(st.lists(st.sampled_from(list(product(range(3), repeat=3)))))
def test_sorted_ids_have_the_first_rows_that_the_table_finds(rows: list[tuple[int, int, int]]) -> None:
    words = np.array(rows, np.uint64).reshape(-1, 3)
    assert ids_module._sort_first_rows(words).tolist() == find_first_rows(words).tolist()
