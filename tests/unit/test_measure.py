"""Workers say how long their rooms took, and the driver splits a job's time by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation.clock import FixedClock
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step
from ofs_spark.foundation.columnar.measure import MeasuredWork, add_spent, measure
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.workflow import loading
from ofs_spark.workflow.attempt import Timings
from tests.spec.tables.windows import world
from tests.worlds.running import run
from tests.worlds.writer import write_world


def slow(_target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
    """Passes chunks on, some milliseconds each."""
    for body in chunks:
        time.sleep(0.02)
        yield Chunk(0, body)


def test_waiting_for_the_taker_is_not_counted() -> None:
    notes = []
    for chunk in measure("features", slow(0, iter([b"a", b"b"]))):
        notes.append(chunk)
        time.sleep(0.2)
    assert [chunk.body for chunk in notes[:-1]] == [b"a", b"b"]
    assert b'"spent"' in bytes(notes[-1].body)


def test_seconds_of_all_targets_are_added_by_room() -> None:
    steps = [Step("one", MeasuredWork("labels", slow), 1), Step("two", MeasuredWork("features", slow), 1)]
    spent = add_spent(EmbeddedEngine().run([b"a", b"b"], steps))
    assert set(spent) == {"labels", "features"}
    assert all(0.04 <= seconds < 0.2 for seconds in spent.values())


def test_a_jobs_time_is_split_by_what_workers_spent() -> None:
    timings = Timings(announce=lambda _room, _doing: None, clock=FixedClock())
    timings.add("publish", 1.0)
    timings.add("job", 10.0)
    timings.apportion("job", {"labels": 1.0, "features": 2.0, "publish": 1.0})
    assert timings.seconds == {"publish": 3.5, "labels": 2.5, "features": 5.0}


def test_a_builds_timings_mean_their_names(tmp_path: Path) -> None:
    """Loading, the engine's start, the labels and the writing have entries of their own."""
    answer = run(world("event|time|card\ne0|10:00|1"), tmp_path).published
    found = [*answer["timings"]]
    first = ["compile", "engine"] if "compile" in found else ["engine", "load"]  # the first build of a release
    assert found == ["pins", *first, "replay", "labels", "features", "publish"]
    assert find_faults(answer, "build_answer") == []


def test_compiling_and_the_engines_start_are_in_no_rooms_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = FixedClock(), list[tuple[str, str]]()

    def compile_for() -> bool:
        clock.advance(60)
        return True

    def start() -> Engine:
        clock.advance(5)
        return EmbeddedEngine()

    monkeypatch.setattr(loading, "has_compiled_code", lambda: False)
    monkeypatch.setattr(loading, "compile_loops", compile_for)
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path)
    with open_context(written.wiring, None, lambda *words: said.append(words), start) as context:
        answer = pipeline.build_dataset(written.intent.read_bytes(), replace(context, clock=clock))
    spent = answer["timings"]
    assert (spent.pop("compile"), spent.pop("engine")) == (60, 5)
    assert set(spent) == {"pins", "replay", "labels", "features", "publish"}
    assert set(spent.values()) == {0}
    assert ("compile", "compiling loops (first run of this release)") in said
