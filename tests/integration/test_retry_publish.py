"""What a run has staged is published without being built again; what is no longer what was staged is not."""

from __future__ import annotations

import errno
import hashlib
import json
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.ends import Stopped
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import Put
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import Run, State
from ofs_spark.io import engines
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.failpoints import VARIABLE
from ofs_spark.io.ledger.sqlite import SqliteLedger
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.watched import watch
from ofs_spark.publish import commit
from ofs_spark.workflow.context import RunContext
from tests.acceptance.test_closure import TRAINING
from tests.invariants.check import find_violations
from tests.worlds.command import run_command
from tests.worlds.model import RUN
from tests.worlds.running import build, manifests, policy_with
from tests.worlds.sabotage import flip_byte
from tests.worlds.writer import Written, write_world

PREPARED = "publish_pending"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "READ_BACK_PAUSES_S", (0.0,))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The content digest of the dataset, of a build that nothing disturbs."""
    return str(build(write_world(TRAINING, tmp_path_factory.mktemp("whole"))).published["content_digest"])


@dataclass(frozen=True)
class Silent(LocalObjects):
    """A folder that gives no answer to the manifest's put."""

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        if "/manifests/" in ref:
            raise OSError(errno.EIO, "no answer")
        return super().put_if_absent(ref, body)


@dataclass(frozen=True)
class Ending(LocalObjects):
    """A folder whose manifest's put ends with `error`, and nothing is put."""

    error: BaseException | None = None

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        if "/manifests/" in ref and self.error is not None:
            raise self.error
        return super().put_if_absent(ref, body)


@dataclass(frozen=True)
class Denying(LocalObjects):
    """A folder whose data files nobody may read."""

    def read(self, ref: str, most: int = 1 << 40) -> bytes:
        if "/datasets/" in ref and ref.endswith(".parquet"):
            raise refuse("REF_ACCESS_DENIED", "this process may not", ref=ref)
        return super().read(ref, most)


class Seen(list[str]):
    """The effects of a driver."""

    def __call__(self, effect: str, call: Callable[[], Any], /) -> Any:
        self.append(effect)
        return call()

    def __reduce__(self) -> Any:
        return (Seen, ())


def run(
    written: Written,
    call: Callable[[RunContext], dict[str, Any]],
    store: Callable[[str], LocalObjects] = LocalObjects,
    policy: Path | None = None,
    seen: Seen | None = None,
) -> dict[str, Any]:
    with open_context(written.wiring, policy, lambda _room, _doing: None, EmbeddedEngine) as context:
        assert isinstance(context.objects, LocalObjects)
        changed = replace(context, objects=store(context.objects.root))
        return call(changed if seen is None else watch(changed, seen))


def ask(written: Written, **more: Any) -> dict[str, Any]:
    return run(written, lambda context: pipeline.build_dataset(written.intent.read_bytes(), context), **more)


def retry(written: Written, run_key: str, **more: Any) -> dict[str, Any]:
    return run(written, lambda context: pipeline.retry_publish(run_key, context), **more)


def find_run(written: Written) -> tuple[Run, list[str]]:
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        (found,) = context.control.ledger.list_runs()
        return found, [event.reason for event in context.control.ledger.list_events(found.run_key)]


def leave_pending(folder: Path, store: Callable[[str], LocalObjects] = Silent) -> tuple[Written, str]:
    """A world whose build could not put its manifest, and the key of its run."""
    written = write_world(TRAINING, folder)
    with pytest.raises((Refusal, Stopped, TypeError)):
        ask(written, store=store)
    found, _ = find_run(written)
    assert found.state is State.PUBLISH_PENDING
    return written, found.run_key


def take_inputs(written: Written) -> None:
    """Archive, labels, run facts and profiles are gone: only what OFS wrote is left."""
    for path in (written.root / RUN).iterdir():
        if path.name not in ("ofs", "learning", "intents"):
            shutil.rmtree(path)
    for path in (written.index, written.label_extract, written.run_facts, written.profile, *written.segments):
        path.unlink(missing_ok=True)


