"""From the scans' summaries to the verdict: is every offset of the basis accounted for.

The driver holds one bounded summary per task and the index; nothing here reads a row. `accounts.py` closes the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.positions import Range
from ofs_spark.replay.dedupe import BasisSlice
from ofs_spark.replay.faults import SAMPLES, Document, ReplayFault, find_anomalies, locate_sample, sort_faults
from ofs_spark.replay.index import Segment, SegmentIndex
from ofs_spark.replay.intervals import count_offsets, find_uncovered, to_intervals
from ofs_spark.replay.rows import NO_ARRIVAL
from ofs_spark.replay.segment_groups import list_partitions, plan_scan, unite_gaps

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
    """

    status: str
    ranges: tuple[RangeCoverage, ...]
    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    samples: Mapping[str, tuple[Document, ...]]
    carry_in: Mapping[tuple[int, int], int]
    slices: tuple[BasisSlice, ...]
    faults: tuple[ReplayFault, ...]


def stitch(index: SegmentIndex, basis: Sequence[Range], summaries: Iterable[Document], training: bool) -> Completeness:
    """The verdict; `summaries` has one document of `scan` per task of `plan_scan(index, basis)`, in any order."""
    ordered = sorted(summaries, key=_locate_task)
    if [_locate_task(s) for s in ordered] != sorted(
        (task.partition_ordinal, task.segment_group) for task in plan_scan(index, basis)
    ):
        raise InternalError("the scan's summaries are not one per task")
    broken = [ReplayFault(f["code"], f["message"], f["details"]) for s in ordered for f in s["faults"]]
    proven = [s for s in ordered if not s["faults"]]
    by_partition = {ordinal: tuple(own) for ordinal, own in groupby(ordered, key=lambda s: s["partition_ordinal"])}
    ordinals = {place: by_partition.get(ordinal, ()) for ordinal, place in enumerate(list_partitions(basis))}
    ranges = tuple(
        _judge_range(index, one, number, ordinals[(one.topic, one.partition)])
        for number, one in enumerate(sorted(basis))
    )
    counts = {name: sum(s["counts"][name] for s in proven) for name in _SCAN_COUNTS}
    reasons = sum((Counter(s["reasons"]) for s in proven), Counter[str]())
    samples = {kind: _locate_samples(basis, proven, kind) for kind in ("mismatch", "invalid")}
    faults = [*broken, *(_make_range_fault(index, one) for one in ranges if one.problem)]
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
    )


def find_index_faults(index: SegmentIndex, basis: Sequence[Range]) -> tuple[ReplayFault, ...]:
    """What the index alone shows to be wrong with a basis, before any segment is read: in the order of telling.

    REPLAY_BASIS_GAP for offsets of a dense range in no segment and no declared gap; REPLAY_UNCHECKABLE for one whose gap
    OFS alone attests, and for a sparse range that its chain of segments does not prove.
    """
    ranges = (_judge_range(index, one, number, ()) for number, one in enumerate(sorted(basis)))
    return sort_faults(_make_range_fault(index, one) for one in ranges if one.problem)


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


def _judge_range(index: SegmentIndex, offset_range: Range, ordinal: int, ordered: Sequence[Document]) -> RangeCoverage:
    """What the index and the summaries of its partition, in order, prove of one range."""
    own = index.list_segments(offset_range)
    reached = [segment for segment in own if segment.is_reaching(offset_range)]
    entries = [(s, e) for s in ordered for e in s.get("ranges", ()) if e["ordinal"] == ordinal]
    positions = sum(entry["positions"] for _, entry in entries)
    unread = any(summary["faults"] and ordinal in summary["reached"] for summary in ordered)
    if not offset_range.dense:
        problem = "some of its segments are unproven" if unread else find_chain_problem(own, offset_range)
        return RangeCoverage(
            offset_range, UNCHECKABLE if problem else COMPLETE, positions, len(reached), 0, (), problem
        )
    if unread:  # what its index entries say cannot be trusted, so neither can a hole that they leave
        return RangeCoverage(offset_range, UNCHECKABLE, positions, len(reached), 0)
    missing, unattested = _find_holes(index, offset_range, ordinal, reached, ordered)
    if missing[0]:
        problem = f"{missing[0]} offsets are neither archived nor declared as gaps"
        return RangeCoverage(offset_range, INCOMPLETE, positions, len(reached), *missing, problem)
    if unattested[0]:
        problem = f"{unattested[0]} offsets are absent, and only an index made by OFS declares them as gaps"
        return RangeCoverage(offset_range, UNCHECKABLE, positions, len(reached), *unattested, problem)
    return RangeCoverage(offset_range, COMPLETE, positions, len(reached), 0)


