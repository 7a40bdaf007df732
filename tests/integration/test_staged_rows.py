"""Staged rows are an asset: an attempt of the same plan starts there, and one that cannot scans."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation.errors import refuse
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.acceptance.test_closure import TRAINING
from tests.crash.drill import Answer, Drill, EndAt, Place, Watcher, expected_digest
from tests.invariants.check import find_violations
from tests.spec.tables.windows import world
from tests.worlds.model import RUN, World, digest, profile
from tests.worlds.running import build, rows_of
from tests.worlds.sabotage import flip_byte, truncate
from tests.worlds.writer import write_world

SCAN, LOAD = "engine.scan", "engine.load"


def leave_staged(drill: Drill) -> Path:
    """The folder of staged rows of a driver that ended between its two jobs."""
    ended = drill.drive(EndAt(LOAD))
    assert isinstance(ended, Exception), ended
    (record,) = (drill.written.root / RUN / "ofs" / "staging").glob("*/scan.json")
    return record.parent


def rebuild(drill: Drill, request_id: str = "") -> tuple[dict[str, Any], list[str]]:
    """The answer of the next driver, and its effects."""
    watcher = Watcher()
    answer = drill.drive(watcher, request_id)
    assert isinstance(answer, dict), answer
    assert answer["content_digest"] == expected_digest()
    return answer, watcher.seen


def read_receipt(drill: Drill, answer: dict[str, Any]) -> dict[str, Any]:
    path = drill.written.root / RUN / "ofs" / "replay_completeness" / f"{answer['run_key']}.json"
    document: dict[str, Any] = json.loads(path.read_bytes())
    return {name: value for name, value in document.items() if name != "run_key"}


@pytest.mark.parametrize("request_id", ["", "request.of.another"], ids=["same_request", "another_request"])
def test_the_next_attempt_of_a_plan_does_not_scan(request_id: str) -> None:
    with Place() as whole:
        answer, seen = rebuild(whole)
        assert SCAN in seen
        receipt = read_receipt(whole, answer)
    with Place() as drill:
        leave_staged(drill)
        answer, seen = rebuild(drill, request_id)
        assert (SCAN in seen, LOAD in seen) == (False, True)
        assert read_receipt(drill, answer) == receipt
        assert drill.find_violations(settled=False) == []


KEPT = {
    "anchor": [{"name": name, "path": f"payload.{name}", "type": "string"} for name in ("note", "noet")],
    "keep_keys": True,
}


def test_staged_rows_hold_what_rows_keep_of_their_event_and_what_no_event_has(tmp_path: Path) -> None:
    made = world('event|time|card|note\ne0|10:00|"A"|"x"\ne1|10:01|"B"|"y"')
    kept = replace(made, profile=profile(*made.profile["feature_groups"], **KEPT))
    written = write_world(kept, tmp_path / "world")
    with Place(lambda: written) as whole, Place(lambda: written) as drill:
        expected = whole.drive(Watcher())
        leave_staged(drill)
        watcher = Watcher()
        answer = drill.drive(watcher)
        assert isinstance(answer, dict), answer
        assert isinstance(expected, dict), expected
        assert SCAN not in watcher.seen
        told = ["anchor__noet: no in-scope event has payload.noet; the nearest name is payload.note"]
        assert answer["warnings"][-1:] == expected["warnings"][-1:] == told
        rows = {row["event_id"]: row for row in rows_of(drill.written.root / answer["table_ref"])}
        names = ("anchor__note", "anchor__noet", "key__g__card")
        assert [[rows[event][name] for name in names] for event in ("e0", "e1")] == [["x", None, "A"], ["y", None, "B"]]
        assert answer["content_digest"] == expected["content_digest"]
        assert drill.find_violations(settled=False) == []


def test_a_build_that_is_told_of_staged_rows_says_so() -> None:
    with Place() as drill:
        folder, told = leave_staged(drill), list[str]()
        with open_context(
            drill.written.wiring, None, lambda _room, doing: told.append(doing), EmbeddedEngine
        ) as context:
            pipeline.build_dataset(
                drill.ask(), replace(context, control=replace(context.control, is_gone=drill.is_gone))
            )
        assert [one for one in told if one.startswith("starts from staged rows of plan ") and folder.name in one]


def stage_file(folder: Path) -> Path:
    return sorted(folder.glob("*.arrow"))[0]


def edit(change: Callable[[dict[str, Any]], object], *, redigest: bool = False) -> Callable[[Path], None]:
    """Changes the record of a scan; `redigest`: its own digest fits again, as another writer's would."""

    def damage(folder: Path) -> None:
        record = folder / "scan.json"
        document = json.loads(record.read_bytes())
        change(document)
        if redigest:
            document["digest"] = digest({name: value for name, value in document.items() if name != "digest"})
        record.write_text(json.dumps(document))

    return damage


