"""Version 0 of a published Delta table: what its one commit must say, and what it says, as plain JSON. No engine needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge
from ofs_spark.foundation.refs import name_table_commit, name_table_log
from ofs_spark.foundation.wording import write_count
from ofs_spark.pins.columns import Column, ColumnType, find_type
from ofs_spark.publish.model import FileEntry

PROTOCOL = MappingProxyType({"minReaderVersion": 1, "minWriterVersion": 2})
"""Every Delta reader of the last years can read it; deletion vectors and column mapping would need more."""
_FOREVER = "interval 36500 days"
CONFIGURATION = MappingProxyType(
    {
        "delta.appendOnly": "true",
        "delta.logRetentionDuration": _FOREVER,
        "delta.deletedFileRetentionDuration": _FOREVER,
        "delta.enableExpiredLogCleanup": "false",
    }
)
_ACTIONS = {"add", "commitInfo", "metaData", "protocol"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = 1000
_LAST = 253_402_300_799_999
"""The last millisecond of the year 9999, counted from the epoch."""
MOST_BYTES = 1024**3
"""Of the one log entry: a file takes some hundred bytes, and some more a column."""


@dataclass(frozen=True)
class TableLog:
    """What the one commit of a table says.

    files: name → (bytes, statistics, whatever else changes what a reader sees of the file); table: protocol, schema and
    settings; commit: the commit's own record; log_sha256: of the log entry's bytes.
    """

    files: Mapping[str, tuple[int, Mapping[str, Any], Mapping[str, Any]]]
    table: Mapping[str, Any]
    commit: Mapping[str, Any]
    log_sha256: str


def describe_schema(columns: Sequence[Column]) -> dict[str, Any]:
    """The table's schema as Delta states it: every column nullable, its meaning and unit as its comment."""
    fields = [
        {
            "name": c.name,
            "type": _describe_type(find_type(c.type)),
            "nullable": True,
            "metadata": {"comment": f"{c.meaning} [{c.unit}]" if c.unit else c.meaning},
        }
        for c in columns
    ]
    return {"type": "struct", "fields": fields}


def describe_statistics(entry: FileEntry, columns: Sequence[Column]) -> dict[str, Any]:
    """Delta's statistics of a file. Its times have milliseconds: the least is rounded down, the greatest up.

    Only a table of events has them.

    A greatest time in the calendar's last millisecond has no text once it is rounded up: the file has no greatest then,
    which readers take as unknown.
    """
    greatest = -(-entry.ts_max // _MILLISECOND)
    is_dated = any(column.name == "ts_utc" for column in columns)
    return {
        "numRecords": entry.rows,
        "minValues": {"ts_utc": _write_instant(entry.ts_min // _MILLISECOND)} if is_dated else {},
        "maxValues": {"ts_utc": _write_instant(greatest)} if is_dated and greatest <= _LAST else {},
        "nullCount": {c.name: entry.null_counts[c.name] for c in columns if find_type(c.type).element is None},
    }


def read_log(objects: Objects, table_ref: str) -> TableLog:
    """The table's only commit. MATERIALIZATION_CORRUPT if there is none or anything beside it, or it is unreadable."""
    ref = name_table_commit(table_ref, 0)
    try:
        body = objects.read(ref, MOST_BYTES)
    except ObjectMissing:
        raise _refuse_log(ref, "there is no Delta commit", "version 0") from None
    except ObjectTooLarge as error:
        raise _refuse_log(
            ref, f"the Delta commit has {write_count(error.found, 'byte')}", f"at most {error.allowed:,}"
        ) from None
    more = sorted(set(objects.list_below(name_table_log(table_ref))) - {ref})
    if more:  # a later version, a checkpoint or a hint: a reader would see another table
        raise _refuse_log(more[0], f"the log has {write_count(len(more), 'more entry', 'more entries')}", "one commit")
    try:
        return _parse_log(body)
    except (ValueError, KeyError, TypeError, AttributeError) as unreadable:
        raise _refuse_log(ref, f"the Delta commit is unreadable ({unreadable})", "one JSON action a line") from None


def verify_log(log: TableLog, table_ref: str, columns: Sequence[Column], files: Sequence[FileEntry]) -> None:
    """MATERIALIZATION_CORRUPT unless a reader sees exactly these files and columns, with true statistics, append-only."""
    ref = name_table_commit(table_ref, 0)
    expected: dict[str, tuple[int, Any, Any]] = {f.name: (f.bytes, describe_statistics(f, columns), {}) for f in files}
    if log.files != expected:
        differing = sorted(name for name in {*log.files, *expected} if log.files.get(name) != expected.get(name))
        found = f"the commit differs in {write_count(len(differing), 'file')}, first {differing[0]}"
        raise _refuse_log(ref, found, f"{write_count(len(expected), 'file')} as written")
    wanted = {
        "protocol": dict(PROTOCOL),
        "schema": describe_schema(columns),
        "configuration": dict(CONFIGURATION),
        "partitionColumns": [],
        "format": {"provider": "parquet", "options": {}},
    }
    for name, required in wanted.items():
        if log.table[name] != required:
            raise _refuse_log(ref, f"{name} is {_shorten(log.table[name])}", _shorten(required))


def _parse_log(body: bytes) -> TableLog:
    actions = [json.loads(line) for line in body.decode().splitlines() if line]
    odd = sorted({name for action in actions for name in action} - _ACTIONS)
    adds = [action["add"] for action in actions if "add" in action]
    files = {add["path"]: (add["size"], json.loads(add["stats"]), _find_oddities(add)) for add in adds}
    if odd or len(files) != len(adds):
        raise ValueError(f"it holds {', '.join(odd)}" if odd else "a file is added twice")
    (metadata,) = (action["metaData"] for action in actions if "metaData" in action)
    (protocol,) = (action["protocol"] for action in actions if "protocol" in action)
    commit: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    kept = {name: metadata[name] for name in ("configuration", "partitionColumns", "format")}
    table = {"protocol": protocol, "schema": json.loads(metadata["schemaString"]), **kept}
    return TableLog(files, table, commit, hashlib.sha256(body).hexdigest())


def _find_oddities(add: Mapping[str, Any]) -> dict[str, Any]:
    """What of an added file changes its rows for a reader: partition values, a deletion vector, and the like."""
    plain = {"path", "size", "stats", "modificationTime", "dataChange"}
    return {name: value for name, value in add.items() if name not in plain and value}


def _describe_type(type_: ColumnType) -> str | dict[str, Any]:
    if type_.element is None:
        return type_.delta
    return {"type": "array", "elementType": _describe_type(type_.element), "containsNull": True}


def _write_instant(milliseconds: int) -> str:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shorten(value: Any) -> str:
    return json.dumps(value, sort_keys=True)[:400]


def _refuse_log(ref: str, found: str, required: str) -> Refusal:
    return refuse("MATERIALIZATION_CORRUPT", f"{ref}: {found}; {required} is required", ref=ref)