def test_a_put_that_failed_is_retried_without_any_input(
    tmp_path: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_world(TRAINING, tmp_path)
    monkeypatch.setattr(engines.Engines, "find", lambda *_asked: EmbeddedEngine())
    where = ("--wiring", str(written.wiring), "--json", "--quiet")
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "manifest.put.before=error")
        ended = run_command(*where, "build", str(written.intent))
    told = json.loads(ended.stdout.splitlines()[-1])
    assert find_faults(told, "refusal_answer") == []
    found, reasons = find_run(written)
    assert (ended.exit_code, told["code"], found.state) == (60, "COMMIT_OUTCOME_UNKNOWN", State.PUBLISH_PENDING)
    assert shlex.split(told["next"])[-2:] == ["retry-publish", found.run_key]
    assert find_violations(written.root, tmp_path / "ledger.sqlite", settled=False) == []
    take_inputs(written)
    again = run_command("--json", "--quiet", *shlex.split(told["next"])[1:])
    answer = json.loads(again.stdout.splitlines()[-1])
    assert (again.exit_code, answer["outcome"], answer["content_digest"]) == (0, "COMMITTED", expected)
    assert find_faults(answer, "build_answer") == []
    found, reasons = find_run(written)
    assert (found.state, found.attempts, found.publish_retries) == (State.DONE, 1, 1)
    assert reasons == ["REQUESTED", "STARTED", "COMMIT_OUTCOME_UNKNOWN", "PUBLISH_ONLY", "COMMITTED"]
    assert find_violations(written.root, tmp_path / "ledger.sqlite") == []
    assert run_command(*where, "verify", answer["manifest_ref"]).exit_code == 0
    once_more = run_command(*where, "retry-publish", found.run_key)
    assert (once_more.exit_code, json.loads(once_more.stdout)["code"]) == (60, "RETRY_NOT_PENDING")


def test_a_build_of_a_pending_run_is_its_retry(tmp_path: Path, expected: str) -> None:
    written, _ = leave_pending(tmp_path)
    take_inputs(written)
    seen = Seen()
    answer = ask(written, seen=seen)
    assert (answer["outcome"], answer["content_digest"]) == ("COMMITTED", expected)
    assert not {"engine.scan", "engine.load", "plan.put", "input.tail", "staged_rows.read"} & {*seen}
    assert "input.read" not in seen[: seen.index("manifest.put")]  # afterwards: what has changed since
    assert "engine.verify" in seen


ENDS: dict[str, BaseException] = {
    "stopped": Stopped(143),
    "interrupted": KeyboardInterrupt(),
    "disk full": refuse("ENVIRONMENT_UNFIT", "the disk is full"),
    "denied": refuse("REF_ACCESS_DENIED", "this process may not"),
    "defect": TypeError("a defect"),
}


@pytest.mark.parametrize("name", ENDS)
def test_whatever_ends_an_attempt_after_staging_leaves_it_pending(name: str, tmp_path: Path, expected: str) -> None:
    written = write_world(TRAINING, tmp_path)
    with pytest.raises(BaseException):  # noqa: B017, PT011  # what it is, the ledger says
        ask(written, store=lambda root: Ending(root, ENDS[name]))
    found, reasons = find_run(written)
    assert found.state is State.PUBLISH_PENDING, reasons
    assert reasons[-1] in {
        "CANCELLED",
        "INTERRUPTED",
        "ENVIRONMENT_UNFIT",
        "REF_ACCESS_DENIED",
        "INTERNAL",
        "COMMIT_OUTCOME_UNKNOWN",
    }
    assert find_violations(written.root, tmp_path / "ledger.sqlite") == []
    assert retry(written, found.run_key)["content_digest"] == expected


def find_one(written: Written, pattern: str) -> Path:
    return sorted((written.root / RUN / "ofs").glob(pattern))[0]


def edit_prepared(change: Callable[[dict[str, Any]], object], *, told: bool = False) -> Callable[[Written], None]:
    """Changes the prepared manifest; `told`: and what the ledger says of it, as one who can write both would."""

    def damage(written: Written) -> None:
        path = find_one(written, f"{PREPARED}/*.json")
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        document = json.loads(path.read_bytes())
        change(document)
        path.write_text(json.dumps(document, sort_keys=True, separators=(",", ":")))
        if told:
            after = hashlib.sha256(path.read_bytes()).hexdigest()
            with closing(sqlite3.connect(written.root.parent / "ledger.sqlite")) as ledger, ledger:
                ledger.execute("DROP TRIGGER ofs_run_event_fixed")
                ledger.execute("UPDATE ofs_run_event SET detail = replace(detail, ?, ?)", (before, after))

    return damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


