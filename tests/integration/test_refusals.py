"""Every refusal of a whole build: a real world, sabotaged; the code, the exit status, no manifest, nothing half-finished."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation import contracts
from ofs_spark.foundation.codes import CODES
from tests.spec.tables import facts, refusals
from tests.spec.tables.windows import world
from tests.worlds.model import World, intent, slice_
from tests.worlds.running import Outcome, build, run
from tests.worlds.sabotage import SABOTAGES, rewrite
from tests.worlds.tables import stream
from tests.worlds.writer import Layout, Written, write_world

FOUR = "event|time|card\ne0|10:00|1\ne1|10:01|1\ne2|10:02|2\ne3|10:03|2"
EXIT = {"intent": 10, "pins": 20, "replay": 30, "labels": 40, "features": 50, "publish": 60}
ATTEMPT = {"resolved_build_plan", "staging", "datasets"}
"""The plan that was resolved, and an attempt's own folders, which nothing names."""
TOLD = {"run_receipts", "governance", "reconciliation"}
"""That it was refused."""
EVIDENCE = {"replay_completeness", "label_resolution"}
"""What was found, under the attempt's name."""


def assert_refused(outcome: Outcome, code: str) -> None:
    """Refused by this code, told in full, and nothing left that a reader could take for a dataset or its evidence."""
    assert outcome.code == code, str(outcome.refusal or outcome.answer)
    assert outcome.refusal is not None
    assert outcome.refusal.exit_status == EXIT[CODES[code].room]
    assert outcome.refusal.message
    assert contracts.find_faults(outcome.refusal.to_document(), "refusal_answer") == []
    assert outcome.refusal.to_document()["do"]["text"]
    assert {folder.name for folder in outcome.root.glob("*/ofs/*")} <= ATTEMPT | TOLD | EVIDENCE
    assert not list(outcome.root.glob("*/ofs/datasets/**/_delta_log"))
    assert all(".attempt-1." in path.name for kind in EVIDENCE for path in outcome.root.glob(f"*/ofs/{kind}/*"))
    (ref,) = outcome.root.glob("*/ofs/run_receipts/*.json")
    receipt = outcome.document(str(ref))
    assert contracts.find_faults(receipt, "ofs.run_receipt.v1") == []
    assert (receipt["refusal"]["code"], receipt["exit_status"]) == (code, outcome.refusal.exit_status)


@pytest.mark.parametrize("name", SABOTAGES)
def test_damage_is_refused_by_name_and_its_repair_is_enough(name: str, tmp_path: Path) -> None:
    """What `next` says is true: once the bytes are restored, the same request builds."""
    damage, code = SABOTAGES[name]
    written = write_world(world(FOUR), tmp_path, Layout(rows_per_segment=2))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    damage(written)
    assert_refused(build(written), code)
    for path, body in before.items():
        path.write_bytes(body)
    outcome = build(written)
    assert outcome.code is None, str(outcome.refusal)


def changed(**intent_changes: Any) -> World:
    return world(FOUR).with_intent(**intent_changes)


AMOUNT = {"amount": {"path": "payload.amount", "type": "decimal(6,2)", "missing": "fail"}}
UNKNOWN_RULE = {"label_asof_utc": "2026-03-01T00:00:00Z", "resolution_rule": "mine"}
SOME_LABELS = {"label_coverage_policy": {"min_coverage_by_label_type": {"fraud_disposition": 0.25}}}
NOWHERE = {"feature_set_id": "nowhere", "feature_set_version": "v1"}


def holding(lines: str, end: int) -> World:
    return World(stream(f"offset|event|time|card\n{lines}"), intent(slice_(0, end)), world(FOUR).profile)


def valued(text: str, type_: str = "decimal(6,2)") -> World:
    values = {"amount": {**AMOUNT["amount"], "type": type_}}
    return world(f"event|time|card|amount\ne0|10:00|1|{text}", values=values)


