"""Sums are exact in whatever words they need, and refused where 38 digits are not enough."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.features.kernel import compute_group
from ofs_spark.foundation.errors import Refusal
from tests.unit.kernel.rows import group, rows

EXACT_SUM = [{"name": "s", "aggregate": "sum", "value": "v", "output": "exact"}]
SUM = [{"name": "s", "aggregate": "sum", "value": "v"}]
MEAN = [{"name": "m", "aggregate": "mean", "value": "v"}]
INT64 = st.integers(-(2**63), 2**63 - 1)


def column(type_: str, features: list[dict[str, Any]], data: list[int], **how: Any) -> list[Any]:
    (array,) = compute_group(group(type_, features), rows(list(range(len(data))), data, **how))
    return list(array.to_pylist())


@given(st.lists(INT64, min_size=1, max_size=6))
def test_sums_of_whole_words_never_wrap(data: list[int]) -> None:
    wanted = [Decimal(sum(data[: i + 1])) for i in range(len(data))]
    assert column("int", EXACT_SUM, data) == wanted
    assert column("int", MEAN, data) == [int(total) / (i + 1) for i, total in enumerate(wanted)]


@given(st.lists(st.integers(-(10**37), 10**37), min_size=1, max_size=6))
def test_sums_of_wide_decimals_are_exact(data: list[int]) -> None:
    found = column("decimal(38,3)", EXACT_SUM, data, scale=3, wide=True)
    assert found == [decimal(sum(data[: i + 1]), 3) for i in range(len(data))]


def decimal(unscaled: int, scale: int) -> Decimal:
    """By its digits: arithmetic on Decimals would round to the context's 28."""
    return Decimal(f"{unscaled}e-{scale}")


NINES = 10**38 - 1


@pytest.mark.parametrize("features", [EXACT_SUM, SUM, MEAN], ids=["exact", "rounded", "mean"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_beyond_38_digits_is_refused(features: list[dict[str, Any]], sign: int) -> None:
    with pytest.raises(Refusal) as refused:
        column("decimal(38,2)", features, [sign * NINES, sign], scale=2, wide=True)
    assert refused.value.code == "FEATURE_NUMERIC_OVERFLOW"
    assert refused.value.details["column"].startswith("g__")
    assert refused.value.to_document()["do"]["text"]


def test_the_greatest_sum_of_38_digits_is_not() -> None:
    found = column("decimal(38,2)", EXACT_SUM, [NINES - 1, 1, -NINES], scale=2, wide=True)
    assert found == [decimal(NINES - 1, 2), decimal(NINES, 2), decimal(0, 2)]


def test_only_an_anchors_own_window_can_overflow() -> None:
    """Two values that are never in one window together do not add up."""
    apart = rows([0, 10 * 3_600_000_000], [NINES, NINES], scale=2, wide=True)
    (array,) = compute_group(group("decimal(38,2)", EXACT_SUM), apart)
    assert array.to_pylist() == [decimal(NINES, 2)] * 2
