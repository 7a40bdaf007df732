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
from ofs_spark.io.spark_exchange import Exchange, open_exchange
from ofs_spark.io.spark_tasks import follow_tasks

_SCHEMA = pa.schema([("target", pa.int32()), ("for_driver", pa.bool_()), ("body", pa.binary())])
_SPARK_SCHEMA = "target int, for_driver boolean, body binary"


MOST_TASKS = 16
"""Of a first step on one machine, for each processor: one of Spark's costs a hundredth of a second, however little it does.
More of them are put together; fewer would leave processors idle at the end of the step."""


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
        name, context = " → ".join(step.name for step in steps), self.session.sparkContext
        context.setJobDescription(name)
        with open_exchange(context) as exchange:
            # A cluster's processors are those of the executors that are there by now, which may be none yet.
            most = len(tasks) if exchange.sends_bodies else MOST_TASKS * context.defaultParallelism
            first = min(len(tasks), most)
            with follow_tasks(context, name, first + sum(step.width for step in steps[:-1]), self.tell):
                return [json.loads(row.body) for row in self._plan(tasks, first, steps, exchange).collect()]

    def _plan(self, tasks: Sequence[bytes], first: int, steps: Sequence[Step], exchange: Exchange) -> DataFrame:
        """The frame of all notes. first: tasks of Spark's over which those of the first step are spread."""
        frame: DataFrame = self.session.range(0, len(tasks), 1, first)
        for number, step in enumerate(steps):
            adapter = _Adapter(step.work, exchange) if number else _Starter(step.work, tuple(tasks), exchange)
            frame = frame.mapInArrow(adapter, _SPARK_SCHEMA)
            if step.width:
                frame = frame.repartitionById(step.width, "target")
        return frame

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
    exchange: Exchange

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep_freed_memory()
        for batch in batches:
            for number in batch.column("id").to_pylist():
                with send_errors():
                    yield from _make_batches(self.work(number, iter([self.tasks[number]])), self.exchange)
        _settle_worker()


@dataclass(frozen=True)
class _Adapter:
    """A later step's work as a function over the Arrow batches of one partition."""

    work: Work
    exchange: Exchange

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        keep_freed_memory()
        inbox = _Inbox(batches, self.exchange)
        with send_errors():
            yield from _make_batches(self._answer(inbox), self.exchange)
        _settle_worker()

    def _answer(self, inbox: _Inbox) -> Iterator[Chunk]:
        """What the work sends, then the notes that came with its chunks."""
        target = inbox.find_target()
        if target is not None:
            yield from self.work(target, inbox.read_chunks())
        yield from (Chunk(DRIVER, body) for body in inbox.drain_notes())


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

    def __init__(self, batches: Iterable[pa.RecordBatch], exchange: Exchange) -> None:
        self._exchange = exchange
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
            yield self._exchange.unpack(self._first[1])
        for _, packed in self._split_notes():
            yield self._exchange.unpack(packed)

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


def _make_batches(chunks: Iterable[Chunk], exchange: Exchange) -> Iterator[pa.RecordBatch]:
    """A row for each chunk: one a batch where rows have bodies, which may be large, all in one where they have places."""
    held: list[tuple[int, bool, Body]] = []
    for chunk in chunks:
        if chunk.target == DRIVER:
            held.append((0, True, chunk.body))
        else:
            held.append((chunk.target, False, exchange.pack(chunk.body)))
        if exchange.sends_bodies:
            yield _make_batch(held)
            held = []
    if held:
        yield _make_batch(held)


def _make_batch(rows: Sequence[tuple[int, bool, Body]]) -> pa.RecordBatch:
    targets, flags, bodies = zip(*rows, strict=True)
    if len(rows) == 1:  # the one body is not copied
        body = pa.py_buffer(bodies[0])
        packed = pa.Array.from_buffers(pa.binary(), 1, [None, pa.array([0, body.size], pa.int32()).buffers()[1], body])
    else:
        packed = pa.array([bytes(body) for body in bodies], pa.binary())
    return pa.RecordBatch.from_arrays([pa.array(targets, pa.int32()), pa.array(flags), packed], schema=_SCHEMA)
