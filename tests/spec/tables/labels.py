"""Labels: what was known by the cut-off, and whether it is enough."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from tests.spec.tables.windows import world
from tests.worlds.model import World, label
from tests.worlds.tables import Case

FRAUD, LEGIT = "FRAUD_CONFIRMED", "LEGIT_CONFIRMED"
ASOF = "2026-03-01T00:00:00Z"


def day(n: int, clock: str = "00:00:00") -> str:
    return f"2026-02-{n:02d}T{clock}Z"


def about(*labels: dict[str, Any], rule: str = "ls.resolved.v0", asof: str = ASOF, **basis: Any) -> World:
    """Two payments, e0 and e1, and what was said of them."""
    base = world("event|time|card\ne0|10:00|1\ne1|10:01|1")
    stated = {"label_asof_utc": asof, "resolution_rule": rule, **basis}
    return World(base.segments, {**base.intent, "label_basis": stated}, base.profile, labels=labels)


def chosen(value: str | None, status: str, assertion: int | None = None) -> dict[str, Any]:
    name = "label__fraud_disposition"
    found = None if assertion is None else f"{assertion:032x}"
    return {name: value, f"{name}__status": status, f"{name}__assertion_id": found}


def training(w: World, **policy: Any) -> World:
    return w.with_intent(non_training_allowed=False, filters={"label_coverage_policy": policy})


NOT_FOUND = chosen(None, "NOT_FOUND")
CLASH = (label(1, "e0", FRAUD, day(20)), label(2, "e0", LEGIT, day(20)))
BOTH = (label(1, "e0", FRAUD, day(20)), label(2, "e1", LEGIT, day(21)))
HALF = {"fraud_disposition": 0.5}

CASES = {
    "newest_effective": Case(
        "The greatest (effective, observed) counts: a correction about an earlier time does not override.",
        about(label(1, "e0", FRAUD, day(20)), label(2, "e0", LEGIT, day(25), effective_time=day(12))),
        {"e0": chosen(FRAUD, "RESOLVED", 1), "e1": NOT_FOUND},
        coverage={"fraud_disposition": {"coverage": Fraction(1, 2), "maturity_ratio": Fraction(1, 2)}},
    ),
    "latest_observed": Case(
        "ls.latest_observed.v0: the last that was said counts.",
        about(
            label(1, "e0", FRAUD, day(20)),
            label(2, "e0", LEGIT, day(25), effective_time=day(12)),
            rule="ls.latest_observed.v0",
        ),
        {"e0": chosen(LEGIT, "RESOLVED", 2), "e1": NOT_FOUND},
    ),
    "cut_off_is_inside": Case(
        "Observed at the cut-off is known, a microsecond later is not.",
        about(label(1, "e0", FRAUD, ASOF), label(2, "e1", FRAUD, "2026-03-01T00:00:00.000001Z")),
        {"e0": chosen(FRAUD, "RESOLVED", 1), "e1": NOT_FOUND},
    ),
    "instants_not_text": Case(
        "Times compare as instants: .5 is half a second, and Z and +00:00 are one.",
        about(label(1, "e0", FRAUD, day(20, "10:00:00.5")), label(2, "e0", LEGIT, "2026-02-20T10:00:00.250000+00:00")),
        {"e0": chosen(FRAUD, "RESOLVED", 1), "e1": NOT_FOUND},
    ),
    "conflict": Case(
        "Two values tied on both times: CONFLICT, and no value is given.",
        about(*CLASH),
        {"e0": chosen(None, "CONFLICT"), "e1": NOT_FOUND},
        coverage={
            "fraud_disposition": {
                "coverage": Fraction(0),
                "conflict_ratio": Fraction(1, 2),
                "maturity_ratio": Fraction(1, 2),
            }
        },
    ),
    "tie_of_one_value": Case(
        "Tied assertions of one value: the greatest id.",
        about(label(2, "e0", FRAUD, day(20)), label(1, "e0", FRAUD, day(20))),
        {"e0": chosen(FRAUD, "RESOLVED", 2), "e1": NOT_FOUND},
    ),
    "alias_latest_observed_asof": Case(
        "The platform's alias names the resolved rule.",
        about(*CLASH, rule="latest_observed_asof"),
        {"e0": chosen(None, "CONFLICT"), "e1": NOT_FOUND},
    ),
    "alias_observed_time": Case(
        "So does the other.",
        about(*CLASH, rule="observed_time<=label_asof_utc"),
        {"e0": chosen(None, "CONFLICT"), "e1": NOT_FOUND},
    ),
    "know_now": Case(
        "KNOW_NOW: every assertion of the pinned store counts, and nobody trains on it.",
        about(label(1, "e0", FRAUD, "2026-03-02T00:00:00Z"), posture="KNOW_NOW").with_intent(
            schema_version="learning.ofs_build_intent.v1"
        ),
        {"e0": chosen(FRAUD, "RESOLVED", 1), "e1": NOT_FOUND},
    ),
    "unknown_rule": Case("No such rule.", about(rule="ls.newest.v9"), code="LABEL_RULE_UNSUPPORTED"),
    "asof_missing": Case("No cut-off.", about(asof=""), code="LABEL_ASOF_MISSING"),
    "other_run": Case(
        "A label of another run is about another event.",
        about(label(1, "e0", FRAUD, day(20), platform_run_id="platform_20250101T000000Z")),
        {"e0": NOT_FOUND, "e1": NOT_FOUND},
    ),
    "one_id_twice": Case(
        "Equal rows under one id are one assertion.",
        about(label(1, "e0", FRAUD, day(20)), label(1, "e0", FRAUD, day(20))),
        {"e0": chosen(FRAUD, "RESOLVED", 1), "e1": NOT_FOUND},
    ),
    "one_id_two_contents": Case(
        "Other content under one id is refused.",
        about(label(1, "e0", FRAUD, day(20)), label(1, "e0", LEGIT, day(20))),
        code="LABEL_SCOPE_INVALID",
    ),
    "naive_time": Case(
        "A naive time is refused.", about(label(1, "e0", FRAUD, "2026-02-20T00:00:00")), code="LABEL_SCOPE_INVALID"
    ),
    "no_types": Case("No label type named.", about().with_intent(join_scope={}), code="LABEL_TYPE_SCOPE_UNRESOLVED"),
    "types_differ": Case(
        "Two lists that differ.",
        about().with_intent(filters={"label_types": ["chargeback_status"]}),
        code="LABEL_TYPE_SCOPE_UNRESOLVED",
    ),
    "minimum_outside_the_scope": Case(
        "A minimum for a type that the scope does not name.",
        about().with_intent(filters={"label_coverage_policy": {"min_coverage_by_label_type": {"account_takeover": 0}}}),
        code="LABEL_TYPE_SCOPE_UNRESOLVED",
    ),
    "unknown_type": Case(
        "A type outside the vocabulary.",
        about().with_intent(join_scope={"label_types": ["fraud"]}),
        code="LABEL_TYPE_SCOPE_UNRESOLVED",
    ),
    "without_labels": Case(
        "An empty list, where the dataset need not train: rows without label columns.",
        about(*BOTH).with_intent(join_scope={"label_types": []}),
        {"e0": {}, "e1": {}},
    ),
    "trained_without_labels": Case(
        "An empty list is no training dataset.",
        training(about(*BOTH)).with_intent(join_scope={"label_types": []}),
        code="LABEL_TYPE_SCOPE_UNRESOLVED",
    ),
    "trained_on_full": Case(
        "Every subject labelled: ready.",
        training(about(*BOTH)),
        {"e0": chosen(FRAUD, "RESOLVED", 1), "e1": chosen(LEGIT, "RESOLVED", 2)},
        coverage={"fraud_disposition": {"coverage": Fraction(1), "conflict_ratio": Fraction(0)}},
    ),
    "trained_on_half": Case(
        "The minimum is 1 unless stated.", training(about(BOTH[0])), code="COVERAGE_POLICY_VIOLATION"
    ),
    "half_is_enough": Case(
        "The minimum is inclusive.",
        training(about(BOTH[0]), min_coverage_by_label_type=HALF),
        {"e0": chosen(FRAUD, "RESOLVED", 1), "e1": NOT_FOUND},
    ),
    "any_conflict_is_too_much": Case(
        "The most conflicts allowed are none unless stated.",
        training(about(*CLASH, label(3, "e1", FRAUD, day(20))), min_coverage_by_label_type=HALF),
        code="COVERAGE_POLICY_VIOLATION",
    ),
    "maturity": Case(
        "With maturity_days D: anchors and selected labels at least D days older than the cut-off are mature.",
        about(*BOTH, asof="2026-02-24T10:00:00Z", maturity_days=14),
        coverage={
            "fraud_disposition": {
                "maturity_ratio": Fraction(1),
                "mature_anchor_ratio": Fraction(1, 2),
                "mature_label_ratio": Fraction(0),
            }
        },
    ),
    "mature_labels": Case(
        "Exactly D days old is mature.",
        about(*BOTH, asof="2026-02-24T00:00:00Z", maturity_days=4),
        coverage={"fraud_disposition": {"mature_label_ratio": Fraction(1, 2), "mature_anchor_ratio": Fraction(1)}},
    ),
    "every_type_is_gated": Case(
        "One type without labels is enough to refuse.",
        training(about(*BOTH)).with_intent(join_scope={"label_types": ["fraud_disposition", "chargeback_status"]}),
        code="COVERAGE_POLICY_VIOLATION",
    ),
    "times_are_given": Case(
        "A label carries both of its times.",
        about(label(1, "e0", FRAUD, day(20), effective_time=day(12))),
        {
            "e0": {
                "label__fraud_disposition__effective_time": datetime(2026, 2, 12, tzinfo=UTC),
                "label__fraud_disposition__observed_time": datetime(2026, 2, 20, tzinfo=UTC),
            },
            "e1": {"label__fraud_disposition__effective_time": None, "label__fraud_disposition__observed_time": None},
        },
    ),
}
