"""The two jobs of a build: the scan that proves the archive, and the job that settles, labels, computes and writes.

    pins → replay (scan) → replay, labels, features, writing (build job) → publish

Nothing here decides meaning. It calls the rooms in order and passes on what they said, refusals too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.features.load import encode_task
from ofs_spark.features.steps import Widths, plan_layout_step, plan_steps
from ofs_spark.foundation.errors import Refusal, refuse, sort_refusals
from ofs_spark.labels.coverage import Shortfall, TypeCounts, add_counts, find_shortfalls, refuse_shortfalls
from ofs_spark.publish.bucket import TopicPartition, WriteBucket
from ofs_spark.publish.layout import choose_bucket_count
from ofs_spark.publish.model import FileEntry
from ofs_spark.replay.completeness import Completeness, ReplayTotals, close_accounts
from ofs_spark.replay.dedupe import find_truncation_bound
from ofs_spark.replay.index import list_partitions
from ofs_spark.replay.scan.spec import RowFilter, ScanSpec
from ofs_spark.replay.scan_job import Staged, scan_basis
from ofs_spark.workflow.attempt import Attempt
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.plan import Resolution


@dataclass(frozen=True)
class ReplayResult:
    """The archive's answer: the proof of completeness, the staged rows, and what refuses the build, in order."""

    completeness: Completeness
    staged: Sequence[Staged]
    refusals: Sequence[Refusal]


@dataclass(frozen=True)
class BuildResult:
    """What the build job came to.

    totals: the closing account of events; shortfalls: the label thresholds that are missed; truncated_before: µs, None
    without an event; refusals: what refuses the build, in the order of rooms.
    """

    totals: ReplayTotals
    anchors: int
    label_counts: Mapping[str, TypeCounts]
    shortfalls: Sequence[Shortfall]
    entries: Sequence[FileEntry]
    truncated_before: int | None
    refusals: Sequence[Refusal]


def run_replay(resolution: Resolution, attempt: Attempt, context: RunContext) -> ReplayResult:
    """Scans the basis and proves it, or says why it is not proven."""
    plan, scope, intent = resolution.plan, resolution.plan.scope, resolution.plan.intent
    spec = ScanSpec(
        platform_run_id=intent.platform_run_id,
        program=plan.program,
        scenario_run_ids=intent.scenario_run_ids or (),
        event_types=scope.event_types,
        anchor_event_types=scope.anchor_event_types,
        row_filters=tuple(RowFilter(name, _type_constants(values)) for name, values in scope.row_filters.items()),
        anchor_from=plan.anchor_from,
        anchor_to=plan.anchor_to,
        arrival=plan.policy.arrival,
    )
    completeness, staged = scan_basis(
        attempt.engine, context.objects, resolution.index, intent.basis, spec, attempt.staging, intent.training
    )
    return ReplayResult(completeness, staged, [fault.refusal() for fault in completeness.faults])


def _type_constants(values: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Filter values as (type, text) constants: numbers by the digits that were written."""

    def type_constant(value: Any) -> tuple[str, str]:
        if isinstance(value, bool):
            return "bool", "true" if value else "false"
        return ("string", value) if isinstance(value, str) else ("number", repr(value))

    return tuple(type_constant(value) for value in values)


def run_build_job(resolution: Resolution, replay: ReplayResult, attempt: Attempt, context: RunContext) -> BuildResult:
    """Runs the build job and closes its accounts; what replay, labels and features refuse is in the result."""
    plan, terms, intent = resolution.plan, resolution.terms, resolution.plan.intent
    last = WriteBucket(
        program=plan.program,
        step=plan_layout_step(plan.program, terms.types),
        columns=plan.columns,
        label_types=terms.types,
        platform_run_id=intent.platform_run_id,
        partitions=tuple(TopicPartition(*place) for place in list_partitions(intent.basis)),
        leaf_rows=plan.policy.leaf_rows,
        objects=context.objects,
        folder=attempt.table,
    )
    slices, widths = replay.completeness.slices, _choose_widths(resolution, context.width)
    steps = plan_steps(plan, terms, resolution.extract.content_key, slices, context.objects, widths, last)
    notes: dict[str, list[dict[str, Any]]] = {}
    tasks = [*map(encode_task, replay.staged), *map(encode_task, resolution.extract.files)]
    for one in attempt.engine.run(tasks, steps):
        notes.setdefault(one["note"], []).append(one)
    return _close_build(resolution, replay, notes)


def _close_build(
    resolution: Resolution, replay: ReplayResult, notes: Mapping[str, Sequence[dict[str, Any]]]
) -> BuildResult:
    """The notes of all workers, added up."""
    intent, events = resolution.plan.intent, list(notes.get("events", []))
    totals = close_accounts(replay.completeness, intent.basis, events, intent.training)
    anchors = sum(one["anchors"] for one in events)
    counted = [{k: TypeCounts(**v) for k, v in one["types"].items()} for one in notes.get("labels", [])]
    counts = add_counts(counted)
    shortfalls = find_shortfalls(counts, resolution.terms.policy)
    refusals = [fault.refusal() for fault in totals.faults] + _list_refusals(notes.get("refusal", []))
    if not anchors:
        message = "no in-scope event is an anchor: anchor types, times and filters leave none"
        refusals.append(refuse("LABEL_SCOPE_EMPTY", message))
    elif intent.training:
        refusals += refuse_shortfalls(shortfalls)
    refusals += _merge_faults(notes.get("fault", []), list_partitions(intent.basis))
    bound = find_truncation_bound(found for one in events for found in one["first"])
    entries = [FileEntry.from_document(one) for one in notes.get("file", [])]
    return BuildResult(totals, anchors, counts, shortfalls, entries, bound, sort_refusals(refusals))


def _choose_widths(resolution: Resolution, least: int) -> Widths:
    """Targets enough that no worker holds more than some million rows at once, however large the basis is."""
    plan, rows = resolution.plan, resolution.plan.archive.rows
    rows_held = 4 * plan.policy.rows_per_bucket
    events = choose_bucket_count(rows + resolution.extract.row_count, rows_held)
    return Widths(max(least, events), max(least, choose_bucket_count(rows, rows_held)), plan.buckets)


def _list_refusals(notes: Sequence[Mapping[str, Any]]) -> list[Refusal]:
    ordered = sorted(notes, key=lambda one: (one["code"], one["message"]))
    return [refuse(one["code"], one["message"], **one["details"]) for one in ordered]


def _merge_faults(notes: Sequence[Mapping[str, Any]], partitions: Sequence[tuple[str, int]]) -> list[Refusal]:
    """One refusal per (code, subject), counts added up, at the first position."""
    merged: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in notes:
        merged.setdefault((one["code"], one["subject"]), []).append(one)
    found = []
    for (code, subject), same in sorted(merged.items()):
        first = min(same, key=lambda one: (one["partition_ordinal"], one["seq"]))
        count = sum(one["count"] for one in same)
        topic, partition = partitions[first["partition_ordinal"]]
        place = {"topic": topic, "partition": partition, "event_id": first["event_id"], "offset": first["offset"]}
        where = f"the first at {topic} partition {partition} offset {first['offset']}"
        message = f"{subject}: {first['message']}; {count} events, {where}"
        found.append(refuse(code, message, subject=subject, events=count, first=place))
    return found
