"""The file list: which files a table consists of, with their proofs, as one content-addressed Parquet sibling.

One row per leaf: the file (path under the object root, bytes, sha256, rows) and the leaf (id, rows, column digests).
A manifest names the list by ref and sha256, so that it stays small however large the table is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.bounded import read_bounded
from ofs_spark.foundation.documents import describe_other
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge, Put
from ofs_spark.foundation.refs import OwnedRef, name_file_list
from ofs_spark.foundation.wording import write_count
from ofs_spark.publish.digest import LeafDigest
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.parquet import encode_parquet

MOST_BYTES = 4 * 1024**3
"""Of a file list: a leaf takes some hundred bytes."""
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("rows", pa.int64()),
        ("ts_min", pa.int64()),
        ("ts_max", pa.int64()),
        ("null_counts", pa.list_(pa.int64())),
        ("leaf", pa.string()),
        ("leaf_rows", pa.int64()),
        ("digests", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class FileList:
    """Where a file list stands and what it must be."""

    ref: str
    sha256: str
    files: int
    bytes: int

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Self:
        """The list that a manifest names."""
        files = manifest["materialization"]["files"]
        return cls(files["ref"], files["sha256"], files["count"], files["bytes"])


def put_staged(objects: Objects, ref: OwnedRef, body: bytes) -> None:
    """Writes a table's file. A retried task finds its own bytes there; any other bytes are MATERIALIZATION_CORRUPT."""
    if objects.put_if_absent(ref, body) is Put.EXISTS and describe_other(objects, ref, body):
        raise refuse(
            "MATERIALIZATION_CORRUPT", f"{ref} already exists with other bytes in this attempt's folder", ref=ref
        )


def put_file_list(objects: Objects, platform_run_id: str, entries: Sequence[FileEntry]) -> FileList:
    """Writes the file list and says where it is. Equal entries, in any order, give equal bytes."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    rows = [(e, leaf) for e in ordered for leaf in e.leaves]
    columns = [
        [e.path for e, _ in rows],
        [e.bytes for e, _ in rows],
        [e.sha256 for e, _ in rows],
        [e.rows for e, _ in rows],
        [e.ts_min for e, _ in rows],
        [e.ts_max for e, _ in rows],
        [list(e.null_counts.values()) for e, _ in rows],
        [leaf.leaf for _, leaf in rows],
        [leaf.rows for _, leaf in rows],
        [list(leaf.columns) for _, leaf in rows],
    ]
    body = encode_parquet(
        pa.table([pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA)
    )
    sha256 = hashlib.sha256(body).hexdigest()
    ref = name_file_list(platform_run_id, sha256)
    put_staged(objects, ref, body)
    return FileList(ref, sha256, len(ordered), sum(e.bytes for e in ordered))


def read_file_list(objects: Objects, listed: FileList, columns: Sequence[str]) -> list[FileEntry]:
    """The entries of a file list, files by path. `columns` are the table's.

    MATERIALIZATION_CORRUPT if the list is missing or is not the one that `listed` names.
    """
    try:
        body = objects.read(listed.ref, MOST_BYTES)
    except ObjectMissing:
        raise refuse("MATERIALIZATION_CORRUPT", "the file list is missing", ref=listed.ref) from None
    except ObjectTooLarge as error:
        message = f"the file list has {write_count(error.found, 'byte')}; at most {error.allowed:,} are read"
        raise refuse("MATERIALIZATION_CORRUPT", message, ref=listed.ref) from None
    found = hashlib.sha256(body).hexdigest()
    if found != listed.sha256:
        message = f"the file list has sha256 {found}; the manifest names {listed.sha256}"
        raise refuse("MATERIALIZATION_CORRUPT", message, ref=listed.ref)
    entries: dict[str, FileEntry] = {}
    for row in _decode(body, listed.ref):
        leaf = LeafDigest(row["leaf"], row["leaf_rows"], tuple(row["digests"]))
        before = entries.get(row["path"])
        nulls = dict(zip(columns, row["null_counts"], strict=True))
        entries[row["path"]] = FileEntry(
            row["path"],
            row["rows"],
            row["bytes"],
            row["sha256"],
            row["ts_min"],
            row["ts_max"],
            nulls,
            (*(before.leaves if before else ()), leaf),
        )
    return list(entries.values())


def read_table_file(objects: Objects, entry: FileEntry) -> bytes:
    """A file of a table, whatever its bytes. MATERIALIZATION_CORRUPT if it is missing, or longer than was written."""
    try:
        return objects.read(entry.path, entry.bytes)
    except ObjectMissing:
        raise refuse("MATERIALIZATION_CORRUPT", f"{entry.path} is missing", ref=entry.path) from None
    except ObjectTooLarge as error:
        message = f"{entry.path} has {write_count(error.found, 'byte')}; {entry.bytes:,} were written"
        raise refuse("MATERIALIZATION_CORRUPT", message, ref=entry.path) from None


def _decode(body: bytes, ref: str) -> list[dict[str, Any]]:
    try:
        file = pq.ParquetFile(pa.BufferReader(body), page_checksum_verification=True)
        rows: list[dict[str, Any]] = read_bounded(file, body, ref).to_pylist()
    except (pa.ArrowException, OSError) as unreadable:
        raise refuse("MATERIALIZATION_CORRUPT", f"the file list is not readable: {unreadable}", ref=ref) from None
    return rows
