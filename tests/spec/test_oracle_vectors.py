"""The oracle's label and core laws give what the platform itself computed."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.build import build
from tests.oracle.exact import micros, nearest_root
from tests.oracle.labels import resolve
from tests.oracle.replay import resolve_basis
from tests.worlds.model import Row, Segment, World, canon, digest, intent, slice_

GOLDEN = Path(__file__).parents[1] / "golden"


def load(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


@pytest.mark.parametrize("cut", load("labels/asof.json"), ids=lambda cut: cut["asof"])
def test_every_row_of_the_label_store_is_reproduced(cut: dict[str, Any]) -> None:
    timeline = load("labels/timeline.json")
    for row in cut["rows"]:
        eligible = [
            a
            for a in timeline
            if all(a[k] == row[k] for k in ("platform_run_id", "event_id", "label_type"))
            and micros(a["observed_time"]) <= micros(cut["asof"])
        ]
        status, chosen = resolve(eligible, "ls.resolved.v0")
        found = (status, chosen and chosen["label_value"], chosen and chosen["label_assertion_id"])
        assert found == (row["status"], row["selected_label_value"], row["selected_assertion_id"])


def online_world() -> World:
    """The platform's recorded stream with its own profile, as a non-training build."""
    records = [json.loads(line) for line in (GOLDEN / "online/archive_records.jsonl").read_text().splitlines()]
    rows = tuple(
        Row(
            int(r["origin_offset"]["offset"]),
            r["event_id"],
            r["ts_utc"],
            canon(r["envelope"]).decode(),
            event_type=r["event_type"],
            payload_hash=r["payload_hash"],
            platform_run_id=r["platform_run_id"],
            scenario_run_id=r["scenario_run_id"],
        )
        for r in records
    )
    group = {"name": "core_features", "version": "v1", "key_type": "flow_id"}
    basis = slice_(0, len(rows) - 1, kind="file_line")
    wanted = {"feature_set_id": "core_features", "feature_set_version": "v1"}
    return World(
        (Segment("fp.bus.traffic.fraud.v1", 0, rows, "file_line"),),
        intent(basis, feature_definition_set=wanted),
        {"policy_id": "ofp.features.v0", "revision": "r1", "feature_groups": [group]},
    )


def test_the_recorded_stream_gives_the_last_online_snapshot() -> None:
    dataset, counters, snapshot = build(online_world()), load("online/counters.json"), load("online/snapshots.json")[-1]
    assert dataset.refusal is None
    lost = dataset.counts["redeliveries"] + dataset.counts["conflicts"] + dataset.counts["position_duplicates"]
    assert dataset.counts["delivered"] == counters["events_seen"]
    assert lost == counters["duplicates"] + counters["payload_hash_mismatch"]
    assert sum(row["core_features__event_count"] is None for row in dataset.rows) == counters["ignored_event_type"]
    names = ("event_count", "amount_sum", "last_event_ts_utc")
    states = {tuple(row[f"core_features__{name}"] for name in names) for row in dataset.rows}
    assert {tuple(state[name] for name in names) for state in snapshot["features"].values()} <= states


def test_the_writers_identity_law_is_the_platforms() -> None:
    for vector in load("identities.json"):
        assert (
            digest({"recipe": "ofs.run_key.v1", "request_id": vector["intent"]["request_id"]})[:32] == vector["run_key"]
        )


def test_inclusive_slices_become_half_open_ranges_united() -> None:
    sparse = [slice_(5, 6, "t", 1, "kinesis_sequence"), slice_(7, 9, "t", 1, "kinesis_sequence")]
    found = [r.resolved() for r in resolve_basis([slice_(4, 9), slice_(0, 3), slice_(11, 11), *sparse])]
    assert [(r["start"], r.get("end_exclusive"), r.get("end_inclusive")) for r in found] == [
        ("0", "10", None),
        ("11", "12", None),
        ("5", None, "6"),
        ("7", None, "9"),
    ]


def test_a_root_is_rounded_once() -> None:
    near_a_half = (Fraction(2**53 + 1, 2**53)) ** 2
    assert nearest_root(near_a_half) == 1.0
    assert nearest_root(near_a_half + Fraction(1, 10**80)) == 1.0 + 2**-52
    assert nearest_root(near_a_half - Fraction(1, 10**80)) == 1.0
