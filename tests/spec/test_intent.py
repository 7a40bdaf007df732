"""Intents: what is refused, under which code and status, and what a build takes from the rest."""

from __future__ import annotations

from typing import Any

import pytest

from ofs_spark.foundation import contracts
from ofs_spark.foundation.codes import CODES
from ofs_spark.intent.admission import read_scope
from ofs_spark.intent.answers import answer_identity
from ofs_spark.intent.identity import fingerprint_dataset
from tests.spec.intents import BASE, BASE_V1, DROP, admitted, edited, intent, raw, refused

PRECEDENCE = {
    "request id": ([("/request_id", "short")], "REQUEST_ID_INVALID", 10),
    "kind": ([("/intent_kind", "guess")], "INTENT_KIND_UNSUPPORTED", 10),
    "run": ([("/platform_run_id", "platform_1")], "RUN_SCOPE_INVALID", 10),
    "scenario": ([("/scenario_run_ids", [""])], "RUN_SCOPE_INVALID", 10),
    "no basis": ([("/replay_basis", DROP)], "BASIS_UNRESOLVED", 10),
    "reversed slice": ([("/replay_basis/0/start_offset", "100000")], "BASIS_UNRESOLVED", 10),
    "two kinds": (
        [("/replay_basis/1", {**BASE["replay_basis"][0], "offset_kind": "file_line"})],
        "BASIS_UNRESOLVED",
        10,
    ),
    "offset text": ([("/replay_basis/0/start_offset", "00")], "BASIS_UNRESOLVED", 10),
    "no label basis": ([("/label_basis", DROP)], "LABEL_ASOF_MISSING", 10),
    "no as-of": ([("/label_basis/label_asof_utc", DROP)], "LABEL_ASOF_MISSING", 10),
    "naive as-of": ([("/label_basis/label_asof_utc", "2026-03-12T00:00:00")], "LABEL_ASOF_MISSING", 10),
    "feature set": ([("/feature_definition_set", {})], "FEATURE_PROFILE_UNRESOLVED", 20),
    "feature set path": ([("/feature_definition_set/feature_set_id", "../x")], "FEATURE_PROFILE_UNRESOLVED", 20),
    "run facts": ([("/run_facts_ref", DROP)], "RUN_FACTS_UNAVAILABLE", 20),
    "policy": ([("/policy_revision", "")], "POLICY_REVISION_MISSING", 10),
    "config": ([("/config_revision", DROP)], "CONFIG_REVISION_MISSING", 10),
    "release": ([("/ofs_code_release_id", None)], "CODE_RELEASE_MISSING", 10),
    "parity anchor": ([("/parity_anchor_ref", "")], "PARITY_ANCHOR_INVALID", 20),
    "extra": ([("/colour", "red")], "SCHEMA_INVALID", 10),
    "the first in pointer order": ([("/run_facts_ref", DROP), ("/label_basis", DROP)], "LABEL_ASOF_MISSING", 10),
    "pins before intent by pointer": (
        [("/run_facts_ref", DROP), ("/feature_definition_set", DROP)],
        "FEATURE_PROFILE_UNRESOLVED",
        20,
    ),
}


@pytest.mark.parametrize(("changes", "code", "status"), PRECEDENCE.values(), ids=PRECEDENCE.keys())
def test_refusals(changes: list[tuple[str, Any]], code: str, status: int) -> None:
    document = BASE
    for pointer, value in changes:
        document = edited(document, pointer, value)
    refusal = refused(lambda: intent(document))
    assert (refusal.code, refusal.exit_status, CODES[code].exit_status) == (code, status, status)
    pointers = [fault["pointer"] for fault in refusal.details["faults"]]
    assert len(pointers) >= len(changes)
    assert all(any(pointer.startswith(at) for pointer in pointers) for at, _ in changes)
    assert contracts.find_faults(refusal.to_document(), "refusal_answer") == []


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"\xff",
        b"NaN",
        b'"' + b"a" * 10_000_000 + b'"',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"filters": {"a": "\\ud800"}}',
        raw(BASE).replace(b'"request_id"', b'"request_id": "another.request", "request_id"'),
        raw(BASE).replace(b"0.01", b"NaN"),
        raw(BASE).replace(b"0.01", b"1e999"),
        raw(BASE).replace(b"0.01", b"0.01000000000000000000001"),
    ],
)
def test_texts_that_are_no_strict_json(text: bytes) -> None:
    refusal = refused(lambda: answer_identity(text))
    assert (refusal.code, refusal.exit_status) == ("SCHEMA_INVALID", 10)
    assert len(refusal.message) < 500


UNEVALUATED = [
    ("/filters/country", "DE"),
    ("/filters/country", []),
    ("/filters/country", None),
    ("/filters/country", {"eq": "DE"}),
    ("/filters/country", [None]),
    ("/filters/country", [["DE"]]),
    ("/filters/event_types", []),
    ("/filters/event_types", "card_payment"),
    ("/filters/label_types", None),
    ("/join_scope/unknown", 1),
    ("/join_scope/subject_key", "event_id"),
    ("/join_scope/anchor_event_types", []),
    ("/join_scope/required_output_ids", [1]),
    ("/join_scope/label_types", ["a", "a"]),
]


