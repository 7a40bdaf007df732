"""OFS' contribution to a platform run's reconciliation: entries of its runs, and what all runs add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.intent.run import Run
from ofs_spark.signals.receipts import PENDING, find_exit_status, name_end
from ofs_spark.signals.roll import REFS, Roll

Document = dict[str, Any]

SCHEMA_VERSION = "ofs.reconciliation.v1"
LISTED = 1_000
"""Runs that a platform run's document lists, the newest: about a megabyte. Its sums are those of all."""
REASONS = 20
"""Reasons listed with a health that is not GREEN; the contributions have them all."""

_PUBLISHED = ("COMMITTED", "ALREADY_PUBLISHED")
_COMPARED = ("MATCH", "MISMATCH", "UNCHECKABLE")
_REBUILT = "REBUILT"
_SETTLED = frozenset({*_PUBLISHED, "MATCH", _REBUILT})
_TOLD = ("REFUSED", "MISMATCH", "UNCHECKABLE")
"""Ends that ask for somebody's attention, and are no failure of OFS."""
_RESULTS = {"report_ref": "parity_report", "record_ref": "forensic_record"}
"""Member of an answer → what its document is called among an entry's refs."""


def compose_entry(held: Run, outcome: Mapping[str, Any], manifest: Mapping[str, Any] | None, audit: Audit) -> Document:
    """What is told of one run. `manifest`: the one its outcome names, None where it published nothing."""
    outcomes = [one.outcome for one in audit]
    entry: Document = {
        "run_key": held.run_key,
        "attempt": held.token,
        "outcome": name_end(outcome, held.state),
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
    results = {name: outcome[member] for member, name in _RESULTS.items() if outcome.get(member)}
    if results:
        entry |= {"plan_id": outcome["plan_id"], "refs": results}
    return entry


def reconcile(platform_run_id: str, roll: Roll, entries: Iterable[Document]) -> Document:
    """The document of a platform run: the entries that it lists, by run key, and what all runs of the roll add up to.

    A dataset, and the events in it, count once however many runs met it.
    """
    columns, counts = roll.columns, roll.count_datasets()
    outcomes = Counter(columns["outcome"])
    runs = zip(columns["run_key"], columns["outcome"], columns["reason"], strict=True)
    unsettled = sorted((run_key, reason) for run_key, outcome, reason in runs if outcome not in _SETTLED)
    rebuilds = sum(outcomes[name] for name in (*_COMPARED, _REBUILT))
    broken = len(unsettled) > sum(outcomes[name] for name in _TOLD)
    return {
        "schema_version": SCHEMA_VERSION,
        "platform_run_id": platform_run_id,
        "runs": sorted(entries, key=lambda one: str(one["run_key"])),
        "protected_refs": {name: sum(columns[name]) for name in REFS},
        "counters": {
            "build_requested": len(roll.places) - rebuilds,
            "build_completed": sum(outcomes[name] for name in _PUBLISHED),
            "build_failed": len(unsettled) - sum(outcomes[name] for name in (PENDING, *_COMPARED[1:])),
            "build_publish_pending": outcomes[PENDING],
            "datasets_built": counts["datasets"],
            "events_replayed": counts["delivered"],
            **{name: counts[name] for name in ("redeliveries", "conflicts", "invalid")},
            **{f"parity_{name.lower()}": outcomes[name] for name in _COMPARED},
            "forensic_rebuilt": outcomes[_REBUILT],
        },
        "health": "RED" if broken else "AMBER" if unsettled else "GREEN",
        "reasons": [f"run {run_key}: {reason}" for run_key, reason in unsettled[:REASONS]],
    }
