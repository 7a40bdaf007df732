"""Governance facts: that a dataset was published, a build failed, a backfill was declared or completed, parity was judged.
Small, by reference, each told once.

An `event_id` is made of what the fact is about and of nothing else, so that telling it again writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.canonical import digest
from ofs_spark.intent.model import Intent

Document = dict[str, Any]

SCHEMA_VERSION = "ofs.governance_fact.v1"


def compose_dataset_published(manifest: Mapping[str, Any], ref: str, sha256: str) -> Document:
    """DatasetPublished: the same whichever run tells it."""
    about = {name: manifest[name] for name in ("platform_run_id", "dataset_manifest_id", "plan_id", "status")}
    content = manifest["materialization"]["content_digest"]
    return _make_fact(
        "DatasetPublished", about | {"manifest": {"ref": ref, "sha256": sha256}, "content_digest": content}
    )


def compose_dataset_build_failed(
    run_key: str, attempt: int, platform_run_id: str, outcome: Mapping[str, Any], receipt_ref: str
) -> Document:
    """DatasetBuildFailed: one per attempt of a run. `receipt_ref`: where the refusal stands in full."""
    about = {"platform_run_id": platform_run_id, "run_key": run_key, "attempt": attempt}
    ended = {"code": outcome.get("code") or outcome["reason"], "receipt_ref": receipt_ref}
    return _make_fact("DatasetBuildFailed", about | ended)


def compose_backfill_declared(run_key: str, dataset_manifest_id: str, intent: Intent, intent_hash: str) -> Document:
    """BackfillDeclared: one per run, whatever becomes of it. `intent_hash`: of the lifted intent's payload."""
    about = {"platform_run_id": intent.platform_run_id, "run_key": run_key, "dataset_manifest_id": dataset_manifest_id}
    asked = {"supersedes": sorted(intent.supersedes), "reason_code": intent.reason_code}
    return _make_fact("BackfillDeclared", about | asked | {"intent_payload_hash": intent_hash})


def compose_backfill_completed(manifest: Mapping[str, Any], named: Mapping[str, str]) -> Document:
    """BackfillCompleted: the same whichever run tells it. `named`: the manifest by ref and sha256."""
    about = {name: manifest[name] for name in ("platform_run_id", "dataset_manifest_id", "plan_id", "supersedes")}
    content = manifest["materialization"]["content_digest"]
    return _make_fact("BackfillCompleted", about | {"manifest": dict(named), "content_digest": content})


def compose_parity_result(run_key: str, report: Mapping[str, Any], named: Mapping[str, str]) -> Document:
    """ParityResult: one per run. `named`: its report by ref and sha256."""
    about = {name: report[name] for name in ("platform_run_id", "plan_id", "outcome", "counts")} | {"run_key": run_key}
    return _make_fact("ParityResult", about | {"report": dict(named)})


def _make_fact(kind: str, about: Document) -> Document:
    event_id = digest({"recipe": SCHEMA_VERSION, "event_type": kind, "payload": about})
    return {"schema_version": SCHEMA_VERSION, "event_id": event_id, "event_type": kind, **about}
