"""Re-reading: what a stored file really says, recomputed from its bytes and compared with what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.arrays import count_true
from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES, read_bounded
from ofs_spark.foundation.columnar.notes import Note
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.wording import write_count
from ofs_spark.labels.coverage import TypeCounts, add_counts, recount_labels
from ofs_spark.labels.leakage import count_leaks
from ofs_spark.pins.arrow_types import name_arrow_type
from ofs_spark.publish.digest import LeafDigest, digest_leaf
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.parquet import TS_COLUMN

Schema: TypeAlias = tuple[tuple[str, str], ...]
"""(column, Arrow type as text), in dataset order."""


@dataclass(frozen=True)
class Checks:
    """What every file of a table is judged by.

    label_types with `cutoff_us` give the leakage invariant, and with
    `mature_until_us` the label counts.
    truncated_before: column → µs; rows with ts_utc before it have a window that starts before the basis.
    most_decoded: bytes that one file may decode to.
    """

    schema: Schema
    label_types: tuple[str, ...]
    cutoff_us: int
    mature_until_us: int
    truncated_before: Mapping[str, int]
    most_decoded: int = MOST_DECODED_BYTES


@dataclass(frozen=True)
class FileCheck(Note):
    """What was recomputed from the bytes of a file that equals its entry; it adds up over files."""

    kind: ClassVar[str] = "checked"
    rows: int
    leaks: int
    labels: Mapping[str, TypeCounts]
    truncated: Mapping[str, int]
    null_counts: Mapping[str, int]
    leaves: tuple[LeafDigest, ...]

    def to_note(self) -> dict[str, Any]:
        """JSON-ready form."""
        counts = {"truncated": dict(self.truncated), "null_counts": dict(self.null_counts)}
        return {
            "rows": self.rows,
            "leaks": self.leaks,
            "labels": {name: asdict(counted) for name, counted in self.labels.items()},
            **counts,
            "leaves": [leaf.to_document() for leaf in self.leaves],
        }

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The check that `to_note` wrote."""
        labels = {name: TypeCounts(**counted) for name, counted in content["labels"].items()}
        leaves = tuple(map(LeafDigest.from_document, content["leaves"]))
        return cls(**{**content, "labels": labels, "leaves": leaves})


@dataclass(frozen=True)
class ProvenFile:
    """The rows of a file that equals its entry, and what was computed to prove that."""

    rows: pa.Table
    null_counts: Mapping[str, int]
    leaves: tuple[LeafDigest, ...]


def verify_file(body: bytes, entry: FileEntry, checks: Checks) -> FileCheck:
    """The counts of a file that equals its entry. Refuses as `prove_file`."""
    proven = prove_file(body, entry, checks.schema, checks.most_decoded)
    table, ts = proven.rows, proven.rows.column(TS_COLUMN).cast(pa.int64())
    truncated = {name: count_true(pc.less(ts, before)) for name, before in checks.truncated_before.items()}
    leaked = count_leaks(table, checks.label_types, checks.cutoff_us)
    labels = recount_labels(table, checks.label_types, ts.to_numpy(), checks.mature_until_us)
    return FileCheck(table.num_rows, leaked, labels, truncated, proven.null_counts, proven.leaves)


def prove_file(body: bytes, entry: FileEntry, expected: Schema, most_decoded: int = MOST_DECODED_BYTES) -> ProvenFile:
    """The rows of a file whose bytes, rows, schema, nulls, leaf digests and times are its entry's.

    MATERIALIZATION_CORRUPT, naming the first check that fails and what was found, for any other file; RESOURCE_EXCEEDED
    for one that decodes to more than `most_decoded` bytes.
    """
    sha256 = hashlib.sha256(body).hexdigest()
    if (len(body), sha256) != (entry.bytes, entry.sha256):
        raise _make_corrupt(
            entry, "bytes", f"{write_count(len(body), 'byte')} of sha256 {sha256}", f"{entry.bytes} of {entry.sha256}"
        )
    table = _decode(body, entry, most_decoded)
    _require_equal(entry, "rows", table.num_rows, entry.rows)
    schema = tuple((field.name, name_arrow_type(field.type)) for field in table.schema)
    _require_equal(entry, "schema", schema, expected)
    nulls = {name: table.column(name).null_count for name in table.column_names}
    _require_equal(entry, "null counts", nulls, dict(entry.null_counts))
    _require_equal(entry, "rows of leaves", sum(leaf.rows for leaf in entry.leaves), entry.rows)
    start, leaves = 0, []
    for leaf in entry.leaves:
        leaves.append(digest_leaf(leaf.leaf, table.slice(start, leaf.rows)))
        _require_equal(entry, f"digests of leaf {leaf.leaf}", leaves[-1], leaf)
        start += leaf.rows
    span = pc.min_max(table.column(TS_COLUMN).cast(pa.int64())).as_py()
    _require_equal(entry, "span of times", (span["min"], span["max"]), (entry.ts_min, entry.ts_max))
    return ProvenFile(table, nulls, tuple(leaves))


def add_checks(parts: Sequence[FileCheck]) -> FileCheck:
    """The checks of all files, added up; leaves in any order."""
    return FileCheck(
        sum(part.rows for part in parts),
        sum(part.leaks for part in parts),
        add_counts([part.labels for part in parts]),
        _add([part.truncated for part in parts]),
        _add([part.null_counts for part in parts]),
        tuple(leaf for part in parts for leaf in part.leaves),
    )


def _decode(body: bytes, entry: FileEntry, most: int) -> pa.Table:
    try:
        file = _open(body)
        coded = _find_coded(file.metadata)
        table = read_bounded(_open(body, coded) if coded else file, body, entry.path, None, most)
        if table.num_rows * _measure_dictionaries(table) > most:  # what it decodes to is counted, not estimated
            table = read_bounded(file, body, entry.path, None, most)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as unreadable:
        raise _make_corrupt(entry, "Parquet", str(unreadable), "a readable file") from None
    return pa.table([_decode_texts(column) for column in table.columns], names=table.column_names)


def _open(body: bytes, coded: Sequence[str] = ()) -> pq.ParquetFile:
    """The file in `body`; text columns of `coded` come as dictionaries."""
    return pq.ParquetFile(pa.BufferReader(body), read_dictionary=list(coded), page_checksum_verification=True)


def _find_coded(metadata: pq.FileMetaData) -> list[str]:
    """Text columns that are stored as dictionaries: read and validated value by value, they are put together afterwards."""
    chunks = [metadata.row_group(0).column(i) for i in range(metadata.num_columns)] if metadata.num_row_groups else []
    return [one.path_in_schema for one in chunks if one.has_dictionary_page and one.physical_type == "BYTE_ARRAY"]


def _measure_dictionaries(table: pa.Table) -> int:
    """Bytes of the dictionaries of all columns."""
    chunks = (chunk for column in table.columns for chunk in column.chunks)
    return sum(chunk.dictionary.nbytes for chunk in chunks if pa.types.is_dictionary(chunk.type))


def _decode_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column
    return pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], column.type.value_type)


def _require_equal(entry: FileEntry, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise _make_corrupt(entry, what, str(found)[:400], str(expected)[:400])


def _make_corrupt(entry: FileEntry, what: str, found: str, expected: str) -> Refusal:
    return refuse(
        "MATERIALIZATION_CORRUPT",
        f"{what} of {entry.path}: found {found}; written was {expected}",
        ref=entry.path,
        check=what,
        found=found,
        expected=expected,
    )


def _add(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for part in counts for name in part)
    return {name: sum(part.get(name, 0) for part in counts) for name in names}
