"""Receipts of a run: how it ended over all its attempts, and what its commit found. Derived, repeatable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ofs_spark.foundation.audit import Audit, describe_audit
from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.codes import CODES
from ofs_spark.foundation.refs import name_plan
from ofs_spark.intent.run import Run, State, Transition

Document = dict[str, Any]

PENDING = "PUBLISH_PENDING"
EXIT_OF_OUTCOME = {"MISMATCH": 70, "UNCHECKABLE": 71}
"""Exit status of an answer that is none of the others."""
RESULT_REFS = ("manifest_ref", "table_ref", "report_ref", "record_ref", "snapshot_ref", "results_ref")
"""Members of an answer that name what the run left."""


def name_end(outcome: Mapping[str, Any], state: State) -> str:
    """How an attempt ended that left its run in a state: PUBLISH_PENDING where staged data may still be published."""
    return PENDING if state is State.PUBLISH_PENDING else str(outcome["outcome"])


def find_exit_status(outcome: Mapping[str, Any]) -> int:
    """The process exit status of an outcome: 0, the code's of a refusal, the one that a failure states, 70 or 71 of a parity."""
    if "code" in outcome:
        return CODES[outcome["code"]].exit_status
    if outcome["outcome"] == "FAILED":
        return int(outcome["exit_status"])
    return EXIT_OF_OUTCOME.get(outcome["outcome"], 0)


def compose_run_receipt(
    held: Run,
    platform_run_id: str,
    outcome: Mapping[str, Any],
    events: Sequence[Transition],
    audit: Audit,
    signals: Mapping[str, str],
    pinned: Mapping[str, Any] | None = None,
) -> Document:
    """What was asked, every attempt, how the last one ended, where its results stand.

    events: the run's, oldest first; signals: ref → WRITTEN, EXISTS or FAILED, of what was written about the run;
    pinned: the manifest or plan that holds the run's `pins`, None if it ended before they were resolved.
    """
    receipt: Document = {
        "schema_version": "ofs.run_receipt.v1",
        "run_key": held.run_key,
        "request_id": held.request_id,
        "platform_run_id": platform_run_id,
        "intent_payload_hash": held.intent_hash,
        "outcome": name_end(outcome, held.state),
        "exit_status": find_exit_status(outcome),
        "attempts": list_attempts(events),
        "refs": {name: outcome[name] for name in RESULT_REFS if outcome.get(name)},
        **describe_audit(audit),
        "signals": dict(sorted(signals.items())),
    }
    if "code" in outcome:
        receipt["refusal"] = dict(outcome)
    if pinned is not None:
        receipt |= {name: pinned[name] for name in ("pins", "plan_id", "dataset_manifest_id") if name in pinned}
    return receipt


def list_attempts(events: Sequence[Transition]) -> list[Document]:
    """Every claim of a run, by its token: when it began, how and when it ended; ABANDONED if another took over."""
    found: dict[int, Document] = {}
    for event in events:
        if event.after is State.RUNNING and event.token not in found:
            found[event.token] = {
                "attempt": event.token,
                "outcome": "ABANDONED",
                "started_at_utc": format_instant(event.at),
            }
        elif event.before is State.RUNNING and event.after is not State.RUNNING:
            ended = {"outcome": name_end(event.detail, event.after), "ended_at_utc": format_instant(event.at)}
            found[event.token] |= ended | ({"code": event.detail["code"]} if "code" in event.detail else {})
    return [found[token] for token in sorted(found)]


def compose_publication_receipt(
    run_key: str, request_id: str, manifest: Mapping[str, Any], named: Mapping[str, str]
) -> Document:
    """What a run's commit, or its look before, found: the manifest that stands, `named` by ref and sha256.

    COMMITTED iff the manifest names this run's evidence: so an attempt that took over from a driver which died right
    after its commit says what that driver would have said.
    """
    return {
        "schema_version": "ofs.publication_receipt.v1",
        "run_key": run_key,
        "request_id": request_id,
        "platform_run_id": manifest["platform_run_id"],
        "plan_id": manifest["plan_id"],
        "dataset_manifest_id": manifest["dataset_manifest_id"],
        "outcome": "COMMITTED" if is_own_commit(manifest, run_key) else "ALREADY_PUBLISHED",
        "manifest": dict(named),
        "content_digest": manifest["materialization"]["content_digest"],
    }


def is_own_commit(manifest: Mapping[str, Any], run_key: str) -> bool:
    """Whether the manifest names this run's evidence: the run committed it, in this attempt or an earlier one."""
    own = name_plan(manifest["platform_run_id"], run_key)
    return bool(manifest["evidence"]["resolved_build_plan"]["ref"] == own)


def compose_plan_index(manifest: Mapping[str, Any], named: Mapping[str, str]) -> Document:
    """Which manifest a plan came to."""
    return {
        "schema_version": "ofs.plan_index.v1",
        "plan_id": manifest["plan_id"],
        "dataset_manifest_id": manifest["dataset_manifest_id"],
        "manifest": dict(named),
    }
