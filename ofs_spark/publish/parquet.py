"""A bucket's leaves as Parquet files: hashed while written, the same bytes for the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ofs_spark.foundation.refs import name_part_file
from ofs_spark.publish.digest import digest_leaf
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
        table = pa.concat_tables([leaf.rows for leaf in leaves])
        body, name = encode_parquet(table), name_part_file(bucket, number)
        digests = tuple(digest_leaf(leaf.leaf, leaf.rows) for leaf in leaves)
        ts = pc.min_max(table.column(TS_COLUMN).cast(pa.int64())).as_py()
        nulls = {column: table.column(column).null_count for column in table.column_names}
        sha256 = hashlib.sha256(body).hexdigest()
        yield body, FileEntry(name, table.num_rows, len(body), sha256, ts["min"], ts["max"], nulls, digests)


def encode_parquet(table: pa.Table) -> bytes:
    """The table as one Parquet file: zstd, page checksums, statistics, no engine-specific metadata.

    Only text that repeats is dictionary-encoded: a dictionary of ids costs time and saves nothing.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(None),
        sink,
        compression="zstd",
        compression_level=1,
        write_page_checksum=True,
        use_dictionary=_find_repeating(table),
        row_group_size=ROW_GROUP_ROWS,
        store_schema=False,
        coerce_timestamps="us",
    )
    return bytes(sink.getvalue())


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
