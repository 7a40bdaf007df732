"""One Delta commit of exactly the files that workers wrote: version 0 of a table no other attempt uses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from deltalake import CommitProperties, Field, Schema
from deltalake.exceptions import DeltaError
from deltalake.schema import ArrayType, PrimitiveType
from deltalake.transaction import AddAction, create_table_with_add_actions

from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.refs import name_table_commit
from ofs_spark.pins.profile.model import Column
from ofs_spark.publish.model import FileEntry

_FOREVER = "interval 36500 days"
CONFIGURATION = {
    "delta.appendOnly": "true",
    "delta.logRetentionDuration": _FOREVER,
    "delta.deletedFileRetentionDuration": _FOREVER,
    "delta.enableExpiredLogCleanup": "false",
}
_PRIMITIVES = {
    "int64": "long",
    "int32": "integer",
    "double": "double",
    "string": "string",
    "bool": "boolean",
    "timestamp[us, tz=UTC]": "timestamp",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = 1000


@dataclass(frozen=True)
class DeltaTables:
    """Commits Delta tables. `storage_options` are those of delta-rs (none for a local folder)."""

    storage_options: Mapping[str, str] = field(default_factory=dict)

    def create(
        self,
        location: str,
        columns: Sequence[Column],
        files: Sequence[FileEntry],
        name: str,
        description: str,
        metadata: Mapping[str, str],
        committed_ms: int,
    ) -> None:
        """Version 0 of the table at `location` (full address): these files, append-only, reader 1 / writer 2.

        `metadata` goes into the commit's own record. MATERIALIZATION_CORRUPT if the location already has a log: an
        attempt's folder is its own.
        """
        ordered = sorted(files, key=lambda f: f.name)
        adds = [
            AddAction(f.name, f.bytes, {}, committed_ms, True, json.dumps(_statistics(f, columns))) for f in ordered
        ]
        try:
            create_table_with_add_actions(
                location,
                _schema(columns),
                adds,
                mode="error",
                name=name,
                description=description,
                configuration=dict(CONFIGURATION),
                storage_options=dict(self.storage_options),
                commit_properties=CommitProperties(custom_metadata=dict(metadata)),
            )
        except DeltaError as refused:
            message = f"Delta refused to create a table: {refused}; the folder of a new attempt holds none"
            raise refuse("MATERIALIZATION_CORRUPT", message, ref=name_table_commit(location, 0)) from refused


def _schema(columns: Sequence[Column]) -> Schema:
    return Schema([Field(c.name, _type(c.type), nullable=True, metadata={"comment": _comment(c)}) for c in columns])


def _comment(column: Column) -> str:
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


def _type(text: str) -> PrimitiveType | ArrayType:
    if text.startswith("list<"):
        return ArrayType(_type(text[len("list<") : -1]), contains_null=True)
    if text.startswith("decimal128("):
        return PrimitiveType(text.replace("decimal128", "decimal").replace(" ", ""))
    return PrimitiveType(_PRIMITIVES[text])


def _statistics(entry: FileEntry, columns: Sequence[Column]) -> dict[str, Any]:
    """Delta's file statistics. Its times have milliseconds: the least is rounded down, the greatest up."""
    greatest = -(-entry.ts_max // _MILLISECOND)
    return {
        "numRecords": entry.rows,
        "minValues": {"ts_utc": _text(entry.ts_min // _MILLISECOND)},
        "maxValues": {"ts_utc": _text(greatest)},
        "nullCount": {c.name: entry.null_counts[c.name] for c in columns if not c.type.startswith("list<")},
    }


def _text(milliseconds: int) -> str:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
