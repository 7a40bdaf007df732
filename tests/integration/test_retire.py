"""`ofs retire`: said once, beside the dataset; whoever meets it is told, and nothing of it changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

import ofs_spark as ofs
from ofs_spark import pipeline
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.refs import name_retirement
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.io.watched import watch
from ofs_spark.workflow.context import RunContext
from tests.acceptance.test_closure import TRAINING
from tests.crash.drill import Drill, Place, Watcher, clear
from tests.worlds.command import Result, run_command
from tests.worlds.model import RUN
from tests.worlds.running import Outcome, build, verify
from tests.worlds.watched import snapshot
from tests.worlds.writer import Written, write_world

Answer = TypeVar("Answer")
REASON = "chargebacks of May were loaded twice"


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JVM."""
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return write_world(TRAINING, tmp_path)


@pytest.fixture
def published(written: Written) -> Outcome:
    return build(written)


def ask(written: Written, *arguments: str) -> Result:
    return run_command("--wiring", str(written.wiring), "--json", "--quiet", *arguments)


def last(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout.splitlines()[-1]))


def retire(written: Written, named: str, reason: str = REASON) -> dict[str, Any]:
    result = ask(written, "retire", named, "--reason", reason)
    assert result.exit_code == 0, result
    return last(result)


@pytest.mark.parametrize("name", ["dataset_manifest_id", "manifest_ref"])
def test_the_first_reason_stands(name: str, written: Written, published: Outcome) -> None:
    answer = retire(written, published.published[name])
    assert (answer["outcome"], answer["reason"]) == ("RETIRED", REASON)
    document = published.document(answer["retirement_ref"])
    assert find_faults(document, "ofs.retirement.v1") == []
    assert answer["retirement_ref"] == name_retirement(RUN, published.published["dataset_manifest_id"])
    assert (document["manifest"]["ref"], document["plan_id"]) == (
        published.published["manifest_ref"],
        published.published["plan_id"],
    )
    again = retire(written, published.published[name], "another reason")
    assert again == answer | {"outcome": "ALREADY_RETIRED"}
    assert published.document(answer["retirement_ref"]) == document


def test_nothing_of_the_dataset_changes(written: Written, published: Outcome) -> None:
    before = snapshot(written.root.parent, (f"{written.root}/{RUN}/ofs/retired/",))
    retire(written, published.published["manifest_ref"])
    after = snapshot(written.root.parent, (f"{written.root}/{RUN}/ofs/retired/",))
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    assert changed == set()
    assert verify(written, published) == []


def test_a_retired_dataset_is_loaded_only_by_who_says_so(written: Written, published: Outcome) -> None:
    retire(written, published.published["manifest_ref"])
    with pytest.raises(ofs.Refusal) as refused:
        ofs.load(published.published["manifest_ref"], written.wiring)
    assert (refused.value.code, refused.value.exit_status) == ("DATASET_RETIRED", 60)
    assert REASON in str(refused.value)
    assert refused.value.next == f"ofs --wiring {written.wiring} show {published.published['manifest_ref']}"
    assert "allow_retired" in refused.value.do["text"]
    dataset = ofs.load(published.published["manifest_ref"], written.wiring, allow_retired=True)
    assert len(dataset.arrow()) == published.published["rows"]


def test_the_same_plan_answers_with_a_warning(written: Written, published: Outcome) -> None:
    """The same request, another one for the same dataset, and that one again: each is warned once."""
    told = retire(written, published.published["manifest_ref"])
    warning = f"this dataset is retired at {told['retired_at_utc']}: {REASON}"
    before = published.published["warnings"]
    other = written.intent.with_name("other.json")
    other.write_text(json.dumps({**json.loads(written.intent.read_bytes()), "request_id": "another.request.1"}))
    for intent, outcome in ((written.intent, "COMMITTED"), (other, "ALREADY_PUBLISHED"), (other, "ALREADY_PUBLISHED")):
        answer = last(ask(written, "build", str(intent)))
        assert (answer["outcome"], answer["warnings"]) == (outcome, [*before, warning])
        assert find_faults(answer, "build_answer") == []
    assert ofs.build(other, written.wiring).warnings == (*before, warning)


def test_show_and_verify_tell_it(written: Written, published: Outcome) -> None:
    ref = published.published["manifest_ref"]
    told = retire(written, ref)
    shown = last(ask(written, "show", ref))
    assert (shown["retired"]["reason"], shown["retired"]["by"]) == (REASON, told["by"])
    page = run_command("--wiring", str(written.wiring), "show", ref)
    assert f"retired   since {told['retired_at_utc']}: chargebacks" in page.stdout
    checks = {one["name"]: one for one in last(ask(written, "verify", ref))["checks"]}
    assert checks["retirement"]["found"] == f"retired at {told['retired_at_utc']}: {REASON}"
    assert all(one["ok"] for one in checks.values())


