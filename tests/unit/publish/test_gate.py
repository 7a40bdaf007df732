"""Each rule of the gate refuses by name, and what was judged is what a later intent is answered from."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.publish.gate import GateInputs, derive_status, judge_gates, require_admissible, require_passed

GOOD = GateInputs(
    plan_basis_hash="b",
    replay_basis_hash="b",
    replay_status="COMPLETE",
    anchors=3,
    computed_rows=3,
    stored_rows=3,
    computed_digest="d",
    stored_digest="d",
    leaks=0,
    posture="KNEW_THEN",
    label_shortfalls=(),
    anomalies=0,
)


def test_a_good_dataset_is_ready_for_training() -> None:
    require_passed(judge_gates(GOOD), training=True)
    assert derive_status(judge_gates(GOOD)) == "TRAINING_READY"


@pytest.mark.parametrize(
    ("change", "rule", "code"),
    [
        ({"replay_basis_hash": "x"}, "basis_agrees", "REPLAY_UNCHECKABLE"),
        ({"replay_status": "INCOMPLETE"}, "replay_complete", "REPLAY_BASIS_GAP"),
        ({"replay_status": "UNCHECKABLE"}, "replay_complete", "REPLAY_UNCHECKABLE"),
        ({"anchors": 4}, "rows_preserved", "MATERIALIZATION_CORRUPT"),
        ({"computed_rows": 4}, "rows_preserved", "MATERIALIZATION_CORRUPT"),
        ({"stored_rows": 2}, "rows_preserved", "MATERIALIZATION_CORRUPT"),
        ({"stored_digest": "x"}, "digest_agrees", "MATERIALIZATION_CORRUPT"),
        ({"leaks": 1}, "no_leakage", "LEAKAGE_POLICY_VIOLATION"),
        ({"truncated_rows": 1}, "windows_whole", "WINDOW_TRUNCATED"),
    ],
)
def test_what_must_hold_for_any_dataset(change: dict[str, Any], rule: str, code: str) -> None:
    for training in (True, False):
        with pytest.raises(Refusal) as refused:
            require_passed(judge_gates(dataclasses.replace(GOOD, **change)), training)
        assert (refused.value.code, refused.value.details["gate"]) == (code, rule)


@pytest.mark.parametrize(
    ("change", "rule", "code"),
    [
        ({"posture": "KNOW_NOW"}, "posture", "TRAINING_NOT_ADMISSIBLE"),
        ({"anomalies": 1}, "no_anomalies", "TRAINING_NOT_ADMISSIBLE"),
        ({"label_shortfalls": ("coverage of x",)}, "labels_ready", "COVERAGE_POLICY_VIOLATION"),
    ],
)
def test_what_must_hold_for_training_only_tags_other_datasets(change: dict[str, Any], rule: str, code: str) -> None:
    gates = judge_gates(dataclasses.replace(GOOD, **change))
    with pytest.raises(Refusal) as refused:
        require_passed(gates, training=True)
    assert (refused.value.code, refused.value.details["gate"]) == (code, rule)
    require_passed(gates, training=False)
    assert derive_status(gates) == "NON_TRAINING"


def test_a_training_intent_is_not_answered_with_a_dataset_that_failed_its_gates() -> None:
    gates = judge_gates(dataclasses.replace(GOOD, label_shortfalls=("coverage of x",)))
    manifest = {"status": derive_status(gates), "gates": [gate.to_document() for gate in gates]}
    require_admissible(manifest, False, "m")
    with pytest.raises(Refusal, match="labels_ready") as refused:
        require_admissible(manifest, True, "m")
    assert (refused.value.code, refused.value.details["gates"]) == ("TRAINING_NOT_ADMISSIBLE", ["labels_ready"])
    require_admissible({"status": "TRAINING_READY", "gates": []}, True, "m")


def test_every_failure_is_listed() -> None:
    with pytest.raises(Refusal) as refused:
        require_passed(judge_gates(dataclasses.replace(GOOD, leaks=1, anomalies=2)), training=True)
    assert [fault["name"] for fault in refused.value.details["faults"]] == ["no_leakage", "no_anomalies"]
