"""Counts add up, ratios are exact, thresholds hold as written."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.labels import coverage as c
from ofs_spark.labels import model as m
from ofs_spark.labels.coverage_policy import POLICY_POINTER, CoveragePolicy, choose_policy, find_policy_faults
from ofs_spark.labels.leakage import count_leaks
from ofs_spark.labels.receipt import compose_label_receipt
from ofs_spark.labels.terms import LabelTerms
from tests.unit.labels.extracts import read_rows
from tests.worlds.model import label

FRAUD = "fraud_disposition"
MICROS = pa.timestamp("us", "UTC")


def resolved(*choices: tuple[str, int | None]) -> pa.Table:
    rows = [{"status": status, "observed_time": observed} for status, observed in choices]
    return pa.table({FRAUD: pa.array(rows, m.CHOICE)})


def no_assertions() -> pa.Table:
    return m.ASSERTIONS.empty_table()


def test_counts_of_targets_add_up_to_the_whole() -> None:
    first = c.count_labels(resolved(("RESOLVED", 10), ("CONFLICT", None)), no_assertions(), np.array([5, 20]), 10)
    second = c.count_labels(resolved(("RESOLVED", 11), ("NOT_FOUND", None)), no_assertions(), np.array([10, 11]), 10)
    assert c.add_counts([first, second]) == {FRAUD: c.TypeCounts(4, 2, 1, 1, 2, 1)}
    ratios = c.add_counts([first, second])[FRAUD].ratios
    assert ratios == {
        "coverage": Fraction(1, 2),
        "conflict_ratio": Fraction(1, 4),
        "maturity_ratio": Fraction(3, 4),
        "mature_anchor_ratio": Fraction(1, 2),
        "mature_label_ratio": Fraction(1, 2),
    }


def test_backdated_means_committed_more_than_a_day_after_it_was_observed() -> None:
    days = ["2026-02-20T00:00:00Z", "2026-02-21T00:00:00Z", "2026-02-21T00:00:00.000001Z"]
    rows = [label(n, "e", "FRAUD_CONFIRMED", days[0], committed_at_utc=day) for n, day in enumerate(days)]
    counted = c.count_labels(resolved(("NOT_FOUND", None)), read_rows(*rows), np.array([0]), 0)[FRAUD]
    assert (counted.assertions, counted.backdated) == (3, 1)


def test_nothing_counted_has_ratios_of_zero() -> None:
    assert set(c.TypeCounts().ratios.values()) == {Fraction(0)}
    assert c.count_labels(resolved(), no_assertions(), np.array([], np.int64), 0) == {FRAUD: c.TypeCounts()}


@pytest.mark.parametrize(
    ("minimum", "ready"),
    [(0.333333, True), (0.3333333333333333, True), (0.334, False), (Decimal("0.34"), False), (0, True), (1, False)],
)
def test_a_threshold_is_compared_exactly(minimum: Any, ready: bool) -> None:
    policy = choose_policy({"min_coverage_by_label_type": {FRAUD: minimum}}, {})
    assert (c.find_shortfalls({FRAUD: c.TypeCounts(subjects=3, resolved=1)}, policy) == []) is ready


def test_a_float_threshold_is_the_number_that_was_written() -> None:
    policy = choose_policy({"min_coverage_by_label_type": {FRAUD: 0.1}}, {})
    assert c.find_shortfalls({FRAUD: c.TypeCounts(subjects=10, resolved=1)}, policy) == []


def test_a_ratio_that_only_rounds_to_the_threshold_misses_it() -> None:
    counts = {FRAUD: c.TypeCounts(subjects=10_000_000, resolved=9_999_999)}
    assert c.round_ratio(counts[FRAUD].ratios["coverage"]) == 1.0
    (missed,) = c.find_shortfalls(counts, choose_policy(None, {}))
    assert missed.to_document()["exact"] == "9999999/10000000"


def test_every_missed_threshold_is_named() -> None:
    counts = {FRAUD: c.TypeCounts(4, 2, 1, 1, 1, 0), "chargeback_status": c.TypeCounts(4, 4, 0, 0, 1, 0)}
    missed = c.find_shortfalls(counts, choose_policy(None, {"max_conflict_ratio": 0.2}, 0.5))
    named = [(s.label_type, s.measure, s.required) for s in missed]
    assert named == [
        ("chargeback_status", "mature_anchor_ratio", "at least 0.5"),
        (FRAUD, "coverage", "at least 1"),
        (FRAUD, "conflict_ratio", "at most 0.2"),
        (FRAUD, "mature_anchor_ratio", "at least 0.5"),
    ]
    (refused,) = c.refuse_shortfalls(missed)
    assert "mature_anchor_ratio of chargeback_status is 0.25" in refused.message
    assert refused.code == "COVERAGE_POLICY_VIOLATION"
    assert len(refused.details["faults"]) == 4
    assert c.refuse_shortfalls([]) == []


def test_a_stated_policy_stands_alone() -> None:
    default = {"min_coverage_by_label_type": {FRAUD: 0.1}, "max_conflict_ratio": 0.5}
    assert choose_policy({}, default) == CoveragePolicy({}, 0, 0)
    assert choose_policy(None, default) == CoveragePolicy({FRAUD: 0.1}, 0.5, 0)


@pytest.mark.parametrize(
    ("policy", "pointer"),
    [
        ([], ""),
        ({"min": 1}, "/min"),
        ({"max_conflict_ratio": 1.1}, "/max_conflict_ratio"),
        ({"max_conflict_ratio": True}, "/max_conflict_ratio"),
        ({"max_conflict_ratio": "0"}, "/max_conflict_ratio"),
        ({"min_coverage_by_label_type": [1]}, "/min_coverage_by_label_type"),
        ({"min_coverage_by_label_type": {FRAUD: -0.1}}, f"/min_coverage_by_label_type/{FRAUD}"),
        ({"min_coverage_by_label_type": {FRAUD: None}}, f"/min_coverage_by_label_type/{FRAUD}"),
    ],
)
def test_a_policy_of_another_shape_is_refused(policy: Any, pointer: str) -> None:
    (fault,) = find_policy_faults(policy)
    assert (fault.code, fault.pointer) == ("LABEL_POLICY_INVALID", POLICY_POINTER + pointer)
    assert fault.message.startswith("is ")


@pytest.mark.parametrize(("numerator", "shown"), [(5, 0.0), (15, 0.000002), (25, 0.000002), (6, 0.000001)])
def test_display_rounds_half_to_even(numerator: int, shown: float) -> None:
    assert c.round_ratio(Fraction(numerator, 10_000_000)) == shown


def test_the_receipt_is_json_and_free_of_the_order_of_counts() -> None:
    from ofs_spark.labels.model import LabelExtract

    extract = LabelExtract("labels/x.json", "ab" * 32, "store", None, "2026-06-01T00:00:00Z", 3, ())
    counts = {FRAUD: c.TypeCounts(3, 1, 1, 1), "chargeback_status": c.TypeCounts(3, 3)}
    policy = choose_policy(None, {})
    terms = LabelTerms((FRAUD,), "ls.resolved.v0", "KNEW_THEN", "2026-06-01T00:00:00Z", 30, policy)
    documents = [
        compose_label_receipt("plan", terms, extract, dict(items), c.find_shortfalls(counts, policy))
        for items in (counts.items(), reversed(counts.items()))
    ]
    assert encode_canonical(documents[0]) == encode_canonical(documents[1])
    assert documents[0]["types"][FRAUD]["ratios"]["coverage"] == 0.333333
    assert documents[0]["ready"] is False


def test_labels_observed_after_the_cut_off_are_counted_in_finished_rows() -> None:
    rows = pa.table({f"label__{FRAUD}__observed_time": pa.array([9, 10, 11, None], MICROS)})
    assert count_leaks(rows, (FRAUD,), 10) == 1
    assert count_leaks(rows.slice(0, 0), (FRAUD,), 10) == 0
