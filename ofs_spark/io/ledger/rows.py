"""What ledgers share: runs and events as rows of a database, and the refusal of a write that came too late."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.errors import InternalError, Refusal, refuse
from ofs_spark.intent.run import DatedRun, Published, Run, State, Transition

Row = dict[str, Any]
"""Column name → value, of the columns that `statements.py` names."""
Values = Sequence[Any]
"""A row's values, in the order of those columns."""

_RUN_COLUMNS = [f.name for f in fields(Run)]
_EVENT_COLUMNS = [f.name for f in fields(Transition)]


def encode_run(run: Run, at: int) -> Row:
    """The run as a row: its state by name, its outcome as canonical JSON, and the dataset that it ended with.

    at: µs, of the event that goes with it. InternalError for a text that no column holds.
    """
    row = {name: getattr(run, name) for name in _RUN_COLUMNS}
    outcome = None if run.outcome is None else _encode_json(run.outcome)
    dataset = find_dataset(run)
    named = {"dataset_manifest_id": dataset, "published_at": None if dataset is None else at}
    return _require_storable({**row, "state": run.state.value, "outcome": outcome, **named})


def decode_run(values: Values) -> Run:
    """The run of a row."""
    row = dict(zip(_RUN_COLUMNS, values, strict=True))
    outcome = row["outcome"] and json.loads(row["outcome"])
    publish_only = bool(row["publish_only"])  # SQLite has no truth values: it gives 0 or 1
    return Run(**{**row, "state": State(row["state"]), "publish_only": publish_only, "outcome": outcome})


def encode_event(event: Transition) -> Row:
    """The event as a row: its states by name, its detail as canonical JSON. InternalError as `encode_run`."""
    row = {name: getattr(event, name) for name in _EVENT_COLUMNS}
    before = event.before and event.before.value
    detail = _encode_json(event.detail)
    return _require_storable({**row, "before": before, "after": event.after.value, "detail": detail})


def decode_event(values: Values) -> Transition:
    """The event of a row."""
    row = dict(zip(_EVENT_COLUMNS, values, strict=True))
    before = row["before"] and State(row["before"])
    return Transition(**{**row, "before": before, "after": State(row["after"]), "detail": json.loads(row["detail"])})


def is_storable(text: str) -> bool:
    """Whether every database holds this text: PostgreSQL has no U+0000, and none of them half a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def find_dataset(run: Run) -> str | None:
    """The dataset that the run's last attempt ended with; None for none."""
    outcome = run.outcome or {}
    return outcome.get("dataset_manifest_id") if outcome.get("manifest_ref") else None


def is_publisher(run: Run, dataset_manifest_id: str) -> bool:
    """Whether the run's last attempt ended with this dataset."""
    return find_dataset(run) == dataset_manifest_id


def group_datasets(runs: Iterable[DatedRun], prefix: str) -> list[Published]:
    """The datasets that runs ended with and whose ids begin with `prefix`, as `Ledger.list_datasets`."""
    found: dict[str, Published] = {}
    for dated in runs:
        dataset, placed = find_dataset(dated.run), dated.run.platform_run_id
        if dataset is None or placed is None or dated.ended is None or not dataset.startswith(prefix):
            continue
        if dataset not in found or dated.ended < found[dataset].at:
            found[dataset] = Published(dataset, placed, dated.ended)
    return sorted(found.values(), key=lambda one: (-one.at, one.dataset_manifest_id))


def refuse_late(run_key: str, token: int) -> Refusal:
    """LEASE_LOST, ready to raise: the run is no longer as the writer under claim `token` has seen it."""
    message = f"run {run_key} changed since it was read under claim {token}: another driver holds it"
    return refuse("LEASE_LOST", message, run_key=run_key, token=token)


def refuse_unfit(message: str) -> Refusal:
    """ENVIRONMENT_UNFIT of the ledger, ready to raise. The message holds nothing of its address."""
    return refuse("ENVIRONMENT_UNFIT", message, pointer="/ledger/dsn")


def _encode_json(document: Mapping[str, Any]) -> str:
    return encode_canonical(dict(document)).decode()


def _require_storable(row: Row) -> Row:
    """The row. Ids and names are judged where they enter, and JSON writes its odd characters as escapes."""
    for name, value in row.items():
        if isinstance(value, str) and not is_storable(value):
            raise InternalError(f"a ledger's {name} holds U+0000 or half a surrogate pair")
    return row
