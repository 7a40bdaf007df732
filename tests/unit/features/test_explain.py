"""The arithmetic of an explanation: its closing tables, its numbers as text, and that it can disagree."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from ofs_spark.features.explain_arithmetic import TELLERS, Terms, require_agreement, tell_aggregate, tell_derived
from ofs_spark.features.explain_terms import REASONS, Root, Told, is_nearest_root, write_decimal, write_fraction
from ofs_spark.foundation.contracts import load_schema
from ofs_spark.foundation.errors import InternalError
from ofs_spark.labels.explain import REASONS as LABEL_REASONS
from ofs_spark.pins.profile.aggregates import COMPUTED

STDDEV = (
    "sample standard deviation of amount: n = 3, Σx = 20.75, Σx² = 206.8125; "
    "√((3 · 206.8125 − 20.75²) ÷ (3 · 2)) = √(1519/48)"
)
CENTS = (Fraction(1250, 100), Fraction(7), Fraction(125, 100))


def terms(values: Any = CENTS, **changes: Any) -> Terms:
    base = {"name": "amount", "scale": 2, "values": values, "times": range(len(values)), "met": 1, "anchor_ts": 10**7}
    return Terms(**{**base, "empty_zero": False, **changes})


def test_every_aggregate_has_its_sentence_and_every_reason_its_place_in_the_contract() -> None:
    assert set(TELLERS) == {one.name for one in COMPUTED}
    schema = load_schema("explain_answer")
    told = schema["properties"]["contributing"]["items"]["properties"]["reason"]["enum"]
    assert set(told) == {*REASONS, *LABEL_REASONS, "the anchor's own value"}


@pytest.mark.parametrize(
    ("aggregate", "says"),
    [
        ("count", "3 events with a value of amount count: 3"),
        ("count_distinct", "3 different values among 3 of amount: 12.50, 7.00, 1.25"),
        ("sum", "sum of 3 values of amount: 12.50 + 7.00 + 1.25 = 20.75"),
        (
            "mean",
            "mean of 3 values of amount: (12.50 + 7.00 + 1.25) ÷ 3 = 20.75 ÷ 3 = 83/12, rounded once to 6.916666666666667",
        ),
        ("min", "least of 3 values of amount: 12.50, 7.00, 1.25: 1.25"),
        ("max", "greatest of 3 values of amount: 12.50, 7.00, 1.25: 12.50"),
        ("first", "oldest of 3 values of amount, of 1970-01-01T00:00:00.000000Z: 12.50"),
        ("last", "newest of 3 values of amount, of 1970-01-01T00:00:00.000002Z: 1.25"),
        ("rate", "1 of 3 events meets the condition: 1 ÷ 3 = 1/3, rounded once to 0.3333333333333333"),
        (
            "time_since_previous",
            "seconds since the newest other of 3 events: 1970-01-01T00:00:10.000000Z − 1970-01-01T00:00:00.000002Z = 9.999998",
        ),
        (
            "stddev_samp",
            STDDEV,
        ),
    ],
)
def test_the_sentence_of_an_aggregate(aggregate: str, says: str) -> None:
    assert tell_aggregate(aggregate, terms()).text == says


@pytest.mark.parametrize("aggregate", sorted(set(TELLERS) - {"count", "count_distinct"}))
def test_nothing_that_counts_is_null(aggregate: str) -> None:
    assert tell_aggregate(aggregate, terms(())).exact is None
    assert tell_aggregate("sum", terms((), empty_zero=True)).exact == 0


def test_long_sums_are_shortened() -> None:
    told = tell_aggregate("sum", terms([Fraction(1)] * 500))
    assert told.text.count("1.00") == 10
    assert told.text.endswith("= 500")


def test_ratio_and_difference() -> None:
    names = ("a", "b")
    assert (
        tell_derived("ratio", names, Fraction(1), Fraction(3)).text
        == "a ÷ b = 1 ÷ 3 = 1/3, rounded once to 0.3333333333333333"
    )
    assert tell_derived("difference", names, Fraction(1), Fraction(-3)).text == "a − b = 1 − (-3) = 4"
    assert tell_derived("ratio", names, Fraction(1), Fraction(0)).text == "a ÷ b: b is 0: null"
    assert tell_derived("ratio", names, None, Fraction(0)).text == "a ÷ b: a is null: null"


def test_numbers_as_text() -> None:
    assert write_decimal(Fraction(-5, 100), 2) == "-0.05"
    assert write_decimal(Fraction(12), 0) == "12"
    assert write_fraction(Fraction(1, 8)) == "0.125"
    assert write_fraction(Fraction(-1, 3)) == "-1/3"


def test_a_root_has_one_nearest_float() -> None:
    assert is_nearest_root(Fraction(2), 2**0.5)
    assert not is_nearest_root(Fraction(2), 1.4142135623730954)
    assert is_nearest_root(Fraction(0), 0.0)


@pytest.mark.parametrize(
    ("exact", "value", "agrees"),
    [
        (Fraction(83, 12), 6.916666666666667, True),
        (Fraction(83, 12), 6.916666666666666, False),
        (Fraction(5, 4), Decimal("1.25"), True),
        (Fraction(5, 4), Decimal("1.26"), False),
        (Root(Fraction(2)), 2**0.5, True),
        (Root(Fraction(2)), 1.5, False),
        (3, 3, True),
        (3, 4, False),
        ("x", "y", False),
        (None, None, True),
        (None, 0.0, False),
        (Fraction(0), None, False),
        (Fraction(10**400), None, True),
    ],
    ids=str,
)
def test_the_arithmetic_and_the_kernel_must_agree(exact: Any, value: Any, agrees: bool) -> None:
    if agrees:
        require_agreement("g__x", Told("", exact), value)
    else:
        with pytest.raises(InternalError, match="g__x: the arithmetic"):
            require_agreement("g__x", Told("", exact), value)


def test_the_contract_is_one_object_for_columns_and_rows() -> None:
    assert json.dumps(load_schema("explain_answer")["anyOf"]).count("required") == 2
