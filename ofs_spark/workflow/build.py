"""The walk of one build, room after room: each function takes what the rooms before it decided.

    pins → replay → (labels, features: one job); `staging.py` goes on with publish

Nothing here decides meaning; it calls the rooms in order, refuses where they refuse, and passes on what they said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.features.by_event import LabelLaw
from ofs_spark.features.load import encode_task
from ofs_spark.features.steps import Widths, plan_layout_step, plan_steps
from ofs_spark.foundation.canonical import CanonicalError, parse_json
from ofs_spark.foundation.clock import DAY_US
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.errors import CODES, ROOM_ORDER, Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects
from ofs_spark.intent.admission import resolve_label_types
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.labels import coverage
from ofs_spark.labels.asof import resolve_rule
from ofs_spark.labels.extract import parse_committed, read_extract, require_marker
from ofs_spark.labels.model import LabelExtract
from ofs_spark.labels.receipt import LabelBasis, compose_label_receipt
from ofs_spark.pins.plan import BuildPlan
from ofs_spark.pins.profile.catalogue import describe_dataset
from ofs_spark.pins.profile.model import Column
from ofs_spark.publish.bucket import TopicPartition, WriteBucket
from ofs_spark.publish.layout import choose_bucket_count
from ofs_spark.publish.model import FileEntry
from ofs_spark.replay.completeness import Completeness, ReplayTotals, close_accounts
from ofs_spark.replay.dedupe import find_truncation_bound
from ofs_spark.replay.index import SegmentIndex, list_partitions, read_index
from ofs_spark.replay.scan.spec import RowFilter, ScanSpec
from ofs_spark.replay.scan_job import Staged, scan_basis
from ofs_spark.workflow.context import RunContext


@dataclass(frozen=True)
class Attempt:
    """Where one attempt works: its plane and engine, the claim it holds, and the folders that are its own."""

    context: RunContext
    engine: Engine
    run: Run
    attempt: str
    staging: str
    table: str


@dataclass(frozen=True)
class ReplayResult:
    """The archive's answer: the proof of completeness, the staged rows, and what refuses the build."""

    completeness: Completeness
    staged: Sequence[Staged]

    @property
    def refusals(self) -> list[Refusal]:
        """The refusals of the replay room, in the order in which they are told."""
        return [fault.refusal() for fault in self.completeness.faults]


@dataclass(frozen=True)
class BuildResult:
    """What the build job came to: the closing account of events, label counts, files, the truncation bound (µs), and
    what refuses the build, the first to be told first: no gate of such a build passed."""

    facts: ReplayTotals
    anchors: int
    label_counts: Mapping[str, coverage.TypeCounts]
    entries: Sequence[FileEntry]
    truncated_before: int | None
    refusals: Sequence[Refusal]


def read_archive_index(objects: Objects, platform_run_id: str) -> tuple[str, SegmentIndex]:
    """The run's segment index and its ref. ARCHIVE_INDEX_MISSING or ARCHIVE_INDEX_INVALID otherwise."""
    ref = f"{platform_run_id}/archive/segment_index.json"
    try:
        document = parse_json(objects.read(ref), what="the segment index", max_bytes=1 << 30)
    except ObjectMissing:
        message = f"platform run {platform_run_id} has no segment index; only indexed files are read"
        raise refuse("ARCHIVE_INDEX_MISSING", message, ref=ref) from None
    except CanonicalError as error:
        raise refuse("ARCHIVE_INDEX_INVALID", f"the segment index is not a JSON document: {error}", ref=ref) from None
    return ref, read_index(document, platform_run_id)


def read_label_extract(context: RunContext) -> LabelExtract:
    """The label store's pinned state, as the wiring names it; with its commit marker where policy requires one."""
    extract = read_extract(context.objects, context.wiring.labels.ref)
    if context.policy.require_marker:
        require_marker(extract)
    return extract


def run_replay(plan: BuildPlan, index: SegmentIndex, desk: Attempt) -> ReplayResult:
    """Scans the basis and proves it, or says why it is not proven."""
    intent = plan.intent
    spec = ScanSpec(
        platform_run_id=intent.platform_run_id,
        program=plan.program,
        scenario_run_ids=intent.scenario_run_ids or (),
        event_types=plan.scope.event_types,
        anchor_event_types=plan.scope.anchor_event_types,
        row_filters=tuple(RowFilter(name, _constants(values)) for name, values in plan.scope.row_filters.items()),
        anchor_from=plan.anchor_from,
        anchor_to=plan.anchor_to,
        arrival=plan.policy.arrival,
    )
    completeness, staged = scan_basis(
        desk.engine, desk.context.objects, index, intent.basis, spec, desk.staging, intent.training
    )
    return ReplayResult(completeness, staged)


