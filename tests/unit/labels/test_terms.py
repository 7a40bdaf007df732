"""One value says which labels count: every place that names a type agrees, or the intent is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.intent.admission import read_scope
from ofs_spark.intent.validate import read_intent
from ofs_spark.labels.terms import JOIN_SCOPE, RULES, LabelTerms, find_cutoff, resolve_rule, resolve_terms
from tests.spec.tables.windows import world
from tests.worlds.model import canon

FRAUD, CHARGEBACK, TAKEOVER = "fraud_disposition", "chargeback_status", "account_takeover"
MINIMA = "/filters/label_coverage_policy/min_coverage_by_label_type"
INTENT = world("event|time|card\ne0|10:00|1").intent


def minima(**least: float) -> dict[str, Any]:
    return {"label_coverage_policy": {"min_coverage_by_label_type": least}}


def terms(scope: dict[str, Any], filters: dict[str, Any], *, training: bool = True, **changes: Any) -> LabelTerms:
    document = {**INTENT, "join_scope": scope, "filters": filters, "non_training_allowed": not training, **changes}
    intent = read_intent(canon(document))
    return resolve_terms(intent, read_scope(intent), {"min_coverage_by_label_type": {TAKEOVER: 0.5}}, 0)


@pytest.mark.parametrize(
    ("scope", "filters", "types"),
    [
        ({"label_types": [FRAUD, CHARGEBACK]}, {}, (CHARGEBACK, FRAUD)),
        ({}, {"label_types": [FRAUD]}, (FRAUD,)),
        ({"label_types": [CHARGEBACK, FRAUD]}, {"label_types": [FRAUD, CHARGEBACK]}, (CHARGEBACK, FRAUD)),
        ({}, minima(fraud_disposition=1), (FRAUD,)),
        ({"label_types": [FRAUD, CHARGEBACK]}, minima(fraud_disposition=0.9), (CHARGEBACK, FRAUD)),
    ],
)
def test_the_types_are_those_of_the_first_place_that_names_any(
    scope: dict[str, Any], filters: dict[str, Any], types: tuple[str, ...]
) -> None:
    assert terms(scope, filters).types == types


@pytest.mark.parametrize(
    ("scope", "filters", "pointers"),
    [
        ({"label_types": [FRAUD]}, {"label_types": [CHARGEBACK]}, ["/filters/label_types"]),
        ({"label_types": [FRAUD]}, minima(chargeback_status=0.5), [f"{MINIMA}/{CHARGEBACK}"]),
        ({}, {"label_types": [FRAUD], **minima(chargeback_status=0.5)}, [f"{MINIMA}/{CHARGEBACK}"]),
        ({"label_types": []}, minima(fraud_disposition=1), [f"{MINIMA}/{FRAUD}", JOIN_SCOPE]),
        ({"label_types": ["fraud"]}, {}, [f"{JOIN_SCOPE}/0"]),
        ({}, minima(fraud=1), [f"{MINIMA}/fraud"]),
        ({}, {"label_coverage_policy": {}}, [JOIN_SCOPE]),
        ({}, {}, [JOIN_SCOPE]),
        ({"label_types": []}, {}, [JOIN_SCOPE]),
    ],
)
def test_places_that_differ_are_refused_at_every_one(
    scope: dict[str, Any], filters: dict[str, Any], pointers: list[str]
) -> None:
    with pytest.raises(Refusal, match="LABEL_TYPE_SCOPE_UNRESOLVED") as caught:
        terms(scope, filters)
    assert [fault["pointer"] for fault in caught.value.details["faults"]] == pointers


def test_faults_of_types_and_of_the_policy_are_listed_together() -> None:
    filters = {"label_coverage_policy": {"max_conflict_ratio": 2, "min_coverage_by_label_type": {CHARGEBACK: 1}}}
    with pytest.raises(Refusal) as caught:
        terms({"label_types": [FRAUD]}, filters)
    codes = [fault["code"] for fault in caught.value.details["faults"]]
    assert codes == ["LABEL_POLICY_INVALID", "LABEL_TYPE_SCOPE_UNRESOLVED"]


def test_an_empty_list_is_a_dataset_without_labels_where_it_need_not_train() -> None:
    assert terms({"label_types": []}, {}, training=False).types == ()


def test_the_loaded_policys_minima_are_not_judged() -> None:
    assert terms({"label_types": [FRAUD]}, {}).policy.min_coverage == {TAKEOVER: 0.5}


def test_the_instants_follow_from_posture_as_of_and_maturity() -> None:
    asof, day = "2026-03-01T00:00:00Z", 86_400_000_000
    basis = {"label_asof_utc": asof, "resolution_rule": "latest_observed_asof", "maturity_days": 2}
    known_then = terms({"label_types": [FRAUD]}, {}, label_basis=basis)
    assert known_then.rule == "ls.resolved.v0"
    assert known_then.eligible_until_us is not None
    assert known_then.mature_until_us == known_then.eligible_until_us - 2 * day
    assert find_cutoff("KNEW_THEN", asof, "2026-04-01T00:00:00Z") == asof
    assert find_cutoff("KNOW_NOW", asof, "2026-04-01T00:00:00Z") == "2026-04-01T00:00:00Z"


@pytest.mark.parametrize("name", [*RULES, "ls.resolved.v9"])
def test_a_rule_is_known_by_its_name_or_an_alias(name: str) -> None:
    if name in RULES:
        assert resolve_rule(name) == RULES[name]
    else:
        with pytest.raises(Refusal, match="LABEL_RULE_UNSUPPORTED"):
            resolve_rule(name)
