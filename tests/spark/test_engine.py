"""The Spark engine and its in-memory twin run the same steps to the same notes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step, encode_chunk, gather_chunks
from ofs_spark.foundation.columnar.notes import Note, encode_note
from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.ports import Tasks
from ofs_spark.io.local_engine import LocalEngine
from ofs_spark.io.session import check_java
from ofs_spark.io.spark_engine import SparkEngine


@dataclass(frozen=True)
class SpreadNote(Note):
    kind: ClassVar[str] = "spread"
    target: int
    count: int


@dataclass(frozen=True)
class TotalNote(Note):
    kind: ClassVar[str] = "total"
    target: int
    total: int


@dataclass(frozen=True)
class Spread:
    """Sends the numbers below the task's to their remainder's target, in chunks of one."""

    width: int

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        count = json.loads(bytes(next(chunks)))
        for number in range(count):
            yield Chunk(number % self.width, encode_chunk("number", pa.table({"number": [number], "from": [target]})))
        yield encode_note(SpreadNote(target, count))


@dataclass(frozen=True)
class Total:
    """Reports its target and what it was sent, and hands the sum on to target 0 when there is a next step."""

    onward: bool

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        total = sum(gather_chunks(chunks)["number"].column("number").to_pylist())
        yield encode_note(TotalNote(target, total))
        if self.onward:
            yield Chunk(0, encode_chunk("number", pa.table({"number": [total]})))


STEPS = [Step("spread", Spread(5), 5), Step("total", Total(True), 3), Step("all", Total(False), 0)]
TASKS = [b"7", b"0", b"40"]


def test_spark_equals_the_twin(spark: SparkSession) -> None:
    def ordered(notes: list[dict[str, object]]) -> list[str]:
        return sorted(json.dumps(n, sort_keys=True) for n in notes)

    expected = ordered(LocalEngine().run(TASKS, STEPS))
    assert ordered(SparkEngine(spark).run(TASKS, STEPS)) == expected
    assert json.dumps({"note": "total", "target": 0, "total": 801}, sort_keys=True) in expected


def test_the_engine_names_what_runs_and_the_twin_runs_on_nothing(spark: SparkSession) -> None:
    versions = SparkEngine(spark).describe_versions()
    assert versions["spark"] == spark.version
    assert {name: version.split(".")[0].isdigit() for name, version in versions.items()} == dict.fromkeys(
        ("spark", "scala", "java"), True
    )
    assert int(versions["java"].split(".")[0]) == check_java()
    assert LocalEngine().describe_versions() == {}


def test_large_chunks_arrive_whole(spark: SparkSession) -> None:
    steps = [Step("spread", Large(), 1), Step("total", Total(False), 0)]
    assert SparkEngine(spark).run([b"x", b"y"], steps) == [
        {"note": "total", "target": 0, "total": 2 * sum(range(1_000_000))}
    ]


class Late:
    """Total, after a while."""

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        time.sleep(1.5)
        return Total(False)(target, chunks)


def test_spark_says_how_many_of_its_tasks_are_done(spark: SparkSession) -> None:
    told: list[Tasks | None] = []
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", "of somebody else")
    steps = [*STEPS[:-1], Step("all", Late(), 0)]
    assert len(SparkEngine(spark, told.append).run(TASKS, steps)) == 3 + 5 + 1  # notes; a task per target and step:
    counted = [one for one in told if one is not None]
    assert {(one.job, one.total) for one in counted} == {("spread → total → all", 3 + 5 + 3)}
    done = [one.done for one in counted]
    assert done == sorted(done)
    assert 3 + 5 in done  # while the last step waits
    assert told[-1] is None
    assert spark.sparkContext.getLocalProperty("spark.jobGroup.id") == "of somebody else"
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]  # takes it away


class Large:
    """Eight megabytes in one chunk."""

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        list(chunks)
        yield Chunk(0, encode_chunk("number", pa.table({"number": range(1_000_000)})))


def test_no_tasks_no_notes(spark: SparkSession) -> None:
    assert SparkEngine(spark).run([], STEPS) == LocalEngine().run([], STEPS) == []


def test_the_twin_refuses_an_address_outside_the_width() -> None:
    with pytest.raises(InternalError, match="addressed target 3 of 3"):
        LocalEngine().run([b"7"], [Step("spread", Spread(5), 3)])
