"""A bucket's leaves as Parquet files: hashed while written, the same bytes for the same rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.arrays import combine_chunks
from ofs_spark.foundation.refs import name_part_file
from ofs_spark.publish.digest import LeafDigest, digest_leaf
from ofs_spark.publish.layout import FilledLeaf, Leaf, group_files
from ofs_spark.publish.model import FileEntry

TS_COLUMN = "ts_utc"
FILE_ROWS = 1 << 20
ROW_GROUP_ROWS = 1 << 18
_CARDINALITY_SAMPLE = 8192
_TEXT = "DELTA_LENGTH_BYTE_ARRAY"


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
    """The table as one Parquet file. Columns may come as dictionaries, in any order of values."""
    encoder = _Encoder()
    encoder.add(table)
    return encoder.finish()


class _Encoder:
    """One Parquet file, of which a row group is held: page checksums, statistics, no engine-specific metadata.

    Equal rows give equal bytes, however they are parted among the tables that are added.
    """

    def __init__(self) -> None:
        self._sink = BytesIO()
        self._held = list[pa.Table]()
        self._rows = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> None:
        """Takes the next rows."""
        self._held.append(table.replace_schema_metadata(None))
        self._rows += table.num_rows
        while self._rows >= ROW_GROUP_ROWS:
            table = pa.concat_tables(self._held)
            self._write(table.slice(0, ROW_GROUP_ROWS))
            self._held, self._rows = [table.slice(ROW_GROUP_ROWS)], self._rows - ROW_GROUP_ROWS

    def finish(self) -> bytes:
        """The file."""
        if self._rows or self._writer is None:
            self._write(pa.concat_tables(self._held))
        if self._writer is not None:
            self._writer.close()
        return self._sink.getvalue()

    def _write(self, group: pa.Table) -> None:
        """Writes a row group, with dictionaries of its own."""
        columns = [_sort_dictionary(column) for column in group.columns]
        group = pa.table(columns, names=group.column_names)
        if self._writer is None:
            self._writer = _open_writer(self._sink, group)
        self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)


def _open_writer(sink: BytesIO, first: pa.Table) -> pq.ParquetWriter:
    """A writer of row groups like the first.

    A column is encoded by what it holds, so that a byte is neither looked at nor stored twice: integers and instants as
    packed differences, which no compressor makes smaller; doubles under LZ4; text that repeats as a dictionary; other text
    as its lengths and its bytes, under zstd as everything else is, without statistics: ids have nothing between their least
    and their greatest.
    """
    repeating = _find_repeating(first)
    encodings = {field.name: found for field in first.schema if (found := _choose_encoding(field, repeating))}
    codecs = {_name_leaf(field): _choose_codec(field.type) for field in first.schema}
    return pq.ParquetWriter(
        sink,
        first.schema,
        compression=codecs,
        compression_level={leaf: 1 for leaf, codec in codecs.items() if codec == "zstd"},
        write_page_checksum=True,
        write_statistics=[leaf for leaf in codecs if encodings.get(leaf) != _TEXT],
        use_dictionary=repeating,
        column_encoding=encodings,
        store_schema=False,
        coerce_timestamps="us",
    )


def _choose_encoding(field: pa.Field, repeating: Sequence[str]) -> str | None:
    """How the values of a column are written; None for a dictionary, or one after another."""
    if field.name in repeating:
        return None
    if _is_whole(field.type):
        return "DELTA_BINARY_PACKED"
    return _TEXT if pa.types.is_string(field.type) else None


def _choose_codec(type_: pa.DataType) -> str:
    """What compresses the pages of a column."""
    return "none" if _is_whole(type_) else "lz4" if pa.types.is_float64(type_) else "zstd"


def _is_whole(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_timestamp(type_))


def _name_leaf(field: pa.Field) -> str:
    """Where Parquet has the values of a column: a list's stand under it."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name


def _sort_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """A dictionary with the values that occur, ascending: as it came, its values depend on who made it. Others as they are."""
    if not pa.types.is_dictionary(column.type):
        return column
    array = combine_chunks(column)
    codes = np.asarray(array.indices.fill_null(-1) if array.null_count else array.indices)
    values = array.dictionary.dictionary_encode()  # one value may stand in it twice
    codes = np.append(np.asarray(values.indices), -1)[codes]
    occurs = np.zeros(len(values.dictionary) + 1, np.bool_)
    occurs[codes] = True  # the last one is that of a null, which has code -1
    order = np.asarray(pc.sort_indices(values.dictionary))
    order = order[occurs[order]]
    place = np.full(len(occurs), -1, np.int32)
    place[order] = np.arange(len(order))
    mask = codes < 0 if array.null_count else None
    return pa.DictionaryArray.from_arrays(pa.array(place[codes], mask=mask), values.dictionary.take(pa.array(order)))


def select_leaf(rows: pa.Table, leaf: Leaf) -> pa.Table:
    """The rows of a leaf."""
    first, last = int(leaf.rows[0]), int(leaf.rows[-1])
    if last - first + 1 == len(leaf.rows):
        return rows.slice(first, len(leaf.rows))
    return rows.take(pa.array(leaf.rows))


def _find_repeating(table: pa.Table) -> list[str]:
    """Columns that came as dictionaries, and text whose first rows hold at most one distinct value in four."""
    sample = table.slice(0, _CARDINALITY_SAMPLE)
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    coded = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    return coded + [name for name in texts if 4 * pc.count_distinct(sample.column(name)).as_py() <= sample.num_rows]
