"""The demo world keeps the contracts, is the same for the same seed, and holds what it says."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ofs_spark import pipeline
from ofs_spark.demo.archive import RUN, write_archive
from ofs_spark.demo.online_plane import FOLDER
from ofs_spark.demo.payments import Shape, invent_payments
from ofs_spark.demo.world import RUN_FACTS, DemoWorld, write_demo_world
from ofs_spark.foundation import contracts
from ofs_spark.foundation.policy import load_policy, state_releases
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.worlds.running import rows_of

SMALL = Shape(4_000, customers=120, terminals=40, merchants=12, days=40)


def written(root: Path, seed: int = 7) -> DemoWorld:
    releases = {**state_releases(load_policy(None)), "ofs_code_release_id": "test"}
    return write_demo_world(root, seed, SMALL, releases, lambda _room, _doing: None)


def hashes(root: Path) -> dict[str, str]:
    files = (file for file in sorted(root.rglob("*")) if file.is_file())
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def read_anchors(world: DemoWorld) -> list[str]:
    return [json.loads(line)["anchor_ref"] for line in world.anchors.read_text().splitlines()]


def test_one_seed_is_one_world(tmp_path: Path) -> None:
    written(tmp_path / "a")
    written(tmp_path / "b")
    written(tmp_path / "c", seed=8)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert hashes(tmp_path / "a") != hashes(tmp_path / "c")


def test_a_world_is_written_before_anything_compiles() -> None:
    """People are told of the compilation of a release's first run; loading the demo must not begin it in silence."""
    loads = "import sys, ofs_spark.demo.command; sys.exit('ofs_spark.foundation.columnar.compiled' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loads], check=False).returncode == 0


def test_its_documents_keep_their_contracts(tmp_path: Path) -> None:
    world = written(tmp_path)
    index = next(world.objects.glob("*/archive/segment_index.json"))
    extract = next(world.objects.glob("*/label_store/extract/label_extract.json"))
    for path, contract in (
        (index, "archive.segment_index.v0"),
        (extract, "label_store.extract.v0"),
        (world.objects / RUN_FACTS, "run_facts_view"),
        (world.training, "learning.ofs_build_intent.v0"),
        (world.explore, "learning.ofs_build_intent.v0"),
        *(
            (intent, "learning.ofs_build_intent.v0")
            for intent in (world.parity, world.planted, world.forensic, world.sweep)
        ),
        *((world.objects / ref, "online_anchor") for ref in read_anchors(world)),
    ):
        assert contracts.find_faults(json.loads(path.read_bytes()), contract) == [], path


