"""What is written about a run after it ended: receipts, the plan index, counters and reconciliation. Derived, repeatable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ofs_spark.canonical import canonical_json
from ofs_spark.errors import CODES
from ofs_spark.intent.identity import intent_payload_hash
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.pins.plan import BuildPlan
from ofs_spark.publish.evidence import Evidence

Document = dict[str, Any]


def run_receipt(held: Run, intent: Intent, outcome: Mapping[str, Any]) -> Document:
    """The run's receipt: what was asked, which attempt this was, how it ended, where its results stand."""
    refused = "code" in outcome
    refs = {name: outcome[name] for name in ("manifest_ref", "table_ref") if outcome.get(name)}
    receipt: Document = {
        "schema_version": "ofs.run_receipt.v1",
        "run_key": held.run_key,
        "request_id": held.request_id,
        "platform_run_id": intent.platform_run_id,
        "intent_payload_hash": intent_payload_hash(intent),
        "outcome": outcome["outcome"],
        "exit_status": CODES[outcome["code"]].exit_status if refused else int(outcome["outcome"] == "FAILED"),
        "attempts": [{"attempt": max(1, held.attempts), "outcome": outcome["outcome"]}],
        "refs": refs,
    }
    if refused:
        receipt["refusal"] = dict(outcome)
    return receipt | {name: outcome[name] for name in ("plan_id", "dataset_manifest_id") if outcome.get(name)}


def after_commit(
    plan: BuildPlan, held: Run, manifest: Mapping[str, Any], ref: str, outcome: str, evidence: Mapping[str, Evidence]
) -> dict[str, Document]:
    """Ref → document of everything that follows from a committed manifest."""
    run, own = plan.intent.platform_run_id, f"{plan.intent.platform_run_id}/ofs"
    named = {"ref": ref, "sha256": hashlib.sha256(canonical_json(dict(manifest))).hexdigest()}
    digest = manifest["materialization"]["content_digest"]
    publication = {
        "schema_version": "ofs.publication_receipt.v1",
        "run_key": held.run_key,
        "request_id": held.request_id,
        "platform_run_id": run,
        "plan_id": manifest["plan_id"],
        "dataset_manifest_id": plan.dataset_manifest_id,
        "outcome": outcome,
        "manifest": named,
        "content_digest": digest,
    }
    index = {
        "schema_version": "ofs.plan_index.v1",
        "plan_id": manifest["plan_id"],
        "dataset_manifest_id": plan.dataset_manifest_id,
        "manifest": named,
    }
    reconciliation = reconciled(plan, held, manifest, named, outcome, evidence)
    return {
        f"{own}/publication/{held.run_key}.json": publication,
        f"{own}/index/by_plan/{manifest['plan_id']}.json": index,
        f"{own}/reconciliation/{held.run_key}.json": reconciliation,
        f"{run}/learning/reconciliation/ofs_reconciliation.json": reconciliation,
    }


def reconciled(
    plan: BuildPlan,
    held: Run,
    manifest: Mapping[str, Any],
    named: Mapping[str, str],
    outcome: str,
    evidence: Mapping[str, Evidence],
) -> Document:
    """OFS' contribution to the platform run's reconciliation: the run, its evidence, protected refs, counters."""
    refs = {kind: one.ref for kind, one in sorted(evidence.items())}
    label_ref = {"ref": plan.labels["extract"]["ref"], "purpose": "label_extract", "outcome": "resolved"}
    audit = [*plan.run_facts.audit, label_ref]
    outcomes = [one["outcome"] for one in audit]
    counts = manifest["replay"]["counts"]
    return {
        "schema_version": "ofs.reconciliation.v1",
        "platform_run_id": plan.intent.platform_run_id,
        "runs": [
            {
                "run_key": held.run_key,
                "outcome": outcome,
                "plan_id": manifest["plan_id"],
                "dataset_manifest_id": plan.dataset_manifest_id,
                "refs": {"manifest": named["ref"], **refs},
                "counts": dict(counts),
                "exit_status": 0,
            }
        ],
        "protected_refs": {
            "attempted": len(audit),
            "resolved": outcomes.count("resolved"),
            "denied": outcomes.count("denied"),
        },
        "counters": {
            "build_requested": 1,
            "build_completed": 1,
            "datasets_built": int(outcome == "COMMITTED"),
            "events_replayed": counts["delivered"],
            "redeliveries": counts["redeliveries"],
            "conflicts": counts["conflicts"],
            "invalid": counts["invalid"],
        },
        "health": "GREEN",
        "reasons": [],
    }
