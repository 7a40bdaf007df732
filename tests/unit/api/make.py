"""Datasets of given rows, as a load would have made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ofs_spark.api.dataset import Dataset
from ofs_spark.foundation.clock import parse_instant
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.labels.model import name_label_columns
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.columns import DOUBLE, INT64, STRING, TIMESTAMP, Column
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.rows import FileReader, StoredRows
from ofs_spark.workflow.load import LoadedDataset, make_schema

FRAUD = "fraud_disposition"
COLUMNS = (
    Column("event_id", STRING, "identity", "m"),
    Column("ts_utc", TIMESTAMP, "identity", "m"),
    Column("card__count", INT64, "feature", "m"),
    Column("card__mean", DOUBLE, "feature", "m"),
    *(Column(name, TIMESTAMP if name.endswith("time") else STRING, "label", "m") for name in name_label_columns(FRAUD)),
)


def moment(text: str) -> int:
    """µs of a time of the second of January 2026."""
    return parse_instant(f"2026-01-02T{text}Z")


def row(event: str, time: str, value: str | None = None, observed: str | None = None, **more: Any) -> dict[str, Any]:
    """One row: RESOLVED with a value, else NOT_FOUND."""
    seen = moment(observed or time) if value else None
    label = (value, "RESOLVED" if value else "NOT_FOUND", seen, seen, "00" if value else None)
    return {
        "event_id": event,
        "ts_utc": moment(time),
        **dict(zip(name_label_columns(FRAUD), label, strict=True)),
        **more,
    }


def make_dataset(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = COLUMNS, **changes: Any) -> Dataset:
    """The rows, held in memory; changes: of the manifest."""
    arrays = {
        column.name: pa.array([one.get(column.name) for one in rows], to_arrow_type(column.type)) for column in columns
    }
    table = pa.table(arrays, schema=make_schema(tuple(columns)))
    times = [one["ts_utc"] for one in rows]
    entries = [FileEntry("t/part.parquet", len(rows), 1, "00" * 32, min(times), max(times), {}, ())] if rows else []
    stored = StoredRows(FileReader(MemoryObjects(), ()), tuple(entries))
    return Dataset(
        LoadedDataset(
            "run/ofs/manifests/dm.json", describe(len(rows), columns) | changes, tuple(columns), stored, table
        )
    )


def describe(rows: int, columns: Sequence[Column]) -> dict[str, Any]:
    """What of a manifest is shown."""
    return {
        "dataset_manifest_id": "dm_" + "a1" * 16,
        "status": "TRAINING_READY",
        "feature_definition_set": {"feature_set_id": "card_fraud", "feature_set_version": "v3"},
        "columns": [{"name": one.name, "type": one.type, "role": one.role, "meaning": one.meaning} for one in columns],
        "labels": {
            "types": [FRAUD],
            "label_asof_utc": "2026-04-01T00:00:00Z",
            "coverage": {FRAUD: {"ratios": {"coverage": 0.5}}},
        },
        "materialization": {"row_count": rows, "content_digest": "ab" * 32},
    }
