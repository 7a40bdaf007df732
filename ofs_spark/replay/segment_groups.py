"""From the index to the scan's tasks: partitions numbered, overlapping segments put together, gaps united.

One task reads one segment group, so that every position is seen whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from ofs_spark.foundation.positions import Range
from ofs_spark.replay.index import Place, Segment, SegmentIndex, select_segments
from ofs_spark.replay.scan.spec import DeclaredGap, ScanRange, ScanTask


def list_partitions(basis: Iterable[Range]) -> tuple[tuple[str, int], ...]:
    """The (topic, partition) of each partition ordinal: topics by code point, partitions numerically."""
    return tuple(sorted({(offset_range.topic, offset_range.partition) for offset_range in basis}))


def plan_scan(index: SegmentIndex, basis: Sequence[Range]) -> tuple[ScanTask, ...]:
    """One task per segment group: segments of one partition whose offsets overlap. Later groups have greater ordinals."""
    ordinals = {part: ordinal for ordinal, part in enumerate(list_partitions(basis))}
    numbered = list(enumerate(sorted(basis)))
    tasks: list[ScanTask] = []
    for place, segments in groupby(select_segments(index, basis), key=lambda s: s.place):
        gaps = unite_gaps(index, place)
        ranges = [
            (number, offset_range)
            for number, offset_range in numbered
            if (offset_range.topic, offset_range.partition) == place[:2]
        ]
        for ordinal, group in enumerate(group_overlapping(segments)):
            first, last = group[0].file.first, max(s.file.last for s in group)
            reached = tuple(ScanRange(n, x.start, x.last) for n, x in ranges if any(s.is_reaching(x) for s in group))
            files = tuple(s.file for s in group)
            here = select_gaps(gaps, first, last)
            tasks.append(ScanTask(ordinals[place[:2]], ordinal, place[0], place[1], place[2], files, reached, here))
    return tuple(tasks)


def unite_gaps(index: SegmentIndex, place: Place) -> tuple[DeclaredGap, ...]:
    """What the segments of a partition declare as gaps, united: disjoint and ascending for each kind of witness."""
    found: list[DeclaredGap] = []
    stated = {gap for segment in index.by_place.get(place, ()) for gap in segment.gaps}
    for gap in sorted(stated, key=lambda gap: (gap.attested, gap.start, gap.end)):
        last = found[-1] if found else None
        if last and last.attested == gap.attested and gap.start <= last.end + 1:
            found[-1] = replace(last, end=max(last.end, gap.end))
        else:
            found.append(gap)
    return tuple(found)


def select_gaps(gaps: Sequence[DeclaredGap], first: int, last: int) -> tuple[DeclaredGap, ...]:
    """Those of `gaps`, as `unite_gaps` gives them, that share an offset with [first, last]."""
    kept: tuple[DeclaredGap, ...] = ()
    for attested in (False, True):
        own = [gap for gap in gaps if gap.attested == attested]
        begin = bisect_left(own, first, key=lambda gap: gap.end)
        kept += tuple(own[begin : bisect_right(own, last, key=lambda gap: gap.start)])
    return kept


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
