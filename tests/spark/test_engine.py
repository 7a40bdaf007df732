"""The Spark engine and the embedded one, in this process, run the same steps to the same notes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark import TaskContext
from pyspark.sql import SparkSession

from ofs_spark.foundation.columnar.dataflow import DRIVER, Body, Chunk, Step
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Tasks
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.java import check_java
from ofs_spark.io.spark_engine import MOST_TASKS, SparkEngine
from tests.worlds.exchanges import exchange_in_rows
from tests.worlds.steps import STEPS, TASKS, Fail, Large, Total, order_notes


@pytest.fixture(params=["in files", "in rows"])
def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Chunks travel as on one machine, then as on a cluster."""
    if request.param == "in rows":
        exchange_in_rows(monkeypatch)
    return str(request.param)


def list_chunk_files(spark: SparkSession) -> list[Path]:
    """Files of chunks that stand now."""
    return [*Path(spark.sparkContext._temp_dir).glob("chunks-*/*")]


@pytest.mark.usefixtures("exchange")
def test_spark_equals_the_twin(spark: SparkSession) -> None:
    expected = order_notes(EmbeddedEngine().run(TASKS, STEPS))
    assert order_notes(SparkEngine(spark).run(TASKS, STEPS)) == expected
    assert json.dumps({"note": "total", "target": 0, "total": 801}, sort_keys=True) in expected


def test_the_engine_names_what_runs_and_the_twin_runs_on_nothing(spark: SparkSession) -> None:
    versions = SparkEngine(spark).describe_versions()
    assert versions["spark"] == spark.version
    assert {name: version.split(".")[0].isdigit() for name, version in versions.items()} == dict.fromkeys(
        ("spark", "scala", "java"), True
    )
    assert int(versions["java"].split(".")[0]) == check_java().major
    assert EmbeddedEngine().describe_versions() == {"engine": "embedded"}


@pytest.mark.usefixtures("exchange")
def test_large_chunks_arrive_whole(spark: SparkSession) -> None:
    steps = [Step("spread", Large(), 1), Step("total", Total(False), 0)]
    assert SparkEngine(spark).run([b"x", b"y"], steps) == [
        {"note": "total", "target": 0, "total": 2 * sum(range(1_000_000))}
    ]


@dataclass(frozen=True)
class Look:
    """Total, and what stands in a folder meanwhile."""

    folder: str

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        sizes = [file.stat().st_size for file in Path(self.folder).glob("chunks-*/*")]
        yield Chunk(DRIVER, json.dumps({"note": "stands", "bytes": sum(sizes)}).encode())
        yield from Total(False)(target, chunks)


def test_files_of_chunks_end_with_their_job(spark: SparkSession, exchange: str) -> None:
    steps = [Step("spread", Large(), 1), Step("look", Look(spark.sparkContext._temp_dir), 0)]
    (stood,) = [note["bytes"] for note in SparkEngine(spark).run([b"x"], steps) if note["note"] == "stands"]
    assert (stood > 8_000_000) == (exchange == "in files")
    assert list_chunk_files(spark) == []
    with pytest.raises(Refusal):
        SparkEngine(spark).run([b"1"], [Step("fail", Fail("refusal", 0), 1), Step("total", Total(False), 0)])
    assert list_chunk_files(spark) == []


@dataclass(frozen=True)
class Lose:
    """Total, once every chunk of the job is gone."""

    folder: str

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        for file in Path(self.folder).glob("chunks-*/*"):
            file.unlink()
        return Total(False)(target, chunks)


def test_chunks_that_are_lost_are_told(spark: SparkSession) -> None:
    steps = [Step("spread", Large(), 1), Step("lose", Lose(spark.sparkContext._temp_dir), 0)]
    with pytest.raises(Refusal, match="this machine or a store could not be used: No such file") as caught:
        SparkEngine(spark).run([b"x"], steps)
    assert caught.value.code == "ENVIRONMENT_UNFIT"


@dataclass(frozen=True)
class Late:
    """Total, once a file is there."""

    awaited: str

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        until = time.monotonic() + 240  # a busy machine is late to tell
        while not os.path.exists(self.awaited) and time.monotonic() < until:
            time.sleep(0.05)
        return Total(False)(target, chunks)


def test_spark_says_how_many_of_its_tasks_are_done(spark: SparkSession, tmp_path: Path) -> None:
    told: list[Tasks | None] = []
    heard = tmp_path / "heard"

    def tell(tasks: Tasks | None) -> None:
        """Lets the last step go on when it is all that is left."""
        told.append(tasks)
        if tasks is not None and tasks.done >= 3 + 5:
            heard.touch()

    spark.sparkContext.setLocalProperty("spark.jobGroup.id", "of somebody else")
    steps = [*STEPS[:-1], Step("all", Late(str(heard)), 0)]
    assert len(SparkEngine(spark, tell).run(TASKS, steps)) == 3 + 5 + 1  # notes; a task per target and step:
    counted = [one for one in told if one is not None]
    assert {(one.job, one.total) for one in counted} == {("spread → total → all", 3 + 5 + 3)}
    done = [one.done for one in counted]
    assert done == sorted(done)
    assert any(
        3 + 5 <= one < 3 + 5 + 3 for one in done
    )  # while the last step waits, whose other two targets have nothing to do
    assert told[-1] is None
    assert spark.sparkContext.getLocalProperty("spark.jobGroup.id") == "of somebody else"
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]  # takes it away


@dataclass(frozen=True)
class Tell:
    """Tells its number, its task, and which of Spark's tasks it is in."""

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        (task,), context = [bytes(chunk).decode() for chunk in chunks], TaskContext.get()
        assert context is not None
        yield Chunk(DRIVER, json.dumps([target, task, context.partitionId()]).encode())


def test_many_tasks_of_a_first_step_are_a_few_of_sparks(spark: SparkSession, exchange: str) -> None:
    """On one machine; a cluster does not know yet how many processors it has."""
    most = MOST_TASKS * spark.sparkContext.defaultParallelism if exchange == "in files" else 100
    tasks = [f"task {number}" for number in range(100)]
    notes: list[Any] = SparkEngine(spark).run([task.encode() for task in tasks], [Step("tell", Tell(), 0)])
    assert [(number, task) for number, task, _ in sorted(notes)] == list(enumerate(tasks))
    assert {place for *_, place in notes} == set(range(most))
    assert [place for *_, place in sorted(notes)] == sorted(place for *_, place in notes)


def test_no_tasks_no_notes(spark: SparkSession) -> None:
    assert SparkEngine(spark).run([], STEPS) == EmbeddedEngine().run([], STEPS) == []
