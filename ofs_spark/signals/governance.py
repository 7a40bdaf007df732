"""Governance facts: that a dataset was published, or that a build failed. Small, by reference, each told once.

An `event_id` is made of what the fact is about and of nothing else, so that telling it again writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.canonical import digest

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


def _make_fact(kind: str, about: Document) -> Document:
    event_id = digest({"recipe": SCHEMA_VERSION, "event_type": kind, "payload": about})
    return {"schema_version": SCHEMA_VERSION, "event_id": event_id, "event_type": kind, **about}
