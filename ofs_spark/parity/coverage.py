"""What the replay proves of one anchor's own basis, and of a whole basis that was cut into cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ofs_spark.parity.cells import Cells, Reach
from ofs_spark.parity.plan import unite_cells
from ofs_spark.replay.completeness import COMPLETE, INCOMPLETE, UNCHECKABLE, Completeness, RangeCoverage
from ofs_spark.replay.index import SegmentIndex, select_segments
from ofs_spark.replay.segment_groups import list_partitions

_WORST = (COMPLETE, INCOMPLETE, UNCHECKABLE)
UNABLE = frozenset({"REF_ACCESS_DENIED", "REF_SCOPE_INVALID", "ENVIRONMENT_UNFIT", "RESOURCE_EXCEEDED"})
"""Codes of what a process may not or cannot: nothing of it is the archive's, and no verdict comes of it."""


@dataclass(frozen=True)
class Coverage:
    """Of cells, by their ordinals: the worst status from the partition's first cell up to it, and its problem in words."""

    status: tuple[str, ...]
    problem: tuple[str, ...]

    def find(self, reach: Reach) -> tuple[str, str]:
        """(status, problem) of an anchor's basis: the worst of its partitions."""
        found = [(self.status[cell], self.problem[cell]) for cell in reach.values()]
        return max(found, key=lambda one: _WORST.index(one[0]), default=(COMPLETE, ""))


def require_able(completeness: Completeness) -> None:
    """Refuses as the scan did where this process could not read the archive: another attempt may, and finds it whole."""
    for fault in completeness.faults:
        if fault.code in UNABLE:
            raise fault.make_refusal()


def cover_cells(cells: Cells, completeness: Completeness) -> Coverage:
    """The coverage of every cell with all that come before it in its partition."""
    told = "; ".join(fault.message for fault in completeness.faults if fault.code.startswith("ARCHIVE_"))
    ordinals = {place: ordinal for ordinal, place in enumerate(list_partitions(cells.ranges))}
    worst: dict[int, tuple[str, str]] = {}
    found = []
    for one in completeness.ranges:
        partition = ordinals[one.range.topic, one.range.partition]
        before = worst.get(partition, (COMPLETE, ""))
        own = (one.status, one.problem or (told if one.status == UNCHECKABLE else ""))
        worst[partition] = max(before, own, key=lambda pair: _WORST.index(pair[0]))
        found.append(worst[partition])
    return Coverage(tuple(status for status, _ in found), tuple(problem for _, problem in found))


def unite_coverage(completeness: Completeness, index: SegmentIndex) -> Completeness:
    """The verdict with adjacent complete cells of one partition as one range: what a receipt lists."""
    united: list[RangeCoverage] = []
    for one in completeness.ranges:
        last = united[-1] if united else None
        both = [] if last is None else unite_cells([last.range, one.range])
        if last is not None and len(both) == 1 and {last.status, one.status} == {COMPLETE}:
            united[-1] = replace(last, range=both[0], positions=last.positions + one.positions)
        else:
            united.append(one)
    return replace(completeness, ranges=tuple(_count_segments(index, united)))


def _count_segments(index: SegmentIndex, ranges: Sequence[RangeCoverage]) -> list[RangeCoverage]:
    return [replace(one, segments=len(select_segments(index, [one.range]))) for one in ranges]
