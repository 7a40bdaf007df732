"""From the index to the scan's tasks: partitions numbered, overlapping segments put together, gaps united.

One task reads one segment group, so that every position is seen whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from ofs_spark.foundation.positions import Range
from ofs_spark.replay.index import Segment, SegmentIndex, group_ranges, select_segments
from ofs_spark.replay.scan.spec import DeclaredGap, ScanRange, ScanTask


def list_partitions(basis: Iterable[Range]) -> tuple[tuple[str, int], ...]:
    """The (topic, partition) of each partition ordinal: topics by code point, partitions numerically."""
    return tuple(sorted({(offset_range.topic, offset_range.partition) for offset_range in basis}))


def plan_scan(index: SegmentIndex, basis: Sequence[Range]) -> tuple[ScanTask, ...]:
    """One task per segment group: segments of one partition whose offsets overlap. Later groups have greater ordinals.

    `basis`: disjoint ranges, as `resolve_basis` gives them; a task's range has its ordinal in their total order.
    """
    ordinals = {part: ordinal for ordinal, part in enumerate(list_partitions(basis))}
    by_place = group_ranges(basis)
    tasks: list[ScanTask] = []
    for place, segments in groupby(select_segments(index, basis), key=lambda s: s.place):
        numbered, everywhere = by_place[place], index.by_place[place]
        ends = [offset_range.last for _, offset_range in numbered]
        starts = [offset_range.start for _, offset_range in numbered]
        gaps, followed = unite_gaps(everywhere), _list_followed(everywhere)
        for ordinal, group in enumerate(group_overlapping(segments)):
            first, last = group[0].file.first, max(s.file.last for s in group)
            reached = numbered[bisect_left(ends, first) : bisect_right(starts, last)]
            ranges = tuple(ScanRange(number, x.start, x.last) for number, x in reached)
            asked = tuple(followed[bisect_right(followed, first) : bisect_left(followed, last)])
            files, here = tuple(s.file for s in group), gaps.select(first, last)
            where = (ordinals[place[:2]], ordinal, place[0], place[1], place[2])
            tasks.append(ScanTask(*where, files, ranges, here, asked))
    return tuple(tasks)


def _list_followed(segments: Iterable[Segment]) -> list[int]:
    """The sequence numbers that a sparse shard's segments say they follow, ascending: any may lie inside another one."""
    return sorted({s.previous_last for s in segments if not s.dense and s.previous_last is not None})


@dataclass(frozen=True)
class Gaps:
    """What the index of one partition declares as gaps, by witness: each disjoint and ascending."""

    attested: tuple[DeclaredGap, ...]
    unattested: tuple[DeclaredGap, ...]

    def select(self, first: int, last: int) -> tuple[DeclaredGap, ...]:
        """Those that share an offset with [first, last]."""
        kept: tuple[DeclaredGap, ...] = ()
        for own, (starts, ends) in zip((self.unattested, self.attested), self._bounds, strict=True):
            kept += own[bisect_left(ends, first) : bisect_right(starts, last)]
        return kept

    @cached_property
    def _bounds(self) -> tuple[tuple[list[int], list[int]], ...]:
        return tuple(([g.start for g in own], [g.end for g in own]) for own in (self.unattested, self.attested))


def unite_gaps(segments: Iterable[Segment]) -> Gaps:
    """What the segments of a partition declare as gaps, united where they meet."""
    found: list[DeclaredGap] = []
    stated = {gap for segment in segments for gap in segment.gaps}
    for gap in sorted(stated, key=lambda gap: (gap.attested, gap.start, gap.end)):
        last = found[-1] if found else None
        if last and last.attested == gap.attested and gap.start <= last.end + 1:
            found[-1] = replace(last, end=max(last.end, gap.end))
        else:
            found.append(gap)
    return Gaps(tuple(g for g in found if g.attested), tuple(g for g in found if not g.attested))


def group_overlapping(segments: Iterable[Segment]) -> list[list[Segment]]:
    """Segments, given in order, put together where they share an offset with one before: (groups in order)."""
    groups: list[list[Segment]] = []
    reach = -1
    for segment in segments:
        if groups and groups[-1][0].place == segment.place and segment.file.first <= reach:
            groups[-1].append(segment)
            reach = max(reach, segment.file.last)
        else:
            groups.append([segment])
            reach = segment.file.last
    return groups
