"""Parquet files as Parquet itself describes them: columns by physical type and annotation, whatever the writer noted beside.

Arrow's writers leave a schema of their own in the footer (`ARROW:schema`), and Arrow's reader follows it: one text column
comes back as a dictionary, a view or an extension type, an instant in another zone. Here that note is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks
from ofs_spark.foundation.columnar.bounded import fit_batch, list_pages
from ofs_spark.foundation.columnar.times import NO_INSTANT
from ofs_spark.foundation.errors import show_text

_NOTE, _NO_NOTE = b"ARROW:schema", b"arrow-schema"
_MAGIC, _TAIL = b"PAR1", 8
_FEW_ROWS = 1_024
"""Of a batch of a column that may hold values of any size."""
_TEXTS = ("STRING", "ENUM", "JSON")
TEXT = "BYTE_ARRAY annotated as string, ENUM or JSON"
INSTANT = "INT64 timestamp adjusted to UTC"


@dataclass(frozen=True)
class StoredColumn:
    """One column of a file: its Arrow type as read here, and what Parquet says of it ("" of what holds other columns)."""

    name: str
    type: pa.DataType
    physical: str
    annotation: str
    adjusted_to_utc: bool
    members: tuple[StoredColumn, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return self.physical == "BYTE_ARRAY" and self.annotation in _TEXTS

    @property
    def is_instant(self) -> bool:
        """Whether it holds instants in UTC, of any unit."""
        return self.physical == "INT64" and self.annotation == "TIMESTAMP" and self.adjusted_to_utc

    @property
    def is_int96(self) -> bool:
        """Whether it holds Spark's and Hive's old timestamps, which do not say their zone."""
        return self.physical == "INT96"

    def describe(self) -> str:
        """What was found, for people."""
        if not self.physical:
            return show_text(str(self.type))  # a struct may have any number of members
        zone = (
            ""
            if self.annotation != "TIMESTAMP"
            else ", adjusted to UTC"
            if self.adjusted_to_utc
            else ", not adjusted to UTC"
        )
        return self.physical if self.annotation == "NONE" else f"{self.physical} ({self.annotation}{zone})"


def open_parquet(body: bytes, coded: Sequence[str] = (), large: bool = False) -> pq.ParquetFile:
    """The file in `body`, page checksums verified on reading. `coded` columns come as dictionaries, text as large if asked.

    ArrowException or OSError for bytes that are no Parquet, as where a column's name is not UTF-8.
    """
    return open_stored(pa.BufferReader(body), body, coded, large)


def open_stored(
    source: pa.NativeFile, end: bytes, coded: Sequence[str] = (), large: bool = False, buffer: int = 0
) -> pq.ParquetFile:
    """The file that `source` reads, as `open_parquet`. end: its last bytes, the whole footer with them.

    buffer: bytes of a column that are read at once; 0 for whole columns of a row group.
    """
    try:
        return pq.ParquetFile(
            source,
            metadata=_read_footer(end),
            read_dictionary=list(coded),
            binary_type=pa.large_binary() if large else None,
            page_checksum_verification=True,
            arrow_extensions_enabled=False,
            buffer_size=buffer,
        )
    except UnicodeDecodeError as unreadable:
        raise pa.ArrowInvalid(f"a column's name is not UTF-8: {unreadable.object!r:.80}") from None


def measure_footer(end: bytes) -> int:
    """How many bytes a file's footer takes, with what follows it, as the file's last 8 bytes state. `end`: those, or more."""
    return int.from_bytes(end[-_TAIL : -len(_MAGIC)], "little") + _TAIL


def open_footer(end: bytes) -> pq.ParquetFile:
    """A file of which no more is there than its end, with the whole footer: what it states can be asked, and no row.

    ArrowException or OSError as `open_parquet`.
    """
    return open_parquet(_MAGIC + end[-measure_footer(end) :])


def _read_footer(body: bytes) -> pq.FileMetaData | None:
    """The footer under which Arrow finds no note of its own; None where the note is absent, or the bytes are not a file."""
    length = measure_footer(body) - _TAIL
    footer = body[-_TAIL - length : -_TAIL]
    if len(footer) != length or _NOTE not in footer:
        return None
    return pq.read_metadata(pa.BufferReader(_MAGIC + footer.replace(_NOTE, _NO_NOTE) + body[-_TAIL:]))


def list_columns(file: pq.ParquetFile) -> list[StoredColumn]:
    """The file's columns in order; of a struct also its members."""
    leaves = iter([file.schema.column(i) for i in range(len(file.schema))])
    return [_make_column(field.name, field.type, leaves) for field in file.schema_arrow]