CASES: dict[str, tuple[World, str]] = {
    "beyond_the_archive": (changed(replay_basis=[slice_(0, 9)]), "REPLAY_BASIS_GAP"),
    "another_partition": (changed(replay_basis=[slice_(0, 3), slice_(0, 3, partition=7)]), "REPLAY_BASIS_GAP"),
    "before_the_archive": (holding("5|e0|10:00|1", 5), "REPLAY_BASIS_GAP"),
    "gap_inside": (holding("0|e0|10:00|1\n2|e1|10:01|1", 2), "REPLAY_BASIS_GAP"),
    "position_with_two_hashes": (
        facts.training(holding("0|e0|10:00|1\n0|e0|10:00|2", 0)),
        "REPLAY_DUPLICATE_OFFSET_MISMATCH",
    ),
    "event_with_two_hashes": (
        facts.training(holding("0|e0|10:00|1\n1|e0|10:00|2", 1)),
        "REPLAY_EVENT_ID_CONFLICT",
    ),
    "receipt_failed": (refusals.needs((refusals.receipt("FAIL"),)), "NO_PASS_NO_READ"),
    "no_receipt": (refusals.needs(), "NO_PASS_NO_READ"),
    "receipt_of_another_path": (refusals.needs((refusals.receipt("PASS", path="else"),)), "NO_PASS_NO_READ"),
    "gate_of_another_scope": (refusals.needs(gates=(refusals.gate("PASS", "ff" * 32),)), "NO_PASS_NO_READ"),
    "unknown_output": (
        changed(join_scope={"label_types": ["fraud_disposition"], "required_output_ids": ["sealed"]}),
        "NO_PASS_NO_READ",
    ),
    "gated_bytes_changed": (
        refusals.holding(b"sealed!", refusals.needs((refusals.receipt("PASS"),))),
        "CONTEXT_DIGEST_MISMATCH",
    ),
    "unresolved_profile": (changed(feature_definition_set=NOWHERE), "FEATURE_PROFILE_UNRESOLVED"),
    "unknown_rule": (changed(label_basis=UNKNOWN_RULE), "LABEL_RULE_UNSUPPORTED"),
    "coverage_by_default": (changed(non_training_allowed=False), "COVERAGE_POLICY_VIOLATION"),
    "coverage_as_stated": (changed(non_training_allowed=False, filters=SOME_LABELS), "COVERAGE_POLICY_VIOLATION"),
    "value_is_text": (valued('"twelve"'), "FEATURE_VALUE_INVALID"),
    "value_is_nan_text": (valued('"NaN"', "double"), "FEATURE_VALUE_INVALID"),
    "value_too_large": (valued("12345.00"), "FEATURE_VALUE_INVALID"),
    "value_too_fine": (valued("1.234"), "FEATURE_VALUE_INVALID"),
    "value_missing": (valued("null"), "FEATURE_VALUE_INVALID"),
    "value_is_nan": (facts.training(valued("NaN")), "REPLAY_EVENT_INVALID"),
    "no_event_in_scope": (changed(filters={"event_types": ["nothing"]}), "REPLAY_EVENTS_EMPTY"),
    "no_anchor": (changed(filters={"country": ["XX"]}), "LABEL_SCOPE_EMPTY"),
}


@pytest.mark.parametrize("name", CASES)
def test_world_is_refused(name: str, tmp_path: Path) -> None:
    made, code = CASES[name]
    assert_refused(run(made, tmp_path), code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"label_basis": {"resolution_rule": "ls.resolved.v0"}}, "LABEL_ASOF_MISSING"),
        ({"replay_basis": []}, "BASIS_UNRESOLVED"),
        ({"replay_basis": [slice_(3, 0)]}, "BASIS_UNRESOLVED"),
        ({"filters": {"country": "DE"}}, "FILTER_UNSUPPORTED"),
    ],
    ids=["no_cut_off", "empty_basis", "basis_backwards", "filter_of_another_shape"],
)
def test_an_intent_that_is_not_admissible_opens_no_run(changes: dict[str, Any], code: str, tmp_path: Path) -> None:
    written = write_world(world(FOUR), tmp_path)
    document = {**json.loads(written.intent.read_bytes()), **changes}
    outcome = build(written, intent=json.dumps(document).encode())
    assert outcome.code == code
    assert outcome.refusal is not None
    assert outcome.refusal.exit_status == 10
    assert outcome.refusal.to_document()["do"]["text"]
    assert not list(written.root.glob("*/ofs"))


