"""Runs steps on Spark: one `mapInArrow` per step, one exchange by target between two steps.

A task's number is all that the JVM knows of it: a range of them, each a partition, is there without a stage of its own.
`repartitionById` places target t in partition t, so the placement is the plan's, not the cluster's: no hash, no
coalescing by adaptive execution, no row ever leaves its chunk.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zipimport import zipimporter

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from ofs_spark.foundation.columnar.dataflow import DRIVER, Body, Chunk, Step, Work
from ofs_spark.foundation.columnar.memory import keep_freed_memory
from ofs_spark.foundation.ports import TellTasks
from ofs_spark.io.spark_errors import own_errors, send_errors
from ofs_spark.io.spark_tasks import follow_tasks

_SCHEMA = pa.schema([("target", pa.int32()), ("for_driver", pa.bool_()), ("body", pa.binary())])
_SPARK_SCHEMA = "target int, for_driver boolean, body binary"


@dataclass(frozen=True)
class SparkEngine:
    """The engine over a session. `tell` is told how far a job is while it runs."""

    session: SparkSession
    tell: TellTasks | None = None

    def run(self, tasks: Sequence[bytes], steps: Sequence[Step]) -> list[dict[str, Any]]:
        """All notes. One Spark job; what a step raised beyond Spark's own retries is raised here as its own refusal.

        ENVIRONMENT_UNFIT for a JVM or a worker that died, RESOURCE_EXCEEDED where memory ran out.
        """
        if not tasks:
            return []
        with own_errors():
            return self._run(tasks, steps)

    def _run(self, tasks: Sequence[bytes], steps: Sequence[Step]) -> list[dict[str, Any]]:
        name = " → ".join(step.name for step in steps)
        self.session.sparkContext.setJobDescription(name)
        frame: DataFrame = self.session.range(0, len(tasks), 1, len(tasks))  # one number a partition
        for number, step in enumerate(steps):
            adapter = _Adapter(step.work) if number else _Starter(step.work, tuple(tasks))
            frame = frame.mapInArrow(adapter, _SPARK_SCHEMA)
            if step.width:
                frame = frame.repartitionById(step.width, "target")
        total = len(tasks) + sum(step.width for step in steps[:-1])
        with follow_tasks(self.session.sparkContext, name, total, self.tell):
            return [json.loads(row.body) for row in frame.collect()]

    def describe_versions(self) -> Mapping[str, str]:
        """The running session's Spark, and the Scala and Java under it, as they state themselves."""
        jvm: Any = self.session.sparkContext._jvm  # the only way to what runs, not what is installed here
        return {
            "spark": self.session.version,
            "scala": str(jvm.scala.util.Properties.versionNumberString()),
            "java": str(jvm.java.lang.System.getProperty("java.version")),
        }


@dataclass(frozen=True)
class _Starter:
    """The first step's work as a function over the number of a task. It has all of them: PySpark broadcasts it beyond 1 MB."""

    work: Work
    tasks: tuple[bytes, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep_freed_memory()
        for batch in batches:
            for number in batch.column("id").to_pylist():
                with send_errors():
                    for chunk in self.work(number, iter([self.tasks[number]])):
                        yield _make_batch(chunk)
        _settle_worker()


@dataclass(frozen=True)
class _Adapter:
    """A later step's work as a function over the Arrow batches of one partition."""

    work: Work

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep_freed_memory()
        inbox = _Inbox(batches)
        target = inbox.find_target()
        if target is not None:
            with send_errors():
                for chunk in self.work(target, inbox.read_chunks()):
                    yield _make_batch(chunk)
        for body in inbox.drain_notes():
            yield _make_batch(Chunk(DRIVER, body))
        _settle_worker()


_SETTLED: set[int] = set()
"""Numbers of loaded modules at which this worker was settled."""


def _settle_worker() -> None:
    """Spares a reused worker what PySpark repeats at every task: two fifths of a small task's time when measured.

    PySpark collects garbage after each task, and looks at every object of every loaded library; those are set aside
    until more is loaded. Before each task it has every archive of the import path read anew; their importers are
    dropped from Python's cache of them, and made again from the directory in memory when something is imported.
    """
    if len(sys.modules) not in _SETTLED:
        gc.collect()
        gc.freeze()
        _SETTLED.add(len(sys.modules))
    for path in [path for path, finder in sys.path_importer_cache.items() if isinstance(finder, zipimporter)]:
        del sys.path_importer_cache[path]


class _Inbox:
    """Splits one partition's rows into chunks for the work and notes that only pass through."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._rows = (row for batch in batches for row in _read_rows(batch))
        self._notes: list[bytes] = []
        self._first: tuple[int, pa.Buffer] | None = None

    def find_target(self) -> int | None:
        """This partition's target, or None when only notes came."""
        self._first = next(self._split_notes(), None)
        return None if self._first is None else self._first[0]

    def read_chunks(self) -> Iterator[Body]:
        """The bodies of all chunks, as they arrive."""
        if self._first is not None:
            yield self._first[1]
        for _, body in self._split_notes():
            yield body

    def drain_notes(self) -> Iterator[bytes]:
        """The notes, after everything the work left unread."""
        for _ in self._split_notes():
            pass
        yield from self._notes

    def _split_notes(self) -> Iterator[tuple[int, pa.Buffer]]:
        for target, for_driver, body in self._rows:
            if for_driver:
                self._notes.append(body.to_pybytes())
            else:
                yield target, body


def _read_rows(batch: pa.RecordBatch) -> Iterator[tuple[int, bool, pa.Buffer]]:
    targets, flags, bodies = batch.columns
    for index in range(batch.num_rows):
        yield targets[index].as_py(), flags[index].as_py(), bodies[index].as_buffer()


def _make_batch(chunk: Chunk) -> pa.RecordBatch:
    for_driver = chunk.target == DRIVER
    body = pa.py_buffer(chunk.body)
    ends = pa.array([0, body.size], pa.int32()).buffers()[1]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([0 if for_driver else chunk.target], pa.int32()),
            pa.array([for_driver]),
            pa.Array.from_buffers(pa.binary(), 1, [None, ends, body]),
        ],
        schema=_SCHEMA,
    )
