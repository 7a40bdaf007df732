"""Label extracts in memory, for the tests of the labels room."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.canonical import digest
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.labels.assertions import read_assertions
from ofs_spark.labels.extract_file import TEXTS, TIMES
from ofs_spark.labels.model import ExtractFile
from tests.worlds.model import label

EXTRACT = "labels/label_extract.json"


KEY = bytes(range(16))


def rows_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in (*TEXTS, *TIMES)})


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def entry(body: bytes, rows: int, ref: str = "labels/0.parquet") -> ExtractFile:
    return ExtractFile(ref, len(body), hashlib.sha256(body).hexdigest(), rows)


def read(table: pa.Table) -> pa.Table:
    body = parquet(table)
    return read_assertions(body, entry(body, table.num_rows), KEY)


def read_rows(*rows: Mapping[str, Any]) -> pa.Table:
    return read(rows_table(rows))


def one(**changes: Any) -> dict[str, Any]:
    return {**label(1, "e0", "FRAUD_CONFIRMED", "2026-02-20T00:00:00Z"), **changes}


def extract_document(**changes: Any) -> dict[str, Any]:
    file = {"path": "labels/0.parquet", "bytes": 3, "sha256": "ab" * 32, "row_count": 7}
    document: dict[str, Any] = {
        "schema_version": "label_store.extract.v0",
        "label_store_id": "store",
        "marker": "commit-1",
        "committed_up_to_utc": "2026-06-01T00:00:00Z",
        "row_count": 7,
        "files": [file],
    }
    document |= changes
    return {**document, "digest": changes.get("digest", digest(document))}


def stored(document: Any) -> MemoryObjects:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return MemoryObjects({EXTRACT: body})
