"""What is told of runs: facts, receipts and the platform run's reconciliation, over runs that end in every way."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation import contracts
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.local import LocalObjects
from tests.acceptance.test_closure import TRAINING
from tests.integration.test_refusals import NOWHERE
from tests.spec.tables import refusals
from tests.spec.tables.windows import UNORDERED, world
from tests.worlds.model import RUN
from tests.worlds.running import Outcome, build
from tests.worlds.sabotage import SABOTAGES
from tests.worlds.writer import Written, write_world

TOTAL = f"{RUN}/learning/reconciliation/ofs_reconciliation.json"


def asked(written: Written, request_id: str, **changes: Any) -> Outcome:
    document = {**json.loads(written.intent.read_bytes()), "request_id": request_id, **changes}
    return build(written, intent=json.dumps(document).encode())


def documents(written: Written, folder: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted((written.root / RUN / "ofs" / folder).glob("*.json"))]


def total(written: Written) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((written.root / TOTAL).read_bytes())
    assert contracts.find_faults(document, "ofs.reconciliation.v1") == []
    return document


def test_three_requests_one_dataset_one_refusal(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    first, second = asked(written, "request.one").published, asked(written, "request.two").published
    refused = asked(written, "request.three", feature_definition_set=NOWHERE)
    outcomes = (first["outcome"], second["outcome"], refused.code)
    assert outcomes == ("COMMITTED", "ALREADY_PUBLISHED", "FEATURE_PROFILE_UNRESOLVED")
    told = total(written)
    assert [one["run_key"] for one in told["runs"]] == sorted(one["run_key"] for one in told["runs"])
    assert sorted(one["outcome"] for one in told["runs"]) == ["ALREADY_PUBLISHED", "COMMITTED", "REFUSED"]
    counters = told["counters"]
    assert (counters["build_requested"], counters["build_completed"], counters["build_failed"]) == (3, 2, 1)
    assert (counters["datasets_built"], counters["events_replayed"]) == (1, first["replay_counts"]["delivered"])
    assert (told["health"], len(told["reasons"])) == ("AMBER", 1)
    assert told["protected_refs"] == {"attempted": 5, "resolved": 5, "denied": 0}  # the second read no label extract
    receipts = {one["request_id"]: one["outcome"] for one in documents(written, "publication")}
    assert receipts == {"request.one": "COMMITTED", "request.two": "ALREADY_PUBLISHED"}
    facts = documents(written, "governance")
    assert [contracts.find_faults(fact, "ofs.governance_fact.v1") for fact in facts] == [[], []]
    assert sorted(fact["event_type"] for fact in facts) == ["DatasetBuildFailed", "DatasetPublished"]


def test_a_run_that_failed_and_was_mended_has_both_attempts_and_is_well(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    damage, code = SABOTAGES["segment_byte_flipped"]
    damage(written)
    assert build(written).code == code
    assert total(written)["health"] == "AMBER"
    for path, body in before.items():
        path.write_bytes(body)
    answer = build(written).published
    assert (total(written)["health"], total(written)["counters"]["build_failed"]) == ("GREEN", 0)
    (receipt,) = documents(written, "run_receipts")
    attempts = [(one["attempt"], one["outcome"], one.get("code")) for one in receipt["attempts"]]
    assert attempts == [(1, "REFUSED", code), (2, "COMMITTED", None)]
    kept = {path.name for path in (written.root / RUN / "ofs" / "replay_completeness").iterdir()}
    assert kept == {f"{answer['run_key']}.json", f"{answer['run_key']}.attempt-1.json"}


def test_labels_that_were_not_read_in_full_are_not_told(tmp_path: Path) -> None:
    """The first refusal is of the replay; the label receipt would hold the counts of the other files alone."""
    for part, kept in ((False, {"replay_completeness", "label_resolution"}), (True, {"replay_completeness"})):
        written = write_world(world(UNORDERED), tmp_path / str(part))
        if part:
            SABOTAGES["extract_part_flipped"][0](written)
        assert build(written).code == "ORDER_UNDEFINED"
        told = {path.parent.name for path in (written.root / RUN / "ofs").glob("*/*.attempt-1.json")}
        assert told == kept


def test_a_denied_output_is_audited(tmp_path: Path) -> None:
    written = write_world(refusals.needs((refusals.receipt("FAIL"),)), tmp_path)
    assert build(written).code == "NO_PASS_NO_READ"
    assert total(written)["protected_refs"] == {"attempted": 3, "resolved": 2, "denied": 1}
    (receipt,) = documents(written, "run_receipts")
    assert [one["outcome"] for one in receipt["protected_refs"]] == ["resolved", "denied", "resolved"]


@dataclass(frozen=True)
class Failing(LocalObjects):
    """A store that does not write what ends with `unwritten`."""

    unwritten: str = ""

    def replace(self, ref: str, body: bytes) -> None:
        if ref.endswith(self.unwritten):
            raise OSError("no space left on device")
        super().replace(ref, body)


def test_a_signal_that_cannot_be_written_is_recorded_and_blocks_nothing(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    heard: list[str] = []
    with open_context(written.wiring, None, lambda _room, doing: heard.append(doing), EmbeddedEngine) as context:
        objects = context.objects
        assert isinstance(objects, LocalObjects)
        failing = Failing(objects.root, unwritten="ofs_reconciliation.json")
        answer = pipeline.build_dataset(written.intent.read_bytes(), replace(context, objects=failing))
    assert answer["outcome"] == "COMMITTED"
    (receipt,) = documents(written, "run_receipts")
    assert receipt["signals"][TOTAL] == "FAILED"
    assert [state for ref, state in receipt["signals"].items() if ref != TOTAL] == ["WRITTEN"] * 6
    assert any("FAILED to write" in one for one in heard)
    again = asked(written, "request.two").published
    assert again["outcome"] == "ALREADY_PUBLISHED"
    assert len(total(written)["runs"]) == 2  # the run whose contribution was lost is taken up again


def test_something_else_at_a_manifests_place_is_never_replaced(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    ref = asked(written, "request.one").published["manifest_ref"]
    for body in (b"{", b"[]", b'{"pins": {}}'):
        (written.root / ref).write_bytes(body)
        assert asked(written, f"request.no.{len(body)}").code == "MANIFEST_IMMUTABILITY_VIOLATION"
        assert (written.root / ref).read_bytes() == body


def test_a_stopped_run_says_that_it_was_stopped_and_can_be_run_again(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)

    def stopped(room: str, _doing: str) -> None:
        if room == "replay":
            raise KeyboardInterrupt

    with open_context(written.wiring, None, stopped, EmbeddedEngine) as context, pytest.raises(KeyboardInterrupt):
        pipeline.build_dataset(written.intent.read_bytes(), context)
    (receipt,) = documents(written, "run_receipts")
    assert (receipt["outcome"], receipt["exit_status"]) == ("FAILED", 130)
    assert [fact["code"] for fact in documents(written, "governance")] == ["INTERRUPTED"]
    assert total(written)["health"] == "RED"
    assert build(written).published["outcome"] == "COMMITTED"
    assert total(written)["health"] == "GREEN"