INVALID, CORRUPT = "PREPARED_MANIFEST_INVALID", "MATERIALIZATION_CORRUPT"
DAMAGES: dict[str, tuple[Callable[[Written], None], str, str | None]] = {
    "prepared gone": (lambda w: find_one(w, f"{PREPARED}/*.json").unlink(), "PREPARED_MANIFEST_INVALID", None),
    "prepared cut": (lambda w: cut(find_one(w, f"{PREPARED}/*.json")), INVALID, None),
    "prepared edited": (edit_prepared(lambda d: d["manifest"].update(status="NON_TRAINING")), INVALID, None),
    "of another run": (edit_prepared(lambda d: d.update(run_key="0" * 32), told=True), INVALID, None),
    "of another intent": (edit_prepared(lambda d: d["intent"].update(request_id="another.request"), told=True), INVALID, None),
    "intent is none": (edit_prepared(lambda d: d["intent"].clear(), told=True), INVALID, None),
    "manifest breaks its contract": (edit_prepared(lambda d: d["manifest"].pop("pins"), told=True), INVALID, None),
    "manifest of other pins": (
        edit_prepared(lambda d: d["manifest"]["pins"].update(label_rule="mine"), told=True), INVALID, None,
    ),
    "manifest of other rows": (
        edit_prepared(lambda d: d["manifest"]["materialization"].update(row_count=1), told=True), CORRUPT, None,
    ),
    "gate that failed": (
        edit_prepared(lambda d: d["manifest"]["gates"][0].update(passed=False), told=True), INVALID, None,
    ),
    "receipt gone": (lambda w: find_one(w, "replay_completeness/*.json").unlink(), INVALID, None),
    "receipt changed": (lambda w: flip_byte(find_one(w, "label_resolution/*.json")), INVALID, "EVIDENCE_IMMUTABILITY_VIOLATION"),
    "plan gone": (lambda w: find_one(w, "resolved_build_plan/*.json").unlink(), INVALID, None),
    "file list gone": (lambda w: find_one(w, "files/*.parquet").unlink(), CORRUPT, None),
    "file list changed": (lambda w: flip_byte(find_one(w, "files/*.parquet")), CORRUPT, None),
    "log gone": (lambda w: find_one(w, "datasets/*/*/_delta_log/*.json").unlink(), CORRUPT, None),
    "log changed": (lambda w: flip_byte(find_one(w, "datasets/*/*/_delta_log/*.json")), CORRUPT, None),
    "data gone": (lambda w: find_one(w, "datasets/*/*/*.parquet").unlink(), CORRUPT, None),
    "one byte of data": (lambda w: flip_byte(find_one(w, "datasets/*/*/*.parquet")), CORRUPT, None),
}  # fmt: skip
"""What is damaged → the code of the retry, and that of the build after it: None where that one builds the dataset."""


@pytest.mark.parametrize("by_build", [False, True], ids=["retry", "build"])
@pytest.mark.parametrize("name", DAMAGES)
def test_what_was_prepared_is_not_trusted(name: str, by_build: bool, tmp_path: Path, expected: str) -> None:
    damage, code, then = DAMAGES[name]
    written, run_key = leave_pending(tmp_path)
    damage(written)
    with pytest.raises(Refusal) as refused:
        ask(written) if by_build else retry(written, run_key)
    assert refused.value.code == code, refused.value
    assert manifests(written.root) == []
    assert find_run(written)[0].state is State.FAILED
    after = build(written)
    assert (after.code, after.answer and after.answer["content_digest"]) == (then, None if then else expected)


def test_a_store_that_denies_says_nothing_of_what_was_staged(tmp_path: Path, expected: str) -> None:
    written, run_key = leave_pending(tmp_path)
    with pytest.raises(Refusal) as refused:
        retry(written, run_key, store=Denying)
    assert refused.value.code == "REF_ACCESS_DENIED"
    assert refused.value.to_document()["next"] == f"ofs retry-publish {run_key}"
    assert find_run(written)[0].state is State.PUBLISH_PENDING
    assert retry(written, run_key)["content_digest"] == expected


