"""Some rows of a basis, read as a build reads them: segments chosen by the index' times, rows by their content.

What a row is in the build it is here: the same scan of the same tasks. Only its arrival may depend on segments that were
not chosen, for it is the greatest of its partition so far: where that can matter those are asked for theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.columnar.arrays import Array, read_values
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.positions import Range
from ofs_spark.replay import rows as r
from ofs_spark.replay.index import SegmentIndex, select_segments
from ofs_spark.replay.scan.segment import Wanted, scan_last_arrival, scan_task
from ofs_spark.replay.scan.spec import ScanSpec, ScanTask
from ofs_spark.replay.scan.typed import derive_typed_schema
from ofs_spark.replay.segment_groups import plan_scan

WORKERS = 2
"""Segment groups that are held at once."""
GROUP_BITS = 32
"""Of an order number: above them stands the segment group's ordinal."""
Keep = Callable[[pa.Table], Array]
"""Which typed rows are kept; shape (rows,)."""


@dataclass(frozen=True)
class Span:
    """Event times, µs: later than `after` (None: however early), not later than `until` (None: however late)."""

    after: int | None = None
    until: int | None = None

    def meets(self, first: int, last: int) -> bool:
        """Whether it shares an instant with [first, last]."""
        return (self.after is None or last > self.after) and (self.until is None or first <= self.until)


ALWAYS = Span()


@dataclass
class Archive:
    """The archive's side of a basis, and what was read of it so far.

    read: segments whose rows were looked at; asked: those that were only asked for their arrivals.
    """

    objects: Objects
    index: SegmentIndex
    basis: Sequence[Range]
    spec: ScanSpec
    read: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    _arrivals: dict[tuple[int, int], int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        segments = select_segments(self.index, self.basis)
        self.tasks = plan_scan(self.index, self.basis)
        self.segments = len(segments)
        stated = ((one.file.path, one.document) for one in segments)
        self._times = {
            path: (parse_instant(entry["min_ts_utc"]), parse_instant(entry["max_ts_utc"])) for path, entry in stated
        }

    def find_task(self, topic: str, partition: int, offset: int) -> ScanTask | None:
        """The task that reads a position of the basis; None where no segment reaches over it."""
        here = (task for task in self.tasks if (task.topic, task.partition) == (topic, partition))
        return next(
            (task for task in here if any(file.first <= offset <= file.last for file in task.segments)),
            None,
        )

    def select_tasks(self, spans: Iterable[Span]) -> list[ScanTask]:
        """The tasks of which some segment, as the index states its times, may hold an event of a span."""
        asked = tuple(spans)
        return [
            task
            for task in self.tasks
            if any(span.meets(*self._times[file.path]) for file in task.segments for span in asked)
        ]

    def find_rows(self, tasks: Iterable[ScanTask], keep: Keep, wanted: Wanted | None = None) -> pa.Table:
        """The typed rows of the tasks that are kept, positions ascending within a task; arrivals are those of their task.

        wanted: which stored rows may be kept, where their archived columns tell. Refuses with the first fault of the
        first task that has one, as a build does.
        """

        def scan(task: ScanTask) -> tuple[dict[str, Any], pa.Table]:
            """The summary, and the rows that are kept."""
            summary, rows = scan_task(task, self.objects, self.spec, wanted)
            return summary, rows.filter(pa.array(keep(rows))) if rows.num_rows else rows

        chosen = list(tasks)
        tables = [derive_typed_schema(self.spec).empty_table()]
        with ThreadPoolExecutor(WORKERS) as pool:
            for task, (summary, rows) in zip(chosen, pool.map(scan, chosen), strict=True):
                self._note(task, summary, self.read)
                tables.append(rows)
        return pa.concat_tables(tables).unify_dictionaries()

    def carry_arrivals(self, table: pa.Table) -> pa.Table:
        """The rows with the arrivals that a build gives them; of rows in one partition with some that order as those do.

        Within a partition the order of delivery is that of offsets, whatever came before: no segment is asked for it.
        """
        ordinal, seq = read_values(table, r.PARTITION_ORDINAL), read_values(table, r.SEQ)
        group, at = seq >> GROUP_BITS, table.schema.get_field_index(r.ARRIVAL)
        if len(np.unique(ordinal)) < 2:
            return table.set_column(at, r.ARRIVAL, pa.array(seq))
        last = {int(one): int(group[ordinal == one].max()) for one in np.unique(ordinal)}
        self._ask_arrivals(task for task in self.tasks if task.segment_group < last.get(task.partition_ordinal, 0))
        carried = np.array([self._carry(*place) for place in zip(ordinal.tolist(), group.tolist(), strict=True)])
        arrival = np.maximum(read_values(table, r.ARRIVAL), carried)
        return table.set_column(at, r.ARRIVAL, pa.array(arrival))

    def _carry(self, ordinal: int, group: int) -> int:
        """The greatest arrival of a partition before one of its segment groups."""
        before = (self._arrivals[ordinal, earlier] for earlier in range(group))
        return max((arrival for arrival in before if arrival is not None), default=r.NO_ARRIVAL)

    def _ask_arrivals(self, tasks: Iterable[ScanTask]) -> None:
        wanted = [task for task in tasks if (task.partition_ordinal, task.segment_group) not in self._arrivals]
        with ThreadPoolExecutor(WORKERS) as pool:
            summaries = pool.map(lambda task: scan_last_arrival(task, self.objects, self.spec), wanted)
            for task, summary in zip(wanted, summaries, strict=True):
                self._note(task, summary, self.asked)

    def _note(self, task: ScanTask, summary: dict[str, Any], how: set[str]) -> None:
        if summary["faults"]:
            fault = summary["faults"][0]
            raise refuse(fault["code"], fault["message"], **fault["details"])
        how.update(file.path for file in task.segments)
        self._arrivals[task.partition_ordinal, task.segment_group] = summary["max_arrival"]