def _constants(values: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Filter values as (type, text) constants: numbers by the digits that were written."""

    def constant(value: Any) -> tuple[str, str]:
        if isinstance(value, bool):
            return "bool", "true" if value else "false"
        return ("string", value) if isinstance(value, str) else ("number", repr(value))

    return tuple(constant(value) for value in values)


@dataclass(frozen=True)
class LabelTerms:
    """What the labels room decided before any label was read: the law, the coverage policy, the dataset's columns."""

    law: LabelLaw
    policy: coverage.CoveragePolicy
    columns: tuple[Column, ...]
    cutoff_us: int

    @property
    def schema(self) -> tuple[tuple[str, str], ...]:
        """(column, type) of the dataset, in order."""
        return tuple((column.name, column.type) for column in self.columns)


def label_terms(plan: BuildPlan, extract: LabelExtract) -> LabelTerms:
    """Which labels count, in instants, and how many are enough. Under KNOW_NOW every pinned assertion is eligible."""
    intent, policy = plan.intent, plan.policy
    types = resolve_label_types(plan.scope)
    stated = coverage.read_coverage_policy(
        plan.scope.label_coverage_policy, policy.coverage, policy.min_mature_anchor_ratio
    )
    known_then = intent.posture == "KNEW_THEN"
    mature = intent.label_asof_us - (intent.maturity_days or 0) * DAY_US
    eligible, key = intent.label_asof_us if known_then else None, bytes.fromhex(extract.digest)[:16]
    law = LabelLaw(types, resolve_rule(intent.resolution_rule), eligible, mature, key)
    cutoff = intent.label_asof_us if known_then else parse_committed(extract)
    return LabelTerms(law, stated, describe_dataset(plan.program, types), cutoff)


def run_build_job(
    plan: BuildPlan, replay: ReplayResult, extract: LabelExtract, terms: LabelTerms, desk: Attempt
) -> BuildResult:
    """Runs the build job and closes its accounts; what replay, labels and features refuse is in it, in that order."""
    intent, context, law = plan.intent, desk.context, terms.law
    last = WriteBucket(
        program=plan.program,
        step=plan_layout_step(plan.program, law.types),
        columns=terms.columns,
        label_types=law.types,
        platform_run_id=intent.platform_run_id,
        partitions=tuple(TopicPartition(*place) for place in list_partitions(intent.basis)),
        leaf_rows=plan.policy.leaf_rows,
        objects=context.objects,
        folder=desk.table,
    )
    widths = _widths(plan, extract, context.width)
    job = plan_steps(
        plan.program, law, replay.completeness.slices, context.objects, intent.platform_run_id, widths, last
    )
    notes: dict[str, list[dict[str, Any]]] = {}
    for one in desk.engine.run([*map(encode_task, replay.staged), *map(encode_task, extract.files)], job):
        notes.setdefault(one["note"], []).append(one)
    events = notes.get("events", [])
    facts = close_accounts(replay.completeness, intent.basis, events, intent.training)
    anchors = sum(one["anchors"] for one in events)
    counted = [{k: coverage.TypeCounts(**v) for k, v in one["types"].items()} for one in notes.get("labels", [])]
    counts = coverage.add_counts(counted)
    refusals = [fault.refusal() for fault in facts.faults] + _refusals(notes.get("refusal", []))
    refusals += _label_refusals(anchors, counts, terms, intent) + _feature_faults(notes.get("fault", []), intent)
    bound = find_truncation_bound(found for one in events for found in one["first"])
    entries = [FileEntry.from_document(one) for one in notes.get("file", [])]
    return BuildResult(facts, anchors, counts, entries, bound, _in_order(refusals))


def _widths(plan: BuildPlan, extract: LabelExtract, least: int) -> Widths:
    """Targets enough that no worker holds more than some million rows at once, however large the basis is."""
    rows_held = 4 * plan.policy.rows_per_bucket
    events = choose_bucket_count(plan.archive.rows + extract.row_count, rows_held)
    return Widths(max(least, events), max(least, choose_bucket_count(plan.archive.rows, rows_held)), plan.buckets)


def _label_refusals(
    anchors: int, counts: Mapping[str, coverage.TypeCounts], terms: LabelTerms, intent: Intent
) -> list[Refusal]:
    """No anchor at all, or too few of them labelled for a training intent."""
    if not anchors:
        message = "no in-scope event is an anchor: anchor types, times and filters leave none"
        return [refuse("LABEL_SCOPE_EMPTY", message)]
    return coverage.refuse_shortfalls(coverage.find_shortfalls(counts, terms.policy)) if intent.training else []


def _refusals(notes: Sequence[Mapping[str, Any]]) -> list[Refusal]:
    ordered = sorted(notes, key=lambda one: (one["code"], one["message"]))
    return [refuse(one["code"], one["message"], **one["details"]) for one in ordered]


def _in_order(refusals: Sequence[Refusal]) -> list[Refusal]:
    """The refusals of the room that comes first before those of later ones; equals in the order given."""
    return sorted(refusals, key=lambda refusal: ROOM_ORDER.index(CODES[refusal.code].room))


def _feature_faults(notes: Sequence[Mapping[str, Any]], intent: Intent) -> list[Refusal]:
    """One refusal per (code, subject), counts added up, at the first position."""
    places = list_partitions(intent.basis)
    merged: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in notes:
        merged.setdefault((one["code"], one["subject"]), []).append(one)
    found = []
    for (code, subject), same in sorted(merged.items()):
        first = min(same, key=lambda one: (one["partition_ordinal"], one["seq"]))
        count = sum(one["count"] for one in same)
        topic, partition = places[first["partition_ordinal"]]
        details = {
            "subject": subject,
            "events": count,
            "first": {"topic": topic, "partition": partition, "event_id": first["event_id"], "offset": first["offset"]},
        }
        where = f"the first at {topic} partition {partition} offset {first['offset']}"
        message = f"{subject}: {first['message']}; {count} events, {where}"
        found.append(refuse(code, message, **details))
    return found


def describe_labels(plan: BuildPlan, extract: LabelExtract, made: BuildResult, terms: LabelTerms) -> dict[str, Any]:
    """The label resolution receipt."""
    intent = plan.intent
    basis = LabelBasis(terms.law.rule, intent.posture, intent.label_asof_text, intent.maturity_days)
    missed = coverage.find_shortfalls(made.label_counts, terms.policy)
    return compose_label_receipt(plan.plan_id, basis, extract, made.label_counts, terms.policy, missed)
