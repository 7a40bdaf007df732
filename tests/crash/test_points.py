"""Failpoints: the list is closed, what is not a failpoint is refused, and nothing is watched where none is armed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.refs import name_evidence, name_parity_table, name_table_file
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.failpoints import EFFECTS, LATER, POINTS, REBUILDS, VARIABLE, Failpoints, read_failpoints
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.watched import ENDINGS, KINDS, name_kind, watch
from ofs_spark.signals.write import EVIDENCE
from ofs_spark.workflow.claims import BACKFILL_INTENT
from tests.crash.drill import Drill, Kill, Place, Watcher, clear
from tests.crash.rebuilds import COURSES, online
from tests.unit.test_refs import OWNED, RUN
from tests.worlds.sabotage import flip_byte


def test_the_effects_of_a_build_and_of_a_gc_are_the_list() -> None:
    with Place() as drill:
        first, again = Watcher(), Watcher()
        built = drill.drive(first)
        assert isinstance(built, dict)
        drill.drive(again)  # finds the evidence that a killed driver would find
        drill.drive(backfill := Watcher(), "request.backfill", supersedes=str(built["dataset_manifest_id"]))
        retiring, retired = Watcher(), Watcher()
        for watcher in (retiring, retired):
            drill.run(lambda context: pipeline.retire_dataset(str(built["manifest_ref"]), "a drill", context), watcher)
        clearing = Watcher()
        clear(drill, clearing)
    with Place() as drill:
        beating = Watcher()
        _beat(drill, beating)
    seen = {*first.seen, *beating.seen, *backfill.seen, *retiring.seen, *retired.seen, *clearing.seen, "plan.read"}
    assert seen - {"prepared.look", "prepared.read"} == set(EFFECTS)  # a gc looks at what others prepared
    assert {effect for effect in again.seen if effect not in EFFECTS} <= {
        f"{kind}.read" for kind in ("publication", "plan_index", "manifest_v0", "fact")
    }
    assert len(POINTS) == 2 * len({*EFFECTS, *LATER, *REBUILDS})
    assert len(POINTS) == 2 * (len(set(EFFECTS)) + len(LATER) + len(REBUILDS)) > 40


def test_the_effects_of_later_attempts_are_the_list() -> None:
    whole = Watcher()
    with Place() as drill:
        drill.drive(whole)
    later: set[str] = set()
    for effect in ("manifest.put", "engine.load"):
        with Place() as drill:
            drill.drive(Kill(whole.seen.index(effect)))
            for staged in drill.written.root.glob("*/ofs/staging/*/*.arrow") if effect == "engine.load" else ():
                flip_byte(staged)
            watcher = Watcher()
            drill.drive(watcher)
            later |= {*watcher.seen}
    assert later - {*EFFECTS, "fact.read"} == set(LATER)


def test_the_effects_of_rebuilds_and_of_their_later_attempts_are_the_list() -> None:
    seen: set[str] = set()
    for course in COURSES:
        whole = course.watch()
        commit = max(at for at, effect in enumerate(whole) if effect in ("parity_report.put", "forensic.put"))
        for at in (len(whole), commit, whole.index("photos.put"), whole.index("engine.find_repeats")):
            with Place(online) as drill:
                course.drive(drill, first := Kill(at))
                course.drive(drill, later := Watcher())
                seen |= {*first.seen, *later.seen}
    assert seen - {*EFFECTS, *LATER} == set(REBUILDS)


def _beat(drill: Drill, watcher: Watcher) -> None:
    """A build that takes longer than a third of its lease."""

    def start() -> EmbeddedEngine:
        until = time.monotonic() + 20
        while "ledger.beat" not in watcher.seen and time.monotonic() < until:
            time.sleep(0.05)
        return EmbeddedEngine()

    with open_context(drill.written.wiring, None, lambda _room, _doing: None, start) as context:
        short = replace(context.control, limits=replace(context.control.limits, lease_s=1))
        pipeline.build_dataset(drill.ask(), watch(replace(context, control=short), watcher))


def test_every_owned_ref_has_a_kind_of_its_own() -> None:
    evidence = [name_evidence(RUN, kind, "run_key") for kind in (*EVIDENCE, BACKFILL_INTENT)]
    results = name_table_file(name_parity_table(RUN, "run_key", "attempt-1"), "x.parquet")
    kinds = {ref: name_kind(ref) for ref in (*OWNED.values(), *evidence, results) if "/x/" not in ref}
    assert "input" not in kinds.values(), kinds
    assert {*KINDS.values(), *ENDINGS.values(), "reconciliation", "parity_table"} == set(kinds.values())


@pytest.mark.parametrize(
    "stated",
    [
        "manifest.put=kill",
        "manifest.put.after",
        "manifest.put.after=explode",
        "manifest.put.after#0=kill",
        "x",
        "=",
        ",",
    ],
)
def test_what_is_no_failpoint_is_refused(stated: str) -> None:
    with pytest.raises(Refusal, match="ENVIRONMENT_UNFIT"):
        read_failpoints({VARIABLE: stated}, "local")


def test_a_prod_wiring_takes_no_failpoint() -> None:
    with pytest.raises(Refusal, match="prod"):
        read_failpoints({VARIABLE: "manifest.put.after=kill"}, "prod")
    assert read_failpoints({VARIABLE: ""}, "prod") is None


def test_nothing_is_watched_where_none_is_armed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Place() as drill:
        for stated, watched in (("", False), ("plan.put.after=error", True)):
            monkeypatch.setenv(VARIABLE, stated)
            with open_context(drill.written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
                assert isinstance(context.objects, LocalObjects) is not watched


def test_an_armed_point_acts_in_its_turn() -> None:
    armed = read_failpoints({VARIABLE: "plan.put.after#2=error,plan.read.before=error"}, "local")
    assert isinstance(armed, Failpoints)
    done: list[Any] = []
    armed("plan.put", lambda: done.append(1))
    with pytest.raises(OSError, match=r"plan\.put\.after"):
        armed("plan.put", lambda: done.append(2))
    armed("plan.put", lambda: done.append(3))
    with pytest.raises(OSError, match=r"plan\.read\.before"):
        armed("plan.read", lambda: done.append(4))
    assert done == [1, 2, 3]