def _make_column(name: str, type_: pa.DataType, leaves: Iterator[Any]) -> StoredColumn:
    if type_.num_fields:
        inner = (type_.field(i) for i in range(type_.num_fields))
        return StoredColumn(name, type_, "", "", False, tuple(_make_column(f.name, f.type, leaves) for f in inner))
    leaf = next(leaves)
    adjusted = bool(_read_annotation(leaf).get("isAdjustedToUTC"))
    return StoredColumn(name, type_, leaf.physical_type, leaf.logical_type.type, adjusted)


def _read_annotation(leaf: Any) -> dict[str, Any]:
    """What Parquet says of a column beside its physical type: its "Type", and what that type has."""
    annotation: dict[str, Any] = json.loads(leaf.logical_type.to_json())
    return annotation


def has_no_value(file: pq.ParquetFile, body: bytes, what: str, most: int, path: str) -> bool:
    """Whether the column at a dotted path is null in every row. One that Arrow cannot read holds something.

    Read no further than to the first value: the column is one that nobody will read, of any size. RESOURCE_EXCEEDED as
    `read_bounded`, for what its pages state.
    """
    try:
        rows = fit_batch(file, body, what, [path], most)
        if _repeats_values(file, body, path):
            return False
        batches = file.iter_batches(min(_FEW_ROWS, rows or _FEW_ROWS), columns=[path], use_threads=False)
        return all(_is_null(batch.column(0), path) for batch in batches)
    except (pa.ArrowException, OSError):
        return False


def _repeats_values(file: pq.ParquetFile, body: bytes, path: str) -> bool:
    """Whether a list's values stand in a dictionary: one row may repeat them for ever, so that no batch of rows is small."""
    leaves = [file.schema.column(place) for place in range(len(file.schema))]
    lists = [n for n, leaf in enumerate(leaves) if f"{leaf.path}.".startswith(f"{path}.") and leaf.max_repetition_level]
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    pages = (page for group in groups for place in lists for page in list_pages(group.column(place), body))
    return any(page.is_dictionary and page.uncompressed for page in pages)


def _is_null(column: pa.Array, path: str) -> bool:
    while pa.types.is_struct(column.type) and "." in path:
        column, path = column.flatten()[0], path.partition(".")[2]
    return bool(column.null_count == len(column))


def states_no_value(file: pq.ParquetFile, path: str) -> bool:
    """Whether the schema alone states what `has_no_value` finds: the column at a dotted path is annotated as ever null.

    Statistics are not asked: on a broken one Arrow ends the process, and a footer's bytes may not be proven yet.
    """
    leaves = (file.schema.column(place) for place in range(len(file.schema)))
    return [_read_annotation(leaf)["Type"] for leaf in leaves if leaf.path == path] == ["Null"]


def to_text(column: pa.ChunkedArray | pa.Array, type_: pa.DataType) -> pa.ChunkedArray | pa.Array:
    """A text column as `type_`, string or large_string. Bytes are taken as they are, UTF-8 or not."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    made = [_view_text(chunk, type_) for chunk in chunks]
    return pa.chunked_array(made, type_) if isinstance(column, pa.ChunkedArray) else made[0]


def _view_text(array: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if array.type == type_:
        return array
    wide = pa.types.is_large_string(type_)
    return array.cast(pa.large_binary() if wide else pa.binary()).view(type_)


def read_int96(body: bytes, name: str) -> pa.Array:
    """An INT96 column as timestamp(µs, UTC). What is no whole µs becomes an instant of no calendar, never a null."""
    whole, fine = (_read_as(body, name, unit) for unit in ("us", "ns"))
    micros, nanos = (np.asarray(column.cast(pa.int64()).fill_null(0)) for column in (whole, fine))
    with np.errstate(over="ignore"):  # nanoseconds of far years do not fit 64 bits: both sides wrap alike
        exact = nanos == micros * np.int64(1000)
    values: Array = np.where(exact, micros, NO_INSTANT)
    return pa.array(values, mask=np.asarray(whole.is_null())).cast(pa.timestamp("us", "UTC"))


def _read_as(body: bytes, name: str, unit: str) -> pa.Array:
    file = pq.ParquetFile(pa.BufferReader(body), metadata=_read_footer(body), coerce_int96_timestamp_unit=unit)
    return combine_chunks(file.read(columns=[name], use_threads=False).column(0))
