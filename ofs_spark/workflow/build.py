"""The two jobs of a build: the scan that proves the archive, and the job that settles, labels, computes and writes.

    pins → replay (scan) → replay, labels, features, writing (build job) → publish

Nothing here decides meaning. It calls the rooms in order and passes on what they said, refusals too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.features.by_event import EventsNote, LabelsNote
from ofs_spark.features.faults import merge_faults
from ofs_spark.features.load import encode_tasks
from ofs_spark.features.split_keys import SplitKey
from ofs_spark.features.steps import Widths, plan_steps
from ofs_spark.foundation.collect import merge_refusals
from ofs_spark.foundation.columnar.measure import add_spent
from ofs_spark.foundation.columnar.notes import Fault, read_notes
from ofs_spark.foundation.errors import InternalError, Refusal, sort_refusals
from ofs_spark.foundation.ports import NOTE
from ofs_spark.foundation.wording import write_count
from ofs_spark.labels.coverage import Shortfall, TypeCounts, add_counts, find_shortfalls, refuse_shortfalls
from ofs_spark.publish.bucket import TopicPartition, WriteBucket
from ofs_spark.publish.layout import choose_bucket_count
from ofs_spark.publish.model import FileEntry
from ofs_spark.replay.accounts import ReplayTotals, close_accounts
from ofs_spark.replay.anchors import make_anchor_rule, refuse_no_anchors
from ofs_spark.replay.completeness import Completeness
from ofs_spark.replay.dedupe import find_truncation_bound
from ofs_spark.replay.parts import MOST_SHARES, Staged
from ofs_spark.replay.scan.spec import ScanSpec
from ofs_spark.replay.scan_job import Scan, scan_basis
from ofs_spark.replay.scan_record import ScanPlace, find_scan, write_scan_record
from ofs_spark.replay.segment_groups import list_partitions
from ofs_spark.replay.staged import LOST_ROWS
from ofs_spark.workflow.attempt import Attempt
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.plan import Resolution
from ofs_spark.workflow.unseen_fields import UnseenFields


@dataclass(frozen=True)
class ReplayResult:
    """The archive's answer: the proof of completeness, the staged rows, and what refuses the build, in order.

    unseen: declared fields that no event has. is_kept: an earlier attempt of the plan scanned, and left it.
    """

    completeness: Completeness
    staged: Sequence[Staged]
    refusals: Sequence[Refusal]
    unseen: UnseenFields
    is_kept: bool = False

    @property
    def rows(self) -> int:
        """The rows that the scan proved: positions, one copy each. Every width of the build follows them."""
        return self.completeness.counts["positions"]


_EVENT_BUCKETS, _KEY_BUCKETS = 4, 2
"""Rows of a target in buckets of the layout: by event id they are held at once; by key, more than some go by way of disk."""


class StagedRowsLost(Exception):
    """Rows that an earlier attempt staged are not whole any more."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)


@dataclass(frozen=True)
class BuildResult:
    """What the build job came to.

    totals: the closing account of events; shortfalls: the label thresholds that are missed; truncated_before: µs, None
    without an event; refusals: what refuses the build, in the order of rooms; spent: workers' seconds by room; buckets: how
    many there are, empty ones too; splits: keys that were computed in pieces.
    """

    totals: ReplayTotals
    anchors: int
    label_counts: Mapping[str, TypeCounts]
    shortfalls: Sequence[Shortfall]
    entries: Sequence[FileEntry]
    truncated_before: int | None
    refusals: Sequence[Refusal]
    spent: Mapping[str, float]
    buckets: int
    splits: Sequence[SplitKey] = ()


def run_replay(resolution: Resolution, attempt: Attempt, context: RunContext, *, anew: bool = False) -> ReplayResult:
    """Scans the basis and proves it, or says why it is not proven.

    An earlier attempt of the same plan that did leaves its rows: the archive is not read, and the build job proves each file
    as it loads it. anew: those were asked before, and were not whole.
    """
    plan, scope, intent = resolution.plan, resolution.plan.scope, resolution.plan.intent
    spec = ScanSpec(
        platform_run_id=intent.platform_run_id,
        program=plan.program,
        scenario_run_ids=intent.scenario_run_ids or (),
        event_types=scope.event_types,
        anchors=make_anchor_rule(plan),
        arrival=plan.policy.arrival,
        int96_is_utc=plan.policy.int96_is_utc,
        most_decoded=plan.policy.most_decoded_bytes,
    )
    place = ScanPlace(context.objects, attempt.staging, plan.plan_id, intent.basis, spec)
    kept = None if anew else find_scan(place, intent.training)
    if kept is not None:
        context.announce(
            "replay", f"starts from staged rows of plan {plan.plan_id}: {write_count(len(kept.staged), 'file')}"
        )
        return _judge_scan(kept, spec, is_kept=True)
    context.announce("replay", f"scans {plan.archive.describe()}")
    # What index and basis state is a guess at the targets that the proven rows will ask for: any number is right.
    shares = min(MOST_SHARES, choose_event_targets(resolution, plan.archive.rows, context.width))
    told = attempt.engine, context.objects, resolution.index, intent.basis, spec, attempt.staging, intent.training
    scan = scan_basis(*told, shares)
    _keep_staged(place, scan, context)
    return _judge_scan(scan, spec)