@pytest.mark.parametrize(
    ("named", "reason", "code", "status"),
    [
        ("manifest", "two\nlines", "SCHEMA_INVALID", 10),
        ("manifest", " blanks ", "SCHEMA_INVALID", 10),
        ("manifest", "", "SCHEMA_INVALID", 10),
        ("manifest", "x" * 1_025, "SCHEMA_INVALID", 10),
        ("dm_nowhere", REASON, "RUN_NOT_FOUND", 60),
        (f"{RUN}/ofs/manifests/dm_nowhere.json", REASON, "REF_ACCESS_DENIED", 20),
        (f"{RUN}/archive/segment_index.json", REASON, "SCHEMA_INVALID", 10),
    ],
)
def test_what_cannot_be_retired_is_refused(
    named: str, reason: str, code: str, status: int, written: Written, published: Outcome
) -> None:
    target = published.published["manifest_ref"] if named == "manifest" else named
    result = ask(written, "retire", target, "--reason", reason)
    assert (last(result)["code"], result.exit_code) == (code, status)
    assert not list(written.root.glob(f"{RUN}/ofs/retired/*"))
    assert ask(written, "retire", target).exit_code == 2


@pytest.mark.parametrize("body", [b"{}", b"", b"[", "another's"], ids=str)
def test_what_stands_there_and_is_no_retirement_lets_nothing_be_loaded(
    body: bytes | str, written: Written, published: Outcome
) -> None:
    """Nobody knows then whether the dataset is retired: a reader is refused, a build is warned, its dataset stands."""
    place = written.root / name_retirement(RUN, published.published["dataset_manifest_id"])
    if isinstance(body, str):
        retire(written, published.published["manifest_ref"])
        place.write_text(json.dumps({**json.loads(place.read_bytes()), "dataset_manifest_id": "dm_" + "00" * 16}))
    else:
        place.parent.mkdir()
        place.write_bytes(body)
    with pytest.raises(ofs.Refusal, match="SCHEMA_INVALID"):
        ofs.load(published.published["manifest_ref"], written.wiring)
    *_, warning = last(ask(written, "build", str(written.intent)))["warnings"]
    assert warning.startswith("whether this dataset is retired could not be told: SCHEMA_INVALID")
    failed = [one["name"] for one in verify(written, published)]
    assert failed == ["retirement"]


def test_gc_leaves_a_retired_dataset_and_what_says_so() -> None:
    with Place() as drill:
        built = drill.drive(Watcher())
        assert isinstance(built, dict)
        told = drill.run(lambda context: pipeline.retire_dataset(built["manifest_ref"], REASON, context), Watcher())
        assert isinstance(told, dict), told
        cleared = clear(drill, Watcher())
        assert isinstance(cleared, dict), cleared
        assert (drill.written.root / told["retirement_ref"]).is_file()
        assert drill.find_violations(settled=True) == []


@pytest.fixture
def drill() -> Iterator[Drill]:
    with Place() as made:
        yield made


class NoAnswer(Watcher):
    """The put of a retirement gets no answer; `lands`: and is done nevertheless."""

    def __init__(self, lands: bool) -> None:
        super().__init__()
        self.lands = lands

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        if effect == "retirement.put":
            if self.lands:
                call()
            raise OSError("no answer")
        return super().__call__(effect, call)


def test_a_put_without_an_answer_is_read_back(drill: Drill) -> None:
    built = drill.drive(Watcher())
    assert isinstance(built, dict)

    def say(context: RunContext) -> dict[str, Any]:
        return pipeline.retire_dataset(built["manifest_ref"], REASON, context)

    lost = drill.run(say, NoAnswer(lands=False))
    assert isinstance(lost, OSError)
    landed = drill.run(say, NoAnswer(lands=True))
    assert isinstance(landed, dict)
    assert landed["outcome"] == "RETIRED"
    again = drill.run(say, NoAnswer(lands=True))
    assert isinstance(again, dict)
    assert again == landed | {"outcome": "ALREADY_RETIRED"}


def test_a_build_is_answered_where_the_look_at_its_retirement_is_not(written: Written, published: Outcome) -> None:
    stored = {path.relative_to(written.root).as_posix(): path.read_bytes() for path in written.root.rglob("*.json")}

    class Deaf(Watcher):
        def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
            if effect == "retirement.look":
                raise OSError("no answer")
            return super().__call__(effect, call)

    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        objects = replace(context, objects=MemoryObjects(stored))
        answer = pipeline.build_dataset(written.intent.read_bytes(), watch(objects, Deaf()))
    assert answer["manifest_ref"] == published.published["manifest_ref"]
    assert answer["warnings"][-1] == "whether this dataset is retired could not be told: no answer"
