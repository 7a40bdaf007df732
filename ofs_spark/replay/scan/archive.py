"""One archive file to Arrow columns: fetched once, proven to be the index' bytes, its columns as the contract says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES, read_bounded
from ofs_spark.foundation.columnar.instants import is_instant
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge
from ofs_spark.replay.scan.spec import SegmentFile

EVENT_ID, EVENT_TYPE, TS_UTC = "event_id", "event_type", "ts_utc"
RUN, SCENARIO = "platform_run_id", "scenario_run_id"
PAYLOAD_HASH, ENVELOPE, ORIGIN = "payload_hash", "envelope", "origin_offset"
PUBLISHED, ARCHIVED = "published_at_utc", "archived_at_utc"
TOPIC, PARTITION, OFFSET, KIND = "topic", "partition", "offset", "offset_kind"

_READ = (EVENT_ID, EVENT_TYPE, TS_UTC, RUN, SCENARIO, PAYLOAD_HASH, ENVELOPE, PUBLISHED, ARCHIVED)


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _is_time(type_: pa.DataType) -> bool:
    return _is_text(type_) or is_instant(type_)


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_int32(type_) or pa.types.is_int64(type_))


def _is_text_or_integer(type_: pa.DataType) -> bool:
    return _is_text(type_) or bool(pa.types.is_integer(type_))


_Rule = tuple[Callable[[pa.DataType], bool], str]
_TEXT: _Rule = (_is_text, "text")
_TIME: _Rule = (_is_time, "a timestamp(µs, UTC) or RFC 3339 text")

COLUMNS: Mapping[str, _Rule] = {
    ARCHIVED: _TIME,
    RUN: _TEXT,
    SCENARIO: _TEXT,
    "manifest_fingerprint": _TEXT,
    "parameter_hash": _TEXT,
    "scenario_id": _TEXT,
    "seed": (_is_text_or_integer, "text or an integer"),
    EVENT_ID: _TEXT,
    EVENT_TYPE: _TEXT,
    TS_UTC: _TIME,
    PAYLOAD_HASH: _TEXT,
    ENVELOPE: _TEXT,
    PUBLISHED: _TIME,
}
"""What the archive's contract says of each flat column; published_at_utc alone may be absent."""

ORIGIN_FIELDS: Mapping[str, _Rule] = {
    TOPIC: _TEXT,
    PARTITION: (_is_number, "int32 or int64"),
    OFFSET: _TEXT,
    KIND: _TEXT,
}


def read_segment(objects: Objects, file: SegmentFile, most: int = MOST_DECODED_BYTES) -> pa.Table:
    """The rows of one file in stored order: the columns a build reads, and the fields of origin_offset beside them.

    ARCHIVE_SEGMENT_CORRUPT if the file is missing, is not the index' bytes, is no Parquet or lacks the contract's
    columns; RESOURCE_EXCEEDED if it decodes to more than `most` bytes. Page checksums are verified where the writer left
    them.
    """
    body = _fetch(objects, file)
    try:
        parquet = pq.ParquetFile(pa.BufferReader(body), page_checksum_verification=True)
        faults = list(find_schema_faults(parquet.schema_arrow))
        if faults:
            raise _refuse_corrupt(file, "; ".join(faults), faults=faults)
        present = [name for name in (*_READ, ORIGIN) if name in parquet.schema_arrow.names]
        table = read_bounded(parquet, body, file.path, present, most)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise _refuse_corrupt(file, f"cannot be decoded as Parquet: {str(error)[:300]}") from None
    return _flatten(table)


def _fetch(objects: Objects, file: SegmentFile) -> bytes:
    try:
        body = objects.read(file.path, file.bytes)
    except ObjectMissing:
        raise _refuse_corrupt(file, "is missing") from None
    except ObjectTooLarge as error:
        raise _refuse_corrupt(file, f"has {error.found} bytes, the index states {file.bytes}") from None
    if len(body) != file.bytes:
        raise _refuse_corrupt(file, f"has {len(body)} bytes, the index states {file.bytes}")
    found = hashlib.sha256(body).hexdigest()
    if found != file.sha256:
        raise _refuse_corrupt(file, f"has sha256 {found}, the index states {file.sha256}")
    return body


def _refuse_corrupt(file: SegmentFile, what: str, **details: Any) -> Refusal:
    return refuse("ARCHIVE_SEGMENT_CORRUPT", f"segment {file.path} {what}", path=file.path, **details)


def find_schema_faults(schema: pa.Schema) -> Iterator[str]:
    """What of a file's schema is not the contract's, one text per column."""
    for name, (fits, required) in COLUMNS.items():
        yield from _find_column_faults(
            name, [f.type for f in schema if f.name == name], fits, required, name == PUBLISHED
        )
    origins = [field.type for field in schema if field.name == ORIGIN]
    yield from _find_column_faults(ORIGIN, origins, pa.types.is_struct, "a struct", optional=False)
    if len(origins) == 1 and pa.types.is_struct(origins[0]):
        inside = list(origins[0])
        for name, (fits, required) in ORIGIN_FIELDS.items():
            types = [field.type for field in inside if field.name == name]
            yield from _find_column_faults(f"{ORIGIN}.{name}", types, fits, required, optional=False)


def _find_column_faults(
    name: str, types: list[pa.DataType], fits: Callable[[pa.DataType], bool], required: str, optional: bool
) -> Iterator[str]:
    if not types and not optional:
        yield f"column {name} is missing"
    elif len(types) > 1:
        yield f"column {name} stands {len(types)} times"
    elif types and not fits(types[0]):
        yield f"column {name} is {types[0]}, {required} is required"


def _flatten(table: pa.Table) -> pa.Table:
    """Flat columns of plain types: texts as large_string, so that files of any text type and size concatenate."""
    columns = {name: table.column(name) for name in _READ if name in table.column_names}
    if PUBLISHED not in columns:
        columns[PUBLISHED] = pa.chunked_array([pa.nulls(table.num_rows, pa.large_string())])
    origin = table.column(ORIGIN)
    fields = [chunk.flatten() for chunk in origin.chunks]  # flatten, unlike field(), nulls the fields of a null struct
    names = [field.name for field in origin.type]
    for name, field in zip(names, origin.type, strict=True):
        if name in ORIGIN_FIELDS:
            columns[name] = pa.chunked_array([chunk[names.index(name)] for chunk in fields], field.type)
    texts = {name: c.cast(pa.large_string()) if _is_text(c.type) else c for name, c in columns.items()}
    times = {
        name: texts[name].cast(pa.timestamp("us", "UTC"))
        for name in (TS_UTC, PUBLISHED, ARCHIVED)
        if pa.types.is_timestamp(texts[name].type)
    }
    return pa.table({**texts, **times, PARTITION: texts[PARTITION].cast(pa.int64())})
