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
from ofs_spark.pins.columns import Column, ColumnType, find_type
from ofs_spark.publish.model import FileEntry

_FOREVER = "interval 36500 days"
CONFIGURATION = {
    "delta.appendOnly": "true",
    "delta.logRetentionDuration": _FOREVER,
    "delta.deletedFileRetentionDuration": _FOREVER,
    "delta.enableExpiredLogCleanup": "false",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = 1000
_LAST = 253_402_300_799_999
"""The last millisecond of the year 9999, counted from the epoch."""


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
            AddAction(f.name, f.bytes, {}, committed_ms, True, json.dumps(_write_statistics(f, columns)))
            for f in ordered
        ]
        try:
            create_table_with_add_actions(
                location,
                make_schema(columns),
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


def make_schema(columns: Sequence[Column]) -> Schema:
    """The table's schema: every column nullable, its meaning and unit as its comment."""
    return Schema(
        [
            Field(c.name, _make_type(find_type(c.type)), nullable=True, metadata={"comment": _write_comment(c)})
            for c in columns
        ]
    )


def _write_comment(column: Column) -> str:
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


def _make_type(type_: ColumnType) -> PrimitiveType | ArrayType:
    if type_.element is not None:
        return ArrayType(_make_type(type_.element), contains_null=True)
    return PrimitiveType(type_.delta)


def _write_statistics(entry: FileEntry, columns: Sequence[Column]) -> dict[str, Any]:
    """Delta's file statistics. Its times have milliseconds: the least is rounded down, the greatest up.

    A greatest time in the calendar's last millisecond has no text once it is rounded up: the file has no greatest then,
    which readers take as unknown.
    """
    least, greatest = entry.ts_min // _MILLISECOND, -(-entry.ts_max // _MILLISECOND)
    return {
        "numRecords": entry.rows,
        "minValues": {"ts_utc": _write_instant(least)},
        "maxValues": {"ts_utc": _write_instant(greatest)} if greatest <= _LAST else {},
        "nullCount": {c.name: entry.null_counts[c.name] for c in columns if find_type(c.type).element is None},
    }


def _write_instant(milliseconds: int) -> str:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
