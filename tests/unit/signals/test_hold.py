"""What is told of runs holds under death, races, failing writes and foreign bytes: complete, and never in the way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation import contracts
from ofs_spark.foundation.errors import Refusal
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import Run, State
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.local import LocalObjects
from tests.spec.tables import refusals
from tests.spec.tables.windows import world
from tests.worlds.model import RUN, World, canon, label, slice_
from tests.worlds.running import Outcome, build
from tests.worlds.writer import Written, write_world

WORLD = world("event|time|card\ne0|10:00|1\ne1|10:01|1\ne2|10:02|2\ne3|10:03|2")
LABELS = tuple(label(i, f"e{i}", "LEGIT_CONFIRMED", "2026-02-20T00:00:00Z") for i in range(4))
TRAINING = World(WORLD.segments, {**WORLD.intent, "non_training_allowed": False}, WORLD.profile, LABELS)
TOTAL = f"{RUN}/learning/reconciliation/ofs_reconciliation.json"
BEYOND = [slice_(0, 9)]


def asked(number: int, **changes: Any) -> bytes:
    """The world's intent as another request."""
    return canon({**WORLD.intent, "request_id": f"world.request.{number:04d}", **changes})


def documents(written: Written, folder: str, contract: str) -> dict[str, dict[str, Any]]:
    """The documents of one folder of OFS by name, each under its contract."""
    found = {path.stem: json.loads(path.read_bytes()) for path in (written.root / RUN / "ofs" / folder).glob("*.json")}
    assert [contracts.find_faults(document, contract) for document in found.values()] == [[]] * len(found)
    return found


def facts(written: Written) -> dict[str, dict[str, Any]]:
    return documents(written, "governance", "ofs.governance_fact.v1")


def receipts(written: Written) -> dict[str, dict[str, Any]]:
    return documents(written, "run_receipts", "ofs.run_receipt.v1")


def publications(written: Written) -> dict[str, dict[str, Any]]:
    return documents(written, "publication", "ofs.publication_receipt.v1")


def manifest_of(written: Written) -> Path:
    (found,) = (p for p in written.root.glob("*/ofs/manifests/*.json") if not p.name.endswith(".v0.json"))
    return found


def total(written: Written) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((written.root / TOTAL).read_bytes())
    assert contracts.find_faults(document, "ofs.reconciliation.v1") == []
    return document


def outcomes(written: Written) -> list[str]:
    return sorted(one.get("code", one["outcome"]) for one in total(written)["runs"])


