"""Every refusal of a whole build: a real world, sabotaged; the code, the exit status, no manifest, nothing half-finished."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.errors import CODES
from tests.spec.tables.windows import world
from tests.worlds.model import World, intent, slice_
from tests.worlds.running import Outcome, build, manifests, run
from tests.worlds.sabotage import SABOTAGES
from tests.worlds.tables import stream
from tests.worlds.writer import Layout, write_world

FOUR = "event|time|card\ne0|10:00|1\ne1|10:01|1\ne2|10:02|2\ne3|10:03|2"
EXIT = {"intent": 10, "pins": 20, "replay": 30, "labels": 40, "features": 50, "publish": 60}


def assert_refused(outcome: Outcome, code: str) -> None:
    assert outcome.code == code, str(outcome.refusal or outcome.answer)
    assert outcome.refusal is not None
    assert outcome.refusal.exit_status == EXIT[CODES[code].room]
    assert outcome.refusal.message
    assert outcome.refusal.next_command
    assert not manifests(outcome.root)
    for kind in ("replay_completeness", "label_resolution", "publication"):
        assert not list(outcome.root.glob(f"*/ofs/{kind}/*.json"))
    receipts = [json.loads(path.read_bytes()) for path in outcome.root.glob("*/ofs/run_receipts/*.json")]
    assert [receipt["refusal"]["code"] for receipt in receipts] == [code]


@pytest.mark.parametrize("name", SABOTAGES)
def test_damage_is_refused_by_name(name: str, tmp_path: Path) -> None:
    damage, code = SABOTAGES[name]
    written = write_world(world(FOUR), tmp_path, Layout(rows_per_segment=2))
    damage(written)
    assert_refused(build(written), code)


def changed(**intent_changes: Any) -> World:
    return world(FOUR).with_intent(**intent_changes)


NO_MINIMUM = {"label_coverage_policy": {"min_coverage_by_label_type": {"fraud_disposition": 0}}}
TRAINING = {"non_training_allowed": False, "filters": NO_MINIMUM}
AMOUNT = {"amount": {"path": "payload.amount", "type": "decimal(6,2)", "missing": "fail"}}


def holding(lines: str, end: int) -> World:
    return World(stream(f"offset|event|time|card\n{lines}"), intent(slice_(0, end)), world(FOUR).profile)


def valued(text: str) -> World:
    return world(f"event|time|card|amount\ne0|10:00|1|{text}", values=AMOUNT)


CASES: dict[str, tuple[World, str]] = {
    "beyond_the_archive": (changed(replay_basis=[slice_(0, 9)]), "REPLAY_BASIS_GAP"),
    "before_the_archive": (
        holding("5|e0|10:00|1", 5),
        "REPLAY_BASIS_GAP",
    ),
    "gap_inside": (
        holding("0|e0|10:00|1\n2|e1|10:01|1", 2),
        "REPLAY_BASIS_GAP",
    ),
    "unknown_rule": (
        changed(label_basis={"label_asof_utc": "2026-03-01T00:00:00Z", "resolution_rule": "mine"}),
        "LABEL_RULE_UNSUPPORTED",
    ),
    "coverage": (changed(non_training_allowed=False), "COVERAGE_POLICY_VIOLATION"),
    "value_is_text": (valued('"twelve"'), "FEATURE_VALUE_INVALID"),
    "value_too_large": (valued("12345.00"), "FEATURE_VALUE_INVALID"),
    "value_too_fine": (valued("1.234"), "FEATURE_VALUE_INVALID"),
    "no_event_in_scope": (changed(filters={"event_types": ["nothing"]}), "REPLAY_EVENTS_EMPTY"),
    "no_anchor": (changed(filters={"country": ["XX"]}), "LABEL_SCOPE_EMPTY"),
    "unknown_output": (
        changed(join_scope={"label_types": ["fraud_disposition"], "required_output_ids": ["sealed"]}),
        "NO_PASS_NO_READ",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_world_is_refused(name: str, tmp_path: Path) -> None:
    made, code = CASES[name]
    assert_refused(run(made, tmp_path), code)


def test_a_value_that_is_not_a_number_is_no_record(tmp_path: Path) -> None:
    """NaN is not JSON: the whole record is invalid, and a training intent has no use for it."""
    outcome = run(valued("NaN").with_intent(**TRAINING), tmp_path)
    assert_refused(outcome, "REPLAY_EVENT_INVALID")


def test_an_intent_without_a_cut_off_opens_no_run(tmp_path: Path) -> None:
    written = write_world(world(FOUR), tmp_path)
    document = json.loads(written.intent.read_bytes())
    del document["label_basis"]["label_asof_utc"]
    outcome = build(written, intent=json.dumps(document).encode())
    assert outcome.code == "LABEL_ASOF_MISSING"
    assert outcome.refusal is not None
    assert outcome.refusal.exit_status == 10
    assert not list(written.root.glob("*/ofs/**/*.json"))


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
