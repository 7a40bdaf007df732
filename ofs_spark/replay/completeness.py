"""From the scans' summaries to the verdict: is every offset of the basis accounted for.

The driver holds one bounded summary per task and the index; nothing here reads a row. `accounts.py` closes the counts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.positions import DENSE_KINDS, Range
from ofs_spark.foundation.wording import write_count
from ofs_spark.replay.basis_slice import BasisSlice
from ofs_spark.replay.chains import ShardChains
from ofs_spark.replay.faults import SAMPLES, Document, ReplayFault, find_anomalies, locate_sample, sort_faults
from ofs_spark.replay.index import Place, Segment, SegmentIndex, locate_range
from ofs_spark.replay.intervals import count_offsets, find_uncovered, select_intervals, to_intervals
from ofs_spark.replay.rows import NO_ARRIVAL
from ofs_spark.replay.segment_groups import Gaps, group_overlapping, plan_scan, unite_gaps
from ofs_spark.replay.unseen import UnseenField, merge_unmet, merge_unseen

COMPLETE, INCOMPLETE, UNCHECKABLE = "COMPLETE", "INCOMPLETE", "UNCHECKABLE"
_SCAN_COUNTS = ("delivered", "positions", "position_duplicates", "mismatches", "out_of_run_scope", "invalid", "valid")


@dataclass(frozen=True)
class RangeCoverage:
    """What is known of one range of the basis. `missing` counts offsets nobody accounts for, dense kinds only."""

    range: Range
    status: str
    positions: int
    segments: int
    missing: int
    missing_sample: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Completeness:
    """The verdict on a basis.

    `carry_in`: running arrival that each (partition ordinal, segment group) starts from, NO_ARRIVAL for none.
    `unseen`, `unmet`: declared fields that no in-scope event has, filters that none meets, of what could be read.
    """

    status: str
    ranges: tuple[RangeCoverage, ...]
    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    samples: Mapping[str, tuple[Document, ...]]
    carry_in: Mapping[tuple[int, int], int]
    slices: tuple[BasisSlice, ...]
    faults: tuple[ReplayFault, ...]
    unseen: tuple[UnseenField, ...] = ()
    unmet: tuple[int, ...] = ()


def stitch(index: SegmentIndex, basis: Sequence[Range], summaries: Iterable[Document], training: bool) -> Completeness:
    """The verdict; `summaries` has one document of `scan` per task of `plan_scan(index, basis)`, in any order."""
    ordered = sorted(summaries, key=_locate_task)
    if [_locate_task(s) for s in ordered] != sorted(
        (task.partition_ordinal, task.segment_group) for task in plan_scan(index, basis)
    ):
        raise InternalError("the scan's summaries are not one per task")
    broken = [ReplayFault(f["code"], f["message"], f["details"]) for s in ordered for f in s["faults"]]
    proven = [s for s in ordered if not s["faults"]]
    partitions, scanned = _describe_partitions(index, basis, ordered), _collect_scanned(ordered)
    ranges = tuple(
        _judge_range(partitions[locate_range(one)], one, scanned[number]) for number, one in enumerate(sorted(basis))
    )
    counts = {name: sum(s["counts"][name] for s in proven) for name in _SCAN_COUNTS}
    reasons = sum((Counter(s["reasons"]) for s in proven), Counter[str]())
    samples = {kind: _locate_samples(basis, proven, kind) for kind in ("mismatch", "invalid")}
    told = [one for one in ranges if one.problem]
    faults = [*broken, *(_make_range_fault(partitions[locate_range(one.range)], one) for one in told)]
    if training:
        faults += find_anomalies(counts, samples)
    status = next((s for s in (UNCHECKABLE, INCOMPLETE) if any(r.status == s for r in ranges)), COMPLETE)
    return Completeness(
        status,
        ranges,
        counts,
        dict(sorted(reasons.items())),
        samples,
        _carry_arrivals(ordered),
        _list_slices(ordered),
        sort_faults(faults),
        merge_unseen(proven),
        merge_unmet(proven),
    )


def find_index_faults(index: SegmentIndex, basis: Sequence[Range]) -> tuple[ReplayFault, ...]:
    """What the index alone shows to be wrong with a basis, before any segment is read: in the order of telling.

    REPLAY_BASIS_GAP for offsets of a dense range in no segment and no declared gap; REPLAY_UNCHECKABLE for one whose gap
    OFS alone attests, and for a sparse range that no segment ends. Which chain of segments proves a sparse range depends
    on the offsets that they hold, so that only the scan can tell.
    """
    partitions = _describe_partitions(index, basis, ())
    ranges = (_judge_indexed(partitions[locate_range(one)], one) for one in sorted(basis))
    faulty = (one for one in ranges if one.problem)
    return sort_faults(_make_range_fault(partitions[locate_range(one.range)], one) for one in faulty)


def _judge_indexed(partition: _Partition, offset_range: Range) -> RangeCoverage:
    """What the index alone shows of a range."""
    if offset_range.dense:
        return _judge_range(partition, offset_range, _Scanned())
    short = partition.chains.find_short_end(offset_range)
    known = (0, partition.count_reaching(offset_range))
    return RangeCoverage(offset_range, UNCHECKABLE if short else COMPLETE, *known, 0, (), short)


def _locate_task(summary: Document) -> tuple[int, int]:
    return (summary["partition_ordinal"], summary["segment_group"])


def _carry_arrivals(ordered: Sequence[Document]) -> dict[tuple[int, int], int]:
    carried: dict[tuple[int, int], int] = {}
    for _, own in groupby(ordered, key=lambda s: s["partition_ordinal"]):
        latest = NO_ARRIVAL
        for summary in own:
            carried[_locate_task(summary)] = latest
            latest = max(latest, NO_ARRIVAL if summary.get("max_arrival") is None else summary["max_arrival"])
    return carried


def _list_slices(ordered: Sequence[Document]) -> tuple[BasisSlice, ...]:
    found: dict[int, BasisSlice] = {}
    for summary in ordered:
        for entry in summary.get("ranges", ()):
            if entry["positions"]:
                ordinal, known = entry["ordinal"], found.get(entry["ordinal"])
                first = known.first_seq if known else entry["first_seq"]
                found[ordinal] = BasisSlice(ordinal, summary["partition_ordinal"], first, entry["last_seq"])
    return tuple(found[ordinal] for ordinal in sorted(found))


def _locate_samples(basis: Sequence[Range], summaries: Sequence[Document], kind: str) -> tuple[Document, ...]:
    named = [(s, one) for s in summaries for one in s["samples"][kind]][:SAMPLES]
    return tuple(locate_sample(basis, {**one, "partition_ordinal": s["partition_ordinal"]}) for s, one in named)


@dataclass(frozen=True)
class _Partition:
    """What the index states of one (topic, partition, offset_kind), ready to be asked about any stretch of it."""

    segments: Sequence[Segment]
    chains: ShardChains

    @cached_property
    def gaps(self) -> Gaps:
        """What it declares as gaps."""
        return unite_gaps(self.segments)

    @cached_property
    def spans(self) -> Array:
        """The stretches that its segments reach over: disjoint and ascending."""
        groups = group_overlapping(self.segments)
        return to_intervals((group[0].file.first, max(s.file.last for s in group)) for group in groups)

    @cached_property
    def _ends(self) -> tuple[list[int], list[int]]:
        return [s.file.first for s in self.segments], sorted(s.file.last for s in self.segments)

    def count_reaching(self, offset_range: Range) -> int:
        """How many segments share an offset with the range."""
        firsts, lasts = self._ends
        return bisect_right(firsts, offset_range.last) - bisect_left(lasts, offset_range.start)

    def describe(self) -> str:
        """From where to where it reaches, for people."""
        firsts, lasts = self._ends
        return f"{firsts[0]} to {lasts[-1]}" if firsts else "nothing"


@dataclass
class _Scanned:
    """What the scans found of one range: positions, holes as counted, and whether a segment of it could not be read."""

    positions: int = 0
    unread: bool = False
    missing: list[Document] = field(default_factory=list)
    unattested: list[Document] = field(default_factory=list)


def _collect_scanned(summaries: Sequence[Document]) -> defaultdict[int, _Scanned]:
    """By the range's ordinal."""
    found: defaultdict[int, _Scanned] = defaultdict(_Scanned)
    for summary in summaries:
        for entry in summary.get("ranges", ()):
            found[entry["ordinal"]].positions += entry["positions"]
        for ordinal in summary["reached"] if summary["faults"] else ():
            found[ordinal].unread = True
        for hole in summary.get("missing", ()):
            found[hole["ordinal"]].missing.append(hole)
        for hole in summary.get("unattested", ()):
            found[hole["ordinal"]].unattested.append(hole)
    return found