def test_a_dataset_is_told_once_and_a_failure_per_attempt(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    key = build(written).published["run_key"]
    ((event_id, fact),) = facts(written).items()
    assert (fact["event_type"], fact["event_id"]) == ("DatasetPublished", event_id)
    assert build(written).published["run_key"] == key
    assert set(facts(written)) == {event_id}
    for _ in range(2):
        assert build(written, intent=asked(2, replay_basis=BEYOND)).code == "REPLAY_BASIS_GAP"
    told = [one for one in facts(written).values() if one["event_type"] == "DatasetBuildFailed"]
    assert sorted(one["attempt"] for one in told) == [1, 2]
    assert {one["code"] for one in told} == {"REPLAY_BASIS_GAP"}


def test_the_reconciliation_adds_up_every_run_of_the_platform_run(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    assert build(written, intent=asked(2, replay_basis=BEYOND)).code == "REPLAY_BASIS_GAP"
    assert build(written).published["outcome"] == "COMMITTED"
    assert build(written, intent=asked(3)).published["outcome"] == "ALREADY_PUBLISHED"
    document, parts = total(written), documents(written, "reconciliation", "ofs.reconciliation.v1")
    assert outcomes(written) == ["ALREADY_PUBLISHED", "COMMITTED", "REPLAY_BASIS_GAP"]
    assert [one["run_key"] for one in document["runs"]] == sorted(parts)
    assert {one["run_key"]: [one] for one in document["runs"]} == {key: part["runs"] for key, part in parts.items()}
    for name in ("attempted", "resolved", "denied"):
        assert document["protected_refs"][name] == sum(part["protected_refs"][name] for part in parts.values())
    assert document["counters"]["build_requested"] == 3
    assert (document["counters"]["datasets_built"], document["counters"]["events_replayed"]) == (1, 4)
    assert document["health"] == "AMBER"


@pytest.mark.parametrize(
    ("world_", "code"),
    [
        (refusals.needs((refusals.receipt("FAIL"),)), "NO_PASS_NO_READ"),
        (refusals.needs((refusals.receipt("PASS"),)), "REF_ACCESS_DENIED"),
        (refusals.holding(b"sealed!", refusals.needs((refusals.receipt("PASS"),))), "CONTEXT_DIGEST_MISMATCH"),
        (WORLD, "LABEL_STORE_UNAVAILABLE"),
    ],
)
def test_a_protected_ref_that_was_denied_is_counted(world_: World, code: str, tmp_path: Path) -> None:
    written = write_world(world_, tmp_path)
    if code == "LABEL_STORE_UNAVAILABLE":
        written.label_extract.unlink()
    assert build(written).code == code
    refs = total(written)["protected_refs"]
    assert (refs["denied"], refs["attempted"]) == (1, refs["resolved"] + 1)


def test_a_driver_that_died_after_the_commit_leaves_nothing_untold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt finds the run's own commit: the publication receipt says COMMITTED, the v0 view stands."""
    written = write_world(TRAINING, tmp_path)
    whole, put = Path.read_bytes, LocalObjects.put_if_absent

    def put_and_die(self: LocalObjects, ref: str, body: bytes) -> Any:
        done = put(self, ref, body)
        if "/manifests/" in ref and not ref.endswith(".v0.json"):
            raise SystemExit("killed right after the put")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(LocalObjects, "put_if_absent", put_and_die)
        patch.setattr(RunControl, "end", killed)
        with pytest.raises(SystemExit):
            build(written)
    assert whole(manifest_of(written))
    with sqlite3.connect(tmp_path / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE ofs_run SET lease_until = 0")
    key = build(written).published["run_key"]
    assert {k: one["outcome"] for k, one in publications(written).items()} == {key: "COMMITTED"}
    assert manifest_of(written).with_suffix(".v0.json").is_file()
    assert list(written.root.glob("*/ofs/index/by_plan/*.json"))
    assert [one["event_type"] for one in facts(written).values()] == ["DatasetPublished"]


@pytest.mark.parametrize("ref", [TOTAL, f"{RUN}/ofs/reconciliation/roll.bin"], ids=["document", "roll"])
@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"runs": []}', None])
def test_the_platform_runs_document_is_derived_and_can_be_made_again(
    damage: bytes | None, ref: str, tmp_path: Path
) -> None:
    written = write_world(WORLD, tmp_path)
    build(written)
    path = written.root / ref
    path.unlink() if damage is None else path.write_bytes(damage)
    build(written, intent=asked(2))
    assert outcomes(written) == ["ALREADY_PUBLISHED", "COMMITTED"]


def test_a_receipt_names_the_pins_and_what_each_attempt_left(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    empty = build(written, intent=asked(2, filters={"event_types": ["nothing"]}))
    assert empty.code == "REPLAY_EVENTS_EMPTY"
    (receipt,) = receipts(written).values()
    assert receipt["pins"]["recipe"] == "ofs.plan.v1"
    assert set(receipt["refs"]) == {"resolved_build_plan", "replay_completeness.attempt-1"}
    assert all((written.root / ref).is_file() for ref in receipt["refs"].values())


def killed(_control: RunControl, _held: Run, _state: State, *_rest: Any) -> Run:
    """A driver that is gone before it can tell the ledger how it ended."""
    raise SystemExit("killed")


def test_an_unanswered_commit_is_pending_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_world(WORLD, tmp_path)
    monkeypatch.setattr("ofs_spark.publish.commit.READ_BACK_PAUSES_S", (0.0,))
    outcome = build_on(written, Silent)
    assert outcome.code == "COMMIT_OUTCOME_UNKNOWN"
    (receipt,) = receipts(written).values()
    assert (receipt["outcome"], receipt["exit_status"]) == ("PUBLISH_PENDING", 60)
    assert total(written)["counters"]["build_publish_pending"] == 1
    assert total(written)["counters"]["build_failed"] == 0


@dataclass(frozen=True)
class Silent(LocalObjects):
    """A folder that gives no answer to the manifest put."""

    def put_if_absent(self, ref: str, body: bytes) -> Any:
        if "/manifests/" in ref:
            raise OSError("no answer")
        return super().put_if_absent(ref, body)


@dataclass(frozen=True)
class Broken(LocalObjects):
    """A folder that does not take the documents whose ref holds `part`, once the manifest stands."""

    part: str = ""
    error: type[Exception] = OSError

    def put_if_absent(self, ref: str, body: bytes) -> Any:
        self._fail(ref)
        return super().put_if_absent(ref, body)

    def replace(self, ref: str, body: bytes) -> None:
        self._fail(ref)
        super().replace(ref, body)

    def _fail(self, ref: str) -> None:
        if self.part in ref and list(Path(self.root).glob("*/ofs/manifests/*.json")):
            raise self.error("no answer")


SAID: list[str] = []


def build_on(written: Written, make: Callable[[str], LocalObjects], intent: bytes | None = None) -> Outcome:
    SAID.clear()
    with open_context(
        written.wiring, None, lambda room, doing: SAID.append(f"{room}: {doing}"), EmbeddedEngine
    ) as context:
        held = replace(context, objects=make(str(written.root.resolve())))
        try:
            answer = pipeline.build_dataset(intent or written.intent.read_bytes(), held)
        except Refusal as refusal:
            return Outcome(None, refusal, [], written.root)
    return Outcome(answer, None, [], written.root)


@pytest.mark.parametrize("error", [OSError, RuntimeError], ids=lambda error: error.__name__)
@pytest.mark.parametrize(
    "part",
    ["/governance/", "/publication/", "/by_plan/", "/ofs/reconciliation/", "/learning/", "/run_receipts/", ""],
    ids=lambda part: part or "everything",
)
def test_a_signal_that_cannot_be_written_undoes_nothing(part: str, error: type[Exception], tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    outcome = build_on(written, lambda root: Broken(root, part, error))
    assert outcome.published["outcome"] == "COMMITTED"
    assert any(line.startswith("signals: note: FAILED") for line in SAID)
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        assert [run.state for run in context.control.ledger.list_runs()] == [State.DONE]
    if part not in ("/run_receipts/", ""):
        (receipt,) = receipts(written).values()
        assert "FAILED" in json.dumps(receipt)


OVERTAKING: dict[str, Written] = {}
"""The world of each root: a store is a small value that is pickled."""


@dataclass(frozen=True)
class Overtaken(LocalObjects):
    """A driver that is overtaken, right before it writes the platform run's document, by one that ends run 2."""

    def replace(self, ref: str, body: bytes) -> None:
        if ref == TOTAL and not Path(self.root, "overtaken").exists():
            Path(self.root, "overtaken").touch()
            build(OVERTAKING[self.root], intent=asked(2))
        super().replace(ref, body)


@pytest.mark.parametrize("again", [False, True], ids=["at_once", "after_the_next_run"])
def test_drivers_that_race_lose_no_run(again: bool, tmp_path: Path) -> None:
    """Run 2 was refused; while run 1 writes what it read, another driver repairs run 2 and tells of it."""
    written = write_world(WORLD, tmp_path)
    extract = written.label_extract.read_bytes()
    written.label_extract.unlink()
    assert build(written, intent=asked(2)).code == "LABEL_STORE_UNAVAILABLE"
    written.label_extract.write_bytes(extract)
    OVERTAKING[str(written.root.resolve())] = written
    outcome = build_on(written, Overtaken)
    assert outcome.published["outcome"] == "COMMITTED"
    expected = ["ALREADY_PUBLISHED", "COMMITTED"]
    if again:
        build(written, intent=asked(3))
        expected = ["ALREADY_PUBLISHED", *expected]
    assert outcomes(written) == expected
