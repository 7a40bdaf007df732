"""The embedded engine: the same steps on processes of this machine, or in this process, without a JVM (docs/adr/0026).

It is an entry, and no second Spark: no network, no scheduler, and nothing is tried twice. What fails is told, and ends the
attempt. Without workers it runs a step's targets one after another in this process, pickled first as they would travel.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ofs_spark.foundation.columnar.dataflow import DRIVER, Body, Step
from ofs_spark.foundation.ports import Tasks, TellTasks
from ofs_spark.io.pool import Pool
from ofs_spark.io.pool_worker import Do, check_targets
from ofs_spark.io.scratch import Place

MOST_WORKERS = 16
"""Each holds a target's rows and loads the rooms' libraries: more of them is what Spark is there for."""
MEMORY = 1024**3
"""Bytes of chunks in memory, of all workers; beyond them they stand on disk. Chunks of a basis of three million offsets are
about as many (docs/adr/0026)."""
WORKER_MEMORY = 1024**3
"""Bytes that a worker comes to at most, with the rows of a target and all that is computed of them; of a hot key more."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container's limit stands, by version of control groups."""


def count_workers(most: int = MOST_WORKERS, limits: Iterable[str] = _LIMITS) -> int:
    """Workers that this process has processors for, and memory: the machine's, or its container's where that is less.

    limits: files that may state a container's.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in limits:
        with suppress(OSError, ValueError):  # none is stated: it is absent, or "max"
            memory = min(memory, int(Path(limit).read_text(encoding="ascii")))
    return max(1, min(most, len(os.sched_getaffinity(0)), memory // WORKER_MEMORY))


class EmbeddedEngine:
    """The engine without Spark. workers: 0 runs in this process. memory: as MEMORY.

    rooms: module that is loaded once, before the workers are forked, "" for none. tell: told how far a job is.

    The processes are started by `start` or the first run, and ended by `stop`. A run that is interrupted, or loses a
    worker, ends them all; the next one starts others.
    """

    def __init__(
        self, workers: int = 0, memory: int = MEMORY, *, rooms: str = "", tell: TellTasks | None = None
    ) -> None:
        self.workers, self._memory, self._rooms, self._tell = workers, memory, rooms, tell
        self._pool: Pool | None = None

    def start(self) -> None:
        """Starts the processes, and waits for none: they load what they need meanwhile."""
        if self.workers and self._pool is None:
            self._pool = Pool(self.workers, self._memory, self._rooms)

    def stop(self) -> None:
        """Ends the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def run(self, tasks: Sequence[bytes], steps: Sequence[Step]) -> list[dict[str, Any]]:
        """All notes, step after step. What a step raised is raised as its own refusal, in this process as it is.

        ENVIRONMENT_UNFIT where a worker is gone, RESOURCE_EXCEEDED where memory ran out.
        """
        if not tasks:
            return []
        if not self.workers:
            return _run_here(tasks, steps, self._tell)
        self.start()
        assert self._pool is not None  # noqa: S101  # just started
        try:
            return _run_on(self._pool, tasks, steps, self._tell)
        except BaseException:
            self.stop()
            raise

    def describe_versions(self) -> Mapping[str, str]:
        """Which engine it is: how many processes there were says nothing of a dataset."""
        return {"engine": "embedded"}


def _run_here(tasks: Sequence[bytes], steps: Sequence[Step], tell: TellTasks | None) -> list[dict[str, Any]]:
    notes: list[dict[str, Any]] = []
    inputs: dict[int, list[Body]] = {index: [task] for index, task in enumerate(tasks)}
    count = _Count(steps, len(tasks), tell)
    try:
        for step in steps:
            work = pickle.loads(pickle.dumps(step.work))
            outputs: dict[int, list[Body]] = {}
            for target in sorted(inputs):
                for chunk in check_targets(step.name, step.width, work(target, iter(inputs[target]))):
                    if chunk.target == DRIVER:
                        notes.append(json.loads(bytes(chunk.body)))
                    else:
                        outputs.setdefault(chunk.target, []).append(chunk.body)
                count.add()
            inputs = outputs
            count.end_step(step.width)
    finally:
        count.end()
    return notes


def _run_on(pool: Pool, tasks: Sequence[bytes], steps: Sequence[Step], tell: TellTasks | None) -> list[dict[str, Any]]:
    notes: list[dict[str, Any]] = []
    todo = [Do(index, task=task) for index, task in enumerate(tasks)]
    files: list[int] = []
    count = _Count(steps, len(tasks), tell)
    try:
        for step in steps:
            done, made = pool.run_step(step, pickle.dumps(step.work), todo, files, count.add)
            _close(files)
            files = made
            notes += [json.loads(note) for answer in done for note in answer.notes]
            todo = _address(one for answer in done for one in answer.sent)
            count.end_step(step.width)
    finally:
        _close(files)
        count.end()
    return notes


def _address(sent: Iterable[tuple[int, Place]]) -> list[Do]:
    """What the next step does: the target with the most bytes first, so that none is left alone with it at the end."""
    places: dict[int, list[Place]] = {}
    for target, place in sent:
        places.setdefault(target, []).append(place)
    sizes = {target: sum(place.bytes for place in own) for target, own in places.items()}
    return [Do(target, places[target]) for target in sorted(places, key=lambda one: (-sizes[one], one))]


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class _Count:
    """Counts targets that are done, as Spark counts its tasks: one that a step leaves without a chunk is done with the step
    before it."""

    def __init__(self, steps: Sequence[Step], tasks: int, tell: TellTasks | None) -> None:
        self._job, self._tell = " → ".join(step.name for step in steps), tell
        self._done, self._before, self._width = 0, 0, tasks
        self._total = tasks + sum(step.width for step in steps[:-1])

    def add(self) -> None:
        """One more."""
        self._done += 1
        if self._tell:
            self._tell(Tasks(self._job, self._done, self._total))

    def end_step(self, width: int) -> None:
        """All of a step are done; width: of its output."""
        self._before += self._width
        self._done, self._width = self._before, width

    def end(self) -> None:
        """The job has ended."""
        if self._tell:
            self._tell(None)