def test_a_profile_with_three_faults_lists_them_together(tmp_path: Path) -> None:
    features = [
        {"name": "a", "aggregate": "median"},
        {"name": "b", "aggregate": "sum"},
        {"name": "c", "aggregate": "rate"},
    ]
    outcome = run(world(FOUR).with_group(features=features), tmp_path)
    assert_refused(outcome, "FEATURE_PROFILE_UNRESOLVED")
    assert outcome.refusal is not None
    assert [fault["pointer"] for fault in outcome.refusal.details["faults"]] == [
        "/feature_groups/0/features/0/aggregate",
        "/feature_groups/0/features/1/value",
        "/feature_groups/0/features/2/where",
    ]


def test_what_is_missing_is_named_by_position(tmp_path: Path) -> None:
    """Beyond the index and between its segments without a look at a row; inside a segment once it is read."""
    lines = "0|e0|10:00|1\n1|e1|10:01|1\n4|e4|10:04|1"
    for name, end, absent in (("beyond", 6, ("5", "6")), ("inside", 4, ("2", "3"))):
        outcome = run(holding(lines, end), tmp_path / name)
        assert outcome.code == "REPLAY_BASIS_GAP"
        assert outcome.refusal is not None
        assert absent[0] in outcome.refusal.message
        told = json.dumps(outcome.refusal.details)
        for offset in absent:
            assert f'"{offset}"' in told
        scanned = bool(list(outcome.root.glob("*/ofs/replay_completeness/*.attempt-1.json")))
        assert scanned == (name == "inside")


def test_rooms_refuse_in_order_whatever_else_is_wrong(tmp_path: Path) -> None:
    """A gap, an invalid value and missing labels at once: replay speaks."""
    wrong = replace(valued('"twelve"'), intent={**valued("1").intent, "replay_basis": [slice_(0, 3)]})
    assert_refused(run(wrong.with_intent(non_training_allowed=False), tmp_path), "REPLAY_BASIS_GAP")


def everything_wrong(written: Written) -> None:
    """Facts, outputs, profile, index and extract are all of no use."""
    written.run_facts.unlink()
    written.profile.write_text("policy_id: p")
    written.index.unlink()
    written.label_extract.unlink()


def test_what_needs_no_row_is_told_together_in_the_order_of_rooms(tmp_path: Path) -> None:
    filters = {"label_types": ["nothing"], "label_coverage_policy": {"max_conflict_ratio": 2}}
    made = changed(label_basis=UNKNOWN_RULE, filters=filters)
    written = write_world(made, tmp_path)
    everything_wrong(written)
    outcome = build(written)
    assert_refused(outcome, "RUN_FACTS_UNAVAILABLE")
    assert outcome.refusal is not None
    codes = [fault["code"] for fault in outcome.refusal.details["faults"]]
    assert list(dict.fromkeys(codes)) == [
        "RUN_FACTS_UNAVAILABLE",
        "FEATURE_PROFILE_UNRESOLVED",
        "LABEL_RULE_UNSUPPORTED",
        "ARCHIVE_INDEX_MISSING",
        "LABEL_POLICY_INVALID",
        "LABEL_TYPE_SCOPE_UNRESOLVED",
        "LABEL_STORE_UNAVAILABLE",
    ]
    assert all({"code", "pointer", "message"} <= set(fault) for fault in outcome.refusal.details["faults"])
    (ref,) = outcome.root.glob("*/ofs/run_receipts/*.json")
    purposes = [one["purpose"] for one in outcome.document(str(ref))["protected_refs"]]
    assert purposes == ["run_facts", "label_extract"]  # what was asked for and denied, the later one too