_Holes = tuple[int, tuple[tuple[str, str], ...]]


def _find_holes(
    index: SegmentIndex, offset_range: Range, ordinal: int, reached: Sequence[Segment], ordered: Sequence[Document]
) -> tuple[_Holes, _Holes]:
    """(missing, absent by an unattested declaration only): inside the segment groups as scanned, between them as indexed."""
    spans = to_intervals((s.file.first, s.file.last) for s in reached)
    gaps = unite_gaps(index, (offset_range.topic, offset_range.partition, offset_range.offset_kind))
    everything, trusted = (to_intervals((g.start, g.end) for g in gaps if g.attested or also) for also in (True, False))
    between = find_uncovered(offset_range.start, offset_range.last, spans, everything)
    excused = find_uncovered(offset_range.start, offset_range.last, spans, trusted, between)
    found = []
    for name, outside in (("missing", between), ("unattested", excused)):
        inside = [hole for s in ordered for hole in s.get(name, ()) if hole["ordinal"] == ordinal]
        scanned = [(int(a), int(b)) for hole in inside for a, b in hole["sample"]]
        named = scanned + [(int(a), int(b)) for a, b in outside[:SAMPLES]]
        sample = tuple((str(a), str(b)) for a, b in sorted(named)[:SAMPLES])
        found.append((sum(hole["count"] for hole in inside) + count_offsets(outside), sample))
    return found[0], found[1]


def find_chain_problem(own: Sequence[Segment], offset_range: Range) -> str:
    """Why linked segments do not prove a sparse range complete; "" if they do. `own`: its shard's segments in order."""
    chain = [segment for segment in own if segment.file.last >= offset_range.start]
    upto = next((i for i, segment in enumerate(chain) if segment.file.last >= offset_range.last), None)
    if upto is None:
        end = max((segment.file.last for segment in own), default=None)
        return f"its end lies beyond the archive's last one, {end}" if own else "the index names no segment of it"
    first, links = chain[0], chain[: upto + 1]
    if not (first.shard_start or (first.previous_last is not None and first.previous_last < offset_range.start)):
        return f"nothing proves that no record precedes {first.file.path} inside the range"
    for before, after in pairwise(links):
        if after.previous_last != before.file.last:
            return f"{after.file.path} follows {after.previous_last}, the segment before it ends at {before.file.last}"
    lone = next((segment for segment in links if not segment.attested), None)
    return f"only an index made by OFS attests the link of {lone.file.path}" if lone else ""


def _make_range_fault(index: SegmentIndex, one: RangeCoverage) -> ReplayFault:
    asked, own = one.range, index.list_segments(one.range)
    where = f"{asked.topic} partition {asked.partition} {asked.offset_kind} {asked.start} to {asked.last}"
    held = f"{own[0].file.first} to {max(s.file.last for s in own)}" if own else "nothing"
    first = f", first {one.missing_sample[0][0]} to {one.missing_sample[0][1]}" if one.missing_sample else ""
    message = f"{where}: {one.problem}{first}; the archive's index covers {held}"
    code = "REPLAY_BASIS_GAP" if one.status == INCOMPLETE else "REPLAY_UNCHECKABLE"
    details = {"range": asked.to_document(), "archive": held, "missing": one.missing}
    return ReplayFault(code, message, {**details, "missing_sample": [list(pair) for pair in one.missing_sample]})
