"""Pins that bind a whole build: what policy requires of labels, and what an answer from a manifest proves again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ofs_spark.foundation.config import find_conf_root
from tests.worlds import model as m
from tests.worlds.running import build, run
from tests.worlds.writer import write_world

PATH = "context/merchants.parquet"
GROUP = {
    "name": "g", "version": "v1", "key": ["payload.card"], "windows": [m.window("1h")],
    "features": [{"name": "n", "aggregate": "count"}],
}  # fmt: skip
ROW = m.row(0, "e0", "2026-02-10T00:00:00Z", {"card": "A"}, published_at_utc="2026-02-10T00:00:01Z")
WORLD = m.World((m.segment(ROW),), m.intent(m.slice_(0, 0)), m.profile(GROUP))


@pytest.mark.parametrize("marker", ["commit-000001", None])
def test_policy_may_require_a_commit_marker(
    marker: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy"
    shutil.copytree(str(find_conf_root() / "policy"), policy)
    labels = policy / "labels.yaml"
    labels.write_text(labels.read_text().replace("require_marker: false", "require_marker: true"))
    monkeypatch.setenv("OFS_POLICY", str(policy))
    outcome = run(replace(WORLD, label_marker=marker), tmp_path / "world")
    assert outcome.code == (None if marker else "LABEL_STORE_UNAVAILABLE")


def test_a_published_dataset_is_not_answered_for_other_context_bytes(tmp_path: Path) -> None:
    target = {"output_id": "merchants", "path": PATH}
    gate = {"gate_id": "g", "status": "PASS", "scope": {"manifest_fingerprint": "c8" * 32}}
    locator = target | {"manifest_fingerprint": "c8" * 32}
    facts = {**m.run_facts(), "locators": [locator], "gate_receipts": [gate]}
    asked = {"label_types": ["fraud_disposition"], "required_output_ids": ["merchants"]}
    world = replace(WORLD.with_intent(join_scope=asked), run_facts=facts, outputs={PATH: b"one"})
    written = write_world(world, tmp_path)
    assert build(written).code is None
    again = m.canon({**world.intent, "request_id": "world.request.0002"})
    assert build(written, intent=again).code is None
    (written.root / PATH).write_bytes(b"two")
    changed = build(written, intent=m.canon({**world.intent, "request_id": "world.request.0003"}))
    assert changed.code == "MANIFEST_IMMUTABILITY_VIOLATION"
    assert changed.refusal is not None
    assert changed.refusal.details["differing"] == ["contexts"]
