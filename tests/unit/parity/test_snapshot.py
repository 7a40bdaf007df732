"""The snapshot as a document, by the platform's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.parity.snapshot import digest_basis, frame_snapshot, hash_snapshot, write_key, write_state

SNAPSHOTS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "golden" / "online" / "snapshots.json").read_bytes()
)


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda one: one["snapshot_hash"][:8])
def test_the_platforms_own_snapshots(snapshot: dict[str, Any]) -> None:
    assert hash_snapshot(snapshot) == snapshot["snapshot_hash"]
    assert digest_basis(snapshot["eb_offset_basis"]) == snapshot["eb_offset_basis"]["basis_digest"]


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda one: one["snapshot_hash"][:8])
def test_a_frame_and_the_states_of_its_keys_are_the_hashed_text(snapshot: dict[str, Any]) -> None:
    states = [write_state(write_key(key), **snapshot["features"][key]) for key in sorted(snapshot["features"])]
    frame = frame_snapshot(snapshot)
    text = frame.before + b"{" + ",".join(states).encode() + b"}" + frame.after
    assert hashlib.sha256(text).hexdigest() == snapshot["snapshot_hash"]


def test_one_changed_member_is_another_hash() -> None:
    snapshot = SNAPSHOTS[0]
    assert hash_snapshot({**snapshot, "graph_version": {"version_id": "x"}}) != snapshot["snapshot_hash"]
    assert hash_snapshot({**snapshot, "created_at_utc": "2026-01-01T00:00:00Z"}) == snapshot["snapshot_hash"]