DAMAGES: dict[str, Callable[[Path], object]] = {
    "file flipped": lambda folder: flip_byte(stage_file(folder)),
    "file cut": lambda folder: truncate(stage_file(folder)),
    "file empty after a power cut": lambda folder: stage_file(folder).write_bytes(b""),
    "file of zeros after a power cut": lambda folder: stage_file(folder).write_bytes(
        bytes(stage_file(folder).stat().st_size)
    ),
    "file gone": lambda folder: stage_file(folder).unlink(),
    "record gone": lambda folder: (folder / "scan.json").unlink(),
    "record cut": lambda folder: truncate(folder / "scan.json"),
    "record empty": lambda folder: (folder / "scan.json").write_bytes(b""),
    "one digit of the record": edit(lambda d: d["counts"].update(delivered=31)),
    "record of another plan": edit(lambda d: d.update(plan_id="0" * 64), redigest=True),
    "record of other columns": edit(lambda d: d["columns"].pop(), redigest=True),
    "record of another basis": edit(lambda d: d["ranges"][0]["range"].update(start="1"), redigest=True),
    "record of another release": edit(lambda d: d.update(schema_version="ofs.scan_record.v0"), redigest=True),
    "record of another file": edit(lambda d: d["staged"][0].update(sha256="0" * 64), redigest=True),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_scanned_again_and_mended(name: str) -> None:
    with Place() as drill:
        folder = leave_staged(drill)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        DAMAGES[name](folder)
        answer, seen = rebuild(drill)
        assert SCAN in seen
        assert seen.count(LOAD) == (2 if "file" in name else 1)
        assert read_receipt(drill, answer)["status"] == "COMPLETE"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert drill.find_violations(settled=True) == []


def test_another_plan_starts_from_the_archive() -> None:
    with Place() as drill:
        folder = leave_staged(drill)
        document = json.loads(drill.written.intent.read_bytes())
        drill.written.intent.write_text(
            json.dumps({**document, "config_revision": "another", "request_id": "request.two"})
        )
        watcher = Watcher()
        answer = drill.drive(watcher)
        assert isinstance(answer, dict), answer
        assert SCAN in watcher.seen
        assert len(list(folder.parent.iterdir())) == 2


def test_a_scan_that_refused_leaves_no_record(tmp_path: Path) -> None:
    one = TRAINING.segments[0]
    hole: World = replace(TRAINING, segments=(replace(one, rows=one.rows[:2] + one.rows[3:]), *TRAINING.segments[1:]))
    written = write_world(hole, tmp_path)
    assert build(written).code is not None
    assert list((written.root / RUN / "ofs").glob("staging/*/scan.json")) == []
    assert find_violations(written.root, tmp_path / "ledger.sqlite") == []


def test_an_attempt_that_cannot_keep_its_rows_builds_all_the_same() -> None:
    class Full(Watcher):
        """No place for the record."""

        def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
            if effect == "scan_record.replace":
                raise refuse("ENVIRONMENT_UNFIT", "the disk is full")
            return super().__call__(effect, call)

    with Place() as drill:
        answer = drill.drive(Full())
        assert isinstance(answer, dict), answer
        assert answer["content_digest"] == expected_digest()
