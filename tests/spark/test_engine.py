"""The Spark engine and the embedded one, in this process, run the same steps to the same notes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step
from ofs_spark.foundation.ports import Tasks
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.session import check_java
from ofs_spark.io.spark_engine import SparkEngine
from tests.worlds.steps import STEPS, TASKS, Large, Total


def test_spark_equals_the_twin(spark: SparkSession) -> None:
    def ordered(notes: list[dict[str, object]]) -> list[str]:
        return sorted(json.dumps(n, sort_keys=True) for n in notes)

    expected = ordered(EmbeddedEngine().run(TASKS, STEPS))
    assert ordered(SparkEngine(spark).run(TASKS, STEPS)) == expected
    assert json.dumps({"note": "total", "target": 0, "total": 801}, sort_keys=True) in expected


def test_the_engine_names_what_runs_and_the_twin_runs_on_nothing(spark: SparkSession) -> None:
    versions = SparkEngine(spark).describe_versions()
    assert versions["spark"] == spark.version
    assert {name: version.split(".")[0].isdigit() for name, version in versions.items()} == dict.fromkeys(
        ("spark", "scala", "java"), True
    )
    assert int(versions["java"].split(".")[0]) == check_java()
    assert EmbeddedEngine().describe_versions() == {"engine": "embedded"}


def test_large_chunks_arrive_whole(spark: SparkSession) -> None:
    steps = [Step("spread", Large(), 1), Step("total", Total(False), 0)]
    assert SparkEngine(spark).run([b"x", b"y"], steps) == [
        {"note": "total", "target": 0, "total": 2 * sum(range(1_000_000))}
    ]


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
        if tasks is not None and tasks.done == 3 + 5:
            heard.touch()

    spark.sparkContext.setLocalProperty("spark.jobGroup.id", "of somebody else")
    steps = [*STEPS[:-1], Step("all", Late(str(heard)), 0)]
    assert len(SparkEngine(spark, tell).run(TASKS, steps)) == 3 + 5 + 1  # notes; a task per target and step:
    counted = [one for one in told if one is not None]
    assert {(one.job, one.total) for one in counted} == {("spread → total → all", 3 + 5 + 3)}
    done = [one.done for one in counted]
    assert done == sorted(done)
    assert 3 + 5 in done  # while the last step waits
    assert told[-1] is None
    assert spark.sparkContext.getLocalProperty("spark.jobGroup.id") == "of somebody else"
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]  # takes it away


def test_no_tasks_no_notes(spark: SparkSession) -> None:
    assert SparkEngine(spark).run([], STEPS) == EmbeddedEngine().run([], STEPS) == []