def stop_early(context: RunContext) -> RunContext:
    """A context whose engine is stopped when it starts."""

    def stop(_offsets: int, _rooms: str) -> EmbeddedEngine:
        raise Stopped(143)

    return replace(context, engine=stop)


class StoppedAtTheFence(RunControl):
    """A driver that is stopped right before it puts the manifest."""

    def fence(self, held: Run) -> None:
        if list(find_prepared(self)):
            raise Stopped(143)
        super().fence(held)


def find_prepared(control: RunControl) -> Iterator[Path]:
    """Prepared manifests beside the ledger of a world."""
    assert isinstance(control.ledger, SqliteLedger)
    yield from Path(control.ledger.path).parent.glob(f"objects/*/ofs/{PREPARED}/*.json")


def test_a_stop_after_staging_is_pending_under_its_own_reason(tmp_path: Path, expected: str) -> None:
    written = write_world(TRAINING, tmp_path)

    def stopped(context: RunContext) -> dict[str, Any]:
        control = StoppedAtTheFence(**vars(context.control))
        return pipeline.build_dataset(written.intent.read_bytes(), replace(context, control=control))

    with pytest.raises(Stopped):
        run(written, stopped)
    found, reasons = find_run(written)
    assert (found.state, reasons[-1]) == (State.PUBLISH_PENDING, "CANCELLED")
    assert find_violations(written.root, tmp_path / "ledger.sqlite") == []
    assert retry(written, found.run_key)["content_digest"] == expected


def test_retries_are_bounded_and_interrupted_ones_are_none(tmp_path: Path) -> None:
    written, run_key = leave_pending(tmp_path)
    policy = policy_with(tmp_path / "policy", {"launcher": {"publish_retries": 2}})
    for _ in range(3):
        with pytest.raises(Stopped):
            run(written, lambda context: pipeline.retry_publish(run_key, stop_early(context)), policy=policy)
    for _ in range(2):
        with pytest.raises(Refusal, match="COMMIT_OUTCOME_UNKNOWN"):
            retry(written, run_key, store=Silent, policy=policy)
    with pytest.raises(Refusal, match="PUBLISH_RETRY_EXHAUSTED"):
        retry(written, run_key, policy=policy)
    with pytest.raises(Refusal, match="PUBLISH_RETRY_EXHAUSTED"):
        ask(written, policy=policy)
    found, _ = find_run(written)
    assert (found.state, found.attempts, found.publish_retries) == (State.PUBLISH_PENDING, 1, 5)


def test_retries_at_once_have_one_dataset(tmp_path: Path, expected: str) -> None:
    written, run_key = leave_pending(tmp_path)

    def retry_as(number: int) -> str:
        def call(context: RunContext) -> dict[str, Any]:
            own = replace(context.control, owner=f"driver:{number}", is_gone=lambda _owner: False)
            return pipeline.retry_publish(run_key, replace(context, control=own))

        try:
            answer = run(written, call)
        except Refusal as refusal:
            return refusal.code
        assert answer["content_digest"] == expected
        return str(answer["outcome"])

    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(retry_as, range(8)))
    assert {*ends} <= {"COMMITTED", "LEASE_LOST", "RETRY_NOT_PENDING", "ALREADY_PUBLISHED"}, ends
    assert "COMMITTED" in ends
    assert len([path for path in manifests(written.root) if not path.name.endswith(".v0.json")]) == 1
    assert find_violations(written.root, tmp_path / "ledger.sqlite") == []


def test_a_dataset_that_stands_by_then_is_answered(tmp_path: Path, expected: str) -> None:
    """The put landed though it was not answered, or another request published the same dataset."""
    written, run_key = leave_pending(tmp_path)
    other = json.dumps({**json.loads(written.intent.read_bytes()), "request_id": "request.of.another"}).encode()
    assert build(written, intent=other).published["content_digest"] == expected
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        answer = pipeline.retry_publish(run_key, context)
    assert (answer["outcome"], answer["run_key"]) == ("ALREADY_PUBLISHED", run_key)
    assert find_violations(written.root, tmp_path / "ledger.sqlite") == []
