"""Words compute as Python's integers do."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.features.kernel.words import (
    as_words,
    choose,
    exceeds,
    find_greatest,
    is_zero,
    join_limbs,
    multiply,
    rank_words,
    read_integer,
    repeat_integer,
    split_limbs,
    subtract,
)
from ofs_spark.foundation.columnar.arrays import Array
from tests.unit.kernel.rows import words

EDGES = [s * (1 << k) + d for k in (0, 31, 32, 62, 63, 64, 126) for s in (1, -1) for d in (-1, 0, 1)]
LONG = st.one_of(st.sampled_from([e for e in EDGES if -(2**63) <= e < 2**63]), st.integers(-(2**63), 2**63 - 1))
WIDE = st.one_of(st.sampled_from(EDGES), st.integers(-(2**127), 2**127 - 1))


def integers(values: Array) -> list[int]:
    return [read_integer(values, row) for row in range(len(values))]


@given(st.lists(WIDE, min_size=1, max_size=4), LONG, WIDE)
def test_products_and_differences(many: list[int], short: int, wide: int) -> None:
    n = len(many)
    for other, value in ((np.full(n, short), short), (words([wide] * n), wide)):
        assert integers(multiply(words(many), other)) == [one * value for one in many]
        assert integers(multiply(other, words(many))) == [one * value for one in many]
        assert integers(subtract(words(many), other)) == [one - value for one in many]
        assert integers(subtract(other, words(many))) == [value - one for one in many]


@given(LONG, LONG)
def test_longs_turn_into_words_where_they_must(a: int, b: int) -> None:
    assert integers(multiply(np.array([a]), np.array([b]))) == [a * b]
    assert integers(subtract(np.array([a]), np.array([b]))) == [a - b]


@given(st.lists(WIDE, min_size=1, max_size=6), WIDE.map(abs))
def test_questions_about_rows(many: list[int], bound: int) -> None:
    found = words(many)
    assert exceeds(found, bound).tolist() == [abs(one) > bound for one in many]
    assert is_zero(found).tolist() == [one == 0 for one in many]
    assert max(map(abs, many)) <= find_greatest(found)
    ranks = rank_words(found).tolist()
    assert [sorted(set(many)).index(one) for one in many] == ranks
    kept = [one % 2 == 0 for one in many]
    chosen = choose(np.array(kept), found, 7)
    assert integers(chosen) == [one if keep else 7 for one, keep in zip(many, kept, strict=True)]


def test_no_rows() -> None:
    nothing = np.zeros((0, 2), np.uint64)
    assert len(rank_words(nothing)) == len(multiply(nothing, nothing)) == len(subtract(nothing, nothing)) == 0


@given(WIDE)
def test_one_integer_in_every_row(value: int) -> None:
    assert integers(repeat_integer(value, 2)) == [value, value]
    assert integers(as_words(repeat_integer(value, 2), 5)) == [value, value]


@given(st.lists(WIDE, min_size=1, max_size=4), st.integers(1, 62))
def test_limbs_and_back(many: list[int], bits: int) -> None:
    """Sums of limbs join to the sum, whichever way limbs carry."""
    limbs = split_limbs(words(many), bits, 127 // bits + 1)
    assert integers(join_limbs(limbs, bits, 2)) == many
    if bits < 58:
        assert integers(join_limbs(limbs.sum(axis=1, keepdims=True), bits, 3)) == [sum(many)]
