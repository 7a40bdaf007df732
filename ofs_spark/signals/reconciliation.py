"""OFS' contribution to a platform run's reconciliation: one entry per run, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.intent.run import Run
from ofs_spark.signals.receipts import PENDING, find_exit_status, name_end

Document = dict[str, Any]

SCHEMA_VERSION = "ofs.reconciliation.v1"
REASONS = 20
"""Reasons listed with a health that is not GREEN; the entries have them all."""

_PUBLISHED = ("COMMITTED", "ALREADY_PUBLISHED")


def compose_entry(held: Run, outcome: Mapping[str, Any], manifest: Mapping[str, Any] | None, audit: Audit) -> Document:
    """What is told of one run. `manifest`: the one its outcome names, None where it published nothing."""
    outcomes = [one.outcome for one in audit]
    entry: Document = {
        "run_key": held.run_key,
        "attempt": held.token,
        "outcome": name_end(outcome),
        "exit_status": find_exit_status(outcome),
        "protected_refs": {"attempted": len(audit), **{o: outcomes.count(o) for o in ("resolved", "denied")}},
    }
    if "code" in outcome:
        entry["code"] = outcome["code"]
    if manifest is not None:
        evidence = {kind: one["ref"] for kind, one in sorted(manifest["evidence"].items())}
        entry |= {
            "plan_id": manifest["plan_id"],
            "dataset_manifest_id": manifest["dataset_manifest_id"],
            "refs": {"manifest": outcome["manifest_ref"], **evidence},
            "counts": dict(manifest["replay"]["counts"]),
        }
    return entry


def reconcile(platform_run_id: str, entries: Iterable[Document]) -> Document:
    """The document of these runs, by run key. A dataset, and the events in it, count once however many runs met it."""
    runs = sorted(entries, key=lambda one: str(one["run_key"]))
    outcomes = [one["outcome"] for one in runs]
    datasets = {one["dataset_manifest_id"]: one["counts"] for one in runs if "counts" in one}
    counted = {
        name: sum(counts[name] for counts in datasets.values()) for name in ("redeliveries", "conflicts", "invalid")
    }
    refs = [one["protected_refs"] for one in runs]
    unsettled = [one for one in runs if one["outcome"] not in _PUBLISHED]
    broken = any(one["outcome"] != "REFUSED" for one in unsettled)
    return {
        "schema_version": SCHEMA_VERSION,
        "platform_run_id": platform_run_id,
        "runs": runs,
        "protected_refs": {name: sum(one[name] for one in refs) for name in ("attempted", "resolved", "denied")},
        "counters": {
            "build_requested": len(runs),
            "build_completed": sum(outcomes.count(name) for name in _PUBLISHED),
            "build_failed": len(unsettled) - outcomes.count(PENDING),
            "build_publish_pending": outcomes.count(PENDING),
            "datasets_built": len(datasets),
            "events_replayed": sum(counts["delivered"] for counts in datasets.values()),
            **counted,
        },
        "health": "RED" if broken else "AMBER" if unsettled else "GREEN",
        "reasons": [f"run {one['run_key']}: {one.get('code', one['outcome'])}" for one in unsettled[:REASONS]],
    }
