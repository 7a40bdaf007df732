"""How far a Spark job is, by Spark's own status tracker: asked while the job runs, by a thread that ends with it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pyspark import SparkContext

from ofs_spark.foundation.ports import Tasks, TellTasks
from ofs_spark.foundation.stops import leave_stops

POLL_S = 0.5
"""Between two questions. Each costs the driver's JVM a few calls, and the tasks nothing."""
_GROUP = "spark.jobGroup.id"


@contextmanager
def follow_tasks(context: SparkContext, job: str, total: int, tell: TellTasks | None) -> Iterator[None]:
    """Tells how many of `total` tasks are done of what the block runs on Spark; that it has ended, at its end.

    A question that Spark does not answer ends the telling, never the block: nobody waits for the thread that asks.
    """
    if tell is None:
        yield
        return
    before, group = context.getLocalProperty(_GROUP), f"ofs-{uuid.uuid4().hex}"
    context.setLocalProperty(_GROUP, group)
    over, turn = threading.Event(), threading.Lock()

    def ask() -> None:
        """Asks until the block has ended."""
        leave_stops()
        with suppress(Exception):  # a JVM that has ended, or is about to: whoever waits for the job hears of it
            counter = _Counter(context, group)
            while not over.wait(POLL_S):
                done = counter.count()
                with turn:
                    if not over.is_set():
                        tell(Tasks(job, min(done, total), total))

    threading.Thread(target=ask, name=f"tasks of {job}", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        with turn:  # held for no longer than a word takes
            tell(None)
    context.setLocalProperty(_GROUP, before)  # type: ignore[arg-type]  # None takes it away


class _Counter:
    """Counts what is done of a group's jobs; of a job that has ended Spark is asked no more."""

    def __init__(self, context: SparkContext, group: str) -> None:
        self._tracker: Any = (
            context.statusTracker()._jtracker
        )  # one call per number; the Python one makes seven of each stage
        self._group = group
        self._settled: dict[int, dict[int, int]] = {}

    def count(self) -> int:
        """Completed tasks of all stages.

        Adaptive execution runs a stage in a job of its own; in later jobs it stands again, under another number, skipped.
        """
        done: dict[int, int] = {}
        for number in self._tracker.getJobIdsForGroup(self._group):
            done |= self._settled.get(number) or self._ask(number)
        return sum(done.values())

    def _ask(self, number: int) -> dict[int, int]:
        """Completed tasks of a job by stage."""
        job = self._tracker.getJobInfo(number)
        if job is None:  # Spark has not noted it yet
            return {}
        has_ended = job.status().toString() != "RUNNING"
        stages = {stage: self._tracker.getStageInfo(stage) for stage in job.stageIds()}
        done = {stage: found.numCompletedTasks() for stage, found in stages.items() if found is not None}
        if has_ended:
            self._settled[number] = done
        return done
