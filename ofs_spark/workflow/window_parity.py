"""Window parity: values logged at decision time against those that a build of the same basis computes.

    pins → logged values (read, staged) → replay (scan) → features → comparison

The plan is a build's, and so is every rule of what was known at an anchor. Nothing is written but evidence and staged
rows; the document that comes out is the content of the run's parity report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ofs_spark.features.by_event import EventsNote
from ofs_spark.features.faults import merge_faults
from ofs_spark.features.load import encode_attachment_task, encode_tasks
from ofs_spark.features.steps import plan_steps
from ofs_spark.foundation.columnar.dataflow import Step
from ofs_spark.foundation.columnar.measure import MeasuredWork
from ofs_spark.foundation.columnar.notes import Fault, read_notes
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.errors import InternalError, Refusal, sort_refusals
from ofs_spark.foundation.wording import write_count
from ofs_spark.intent.run import Run
from ofs_spark.parity.attach import AttachLogged, RepeatsNote
from ofs_spark.parity.compare import CompareLogged, Tolerance, read_tolerances
from ofs_spark.parity.logged import Logged, Unchecked, add_unchecked, read_logged
from ofs_spark.parity.logged_bytes import LoggedFile
from ofs_spark.parity.skew import Skew, share_bounds
from ofs_spark.pins.plan import BuildPlan
from ofs_spark.replay.accounts import ReplayTotals, close_accounts
from ofs_spark.replay.receipt import compose_replay_receipt
from ofs_spark.replay.segment_groups import list_partitions
from ofs_spark.workflow.attempt import Attempt, begin_attempt
from ofs_spark.workflow.build import ReplayResult, choose_widths, run_replay
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.evidence import EvidenceWriter, Receipt
from ofs_spark.workflow.loading import BUILD
from ofs_spark.workflow.plan import Resolution
from ofs_spark.workflow.window_plan import SCHEMA_VERSION

MOST_PREREQUISITES = 50
"""Refusals that a report lists of those that kept everything from being compared."""
_ADDERS = 64
"""Targets of the step that adds up columns, at most."""


@dataclass(frozen=True)
class _Compared:
    """What the comparison found. refusals: what kept it from comparing anything; the rest means nothing then."""

    refusals: Sequence[Refusal]
    unchecked: Sequence[Unchecked] = ()
    repeats: int = 0
    skews: Sequence[Skew] = ()


def compare_logged(resolution: Resolution, file: LoggedFile, held: Run, context: RunContext) -> dict[str, Any]:
    """The content of a parity report: the logged values of a file compared with rebuilt ones, valid under its contract.

    Refuses for a file that is none (PARITY_ANCHOR_INVALID). A basis that is not proven and features that cannot be computed
    are prerequisites that are missing: the outcome is UNCHECKABLE.
    """
    plan, intent = resolution.plan, resolution.plan.intent
    columns = [(column.name, column.type) for column in plan.program.feature_columns]
    tolerances = read_tolerances(plan.policy.parity_tolerances, columns)
    attempt = begin_attempt(plan, held, context.engine(plan.archive.rows, BUILD))
    context.announce("parity", f"reads logged values: {write_count(file.bytes, 'byte')}")
    most = plan.policy.most_decoded_bytes
    logged = read_logged(attempt.engine, context.objects, file, columns, attempt.staging, most)
    replay = run_replay(resolution, attempt, context)
    writer = EvidenceWriter(resolution, held, context.objects)
    if replay.refusals:
        writer.write(_compose_receipt(resolution, replay, None, held), held.attempt)
        return _compose(plan, logged, tolerances, _Compared(replay.refusals))
    context.announce(
        "parity", f"computes {plan.describe_features()} and compares {write_count(logged.rows, 'logged value')}"
    )
    notes = _run_comparison(resolution, replay, logged, tolerances, attempt, context)
    refused = merge_faults(read_notes(notes, Fault), intent.basis)
    if refused:
        return _compose(plan, logged, tolerances, _Compared(refused))
    accounts = [one.account for one in read_notes(notes, EventsNote)]
    totals = close_accounts(replay.completeness, intent.basis, accounts, intent.training)
    writer.write(_compose_receipt(resolution, replay, totals, held))
    faults = [fault.make_refusal() for fault in totals.faults]
    unchecked = add_unchecked([*logged.unchecked, *read_notes(notes, Unchecked)])
    repeats = sum(one.repeats for one in read_notes(notes, RepeatsNote))
    return _compose(plan, logged, tolerances, _Compared(faults, unchecked, repeats, read_notes(notes, Skew)))


def _run_comparison(
    resolution: Resolution,
    replay: ReplayResult,
    logged: Logged,
    tolerances: Mapping[str, Tolerance],
    attempt: Attempt,
    context: RunContext,
) -> list[dict[str, Any]]:
    """The notes of a build job whose last rows are compared with what travels with them, and not written."""
    plan, extract = resolution.plan, resolution.extract
    columns = tuple((column.name, column.type) for column in plan.program.feature_columns)
    width = min(_ADDERS, len(columns))
    partitions = tuple(list_partitions(plan.intent.basis))
    steps = plan_steps(
        plan,
        resolution.terms,
        extract.content_key,
        replay.completeness.slices,
        context.objects,
        choose_widths(resolution, replay.rows, context.width),
        CompareLogged(columns, tolerances, partitions, width),
        AttachLogged(tuple(name for name, _ in columns)),
    )
    steps[-1] = replace(steps[-1], name="compare", width=width)
    steps.append(Step("skew", MeasuredWork("parity", share_bounds(len(columns))), 0))
    tasks = encode_tasks(replay.staged, extract.files)
    return attempt.engine.run([*tasks, *map(encode_attachment_task, logged.staged)], steps)


def _compose_receipt(resolution: Resolution, replay: ReplayResult, totals: ReplayTotals | None, held: Run) -> Receipt:
    """The replay completeness receipt; without `totals`, before events were settled."""
    plan = resolution.plan
    pinned = plan.plan_id, resolution.index, plan.intent.basis, plan.sources, replay.completeness
    return Receipt("replay_completeness", compose_replay_receipt(held.run_key, *pinned, totals, plan.policy.arrival))


def _compose(plan: BuildPlan, logged: Logged, tolerances: Mapping[str, Tolerance], found: _Compared) -> dict[str, Any]:
    """The document: it holds no clock and no host, and is the same however the work was spread."""
    unchecked = logged.unchecked if found.refusals else found.unchecked
    skews = [] if found.refusals else sorted(found.skews, key=lambda skew: skew.column)
    counts = _count(logged, unchecked, found, skews)
    document = {
        "schema_version": SCHEMA_VERSION,
        "outcome": _judge(counts, found),
        "platform_run_id": plan.intent.platform_run_id,
        "plan_id": plan.plan_id,
        "basis_hash": plan.basis_hash,
        "feature_set": {
            "id": plan.profile.set_id,
            "version": plan.profile.set_version,
            "digest": plan.profile.set_digest,
        },
        "logged": {**logged.file.to_document(), "rows": logged.rows},
        "counts": counts,
        "prerequisites": _describe_refusals(found.refusals),
        "prerequisite_count": len(found.refusals),
        "unchecked": [
            {"reason": one.reason, "count": one.count, "first": [vars(named) for named in one.first]}
            for one in unchecked
        ],
        "columns": [_describe_skew(plan, skew, tolerances) for skew in skews],
    }
    require_valid(document, SCHEMA_VERSION)
    return document


def _count(logged: Logged, unchecked: Sequence[Unchecked], found: _Compared, skews: Sequence[Skew]) -> dict[str, int]:
    """rows = compared + repeats + unchecked + not_compared; InternalError if rows got lost."""
    compared = {name: sum(skew.total[name] for skew in skews) for name in ("compared", "equal", "within", "beyond")}
    aside = {"repeats": 0 if found.refusals else found.repeats, "unchecked": sum(one.count for one in unchecked)}
    left = logged.rows - compared["compared"] - sum(aside.values())
    if left and not found.refusals:
        raise InternalError(f"of {write_count(logged.rows, 'logged value')} {left} are accounted for nowhere")
    return {"rows": logged.rows, **compared, **aside, "not_compared": left}


def _judge(counts: Mapping[str, int], found: _Compared) -> str:
    """The outcome: one value beyond its tolerance is a mismatch, whatever else could not be compared."""
    if counts["beyond"]:
        return "MISMATCH"
    is_whole = counts["compared"] and not counts["unchecked"] and not found.refusals
    return "MATCH" if is_whole else "UNCHECKABLE"


def _describe_refusals(refusals: Sequence[Refusal]) -> list[dict[str, str]]:
    """What is missing, in the order of telling."""
    return [{"code": one.code, "message": one.message} for one in sort_refusals(refusals)[:MOST_PREREQUISITES]]


def _describe_skew(plan: BuildPlan, skew: Skew, tolerances: Mapping[str, Tolerance]) -> dict[str, Any]:
    """One column of the report."""
    column = plan.program.feature_columns[skew.column]
    tolerance = tolerances.get(column.name)
    return {
        "column": column.name,
        "type": column.type,
        "tolerance": None if tolerance is None else tolerance.to_document(),
        **skew.total,
        "day_count": skew.day_count,
        "days": list(skew.days),
        "worst": list(skew.worst),
    }
