"""`ofs forensic`: the state at a decision with its offsets, and nothing that anybody could train on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ofs_spark import pipeline
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.worlds.snapshots import RECORDS, RUN, SNAPSHOTS, OnlineWorld, write_online_world


@pytest.fixture
def world(tmp_path: Path) -> OnlineWorld:
    return write_online_world(tmp_path)


def list_payload_offsets(key: str, before: int) -> list[str]:
    """Offsets of the first delivery of each event of a flow."""
    seen: set[str] = set()
    found = []
    for one in RECORDS[:before]:
        fresh = one["event_id"] not in seen
        seen.add(one["event_id"])
        ignored = one["event_type"] in ("decision_response", "action_intent", "action_outcome")
        if fresh and not ignored and one["envelope"]["payload"].get("flow_id") == key:
            found.append(one["origin_offset"]["offset"])
    return found


def test_a_state_is_rebuilt_with_the_offsets_it_is_made_of(world: OnlineWorld) -> None:
    kept = ("snapshot_hash", "eb_offset_basis", "pins", "run_config_digest")
    own = {name: SNAPSHOTS[0][name] for name in kept}
    ref = world.put_anchor(
        "d", {"decision_id": "d1", "snapshot_ref": f"{RUN}/ofp/0.json", "graph_version": None, **own}
    )
    answer = world.rebuild(world.ask("forensic_rebuild", "forensic.0001", ref))
    assert (answer["outcome"], answer["parity"]["outcome"], answer["training_dataset"]) == ("REBUILT", "MATCH", False)
    record = world.read(answer["record_ref"])
    snapshot = world.read(answer["snapshot_ref"])
    assert snapshot["snapshot"]["features"] == SNAPSHOTS[0]["features"]
    assert snapshot["snapshot"]["snapshot_hash"] == SNAPSHOTS[0]["snapshot_hash"]
    for named in (record["snapshot"], record["contributions"]):
        assert hashlib.sha256((world.objects / named["ref"]).read_bytes()).hexdigest() == named["sha256"]
    by_key = {one["key"]: [at["offset"] for at in one["offsets"]] for one in answer["keys"]}
    assert by_key["flow_id:flow-1"] == list_payload_offsets("flow-1", 400)
    assert {key: len(offsets) for key, offsets in by_key.items()} == {
        key: state["event_count"] for key, state in SNAPSHOTS[0]["features"].items()
    }
    (consumed,) = answer["offsets_consumed"]
    assert (consumed["range"]["end_exclusive"], consumed["positions"]) == ("400", 400)
    rows = pq.read_table(world.objects / answer["contributions_ref"]).to_pylist()
    assert sum(one["skip"] in (None, "") for one in rows) == answer["counts"]["applied"]
    assert sum(one["skip"] == "duplicate" for one in rows) == answer["counts"]["duplicates"]


def test_nothing_of_it_is_taken_for_a_dataset_or_an_anchor(world: OnlineWorld) -> None:
    answer = world.rebuild(world.ask("forensic_rebuild", "forensic.0001", f"{RUN}/ofp/1.json"))
    for ref in (answer["record_ref"], answer["snapshot_ref"]):
        assert world.read(ref)["training_dataset"] is False
        with open_context(world.folder / "wiring.yaml", None, lambda _room, _doing: None, EmbeddedEngine) as context:
            with pytest.raises(Refusal, match="SCHEMA_INVALID"):
                pipeline.show_manifest(ref, context)
            assert not pipeline.verify_dataset(ref, context)["verified"]
        with pytest.raises(Refusal, match="PARITY_ANCHOR_INVALID"):
            world.compare(world.ask("parity_rebuild", f"parity.{ref[-20:-12]}", ref))
    columns: Any = pq.read_table(world.objects / answer["contributions_ref"]).column("training_dataset")
    assert set(columns.to_pylist()) == {False}


def test_a_state_that_cannot_be_rebuilt_is_refused_with_what_is_missing(world: OnlineWorld) -> None:
    sorted(world.objects.glob(f"{RUN}/archive/segments/*/*/*.parquet"))[0].unlink()
    with pytest.raises(Refusal, match="PARITY_UNCHECKABLE"):
        world.rebuild(world.ask("forensic_rebuild", "forensic.0001", f"{RUN}/ofp/1.json"))
    assert not list(world.objects.glob(f"{RUN}/ofs/forensic/*.json"))
    receipt = next(world.objects.glob(f"{RUN}/ofs/run_receipts/*.json"))
    assert json.loads(receipt.read_bytes())["exit_status"] == 71


def test_it_needs_its_own_kind_of_intent_and_an_anchor(world: OnlineWorld) -> None:
    with pytest.raises(Refusal, match="INTENT_KIND_UNSUPPORTED"):
        world.rebuild(world.ask("parity_rebuild", "forensic.0001", f"{RUN}/ofp/1.json"))
    with pytest.raises(Refusal, match="PARITY_ANCHOR_INVALID"):
        world.rebuild(world.ask("forensic_rebuild", "forensic.0002"))
