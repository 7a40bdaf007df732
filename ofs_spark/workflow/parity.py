"""Parity: the online plane's snapshots rebuilt from the archive, and compared by hash.

pins, anchors → replay (scan of the cells) → fold (states of every key) → photographs → verdicts, explanations → report

The request, its pins and its answer; the report itself is made in `parity_report.py`, of logged values in `window_parity.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.refs import name_parity_report
from ofs_spark.foundation.wording import write_count
from ofs_spark.intent.identity import derive_run_key
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import Answer
from ofs_spark.workflow.loading import load_rebuild_rooms
from ofs_spark.workflow.parity_plan import require_whole, resolve_parity, write_plan
from ofs_spark.workflow.rebuilding import Rebuild, run_rebuild
from ofs_spark.workflow.window_plan import SCHEMA_VERSION, resolve_logged

CONTRACT = "ofs.parity_report.v1"
MOST_REF = 1_024
"""Characters of a ref, as contracts have it."""
Document = Mapping[str, Any]


def check_parity(intent: Intent, anchors: Sequence[str], context: RunContext) -> Answer:
    """The answer of `ofs parity` for the intent's own anchor, or for those of a sweep where there are any."""
    require_whole(intent)
    refs = list(anchors) or [ref for ref in [intent.parity_anchor_ref] if ref]
    if not refs:
        message = "parity_anchor_ref is absent: name a snapshot, an audit record or a decision, or many by --anchors"
        raise refuse("PARITY_ANCHOR_INVALID", message, pointer="/parity_anchor_ref")
    too_long = next((one for one in refs if len(one) > MOST_REF), "")
    if too_long:
        message = f"{too_long[:80]}… is no ref: it has {write_count(len(too_long), 'character')}, at most {MOST_REF:,} are allowed"
        raise refuse("PARITY_ANCHOR_INVALID", message)
    refs = [context.objects.relative(ref) for ref in refs]
    ref = name_parity_report(intent.platform_run_id, derive_run_key(intent.request_id))

    rebuild = Rebuild(
        ref=ref,
        contract=CONTRACT,
        noun="parity report",
        make=lambda held, audit: _make_report(intent, refs, held, context, audit),
        answer=compose_answer,
        is_judged=True,
        asked=digest(refs) if anchors else "",
    )
    return run_rebuild(intent, rebuild, context)


def check_features(intent: Intent, features: str, context: RunContext) -> Answer:
    """The answer of `ofs parity --features`: values logged at decision time, compared with rebuilt ones."""
    ref = context.objects.relative(features)

    rebuild = Rebuild(
        ref=name_parity_report(intent.platform_run_id, derive_run_key(intent.request_id)),
        contract=SCHEMA_VERSION,
        noun="feature parity report",
        make=lambda held, audit: _make_feature_report(intent, ref, held, context, audit),
        answer=compose_feature_answer,
        is_judged=True,
        asked=digest({"features": ref}),
    )
    return run_rebuild(intent, rebuild, context)


def compose_answer(report: Mapping[str, Any], ref: str, run: Run) -> Answer:
    """What `ofs parity` answers of a report that stands."""
    table = report.get("table")
    return {
        "outcome": report["outcome"],
        "run_key": run.run_key,
        "request_id": run.request_id,
        "plan_id": report["plan_id"],
        "report_ref": ref,
        "results_ref": None if table is None else table["path"],
        "counts": dict(report["counts"]),
        "results": list(report["results"]),
        "warnings": list(report["differences"]),
    }


def compose_feature_answer(report: Mapping[str, Any], ref: str, run: Run) -> Answer:
    """What `ofs parity --features` answers of a report that stands."""
    kept = ("outcome", "plan_id", "counts", "prerequisites", "unchecked", "columns")
    return {
        **{name: report[name] for name in kept},
        "run_key": run.run_key,
        "request_id": run.request_id,
        "report_ref": ref,
        "results": [],
        "warnings": [],
    }


def _make_report(intent: Intent, refs: Sequence[str], held: Run, context: RunContext, audit: Audit) -> Document:
    """One attempt: every anchor's verdict, as the report."""
    context.announce("pins", f"resolves run facts, profile, archive index and {write_count(len(refs), 'anchor')}")
    resolution = resolve_parity(intent, refs, context, audit)
    plan = write_plan(resolution, held, context)
    load_rebuild_rooms(resolution.rows, context)  # compiles for a minute on a new machine: not before the pins hold
    from ofs_spark.workflow.parity_report import compose_report

    return compose_report(resolution, plan, held, context)


def _make_feature_report(intent: Intent, ref: str, held: Run, context: RunContext, audit: Audit) -> Document:
    """One attempt: every column's skew, as the report."""
    context.announce("pins", "resolves run facts, profile, archive index, label store and the logged values")
    resolution, file = resolve_logged(intent, ref, held, context, audit)
    load_rebuild_rooms(resolution.plan.archive.rows, context)
    from ofs_spark.workflow.window_parity import compare_logged

    return compare_logged(resolution, file, held, context)
