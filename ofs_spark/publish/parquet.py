"""A bucket's leaves as Parquet files: hashed while written, the same bytes for the same rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ofs_spark.foundation.refs import name_part_file
from ofs_spark.publish.digest import LeafDigest, digest_leaf
from ofs_spark.publish.layout import FilledLeaf, Leaf, group_files
from ofs_spark.publish.model import FileEntry

TS_COLUMN = "ts_utc"
FILE_ROWS = 1 << 20
ROW_GROUP_ROWS = 1 << 18
_CARDINALITY_SAMPLE = 8192


def write_files(
    placed: Iterable[FilledLeaf], bucket: int, file_rows: int = FILE_ROWS
) -> Iterator[tuple[bytes, FileEntry]]:
    """Bytes and entry of every file of a bucket, the entry's path being the file's name; one file is held at a time.

    placed: the bucket's leaves in file order, columns and types as published.
    """
    for number, leaves in enumerate(group_files(placed, file_rows)):
        yield _write_file(leaves, name_part_file(bucket, number))


def _write_file(leaves: Iterator[FilledLeaf], name: str) -> tuple[bytes, FileEntry]:
    encoder, digests, ts, nulls = _Encoder(), list[LeafDigest](), list[int](), Counter[str]()
    for leaf in leaves:
        digests.append(digest_leaf(leaf.leaf, leaf.rows))
        ts += pc.min_max(leaf.rows.column(TS_COLUMN).cast(pa.int64())).as_py().values()
        nulls.update({column: leaf.rows.column(column).null_count for column in leaf.rows.column_names})
        encoder.add(leaf.rows)
    body, rows = encoder.finish(), sum(one.rows for one in digests)
    sha256 = hashlib.sha256(body).hexdigest()
    return body, FileEntry(name, rows, len(body), sha256, min(ts), max(ts), dict(nulls), tuple(digests))


def encode_parquet(table: pa.Table) -> bytes:
    """The table as one Parquet file."""
    encoder = _Encoder()
    encoder.add(table)
    return encoder.finish()


class _Encoder:
    """One Parquet file, of which a row group is held: zstd, page checksums, statistics, no engine-specific metadata.

    Only text that repeats is dictionary-encoded: a dictionary of ids costs time and saves nothing. How rows are parted among
    the tables that are added changes no byte.
    """

    def __init__(self) -> None:
        self._sink = pa.BufferOutputStream()
        self._held = list[pa.Table]()
        self._rows = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> None:
        """Takes the next rows."""
        self._held.append(table.replace_schema_metadata(None))
        self._rows += table.num_rows
        if self._rows >= ROW_GROUP_ROWS:
            table = pa.concat_tables(self._held)
            whole = self._rows // ROW_GROUP_ROWS * ROW_GROUP_ROWS
            self._write(table.slice(0, whole))
            self._held, self._rows = [table.slice(whole)], self._rows - whole

    def finish(self) -> bytes:
        """The file."""
        if self._rows or self._writer is None:
            self._write(pa.concat_tables(self._held))
        if self._writer is not None:
            self._writer.close()
        return bytes(self._sink.getvalue())

    def _write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._sink,
                table.schema,
                compression="zstd",
                compression_level=1,
                write_page_checksum=True,
                use_dictionary=_find_repeating(table),
                store_schema=False,
                coerce_timestamps="us",
            )
        self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


def select_leaf(rows: pa.Table, leaf: Leaf) -> pa.Table:
    """The rows of a leaf."""
    first, last = int(leaf.rows[0]), int(leaf.rows[-1])
    if last - first + 1 == len(leaf.rows):
        return rows.slice(first, len(leaf.rows))
    return rows.take(pa.array(leaf.rows))


def _find_repeating(table: pa.Table) -> list[str]:
    """Text columns whose first rows hold at most one distinct value in four."""
    sample = table.slice(0, _CARDINALITY_SAMPLE)
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    return [name for name in texts if 4 * pc.count_distinct(sample.column(name)).as_py() <= sample.num_rows]