def test_both_intents_build(tmp_path: Path) -> None:
    world = written(tmp_path)
    with open_context(world.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        training = pipeline.build_dataset(world.training.read_bytes(), context)
        explore = pipeline.build_dataset(world.explore.read_bytes(), context)
    assert training["status"] == "TRAINING_READY"
    assert training["replay_counts"]["redeliveries"] == world.redeliveries > 0
    assert training["rows"] == world.payments - world.token_checks
    assert 0 < explore["rows"] < training["rows"]
    (kept, *_) = rows_of(world.objects / explore["table_ref"])
    assert list(kept)[4:7] == ["anchor__amount", "anchor__channel", "key__customer__customer_id"]
    assert None not in list(kept.values())[4:7]


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_all_that_its_online_plane_logged_matches_but_the_planted_snapshot(seed: int, tmp_path: Path) -> None:
    world = written(tmp_path, seed)
    refs = read_anchors(world)
    with open_context(world.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        answer = pipeline.check_parity(world.sweep.read_bytes(), context, refs)
    found: dict[str, dict[str, Any]] = {one["anchor_ref"]: one for one in answer["results"]}
    planted = f"{FOLDER}/snapshots/planted.json"
    assert {ref: found[ref]["outcome"] for ref in refs} == {
        ref: "MISMATCH" if ref == planted else "MATCH" for ref in refs
    }
    assert [found[ref]["kind"] for ref in refs] == ["snapshot", "snapshot", "snapshot", "decision", "snapshot"]
    applied = [found[ref]["counts"]["applied"] for ref in refs[:3]]
    assert 0 < applied[0] < applied[1] < applied[2]
    explanation = found[planted]["explanation"]
    (cause,) = explanation["causes"]
    assert (cause["cause"], explanation["proven"], cause["alternative_count"]) == ("DUPLICATE_APPLIED", True, 0)
    again, first = cause["positions"]
    place = {name: world.redelivery[name] for name in ("topic", "partition", "offset")}
    assert again == {**place, "offset_kind": "kafka_offset"}
    assert (first["topic"], first["partition"]) == (again["topic"], again["partition"])
    assert int(first["offset"]) < int(again["offset"])


def test_its_own_intents_are_answered_one_by_one(tmp_path: Path) -> None:
    world = written(tmp_path)
    with open_context(world.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        good = pipeline.check_parity(world.parity.read_bytes(), context)
        planted = pipeline.check_parity(world.planted.read_bytes(), context)
        forensic = pipeline.rebuild_forensics(world.forensic.read_bytes(), context)
        dataset = pipeline.build_dataset(world.training.read_bytes(), context)
        told = pipeline.explain_value(
            dataset["manifest_ref"], world.redelivery["event_id"], "customer__count_7d", context
        )
    assert (good["outcome"], planted["outcome"], forensic["parity"]["outcome"]) == ("MATCH", "MISMATCH", "MATCH")
    decided = json.loads((world.objects / read_anchors(world)[3]).read_bytes())
    assert forensic["parity"]["rebuilt_hash"] == decided["snapshot_hash"]
    counted = [one["event_id"] for one in told["contributing"] if one["counted"]]
    assert (
        counted.count(world.redelivery["event_id"]) == 1
    )  # the dataset counts once what the planted snapshot has twice


def test_a_flow_lies_in_one_partition(tmp_path: Path) -> None:
    """However many customers there are: the sum of a flow hangs on the order of its payments, which only a partition has."""
    made = invent_payments(Shape(12_000, customers=9_000, terminals=300, merchants=50), np.random.default_rng(3))
    archived = write_archive(tmp_path, made, np.random.default_rng(3), rows_per_segment=4_999)
    places, ends = defaultdict(set), dict[tuple[str, int], int]()
    delivered = 0
    for one in archived.deliver():
        place = (one.topic, one.partition)
        assert one.offset > ends.get(place, -1)
        assert one.delivered >= delivered
        ends[place], delivered = one.offset, one.delivered
        places[json.loads(one.envelope)["payload"]["flow_id"]].add(place)
    assert len(places) > 5_000
    assert {len(found) for found in places.values()} == {1}


@pytest.mark.parametrize("seed", [1, 2, 20260210])
def test_fraud_is_rare_but_there(seed: int) -> None:
    made = invent_payments(Shape(), np.random.default_rng(seed))
    assert 0.007 < made.fraud.mean() < 0.012
    assert np.median(made.cents[made.fraud]) > 2 * np.median(made.cents[~made.fraud])


def test_a_marker_between_two_segments_is_declared(tmp_path: Path) -> None:
    made = invent_payments(Shape(60_000, customers=1_500, terminals=300, merchants=50), np.random.default_rng(3))
    write_archive(tmp_path, made, np.random.default_rng(3), rows_per_segment=4_999)
    index = json.loads((tmp_path / RUN / "archive" / "segment_index.json").read_bytes())
    later = [segment for segment in index["segments"] if segment["previous_last_offset"] is not None]
    assert later
    for entry in later:
        gap = {"start": "4999", "end": "4999", "reason": "transaction_marker"}
        assert (entry["previous_last_offset"], entry["first_offset"]) == ("4998", "5000")
        assert gap in entry["gaps"]
    for entry in index["segments"]:
        if entry["previous_last_offset"] is None:
            assert all(int(gap["start"]) > int(entry["first_offset"]) for gap in entry["gaps"])