def test_a_basis_beyond_the_index_and_missing_labels_are_one_answer(tmp_path: Path) -> None:
    made = changed(replay_basis=[slice_(0, 9), slice_(0, 3, partition=7)])
    written = write_world(made, tmp_path)
    written.label_extract.unlink()
    outcome = build(written)
    assert_refused(outcome, "REPLAY_BASIS_GAP")
    assert outcome.refusal is not None
    told = [(fault["code"], fault["pointer"]) for fault in outcome.refusal.details["faults"]]
    assert told == [("REPLAY_BASIS_GAP", "/replay_basis")] * 2 + [("LABEL_STORE_UNAVAILABLE", "")]


def test_a_feature_column_that_is_a_label_column_is_told_before_any_row_is_read(tmp_path: Path) -> None:
    features = [{"name": "fraud_disposition", "aggregate": "count"}]
    made = world(FOUR).with_group(features=features, windows=[], name="label", derived=[])
    outcome = run(made, tmp_path)
    assert outcome.code == "FEATURE_PROFILE_UNRESOLVED"
    assert not list(outcome.root.glob("*/ofs/resolved_build_plan/*"))


@pytest.mark.parametrize(
    ("marker", "training", "code"),
    [
        ("commit-1", True, "LABEL_ASOF_BEYOND_MARKER"),
        ("commit-1", False, None),
        (None, True, "COVERAGE_POLICY_VIOLATION"),  # without a marker policy `require_marker` decides
    ],
)
def test_an_extract_that_ends_before_the_as_of(
    marker: str | None, training: bool, code: str | None, tmp_path: Path
) -> None:
    made = changed(non_training_allowed=not training)
    made = replace(made, label_marker=marker, label_committed_up_to_utc="2026-02-11T00:00:00.000000Z")
    outcome = run(made, tmp_path)
    assert outcome.code == code, str(outcome.refusal)
    if code is None:
        assert any("2026-02-11T00:00:00.000000Z" in text for text in outcome.manifest["differences"])


def test_a_marker_at_the_as_of_is_enough(tmp_path: Path) -> None:
    asof = world(FOUR).intent["label_basis"]["label_asof_utc"]
    outcome = run(replace(world(FOUR), label_committed_up_to_utc=asof), tmp_path)
    assert outcome.manifest["differences"] == run(world(FOUR), tmp_path / "later").manifest["differences"]


def test_a_finished_request_is_answered_from_the_store(tmp_path: Path) -> None:
    written = write_world(world(FOUR), tmp_path)
    answer = build(written).published
    assert build(written).published == answer
    (written.root / answer["manifest_ref"]).unlink()
    gone = build(written)
    assert gone.code == "MANIFEST_ABSENT"
    assert gone.refusal is not None
    assert (gone.refusal.exit_status, gone.refusal.details["missing"]) == (60, answer["manifest_ref"])


def grow(index: dict[str, Any]) -> None:
    index["segments"].append({**index["segments"][0], "topic": "another", "path": "elsewhere.parquet"})


CHANGES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "profile broken": (lambda w: w.profile.write_text("policy_id: p"), ("profile", "FEATURE_PROFILE_UNRESOLVED")),
    "index gone": (lambda w: w.index.unlink(), ("archive", "ARCHIVE_INDEX_MISSING")),
    "index cut": (lambda w: rewrite(w.index, lambda d: d["segments"].pop(), True), ("archive", "changed")),
    "index grown": (lambda w: rewrite(w.index, grow, True), ()),
    "extract gone": (lambda w: w.label_extract.unlink(), ("label extract", "changed")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_finished_request_says_what_has_changed_since(name: str, tmp_path: Path) -> None:
    change, words = CHANGES[name]
    written = write_world(world(FOUR), tmp_path, Layout(rows_per_segment=2))
    answer = build(written).published
    change(written)
    again = build(written).published
    assert {key: value for key, value in again.items() if key != "differences"} == answer
    assert contracts.find_faults(again, "build_answer") == []
    told = again.get("differences", [])
    assert len(told) == bool(words)
    assert all(word in text for text in told for word in words)
