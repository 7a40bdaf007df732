"""Dense offsets that nobody accounts for: between the first and the last that a segment group has."""

from __future__ import annotations

from typing import Any

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.positions import DENSE_KINDS
from ofs_spark.replay.intervals import count_offsets, find_runs, find_uncovered, select_intervals, to_intervals
from ofs_spark.replay.scan.records import SAMPLES
from ofs_spark.replay.scan.spec import ScanTask

Document = dict[str, Any]


def find_absent(task: ScanTask, present: Array) -> Document:
    """Dense kinds: offsets of the basis within the segment group's span that are neither present nor declared gaps.

    `unattested` are those that only gaps declared by OFS itself, not by the archive's writer, would excuse.
    """
    if task.offset_kind not in DENSE_KINDS:
        return {"missing": [], "unattested": []}
    span_first, span_last = min(s.first for s in task.segments), max(s.last for s in task.segments)
    trusted, others = (
        to_intervals((g.start, g.end) for g in task.gaps if g.attested == attested) for attested in (True, False)
    )
    runs, missing, unattested = find_runs(present), [], []
    for offset_range in task.ranges:
        first, last = max(offset_range.start, span_first), min(offset_range.last, span_last)
        held = select_intervals(runs, first, last)
        holes = find_uncovered(first, last, held, *(select_intervals(gaps, first, last) for gaps in (trusted, others)))
        missing.append(_describe_holes(offset_range.ordinal, holes))
        excused = find_uncovered(first, last, held, select_intervals(trusted, first, last), holes)
        unattested.append(_describe_holes(offset_range.ordinal, excused))
    return {"missing": missing, "unattested": unattested}


def _describe_holes(ordinal: int, holes: Array) -> Document:
    sample = [[str(first), str(last)] for first, last in holes[:SAMPLES].tolist()]
    return {"ordinal": ordinal, "count": count_offsets(holes), "sample": sample}