def _describe_partitions(
    index: SegmentIndex, basis: Sequence[Range], summaries: Sequence[Document]
) -> dict[Place, _Partition]:
    held = {path: list(map(int, texts)) for s in summaries for path, texts in s.get("held", {}).items()}
    places = {locate_range(one): index.list_segments(one) for one in basis}
    return {
        place: _Partition(own, ShardChains(own if place[2] not in DENSE_KINDS else (), held))
        for place, own in places.items()
    }


def _judge_range(partition: _Partition, offset_range: Range, scanned: _Scanned) -> RangeCoverage:
    """What the index and the scans prove of one range."""
    known = (scanned.positions, partition.count_reaching(offset_range))
    if not offset_range.dense:
        chains = partition.chains
        problem = "some of its segments are unproven" if scanned.unread else chains.find_problem(offset_range)
        return RangeCoverage(offset_range, UNCHECKABLE if problem else COMPLETE, *known, 0, (), problem)
    if scanned.unread:  # what its index entries say cannot be trusted, so neither can a hole that they leave
        return RangeCoverage(offset_range, UNCHECKABLE, *known, 0)
    missing, unattested = _find_holes(partition, offset_range, scanned)
    if missing[0]:
        problem = f"{_tell_offsets(missing[0])} neither archived nor declared as gaps"
        return RangeCoverage(offset_range, INCOMPLETE, *known, *missing, problem)
    if unattested[0]:
        problem = f"{_tell_offsets(unattested[0])} absent, and only an index made by OFS declares them as gaps"
        return RangeCoverage(offset_range, UNCHECKABLE, *known, *unattested, problem)
    return RangeCoverage(offset_range, COMPLETE, *known, 0)


