"""A bucket's leaves as Parquet files: hashed while written, the same bytes for the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.arrays import combine_chunks
from ofs_spark.foundation.refs import name_part_file
from ofs_spark.publish.digest import digest_leaf
from ofs_spark.publish.layout import Leaf, group_files
from ofs_spark.publish.model import FileEntry

TS_COLUMN = "ts_utc"
FILE_ROWS = 1 << 20
ROW_GROUP_ROWS = 1 << 18
_CARDINALITY_SAMPLE = 8192
_TEXT = "DELTA_LENGTH_BYTE_ARRAY"


def write_files(
    rows: pa.Table, placed: Sequence[Leaf], bucket: int, file_rows: int = FILE_ROWS
) -> Iterator[tuple[bytes, FileEntry]]:
    """Bytes and entry of every file of a bucket, the entry's path being the file's name.

    `rows` are the bucket's dataset rows, columns and types as published; `placed` cuts all of them into leaves.
    """
    for number, leaves in enumerate(group_files(placed, file_rows)):
        parts = [_select_leaf(rows, leaf) for leaf in leaves]
        table = pa.concat_tables(parts)
        body, name = encode_parquet(table), name_part_file(bucket, number)
        digests = tuple(digest_leaf(leaf.leaf, part) for leaf, part in zip(leaves, parts, strict=True))
        ts = pc.min_max(table.column(TS_COLUMN).cast(pa.int64())).as_py()
        nulls = {column: table.column(column).null_count for column in table.column_names}
        sha256 = hashlib.sha256(body).hexdigest()
        yield body, FileEntry(name, table.num_rows, len(body), sha256, ts["min"], ts["max"], nulls, digests)


def encode_parquet(table: pa.Table) -> bytes:
    """The table as one Parquet file: page checksums, statistics, no engine-specific metadata. Equal rows give equal bytes.

    A column is encoded by what it holds, so that a byte is neither looked at nor stored twice: integers and instants as
    packed differences, which no compressor makes smaller; doubles under LZ4; text that repeats as a dictionary; other text
    as its lengths and its bytes, under zstd as everything else is, without statistics: ids have nothing between their least
    and their greatest. Columns may come as dictionaries, in any order of values.
    """
    table = pa.table([_sort_dictionary(column) for column in table.columns], schema=None, names=table.column_names)
    repeating = _find_repeating(table)
    encodings = {field.name: found for field in table.schema if (found := _choose_encoding(field, repeating))}
    codecs = {_name_leaf(field): _choose_codec(field.type) for field in table.schema}
    sink = BytesIO()
    pq.write_table(
        table,
        sink,
        compression=codecs,
        compression_level={leaf: 1 for leaf, codec in codecs.items() if codec == "zstd"},
        write_page_checksum=True,
        write_statistics=[leaf for leaf in codecs if encodings.get(leaf) != _TEXT],
        use_dictionary=repeating,
        column_encoding=encodings,
        row_group_size=ROW_GROUP_ROWS,
        store_schema=False,
        coerce_timestamps="us",
    )
    return sink.getvalue()


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


def _select_leaf(rows: pa.Table, leaf: Leaf) -> pa.Table:
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
