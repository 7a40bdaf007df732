"""One test per proof that closes the corridor, named after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark import contracts, pipeline
from ofs_spark.io.local_engine import LocalEngine
from ofs_spark.io.plane import opened
from tests.oracle.build import build as oracle
from tests.oracle.compare import differences
from tests.spec.tables.windows import world
from tests.worlds.model import PINS, RUN, SCENARIO, Row, Segment, World, intent, label, run_facts, slice_
from tests.worlds.running import Outcome, build, run
from tests.worlds.tables import stream
from tests.worlds.transform import with_labels_after_the_cut_off, with_redeliveries
from tests.worlds.writer import Layout, write_world

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "online"
LINES = "\n".join(f"e{i}|10:{i:02d}|{i % 3}" for i in range(30))
LABELS = tuple(label(i, f"e{i}", "LEGIT_CONFIRMED", "2026-02-20T00:00:00Z") for i in range(30))
BASE = world(f"event|time|card\n{LINES}")
TRAINING = World(BASE.segments, {**BASE.intent, "non_training_allowed": False}, BASE.profile, LABELS)


def read(outcome: Outcome, ref: str) -> Any:
    return json.loads((outcome.root / ref).read_bytes())


def test_positive_path_from_intent_to_reconciliation(tmp_path: Path) -> None:
    outcome = run(TRAINING, tmp_path)
    assert outcome.answer is not None, str(outcome.refusal)
    assert (outcome.answer["outcome"], outcome.answer["status"]) == ("COMMITTED", "TRAINING_READY")
    manifest = read(outcome, outcome.answer["manifest_ref"])
    assert contracts.faults(manifest, "learning.dataset_manifest.v1") == []
    reconciliation = read(outcome, f"{RUN}/learning/reconciliation/ofs_reconciliation.json")
    assert contracts.faults(reconciliation, "ofs.reconciliation.v1") == []
    (told,) = reconciliation["runs"]
    assert told["refs"]["manifest"] == outcome.answer["manifest_ref"]
    for ref in told["refs"].values():
        assert (outcome.root / ref).is_file()
    for folder, name in (("publication", "ofs.publication_receipt.v1"), ("run_receipts", "ofs.run_receipt.v1")):
        document = read(outcome, f"{RUN}/ofs/{folder}/{outcome.answer['run_key']}.json")
        assert contracts.faults(document, name) == []
    plan = read(outcome, f"{RUN}/ofs/resolved_build_plan/{outcome.answer['run_key']}.json")
    assert contracts.faults(plan, "ofs.build_plan.v1") == []


def test_model_factory_admits_the_v0_view(tmp_path: Path) -> None:
    outcome = run(TRAINING, tmp_path)
    assert outcome.answer is not None
    view = read(outcome, outcome.answer["manifest_ref"].replace(".json", ".v0.json"))
    assert contracts.faults(view, "learning.dataset_manifest.v0") == []
    assert view["dataset_manifest_id"] == outcome.answer["dataset_manifest_id"]


def test_no_v0_view_of_a_dataset_that_may_not_train(tmp_path: Path) -> None:
    outcome = run(BASE, tmp_path)
    assert outcome.answer is not None
    assert outcome.answer["status"] == "NON_TRAINING"
    assert not list(outcome.root.glob("*/ofs/manifests/*.v0.json"))


def test_replay_mismatch_fails_closed(tmp_path: Path) -> None:
    twice = stream("offset|event|time|card\n0|e0|10:00|1\n0|e0|10:00|2")
    assert run(
        World(twice, {**TRAINING.intent, "replay_basis": [slice_(0, 0)]}, BASE.profile, LABELS), tmp_path
    ).code == ("REPLAY_DUPLICATE_OFFSET_MISMATCH")


def test_missing_label_basis_fails_closed(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    document = {**TRAINING.intent, "label_basis": {"resolution_rule": "ls.resolved.v0"}}
    assert build(written, intent=json.dumps(document).encode()).code == "LABEL_ASOF_MISSING"


def test_unresolved_feature_profile_fails_closed(tmp_path: Path) -> None:
    unknown = {"feature_set_id": "nowhere", "feature_set_version": "v1"}
    assert run(TRAINING.with_intent(feature_definition_set=unknown), tmp_path).code == "FEATURE_PROFILE_UNRESOLVED"


def test_no_pass_no_read(tmp_path: Path) -> None:
    gated = {"label_types": ["fraud_disposition"], "required_output_ids": ["sealed"]}
    assert run(TRAINING.with_intent(join_scope=gated), tmp_path).code == "NO_PASS_NO_READ"


def test_deterministic_rebuild_from_the_same_basis(tmp_path: Path) -> None:
    one, other = run(TRAINING, tmp_path / "a"), run(TRAINING, tmp_path / "b", Layout(rows_per_segment=4, shuffled=1))
    assert one.answer is not None
    assert other.answer is not None
    same = ("dataset_manifest_id", "content_digest", "rows")
    assert [one.answer[name] for name in same] == [other.answer[name] for name in same]


def test_out_of_order_and_duplicate_deliveries_change_nothing(tmp_path: Path) -> None:
    repeated = with_redeliveries(TRAINING)
    one, other = run(TRAINING, tmp_path / "a"), run(repeated, tmp_path / "b", Layout(shuffled=3))
    assert one.answer is not None
    assert other.answer is not None
    assert other.answer["replay_counts"]["redeliveries"] == 30
    assert one.answer["content_digest"] == other.answer["content_digest"]


def test_labels_after_the_cut_off_are_never_seen(tmp_path: Path) -> None:
    one, other = run(TRAINING, tmp_path / "a"), run(with_labels_after_the_cut_off(TRAINING), tmp_path / "b")
    assert one.answer is not None
    assert other.answer is not None
    assert one.answer["content_digest"] == other.answer["content_digest"]


def test_coverage_and_maturity_gate_training(tmp_path: Path) -> None:
    uncovered = World(TRAINING.segments, TRAINING.intent, TRAINING.profile, LABELS[:-1])
    outcome = run(uncovered, tmp_path)
    assert outcome.code == "COVERAGE_POLICY_VIOLATION"
    assert outcome.refusal is not None
    assert "fraud_disposition" in outcome.refusal.message


def test_a_published_dataset_verifies_and_a_damaged_one_does_not(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    outcome = build(written)
    assert outcome.answer is not None
    with opened(written.wiring, None, lambda _room, _doing: None, LocalEngine) as plane:
        assert pipeline.verify(outcome.answer["manifest_ref"], plane)["verified"]
        part = next((outcome.root / outcome.answer["table_ref"]).glob("*.parquet"))
        body = bytearray(part.read_bytes())
        body[len(body) // 2] ^= 1
        part.write_bytes(bytes(body))
        assert not pipeline.verify(outcome.answer["manifest_ref"], plane)["verified"]


def recorded() -> World:
    """The platform's own recorded stream, with the platform's own profile."""
    records = [json.loads(line) for line in (GOLDEN / "archive_records.jsonl").read_text().splitlines()]
    rows = []
    for one in records:
        text = json.dumps(one["envelope"], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        names = ("event_id", "event_type", "ts_utc", "payload_hash", "platform_run_id", "scenario_run_id")
        rows.append(
            Row(offset=int(one["origin_offset"]["offset"]), envelope=text, **{name: one[name] for name in names})
        )
    profile = {
        "policy_id": "ofp.features.v0",
        "revision": "r1",
        "feature_groups": [
            {
                "name": "core_features",
                "version": "v1",
                "key_type": "flow_id",
                "windows": [{"window": w, "duration": w, "ttl": w} for w in ("1h", "24h", "7d")],
            }
        ],
    }
    topic = records[0]["origin_offset"]["topic"]
    segment = Segment(topic, 0, tuple(rows), "file_line")
    asked = intent(
        slice_(rows[0].offset, rows[-1].offset, topic, 0, "file_line"),
        feature_definition_set={"feature_set_id": "core_features", "feature_set_version": "v1"},
    )
    return World((segment,), asked, profile, (), run_facts={**run_facts(), "pins": PINS, "scenario_run_id": SCENARIO})


def test_the_platforms_recorded_stream_builds(tmp_path: Path) -> None:
    """Where the two laws agree so do the counts: deliveries, and copies that change nothing."""
    counters = json.loads((GOLDEN / "counters.json").read_text())
    stream_ = recorded()
    outcome = run(stream_, tmp_path)
    assert outcome.answer is not None, str(outcome.refusal)
    counts = outcome.answer["replay_counts"]
    assert counts["delivered"] == counters["events_seen"]
    losers = counts["position_duplicates"] + counts["redeliveries"] + counts["conflicts"]
    assert losers == counters["duplicates"] + counters["payload_hash_mismatch"]
    applied = [row for row in outcome.rows if row["core_features__event_count"] is not None]
    assert len(outcome.rows) - len(applied) == counters["ignored_event_type"]
    assert differences(outcome.rows, oracle(stream_).rows) == []
    table = pq.read_table(next((outcome.root / outcome.answer["table_ref"]).glob("*.parquet")))
    assert table.schema.field("core_features__amount_sum").type == pa.float64()