def _tell_offsets(count: int) -> str:
    return write_count(count, "offset is", "offsets are")


_Holes = tuple[int, tuple[tuple[str, str], ...]]


def _find_holes(partition: _Partition, offset_range: Range, scanned: _Scanned) -> tuple[_Holes, _Holes]:
    """(missing, absent by an unattested declaration only): inside the segment groups as scanned, between them as indexed."""
    first, last = offset_range.start, offset_range.last
    spans, gaps = select_intervals(partition.spans, first, last), partition.gaps.select(first, last)
    everything, trusted = (to_intervals((g.start, g.end) for g in gaps if g.attested or also) for also in (True, False))
    between = find_uncovered(first, last, spans, everything)
    excused = find_uncovered(first, last, spans, trusted, between) if len(everything) > len(trusted) else trusted[:0]
    return _add_holes(scanned.missing, between), _add_holes(scanned.unattested, excused)


def _add_holes(inside: Sequence[Document], outside: Array) -> _Holes:
    named = [(int(a), int(b)) for hole in inside for a, b in hole["sample"]]
    named += [(int(a), int(b)) for a, b in outside[:SAMPLES]]
    sample = tuple((str(a), str(b)) for a, b in sorted(named)[:SAMPLES])
    return sum(hole["count"] for hole in inside) + count_offsets(outside), sample


def _make_range_fault(partition: _Partition, one: RangeCoverage) -> ReplayFault:
    asked, held = one.range, partition.describe()
    where = f"{asked.topic} partition {asked.partition} {asked.offset_kind} {asked.start} to {asked.last}"
    first = f", first {one.missing_sample[0][0]} to {one.missing_sample[0][1]}" if one.missing_sample else ""
    message = f"{where}: {one.problem}{first}; the archive's index covers {held}"
    code = "REPLAY_BASIS_GAP" if one.status == INCOMPLETE else "REPLAY_UNCHECKABLE"
    details = {"range": asked.to_document(), "archive": held, "missing": one.missing}
    return ReplayFault(code, message, {**details, "missing_sample": [list(pair) for pair in one.missing_sample]})
