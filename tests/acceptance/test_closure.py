"""One test per proof that closes the corridor, named after it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ofs_spark import pipeline
from ofs_spark.foundation import contracts
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.publish.manifest import strip_uncompared
from tests.oracle.build import build as oracle
from tests.oracle.compare import differences
from tests.spec.tables.windows import world
from tests.worlds.model import RUN, Row, Segment, World, intent, label, row, slice_
from tests.worlds.running import Outcome, build, manifests, policy_with, run
from tests.worlds.sabotage import flip_byte
from tests.worlds.tables import stream
from tests.worlds.transform import with_labels_after_the_cut_off, with_redeliveries
from tests.worlds.writer import Layout, write_world

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "online"
LINES = "\n".join(f"e{i}|10:{i:02d}|{i % 3}" for i in range(30))
LABELS = tuple(label(i, f"e{i}", "LEGIT_CONFIRMED", "2026-02-20T00:00:00Z") for i in range(30))
BASE = world(f"event|time|card\n{LINES}")
TRAINING = World(BASE.segments, {**BASE.intent, "non_training_allowed": False}, BASE.profile, LABELS)


def fails_closed(outcome: Outcome, code: str) -> None:
    assert outcome.code == code, str(outcome.refusal or outcome.answer)
    assert not manifests(outcome.root)


# Positive path, hand-over, and what other systems read afterwards


def test_positive_path_from_intent_to_reconciliation(tmp_path: Path) -> None:
    outcome = run(TRAINING, tmp_path)
    answer = outcome.published
    assert (answer["outcome"], answer["status"]) == ("COMMITTED", "TRAINING_READY")
    reconciliation = outcome.document(f"{RUN}/learning/reconciliation/ofs_reconciliation.json")
    assert contracts.find_faults(reconciliation, "ofs.reconciliation.v1") == []
    (told,) = reconciliation["runs"]
    assert told["refs"]["manifest"] == answer["manifest_ref"]
    assert {"resolved_build_plan", "replay_completeness", "label_resolution"} <= set(told["refs"])
    for ref in told["refs"].values():
        assert ref.startswith(f"{RUN}/ofs/")
        assert (outcome.root / ref).is_file()


def test_every_document_of_a_run_satisfies_its_contract(tmp_path: Path) -> None:
    outcome = run(TRAINING, tmp_path)
    run_key = outcome.published["run_key"]
    for folder, contract in (
        ("resolved_build_plan", "ofs.build_plan.v1"),
        ("replay_completeness", "ofs.replay_completeness.v1"),
        ("label_resolution", "ofs.label_resolution.v1"),
        ("publication", "ofs.publication_receipt.v1"),
        ("run_receipts", "ofs.run_receipt.v1"),
    ):
        assert contracts.find_faults(outcome.document(f"{RUN}/ofs/{folder}/{run_key}.json"), contract) == []
    index = outcome.document(f"{RUN}/ofs/index/by_plan/{outcome.published['plan_id']}.json")
    assert contracts.find_faults(index, "ofs.plan_index.v1") == []
    assert contracts.find_faults(outcome.published, "build_answer") == []


def test_model_factory_admits_the_v0_view(tmp_path: Path) -> None:
    outcome = run(TRAINING, tmp_path)
    view = outcome.document(outcome.published["manifest_ref"].replace(".json", ".v0.json"))
    assert contracts.find_faults(view, "learning.dataset_manifest.v0") == []
    assert view["dataset_manifest_id"] == outcome.published["dataset_manifest_id"]
    assert view["dataset_fingerprint"] == outcome.manifest["dataset_fingerprint"]


def test_no_v0_view_of_a_dataset_that_may_not_train(tmp_path: Path) -> None:
    outcome = run(BASE, tmp_path)
    assert outcome.published["status"] == "NON_TRAINING"
    assert not list(outcome.root.glob("*/ofs/manifests/*.v0.json"))


# Negative paths


def test_replay_mismatch_fails_closed(tmp_path: Path) -> None:
    twice = stream("offset|event|time|card\n0|e0|10:00|1\n0|e0|10:00|2")
    world_ = World(twice, {**TRAINING.intent, "replay_basis": [slice_(0, 0)]}, BASE.profile, LABELS)
    fails_closed(run(world_, tmp_path), "REPLAY_DUPLICATE_OFFSET_MISMATCH")


def test_missing_label_basis_fails_closed(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    document = {**TRAINING.intent, "label_basis": {"resolution_rule": "ls.resolved.v0"}}
    fails_closed(build(written, intent=json.dumps(document).encode()), "LABEL_ASOF_MISSING")


def test_unresolved_feature_profile_fails_closed(tmp_path: Path) -> None:
    unknown = {"feature_set_id": "nowhere", "feature_set_version": "v1"}
    outcome = run(TRAINING.with_intent(feature_definition_set=unknown), tmp_path)
    fails_closed(outcome, "FEATURE_PROFILE_UNRESOLVED")


def test_no_pass_no_read(tmp_path: Path) -> None:
    gated = {"label_types": ["fraud_disposition"], "required_output_ids": ["sealed"]}
    fails_closed(run(TRAINING.with_intent(join_scope=gated), tmp_path), "NO_PASS_NO_READ")


# Contracts


def test_build_intent_validation_lists_every_fault(tmp_path: Path) -> None:
    document = {**TRAINING.intent, "request_id": "no", "replay_basis": [], "run_facts_ref": ""}
    outcome = build(write_world(TRAINING, tmp_path), intent=json.dumps(document).encode())
    fails_closed(outcome, "BASIS_UNRESOLVED")
    assert outcome.refusal is not None
    pointers = [fault["pointer"] for fault in outcome.refusal.details["faults"]]
    assert pointers == ["/replay_basis", "/request_id", "/run_facts_ref"]


def test_dataset_fingerprint_is_free_of_order_and_of_the_request(tmp_path: Path) -> None:
    whole = TRAINING.intent["replay_basis"][0]
    halves = [{**whole, "start_offset": "15"}, {**whole, "end_offset": "14"}]
    asked = TRAINING.with_intent(replay_basis=halves)
    turned = dict(reversed(list({**asked.intent, "replay_basis": halves[::-1], "request_id": "another.one"}.items())))
    written = write_world(asked, tmp_path)
    first, second = build(written).published, build(written, intent=json.dumps(turned).encode()).published
    assert first["dataset_manifest_id"] == second["dataset_manifest_id"]
    assert first["run_key"] != second["run_key"]
    assert (first["outcome"], second["outcome"]) == ("COMMITTED", "ALREADY_PUBLISHED")


def test_dataset_manifest_conforms_and_names_all_its_pins(tmp_path: Path) -> None:
    manifest = run(TRAINING, tmp_path).manifest
    assert contracts.find_faults(manifest, "learning.dataset_manifest.v1") == []
    assert all(gate["passed"] for gate in manifest["gates"])
    assert manifest["labels"]["label_asof_utc"] == TRAINING.intent["label_basis"]["label_asof_utc"]
    assert {"feature_set_digest", "run_facts_digest", "contexts"} <= set(manifest["pins"])


# Replay


def test_deterministic_rebuild_from_the_same_basis(tmp_path: Path) -> None:
    one, other = run(TRAINING, tmp_path / "a"), run(TRAINING, tmp_path / "b", Layout(rows_per_segment=4, shuffled=1))
    same = ("dataset_manifest_id", "content_digest", "rows")
    assert [one.published[name] for name in same] == [other.published[name] for name in same]


def test_the_same_world_built_twice_gives_the_same_plan_and_manifest(tmp_path: Path) -> None:
    one, other = run(TRAINING, tmp_path / "a"), run(TRAINING, tmp_path / "b")
    assert one.published["plan_id"] == other.published["plan_id"]
    assert strip_uncompared(one.manifest) == strip_uncompared(other.manifest)


def test_out_of_order_and_duplicate_deliveries_change_nothing(tmp_path: Path) -> None:
    repeated = with_redeliveries(TRAINING)
    one, other = run(TRAINING, tmp_path / "a"), run(repeated, tmp_path / "b", Layout(shuffled=3))
    assert other.published["replay_counts"]["redeliveries"] == 30
    assert one.published["content_digest"] == other.published["content_digest"]


def test_two_copies_of_the_stream_that_disagree_fail_closed(tmp_path: Path) -> None:
    """Two overlapping segments hold other bytes for one position: no copy is taken for the right one."""
    (whole,) = TRAINING.segments
    other = row(29, "e29", str(whole.rows[29].ts_utc), {"card": 99})
    disagreeing = replace(TRAINING, segments=(whole, replace(whole, rows=(*whole.rows[25:29], other))))
    fails_closed(run(disagreeing, tmp_path), "REPLAY_DUPLICATE_OFFSET_MISMATCH")


def test_a_bus_beside_the_archive_is_refused_and_not_left_unread(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    written.wiring.write_text(written.wiring.read_text().replace("kind: none", "kind: kafka"))
    with pytest.raises(Refusal) as refused:
        build(written)
    assert refused.value.code == "ENVIRONMENT_UNFIT"


# Labels


def test_labels_after_the_cut_off_are_never_seen(tmp_path: Path) -> None:
    one, other = run(TRAINING, tmp_path / "a"), run(with_labels_after_the_cut_off(TRAINING), tmp_path / "b")
    assert one.published["content_digest"] == other.published["content_digest"]


def test_coverage_gates_training(tmp_path: Path) -> None:
    uncovered = World(TRAINING.segments, TRAINING.intent, TRAINING.profile, LABELS[:-1])
    outcome = run(uncovered, tmp_path)
    fails_closed(outcome, "COVERAGE_POLICY_VIOLATION")
    assert outcome.refusal is not None
    assert "coverage of fraud_disposition is 0.966667 (29/30)" in outcome.refusal.message


@pytest.mark.parametrize(("days", "code"), [(19, None), (20, "COVERAGE_POLICY_VIOLATION")])
def test_maturity_gates_training(days: int, code: str | None, tmp_path: Path) -> None:
    """Anchors of 2026-02-10, cut off at 2026-03-02T00:00Z: after 19 days all are old enough, after 20 none."""
    basis = {"label_asof_utc": "2026-03-02T00:00:00Z", "resolution_rule": "ls.resolved.v0", "maturity_days": days}
    policy = policy_with(tmp_path / "policy", {"labels": {"min_mature_anchor_ratio": 1}})
    outcome = run(TRAINING.with_intent(label_basis=basis), tmp_path, policy=policy)
    assert outcome.code == code, str(outcome.refusal)
    assert outcome.refusal is None or "mature_anchor_ratio" in outcome.refusal.message


# What was published can be proven again


def damaged(manifest: dict[str, Any], outcome: Outcome, what: str) -> Path:
    table = outcome.root / str(manifest["materialization"]["path"])
    if what in ("table", "log"):
        return next(table.glob("*.parquet" if what == "table" else "_delta_log/*.json"))
    ref = manifest["materialization"]["files"]["ref"] if what == "files" else manifest["evidence"][what]["ref"]
    return outcome.root / str(ref)


@pytest.mark.parametrize("what", ["table", "log", "files", "replay_completeness", "label_resolution"])
def test_a_published_dataset_verifies_and_a_damaged_one_does_not(what: str, tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    outcome = build(written)
    ref = outcome.published["manifest_ref"]
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        assert pipeline.verify_dataset(ref, context)["verified"]
        flip_byte(damaged(outcome.manifest, outcome, what))
        told = pipeline.verify_dataset(ref, context)
    assert not told["verified"]
    assert [check["found"] for check in told["checks"] if not check["ok"]]


def recorded() -> World:
    """The platform's own recorded stream, one row per delivered offset."""
    records = [json.loads(line) for line in (GOLDEN / "archive_records.jsonl").read_text().splitlines()]
    rows = []
    for one in records:
        text = json.dumps(one["envelope"], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        names = ("event_id", "event_type", "ts_utc", "payload_hash", "platform_run_id", "scenario_run_id")
        rows.append(
            Row(offset=int(one["origin_offset"]["offset"]), envelope=text, **{name: one[name] for name in names})
        )
    topic = records[0]["origin_offset"]["topic"]
    asked = intent(
        slice_(rows[0].offset, rows[-1].offset, topic, 0, "file_line"),
        feature_definition_set={"feature_set_id": "core_features", "feature_set_version": "v1"},
    )
    profile = yaml.safe_load((GOLDEN / "profile.yaml").read_text())
    return World((Segment(topic, 0, tuple(rows), "file_line"),), asked, profile)


def test_the_platforms_recorded_stream_builds(tmp_path: Path) -> None:
    """Where the two laws agree so do the counts: deliveries, and copies that change nothing.

    They differ in names, not in sums. The online plane counts a copy of an event, at the same offset or another, as one
    kind of duplicate; a build tells position duplicates and redeliveries apart. What the plane ignores by type is a row
    here, with no core features. The plane's identity of an event has the event class in it, a build's has not; this
    stream is of one class.
    """
    counters = json.loads((GOLDEN / "counters.json").read_text())
    stream_ = recorded()
    written = write_world(stream_, tmp_path, Layout(rows_per_segment=50))
    written.profile.write_bytes((GOLDEN / "profile.yaml").read_bytes())  # the platform's own file, unchanged
    outcome = build(written)
    counts = outcome.published["replay_counts"]
    assert outcome.published["status"] == "NON_TRAINING"
    assert counts["delivered"] == counters["events_seen"]
    assert counts["position_duplicates"] + counts["redeliveries"] == counters["duplicates"]
    assert counts["conflicts"] == counters["payload_hash_mismatch"]
    applied = [row for row in outcome.rows if row["core_features__event_count"] is not None]
    assert len(applied) == counters["events_applied"]
    assert len(outcome.rows) - len(applied) == counters["ignored_event_type"]
    assert differences(outcome.rows, oracle(stream_).rows) == []
    (rev,) = {json.dumps(s["feature_def_policy_rev"]) for s in snapshots()}
    assert outcome.manifest["feature_profile"]["digest"] == json.loads(rev)["content_digest"]


def snapshots() -> list[dict[str, Any]]:
    return list(json.loads((GOLDEN / "snapshots.json").read_text()))
