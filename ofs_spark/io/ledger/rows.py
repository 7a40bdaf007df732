"""What ledgers share: runs and events as rows of a database, and the refusal of a write that came too late."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.intent.run import Run, State, Transition

Row = dict[str, Any]
"""Column name → value, of the columns that `statements.py` names."""


def encode_run(run: Run) -> Row:
    """The run as a row: its state by name, its outcome as canonical JSON."""
    row = {f.name: getattr(run, f.name) for f in fields(Run)}
    return {**row, "state": run.state.value, "outcome": None if run.outcome is None else _encode_json(run.outcome)}


def decode_run(row: Row) -> Run:
    """The run of a row."""
    outcome = row["outcome"] and json.loads(row["outcome"])
    publish_only = bool(row["publish_only"])  # SQLite has no truth values: it gives 0 or 1
    return Run(**{**row, "state": State(row["state"]), "publish_only": publish_only, "outcome": outcome})


def encode_event(event: Transition) -> Row:
    """The event as a row: its states by name, its detail as canonical JSON."""
    row = {f.name: getattr(event, f.name) for f in fields(Transition)}
    before = event.before and event.before.value
    return {**row, "before": before, "after": event.after.value, "detail": _encode_json(event.detail)}


def decode_event(row: Row) -> Transition:
    """The event of a row."""
    before = row["before"] and State(row["before"])
    return Transition(**{**row, "before": before, "after": State(row["after"]), "detail": json.loads(row["detail"])})


def is_publisher(run: Run, dataset_manifest_id: str) -> bool:
    """Whether the run's last attempt ended with this dataset."""
    outcome = run.outcome or {}
    return outcome.get("dataset_manifest_id") == dataset_manifest_id and "manifest_ref" in outcome


def refuse_late(run_key: str, token: int) -> Refusal:
    """LEASE_LOST, ready to raise: the run is no longer as the writer under claim `token` has seen it."""
    message = f"run {run_key} changed since it was read under claim {token}: another driver holds it"
    return refuse("LEASE_LOST", message, run_key=run_key, token=token)


def _encode_json(document: Mapping[str, Any]) -> str:
    return encode_canonical(dict(document)).decode()
