"""Version 0 of a published Delta table, read back from its log: plain JSON, no engine needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects
from ofs_spark.foundation.refs import name_table_commit
from ofs_spark.pins.columns import Column
from ofs_spark.publish.model import FileEntry

MOST_BYTES = 1024**3
"""Of the one log entry: a file takes some hundred bytes, and some more a column."""


@dataclass(frozen=True)
class TableLog:
    """What the one commit of a table says. files: name → (bytes, rows); log_sha256: of the log entry's bytes."""

    files: Mapping[str, tuple[int, int]]
    columns: tuple[str, ...]
    configuration: Mapping[str, str]
    commit: Mapping[str, Any]
    log_sha256: str


def read_log(objects: Objects, table_ref: str) -> TableLog:
    """The table's only commit. MATERIALIZATION_CORRUPT if there is none, more than one, or it is unreadable."""
    ref = name_table_commit(table_ref, 0)
    try:
        body = objects.read(ref, MOST_BYTES)
    except ObjectMissing:
        raise _refuse_log(ref, "there is no Delta commit", "version 0") from None
    if objects.exists(name_table_commit(table_ref, 1)):
        raise _refuse_log(ref, "the table has a version 1", "one commit")
    try:
        return _parse_log(body)
    except (ValueError, KeyError, TypeError) as unreadable:
        raise _refuse_log(ref, f"the Delta commit is unreadable ({unreadable})", "one JSON action a line") from None


def verify_log(log: TableLog, table_ref: str, columns: Sequence[Column], files: Sequence[FileEntry]) -> None:
    """MATERIALIZATION_CORRUPT unless the commit adds exactly these files, with these sizes and columns, append-only."""
    ref = name_table_commit(table_ref, 0)
    expected = {f.name: (f.bytes, f.rows) for f in files}
    if log.files != expected:
        differing = sorted(name for name in {*log.files, *expected} if log.files.get(name) != expected.get(name))
        found = f"the commit differs in {len(differing)} files, first {differing[0]}"
        raise _refuse_log(ref, found, f"{len(expected)} files as written")
    if log.columns != tuple(c.name for c in columns):
        raise _refuse_log(ref, f"columns are {log.columns}", "the dataset's columns in order")
    if log.configuration.get("delta.appendOnly") != "true":
        raise _refuse_log(ref, "the table is not append-only", "delta.appendOnly true")


def _parse_log(body: bytes) -> TableLog:
    actions = [json.loads(line) for line in body.decode().splitlines() if line]
    adds = [action["add"] for action in actions if "add" in action]
    files = {add["path"]: (add["size"], json.loads(add["stats"])["numRecords"]) for add in adds}
    if len(files) != len(adds) or any("remove" in action for action in actions):
        raise ValueError("a file is added twice or removed")
    (metadata,) = (action["metaData"] for action in actions if "metaData" in action)
    commit: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    columns = tuple(column["name"] for column in json.loads(metadata["schemaString"])["fields"])
    return TableLog(files, columns, metadata["configuration"], commit, hashlib.sha256(body).hexdigest())


def _refuse_log(ref: str, found: str, required: str) -> Refusal:
    return refuse("MATERIALIZATION_CORRUPT", f"{ref}: {found}; {required} is required", ref=ref)