def _judge_scan(scan: Scan, spec: ScanSpec, *, is_kept: bool = False) -> ReplayResult:
    found = scan.completeness
    refusals = [fault.make_refusal() for fault in found.faults]
    return ReplayResult(found, scan.staged, refusals, UnseenFields.of(spec, found), is_kept)


def _keep_staged(place: ScanPlace, scan: Scan, context: RunContext) -> None:
    """Leaves what a scan found to later attempts, where it found nothing to refuse. It is an asset: without it they scan."""
    if not scan.is_proven:
        return
    try:
        write_scan_record(place, scan)
    except (Refusal, OSError) as error:
        context.announce("replay", f"{NOTE}staged rows are not kept: {error}")


def run_build_job(resolution: Resolution, replay: ReplayResult, attempt: Attempt, context: RunContext) -> BuildResult:
    """Runs the build job and closes its accounts; what replay, labels and features refuse is in the result.

    StagedRowsLost where a staged file that an earlier attempt left is gone or damaged: a scan makes it again.
    """
    plan, terms, intent = resolution.plan, resolution.terms, resolution.plan.intent
    writer = WriteBucket(
        program=plan.program,
        columns=plan.columns,
        label_types=terms.types,
        platform_run_id=intent.platform_run_id,
        partitions=tuple(TopicPartition(*place) for place in list_partitions(intent.basis)),
        leaf_rows=plan.policy.leaf_rows,
        objects=context.objects,
        folder=attempt.table,
    )
    slices, widths = replay.completeness.slices, choose_widths(resolution, replay.rows, context.width)
    steps = plan_steps(plan, terms, resolution.extract.content_key, slices, context.objects, widths, writer)
    tasks = encode_tasks(replay.staged, resolution.extract.files)
    try:
        return _close_build(resolution, replay, attempt.engine.run(tasks, steps), widths.buckets)
    except Refusal as refusal:
        if replay.is_kept and refusal.code == LOST_ROWS:
            raise StagedRowsLost(refusal) from None
        raise


def _close_build(
    resolution: Resolution, replay: ReplayResult, notes: Sequence[Mapping[str, Any]], buckets: int
) -> BuildResult:
    """The notes of all workers, added up."""
    intent, events = resolution.plan.intent, read_notes(notes, EventsNote)
    refused = merge_faults(read_notes(notes, Fault), intent.basis)
    refused = replay.unseen.name_nearest(refused, resolution.plan.program)
    try:
        totals = close_accounts(replay.completeness, intent.basis, [one.account for one in events], intent.training)
    except InternalError:
        if refused:  # rows that a worker could not read are not in the counts: that is what is told
            lost = [one for one in refused if one.code == LOST_ROWS]
            raise merge_refusals(lost or refused) from None
        raise
    anchors = sum(one.anchors for one in events)
    counts = add_counts([one.types for one in read_notes(notes, LabelsNote)])
    shortfalls = find_shortfalls(counts, resolution.terms.policy)
    refusals = [fault.make_refusal() for fault in totals.faults] + refused
    if not anchors:
        refusals.append(refuse_no_anchors(list(replay.unseen.find_filter_faults())))
    elif intent.training:
        refusals += refuse_shortfalls(shortfalls)
    bound = find_truncation_bound(found for one in events for found in one.first)
    files = read_notes(notes, FileEntry)
    refusals, spent = sort_refusals(refusals), _split_spent(notes)
    splits = read_notes(notes, SplitKey)
    return BuildResult(totals, anchors, counts, shortfalls, files, bound, refusals, spent, buckets, splits)


def _split_spent(notes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Workers' seconds by room: writing happens where the last key's features are computed, and is not part of them."""
    spent = {"labels": 0.0, "features": 0.0, "publish": 0.0, **add_spent(notes)}
    return {**spent, "features": max(0.0, spent["features"] - spent["publish"])}


def choose_widths(resolution: Resolution, rows: int, least: int) -> Widths:
    """Targets enough that no worker holds more than some million rows at once, however large the basis is.

    rows: what the scan proved. What index and basis state is never asked: a declared gap or a segment that reaches
    beyond the basis would decide the layout, and so the content digest.
    """
    rows_per_bucket = resolution.plan.policy.rows_per_bucket
    keys = choose_bucket_count(rows, _KEY_BUCKETS * rows_per_bucket)
    events = choose_event_targets(resolution, rows, least)
    return Widths(events, max(least, keys), choose_bucket_count(rows, rows_per_bucket))


def choose_event_targets(resolution: Resolution, rows: int, least: int) -> int:
    """Targets by event id for so many rows and the pinned assertions: a power of two, at least `least`."""
    most = _EVENT_BUCKETS * resolution.plan.policy.rows_per_bucket
    return max(1 << (least - 1).bit_length(), choose_bucket_count(rows + resolution.extract.row_count, most))