@pytest.mark.parametrize(("pointer", "value"), UNEVALUATED)
def test_what_a_build_does_not_evaluate_has_an_identity_and_is_refused(pointer: str, value: Any) -> None:
    read = intent(edited(BASE, pointer, value))
    assert fingerprint_dataset(read) != fingerprint_dataset(intent(BASE))
    refusal = refused(lambda: admitted(edited(BASE, pointer, value)))
    assert (refusal.code, refusal.details["pointer"]) == ("FILTER_UNSUPPORTED", pointer)


BUILT_V1 = edited(BASE_V1, "/output/splits", DROP)
SPLITS = {"by": "time", "train_until": "2026-01-01T00:00:00Z", "validation_until": "2026-02-01T00:00:00Z"}
NOT_BUILT = [
    (BASE, "/intent_kind", "parity_rebuild", "INTENT_KIND_UNSUPPORTED"),
    (BASE, "/intent_kind", "forensic_rebuild", "INTENT_KIND_UNSUPPORTED"),
    (BUILT_V1, "/intent_kind", "plan_check", "INTENT_KIND_UNSUPPORTED"),
    (BUILT_V1, "/intent_kind", "backfill_rebuild", "INTENT_KIND_UNSUPPORTED"),
    (BUILT_V1, "/output/dataset_kind", "per_window", "INTENT_KIND_UNSUPPORTED"),
    (BUILT_V1, "/output/bucket", "1h", "INTENT_KIND_UNSUPPORTED"),
    (BUILT_V1, "/output/spine", {"ref": "a.parquet", "sha256": "ab" * 32}, "INTENT_KIND_UNSUPPORTED"),
    (BUILT_V1, "/output/splits", SPLITS, "INTENT_KIND_UNSUPPORTED"),
    (BUILT_V1, "/supersedes", ["dm_a"], "INTENT_KIND_UNSUPPORTED"),
]


@pytest.mark.parametrize(("base", "pointer", "value", "code"), NOT_BUILT)
def test_what_this_release_does_not_build(base: dict[str, Any], pointer: str, value: Any, code: str) -> None:
    document = edited(base, pointer, value)
    intent(document)
    refusal = refused(lambda: admitted(document))
    assert (refusal.code, refusal.exit_status, refusal.details["pointer"]) == (code, 10, pointer)


def test_admission_names_everything_at_once() -> None:
    document = {**BASE, "intent_kind": "parity_rebuild", "filters": {"b": None, "a": []}, "join_scope": {"x": 1}}
    intent(document)
    pointers = [fault["pointer"] for fault in refused(lambda: admitted(document)).details["faults"]]
    assert pointers == ["/filters/a", "/filters/b", "/intent_kind", "/join_scope/x"]


def test_schema_and_admission_are_one_judgement_in_pointer_order() -> None:
    """What the schema says and what a build does not evaluate, of one document, in one answer."""
    document = {**BASE, "filters": {"country": "DE"}, "intent_kind": "parity_rebuild", "platform_run_id": "x"}
    document = edited(document, "/replay_basis/0/start_offset", "100000")
    refusal = refused(lambda: admitted(document))
    told = [(fault["code"], fault["pointer"]) for fault in refusal.details["faults"]]
    assert told == [
        ("FILTER_UNSUPPORTED", "/filters/country"),
        ("INTENT_KIND_UNSUPPORTED", "/intent_kind"),
        ("RUN_SCOPE_INVALID", "/platform_run_id"),
        ("BASIS_UNRESOLVED", "/replay_basis/0/start_offset"),
    ]
    assert refusal.code == "FILTER_UNSUPPORTED"
    several = refused(lambda: admitted({"schema_version": "x", "output": 1, "join_scope": [], "intent_kind": []}))
    assert len(several.details["faults"]) > 5


def test_scope_as_read() -> None:
    read = admitted(BASE)
    scope = read_scope(read)
    assert scope.row_filters == {"country": ("DE", "FR")}
    assert (scope.anchor_event_types, scope.event_types) == (("card_payment",), None)
    assert (scope.scope_label_types, scope.filter_label_types) == (("fraud_disposition",), None)
    admitted(BUILT_V1)


def test_training_intents() -> None:
    assert intent(BASE).training
    assert intent({**BUILT_V1, "intent_kind": "backfill_rebuild"}).training
    not_training = [
        {**BASE, "non_training_allowed": True},
        {**BASE, "intent_kind": "forensic_rebuild"},
        {**BUILT_V1, "intent_kind": "plan_check"},
        edited(BUILT_V1, "/label_basis/posture", "KNOW_NOW"),
    ]
    assert not any(intent(document).training for document in not_training)
