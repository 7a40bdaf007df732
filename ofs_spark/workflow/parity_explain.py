"""Why a snapshot differs: its rebuilt states developed, compared with the anchor's, and explained from the archive."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.columnar.times import NO_INSTANT
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.positions import Range
from ofs_spark.foundation.wording import write_count
from ofs_spark.parity.anchors import Anchor, read_features
from ofs_spark.parity.causes import patch_content
from ofs_spark.parity.cells import Reach
from ofs_spark.parity.contributions import list_contributions
from ofs_spark.parity.coverage import UNABLE
from ofs_spark.parity.differences import Differences, Features, find_differences
from ofs_spark.parity.events import OnlineEvent, Place
from ofs_spark.parity.explain import Archive, Law, Stated, explain
from ofs_spark.parity.explain_rules import list_key_fields
from ofs_spark.parity.snapshot import describe_version, hash_snapshot
from ofs_spark.parity.states import develop
from ofs_spark.parity.verdict import CANONICALIZATION, CONTENT, GAP, VERSION, Verdict
from ofs_spark.replay import rows as r
from ofs_spark.replay.index import locate_range, select_segments
from ofs_spark.replay.lookup import FoundRecord, find_records
from ofs_spark.replay.segment_groups import list_partitions
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.parity_basis import ReplayedBasis

if TYPE_CHECKING:
    from ofs_spark.workflow.parity_report import Replayed

COMPARED, EXPLAINED = 200, 20
"""Of one run's mismatches, how many are compared key by key, and how many are explained: each reads the archive again."""
EVERY = 100_000
"""Records of an anchor's partitions up to which all are read: then every differing key is looked at. Of more, those of some
keys are; causes of all keys are then proven by replaying the basis."""
SAMPLED = 100_000
"""Events of those keys; records around one end."""
KEYS, WITNESSES = 50, 5
"""Differing keys that are looked at of more records, and keys that agree beside them, by which other rules are told from a
key's own fault."""
IDS = 50_000
"""Event ids whose other deliveries are looked up."""
AROUND = 1_000
"""Offsets of a dense kind on either side of an end, of which every record is looked at: ends are moved only there."""
NEAREST = ((2, 1), (1, 1), (2, 0), (1, 0))
"""Segments of a kind with gaps before and after an end, which count as AROUND does: the first choice that has at most
SAMPLED records. The last segment before an end is the one that it lies in."""
States = dict[str, dict[str, Any]]


