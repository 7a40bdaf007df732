"""Forensics: the online plane's state at a decision, rebuilt, with the offsets that it is made of. Never a training dataset.

The request, its pins and its answer; the record itself is made in `forensic_record.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.refs import name_forensic_record
from ofs_spark.intent.identity import derive_run_key
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.parity.verdict import Verdict
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import Answer
from ofs_spark.workflow.loading import load_rebuild_rooms
from ofs_spark.workflow.parity_plan import require_whole, resolve_parity, write_plan
from ofs_spark.workflow.rebuilding import Rebuild, run_rebuild

CONTRACT = "ofs.forensic_record.v1"
Document = Mapping[str, Any]


def rebuild_forensics(intent: Intent, context: RunContext) -> Answer:
    """The answer of `ofs forensic`: the state as the online plane had it at the intent's anchor."""
    require_whole(intent)
    if not intent.parity_anchor_ref:
        message = "parity_anchor_ref is absent: name the decision, the audit record or the snapshot"
        raise refuse("PARITY_ANCHOR_INVALID", message, pointer="/parity_anchor_ref")
    anchor = context.objects.relative(intent.parity_anchor_ref)

    rebuild = Rebuild(
        ref=name_forensic_record(intent.platform_run_id, derive_run_key(intent.request_id)),
        contract=CONTRACT,
        noun="forensic record",
        make=lambda held, audit: _make_record(intent, anchor, held, context, audit),
        answer=compose_answer,
    )
    return run_rebuild(intent, rebuild, context)


def compose_answer(record: Mapping[str, Any], ref: str, run: Run) -> Answer:
    """What `ofs forensic` answers of a record that stands."""
    parity = record["parity"]
    return {
        "outcome": record["outcome"],
        "run_key": run.run_key,
        "request_id": run.request_id,
        "plan_id": record["plan_id"],
        "training_dataset": False,
        "record_ref": ref,
        "snapshot_ref": record["snapshot"]["ref"],
        "contributions_ref": record["contributions"]["ref"],
        "parity": {name: parity[name] for name in ("outcome", "category", "expected_hash", "rebuilt_hash")},
        "offsets_consumed": record["offsets_consumed"],
        "counts": record["counts"],
        "keys": record["keys"],
        "warnings": list(record["differences"]),
    }


def _make_record(intent: Intent, ref: str, held: Run, context: RunContext, audit: Audit) -> Document:
    """One attempt. PARITY_UNCHECKABLE where the state cannot be rebuilt, with what is missing."""
    context.announce("pins", "resolves run facts, profile, archive index and the anchor")
    resolution = resolve_parity(intent, [ref], context, audit)
    if resolution.early:
        raise refuse_verdict(ref, resolution.early[0])
    plan = write_plan(resolution, held, context)
    load_rebuild_rooms(resolution.rows, context)  # compiles for a minute on a new machine: not before the pins hold
    from ofs_spark.workflow.forensic_record import compose_record

    return compose_record(resolution, plan, held, context)


def refuse_verdict(ref: str, verdict: Verdict) -> Exception:
    """PARITY_UNCHECKABLE for an anchor whose state cannot be rebuilt, as its verdict has it."""
    prerequisite = verdict.prerequisite or verdict.category or ""
    message = f"{ref}: the state cannot be rebuilt: {verdict.reason or prerequisite}"
    return refuse("PARITY_UNCHECKABLE", message, ref=ref, prerequisite=prerequisite)
