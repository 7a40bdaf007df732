"""Once the manifest stands, nothing tells of a failure: whatever ends the attempt, whoever holds the run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.ends import PublishedDefectError, Stopped, describe_end
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import Put
from ofs_spark.foundation.stops import end_by_signal
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.identity import derive_run_key, hash_intent_payload
from ofs_spark.intent.run import Run, State
from ofs_spark.intent.validate import read_intent
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.workflow.context import RunContext
from tests.acceptance.test_closure import TRAINING
from tests.worlds.model import RUN
from tests.worlds.running import build, manifests
from tests.worlds.writer import Written, write_world

Change = Callable[[RunContext], RunContext]


@dataclass(frozen=True)
class AfterPut(LocalObjects):
    """A store that raises `end` once the manifest was put, and gives the next `silent` looks no answer."""

    end: BaseException | None = None
    silent: Mapping[str, int] | None = None

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        put = super().put_if_absent(ref, body)
        if "/manifests/" in ref and not ref.endswith(".v0.json") and self.end is not None:
            raise self.end
        return put

    def exists(self, ref: str) -> bool:
        if self.silent and self.silent["looks"] and manifests(Path(self.root)):
            raise OSError("no answer")
        return super().exists(ref)


def run(written: Written, change: Change, request_id: str = "") -> dict[str, Any]:
    document = json.loads(written.intent.read_bytes())
    body = json.dumps({**document, "request_id": request_id or document["request_id"]}).encode()
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        return pipeline.build_dataset(body, change(context))


def ended_by(end: BaseException, **more: Any) -> Change:
    def change(context: RunContext) -> RunContext:
        assert isinstance(context.objects, LocalObjects)
        return replace(context, objects=AfterPut(context.objects.root, end, **more))

    return change


def state(written: Written) -> tuple[Run, list[str]]:
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        (found,) = context.control.ledger.list_runs()
        return found, [event.reason for event in context.control.ledger.list_events(found.run_key)]


def facts(written: Written) -> list[str]:
    folder = written.root / RUN / "ofs" / "governance"
    return sorted(json.loads(path.read_bytes())["event_type"] for path in folder.glob("*.json"))


@pytest.mark.parametrize(
    "end",
    [MemoryError(), refuse("ENVIRONMENT_UNFIT", "the disk is full"), refuse("LEASE_LOST", "taken"), FileExistsError()],
    ids=["memory", "environment", "lease", "os_error"],
)
def test_an_error_after_the_put_is_a_warning_of_a_published_dataset(end: BaseException, tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    answer = run(written, ended_by(end))
    assert (answer["outcome"], (written.root / answer["manifest_ref"]).is_file()) == ("COMMITTED", True)
    assert find_faults(answer, "build_answer") == []
    assert state(written)[0].state is State.DONE
    assert facts(written) == ["DatasetPublished"]


def test_a_stop_after_the_put_stays_a_stop_and_names_the_dataset(tmp_path: Path) -> None:
    for number, end in enumerate((Stopped(143), Stopped(129), KeyboardInterrupt())):
        written = write_world(TRAINING, tmp_path / str(number))
        with pytest.raises(Stopped) as stopped:
            run(written, ended_by(end))
        answer = describe_end(stopped.value)
        assert find_faults(answer, "failure_answer") == []
        assert (written.root / answer["manifest_ref"]).is_file()
        assert answer["exit_status"] == getattr(end, "exit_status", 130)
        assert (state(written)[0].state, facts(written)) == (State.DONE, ["DatasetPublished"])


def test_a_defect_after_the_put_is_told_as_one_and_names_the_dataset(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    with pytest.raises(PublishedDefectError) as defect:
        run(written, ended_by(TypeError("a defect")))
    answer = describe_end(defect.value)
    assert answer["message"] == "TypeError: a defect"
    assert (written.root / answer["manifest_ref"]).is_file()
    assert (state(written)[0].state, facts(written)) == (State.DONE, ["DatasetPublished"])


def test_where_the_store_does_not_tell_nobody_says_published_or_failed(tmp_path: Path) -> None:
    for number, end in enumerate((MemoryError(), Stopped(143), TypeError("a defect"))):
        written, silent = write_world(TRAINING, tmp_path / str(number)), {"looks": 1}
        with pytest.raises((Refusal, Stopped, TypeError)):
            run(written, ended_by(end, silent=silent))
        found, reasons = state(written)
        assert (found.state, reasons[-1], facts(written)) == (State.PUBLISH_PENDING, "COMMIT_OUTCOME_UNKNOWN", [])
        assert build(written).published["outcome"] == "ALREADY_PUBLISHED"
        assert (state(written)[0].state, facts(written)) == (State.DONE, ["DatasetPublished"])


def test_a_ledger_that_cannot_be_told_hides_no_dataset(tmp_path: Path) -> None:
    for number, code in enumerate(("LEASE_LOST", "ENVIRONMENT_UNFIT")):
        written = write_world(TRAINING, tmp_path / str(number))

        class Untold(RunControl):
            """Ends nothing."""

            def end(self, *_arguments: Any, _code: str = code) -> Run:
                raise refuse(_code, "not now")

        def untold(context: RunContext, kind: type[RunControl] = Untold) -> RunContext:
            return replace(context, control=kind(**vars(context.control)))

        answer = run(written, untold)
        assert answer["outcome"] == "COMMITTED"
        assert [code in one for one in answer["warnings"]].count(True) == 1
        assert facts(written) == ["DatasetPublished"]
        again = run(
            written, lambda context: replace(context, control=replace(context.control, is_gone=lambda _o: True))
        )
        assert (again["outcome"], state(written)[0].state) == ("ALREADY_PUBLISHED", State.DONE)


def test_what_is_published_is_answered_whatever_the_bookkeeping_says(tmp_path: Path) -> None:
    """No attempt is left; or another driver holds the run and lives."""
    written = write_world(TRAINING, tmp_path)
    published = build(written).published

    def ask(request_id: str) -> bytes:
        return json.dumps({**json.loads(written.intent.read_bytes()), "request_id": request_id}).encode()

    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        used_up = replace(context.control, limits=replace(context.control.limits, attempts=0))
        answer = pipeline.build_dataset(ask("request.two"), replace(context, control=used_up))
        standing = context.control.find(answer["run_key"])
        assert (answer["outcome"], standing.state, standing.attempts) == ("ALREADY_PUBLISHED", State.DONE, 0)

        intent = read_intent(ask("request.three"), "build")
        live = replace(context.control, owner="somebody alive")
        live.claim(live.open(derive_run_key(intent.request_id), intent.request_id, hash_intent_payload(intent)))
        beside = pipeline.build_dataset(ask("request.three"), context)
        assert (beside["outcome"], beside["content_digest"]) == ("ALREADY_PUBLISHED", published["content_digest"])
        assert context.control.find(beside["run_key"]).state is State.RUNNING


def test_a_finished_run_mends_whatever_is_told_of_it(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    build(written)
    told = [path for path in (written.root / RUN).rglob("*.json") if is_derived(path.relative_to(written.root / RUN))]
    assert len(told) == 7
    before = {path: path.read_bytes() for path in told}
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"{}"), lambda path: path.write_bytes(b"")):
        for path in told:
            spoil(path)
            assert build(written).published["outcome"] == "COMMITTED"
            mended = json.loads(path.read_bytes())
            original = json.loads(before[path])
            assert {**mended, "signals": None} == {**original, "signals": None}, path


def is_derived(path: Path) -> bool:
    folders = ("publication", "index", "governance", "run_receipts", "reconciliation")
    return path.parts[1] in folders or path.name.endswith(".v0.json") or path.name == "ofs_reconciliation.json"


def test_an_interrupted_attempt_is_none_of_those_that_policy_allows(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)

    def stopped(context: RunContext) -> RunContext:
        def engine(_offsets: int, _rooms: str) -> Any:
            raise Stopped(143)

        return replace(context, engine=engine)

    for _ in range(7):
        with pytest.raises(Stopped):
            run(written, stopped)
    found, reasons = state(written)
    assert (found.attempts, found.token, reasons.count("CANCELLED")) == (7, 7, 7)
    assert build(written).published["outcome"] == "COMMITTED"
    assert facts(written) == ["DatasetBuildFailed"] * 7 + ["DatasetPublished"]


def test_a_failure_that_was_recorded_and_not_told_is_told_by_the_next_attempt(tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    with pytest.raises(TypeError):
        run(written, lambda context: replace(context, engine=None))  # type: ignore[arg-type]
    (fact,) = (written.root / RUN / "ofs" / "governance").glob("*.json")
    body = fact.read_bytes()
    fact.unlink()
    build(written)
    assert fact.read_bytes() == body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_the_end_is_recorded_waits(number: signal.Signals, tmp_path: Path) -> None:
    written = write_world(TRAINING, tmp_path)
    before = signal.signal(number, signal.default_int_handler)

    class Signalled(RunControl):
        """Is stopped twice while it records the end."""

        def end(self, *arguments: Any) -> Run:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGTERM)
            return super().end(*arguments)

    def signalled(context: RunContext) -> RunContext:
        return replace(context, control=Signalled(**vars(context.control)))

    try:
        with end_by_signal(), pytest.raises(Stopped) as stopped:
            run(written, signalled)
    finally:
        signal.signal(number, before)
    assert stopped.value.exit_status == 128 + number
    assert (written.root / stopped.value.manifest_ref).is_file()
    assert state(written)[0].state is State.DONE
    assert len(list((written.root / RUN / "ofs" / "run_receipts").iterdir())) == 1