class Explainer:
    """Compares and explains the mismatches of one run, the first of them."""

    def __init__(self, replayed: Replayed, context: RunContext) -> None:
        self._replayed, self._context = replayed, context
        self._compared = self._explained = 0

    def compare(self, anchor: Anchor, verdict: Verdict, reach: Reach, content: Mapping[str, Any]) -> Verdict:
        """The verdict with what differs in its features, and why; as it is where there is nothing to compare."""
        if verdict.category not in (CONTENT, VERSION, GAP) or not anchor.body_ref or verdict.rebuilt_hash is None:
            return verdict
        if self._compared == COMPARED:
            return replace(
                verdict, reason=verdict.reason or f"only the first {COMPARED} mismatches are compared by key"
            )
        self._compared += 1
        try:
            expected = read_features(self._context.objects, anchor)
        except Refusal as refusal:
            if refusal.code in UNABLE:
                raise
            return replace(verdict, reason=verdict.reason or f"its states cannot be compared: {refusal.message}")
        rebuilt = self._develop(reach)
        found = find_differences(expected, rebuilt)
        if verdict.category == CONTENT and not found.count:
            reason = "the features are equal: the anchor's hash is not that of its content"
            return replace(verdict, category=CANONICALIZATION, reason=reason)
        told = replace(
            verdict,
            differences=[one.to_document() for one in found.listed],
            difference_count=found.count,
            reason=verdict.reason or write_count(len(found.keys), "key differs", "keys differ"),
        )
        if verdict.category == GAP or self._explained == EXPLAINED:
            return told
        self._explained += 1
        return replace(told, explanation=self._explain(anchor, found, (expected, rebuilt), content, reach))

    def _develop(self, reach: Reach) -> States:
        """The rebuilt states as a snapshot's `features`."""
        table = develop(self._context.objects, self._replayed.folded, reach)
        return {one.pop("key"): one for one in table.to_pylist()}

    def _explain(
        self,
        anchor: Anchor,
        found: Differences,
        sides: tuple[Features, States],
        content: Mapping[str, Any],
        reach: Reach,
    ) -> dict[str, Any]:
        """The causes, and whether the states that they give have the anchor's hash."""
        plan = self._replayed.resolution.plan
        expected, rebuilt = sides
        self._context.announce(
            "parity", f"looks for what makes {anchor.ref} differ in {write_count(len(found.keys), 'key')}"
        )
        law = Law(self._replayed.resolution.rules, plan.intent.platform_run_id, _list_ends(anchor))
        own = describe_version(plan.profile)
        stated = Stated(
            {name: anchor.content[name] or own[name] for name in own}["feature_def_policy_rev"],
            own["feature_def_policy_rev"],
        )
        try:
            archive = self._gather(anchor, found, rebuilt, expected, reach)
        except Refusal as refusal:
            if refusal.code in UNABLE:
                raise
            return {
                "causes": [],
                "proven": False,
                "limits": [f"the archive could not be read again: {refusal.message}"],
            }
        explained = explain(found, expected, rebuilt, archive, law, stated=stated)
        patched = patch_content({**content, "features": rebuilt}, explained)
        return {**explained.to_document(), "proven": hash_snapshot(patched) == anchor.snapshot_hash}

    def _gather(
        self,
        anchor: Anchor,
        found: Differences,
        rebuilt: Mapping[str, Any],
        expected: Mapping[str, Any],
        reach: Reach,
    ) -> Archive:
        """The deliveries that an explanation needs, as `Archive` says: all there are, where they are few."""
        if not found.keys:
            return Archive(())
        ranges = self._list_whole_ranges(anchor)
        if self._count_records(ranges) <= EVERY:
            ends = _list_ends(anchor)
            spans = {(one.topic, one.partition): (one.start, one.last) for one in ranges}
            whole = {place: (first if ends[place] >= first else 0, last) for place, (first, last) in spans.items()}
            return Archive(self._to_events(self._find(ranges, None), self._find_arrivals(reach, None)), whole)
        keys = choose_keys(found.keys, expected, rebuilt, KEYS, SAMPLED)
        agreeing = choose_keys(rebuilt.keys() & expected.keys() - {*found.keys}, expected, rebuilt, WITNESSES, SAMPLED)
        stretches = self._list_stretches(anchor)
        records = self._find_sample(ranges, (*keys, *agreeing), expected, [one for one, _ in stretches])
        whole = {(one.topic, one.partition): bounds for one, bounds in stretches}
        events = self._to_events(records, self._find_arrivals(reach, (*keys, *agreeing)))
        basis = ReplayedBasis(self._replayed, anchor, reach, rebuilt, self._context)
        return Archive(events, whole, frozenset((*keys, *agreeing)), basis)

    def _find_sample(
        self, ranges: Sequence[Range], keys: Sequence[str], expected: Mapping[str, Any], stretches: Sequence[Range]
    ) -> list[FoundRecord]:
        """The records that may be of some keys under any rules that are tried, those of some stretches, and their copies."""
        texts = {key.partition(":")[2] for key in keys} - {""}
        fields = list_key_fields(self._replayed.resolution.rules, (key for key in keys if key in expected))
        records = self._find(ranges, texts, fields=fields) + self._find(stretches, None)
        ids = sorted({one.event_id for one in records if one.event_id} - texts)[:IDS]
        return records + (self._find(ranges, ids, by_id=True) if ids else [])

    def _count_records(self, ranges: Sequence[Range]) -> int:
        return sum(one.file.record_count for one in select_segments(self._replayed.resolution.index, ranges))

    def _to_events(
        self, records: Sequence[FoundRecord], arrivals: Mapping[tuple[str, int, str], int]
    ) -> tuple[OnlineEvent, ...]:
        """The records as deliveries, each once however often it was found."""
        found = {(one.topic, one.partition, one.order, one.segment): self._to_event(one, arrivals) for one in records}
        positions = {(topic, partition, order): event for (topic, partition, order, _), event in sorted(found.items())}
        return tuple(positions.values())

    def _find(
        self,
        ranges: Sequence[Range],
        texts: Iterable[str] | None,
        *,
        fields: Collection[str] | None = None,
        by_id: bool = False,
    ) -> list[FoundRecord]:
        policy, index = self._context.policy, self._replayed.resolution.index
        return find_records(
            self._context.objects,
            index.segments,
            ranges,
            None if texts is None else sorted(texts),
            policy.int96_is_utc,
            policy.most_decoded_bytes,
            fields=fields,
            by_id=by_id,
        )

    def _list_whole_ranges(self, anchor: Anchor) -> list[Range]:
        """All that the archive holds of the partitions that the anchor names."""
        index = self._replayed.resolution.index
        named = {end.place for end in anchor.ends}
        held = {place: own for place, own in index.by_place.items() if place in named}
        return [_span(place, own[0].file.first, max(one.file.last for one in own)) for place, own in held.items()]

    def _list_stretches(self, anchor: Anchor) -> list[tuple[Range, tuple[int, int]]]:
        """Around each end, the stretch of which every record is looked at."""
        spans = {locate_range(one): one for one in self._list_whole_ranges(anchor)}
        found = []
        for end in anchor.ends:
            span = spans.get(end.place)
            bounds = None if span is None else self._surround(span, end.last)
            if span is not None and bounds is not None:
                first, last = bounds
                found.append((_span(end.place, first, last), (0 if end.last < span.start else first, last)))
        return found

    def _surround(self, span: Range, end: int) -> tuple[int, int] | None:
        """The offsets around an end that are looked at: of a kind with gaps those of the nearest segments, few as they are."""
        if span.dense:
            first, last = max(span.start, end - AROUND), min(span.last, end + AROUND)
            return (first, last) if first <= last else None
        files = [one.file for one in self._replayed.resolution.index.list_segments(span)]
        at = bisect_right([one.first for one in files], end)
        for before, after in NEAREST:
            some = files[max(0, at - before) : at + after]
            if some:
                first, last = some[0].first, max(one.last for one in some)
                if self._count_records([_span(locate_range(span), first, last)]) <= SAMPLED:
                    return first, last
        return None

    def _find_arrivals(self, reach: Reach, keys: Sequence[str] | None) -> dict[tuple[str, int, str], int]:
        """The running arrival of the keys' events inside the basis, by position: no row tells it by itself."""
        replayed = self._replayed
        if len(reach) < 2:  # within one partition offsets are the order
            return {}
        places = list_partitions(replayed.resolution.cells.ranges)
        found = list_contributions(self._context.objects, replayed.scan.staged, replayed.folded, reach, keys)
        columns = (found.column(name).to_pylist() for name in (r.PARTITION_ORDINAL, r.OFFSET, r.ARRIVAL))
        return {(*places[ordinal], offset): arrival for ordinal, offset, arrival in zip(*columns, strict=True)}

    def _to_event(self, record: FoundRecord, arrivals: Mapping[tuple[str, int, str], int]) -> OnlineEvent:
        named = {"published_at_utc": record.published_us, "archived_at_utc": record.archived_us}
        own = named[self._context.policy.arrival]
        arrival = arrivals.get((record.topic, record.partition, record.offset), own)
        return OnlineEvent(
            record.topic,
            record.partition,
            record.offset_kind,
            record.offset,
            record.order,
            None if arrival == NO_INSTANT else arrival,
            record.event_id or "",
            record.event_type or "",
            record.ts_text or "",
            record.envelope,
        )


def _span(place: tuple[str, int, str], first: int, last: int) -> Range:
    return Range(*place, first, last if place[2] == "kinesis_sequence" else last + 1)


def _list_ends(anchor: Anchor) -> dict[Place, int]:
    return {(end.topic, end.partition): end.last for end in anchor.ends}


def choose_keys(
    keys: Collection[str], expected: Mapping[str, Any], rebuilt: Mapping[str, Any], most: int, records: int
) -> list[str]:
    """The keys with the fewest events, at most `most` of them, and at most so many events together."""
    sizes = {key: max(_read_count(expected.get(key)), _read_count(rebuilt.get(key))) for key in keys}
    chosen, held = list[str](), 0
    for key in nsmallest(most, sizes, key=lambda key: (sizes[key], key)):
        held += sizes[key]
        if held > records:
            break
        chosen.append(key)
    return sorted(chosen)


def _read_count(state: Any) -> int:
    """The event count that a state says; 0 for a key that is not there, and for a state that is none."""
    count = state.get("event_count") if isinstance(state, Mapping) else None
    return count if type(count) is int else 0
