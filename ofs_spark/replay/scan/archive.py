"""One archive file to Arrow columns: fetched once, proven to be the index' bytes, its columns as the contract says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES, read_bounded
from ofs_spark.foundation.columnar.footers import FooterRule, find_footer_faults
from ofs_spark.foundation.columnar.stored_columns import (
    INSTANT,
    TEXT,
    StoredColumn,
    has_no_value,
    list_columns,
    open_parquet,
    read_int96,
    states_no_value,
    to_text,
)
from ofs_spark.foundation.columnar.times import is_instant
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge
from ofs_spark.foundation.wording import write_count
from ofs_spark.replay.scan.spec import SegmentFile

EVENT_ID, EVENT_TYPE, TS_UTC = "event_id", "event_type", "ts_utc"
RUN, SCENARIO = "platform_run_id", "scenario_run_id"
PAYLOAD_HASH, ENVELOPE, ORIGIN = "payload_hash", "envelope", "origin_offset"
PUBLISHED, ARCHIVED = "published_at_utc", "archived_at_utc"
TOPIC, PARTITION, OFFSET, KIND = "topic", "partition", "offset", "offset_kind"

_READ = (EVENT_ID, EVENT_TYPE, TS_UTC, RUN, SCENARIO, PAYLOAD_HASH, ENVELOPE, PUBLISHED, ARCHIVED)
_FLAT = (*_READ, TOPIC, PARTITION, OFFSET, KIND)


@dataclass(frozen=True)
class _Rule:
    """What a column must be: in words, and as a judgement of what is stored."""

    required: str
    fits: Callable[[StoredColumn], bool]


_TEXT_RULE = _Rule(TEXT, lambda column: column.is_text)
_TIME_RULE = _Rule(f"{INSTANT}, or RFC 3339 text", lambda column: column.is_text or column.is_instant)
_INT96_RULE = _Rule(f"{_TIME_RULE.required}, or INT96", lambda column: _TIME_RULE.fits(column) or column.is_int96)
_NUMBER_RULE = _Rule("INT32 or INT64", lambda column: column.type in (pa.int32(), pa.int64()))
_SEED_RULE = _Rule("text or an integer", lambda column: column.is_text or bool(pa.types.is_integer(column.type)))

_TIMES = (TS_UTC, PUBLISHED, ARCHIVED)
COLUMNS: Mapping[str, _Rule] = {
    ARCHIVED: _TIME_RULE,
    RUN: _TEXT_RULE,
    SCENARIO: _TEXT_RULE,
    "manifest_fingerprint": _TEXT_RULE,
    "parameter_hash": _TEXT_RULE,
    "scenario_id": _TEXT_RULE,
    "seed": _SEED_RULE,
    EVENT_ID: _TEXT_RULE,
    EVENT_TYPE: _TEXT_RULE,
    TS_UTC: _TIME_RULE,
    PAYLOAD_HASH: _TEXT_RULE,
    ENVELOPE: _TEXT_RULE,
    PUBLISHED: _TIME_RULE,
}
"""What the archive's contract says of each flat column; published_at_utc alone may be absent."""

ORIGIN_FIELDS: Mapping[str, _Rule] = {TOPIC: _TEXT_RULE, PARTITION: _NUMBER_RULE, OFFSET: _TEXT_RULE, KIND: _TEXT_RULE}


def read_segment(
    objects: Objects, file: SegmentFile, int96_is_utc: bool = False, most: int = MOST_DECODED_BYTES
) -> pa.Table:
    """The rows of one file in stored order: the columns a build reads, and the fields of origin_offset beside them.

    ARCHIVE_SEGMENT_CORRUPT if the file is missing, is not the index' bytes or is no Parquet; ARCHIVE_SCHEMA_UNSUPPORTED
    if a column is missing or of another type than the contract's, unless it holds no value at all; REPLAY_UNCHECKABLE if
    its footer states other rows than the index. INT96 columns are times if `int96_is_utc` says so. RESOURCE_EXCEEDED if it
    decodes to more than `most` bytes. Page checksums are verified where the writer left them.
    """
    body = _fetch(objects, file)
    with _refuse_undecodable(file):
        parquet, stored = _open_proven(body, file, int96_is_utc, most)
        return _read_columns(body, file, parquet, stored, most)


def find_segment_faults(
    objects: Objects, files: Sequence[SegmentFile], int96_is_utc: bool, most: int = MOST_DECODED_BYTES
) -> list[Refusal]:
    """What `read_segment` will refuse of the files for their bytes, columns or number of rows, as far as footers show it."""

    def judge(parquet: pq.ParquetFile, file: SegmentFile) -> None:
        """Refuses a file of which only the footer is there."""
        _judge_footer(parquet, list_columns(parquet), file, int96_is_utc, partial(states_no_value, parquet))

    def prove(file: SegmentFile) -> None:
        """Refuses a file as whoever reads it would."""
        body = _fetch(objects, file)
        with _refuse_undecodable(file):
            _open_proven(body, file, int96_is_utc, most)

    return find_footer_faults(objects, files, FooterRule(lambda file: (file.path, file.bytes), judge, prove))


def _open_proven(
    body: bytes, file: SegmentFile, int96_is_utc: bool, most: int
) -> tuple[pq.ParquetFile, list[StoredColumn]]:
    """A file of proven bytes, what it states judged, and its columns."""
    parquet = open_parquet(body, large=True)
    stored = list_columns(parquet)
    _judge_footer(parquet, stored, file, int96_is_utc, partial(has_no_value, parquet, body, file.path, most))
    return parquet, stored


def _judge_footer(
    parquet: pq.ParquetFile,
    stored: Sequence[StoredColumn],
    file: SegmentFile,
    int96_is_utc: bool,
    is_empty: Callable[[str], bool],
) -> None:
    """Refuses a file for its columns or its number of rows. is_empty: whether the column at a path holds no value."""
    faults = list(_find_column_faults(stored, int96_is_utc, is_empty))
    if faults:
        raise _refuse_schema(file, faults)
    if parquet.metadata.num_rows != file.record_count:
        found, stated = {"record_count": parquet.metadata.num_rows}, {"record_count": file.record_count}
        message = f"segment {file.path} holds {found}, the index states {stated}"
        raise refuse("REPLAY_UNCHECKABLE", message, path=file.path, found=found, stated=stated)


@contextmanager
def _refuse_undecodable(file: SegmentFile) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        raise _refuse_corrupt(file, f"cannot be decoded as Parquet: {str(error)[:300]}") from None


def _read_columns(
    body: bytes, file: SegmentFile, parquet: pq.ParquetFile, stored: Sequence[StoredColumn], most: int
) -> pa.Table:
    known = {column.name: column for column in stored}
    table = read_bounded(parquet, body, file.path, [name for name in (*_READ, ORIGIN) if name in known], most)
    for name in (name for name in _TIMES if name in known and known[name].is_int96):
        times = read_int96(body, name)
        table = table.set_column(table.column_names.index(name), name, times)
    return _flatten(table)


def _fetch(objects: Objects, file: SegmentFile) -> bytes:
    try:
        body = objects.read(file.path, file.bytes)
    except ObjectMissing:
        raise _refuse_corrupt(file, "is missing") from None
    except ObjectTooLarge as error:
        raise _refuse_corrupt(
            file, f"has {write_count(error.found, 'byte')}, the index states {file.bytes:,}"
        ) from None
    if len(body) != file.bytes:
        raise _refuse_corrupt(file, f"has {write_count(len(body), 'byte')}, the index states {file.bytes:,}")
    found = hashlib.sha256(body).hexdigest()
    if found != file.sha256:
        raise _refuse_corrupt(file, f"has sha256 {found}, the index states {file.sha256}")
    return body


def _refuse_corrupt(file: SegmentFile, what: str, **details: Any) -> Refusal:
    return refuse("ARCHIVE_SEGMENT_CORRUPT", f"segment {file.path} {what}", path=file.path, **details)


def _refuse_schema(file: SegmentFile, faults: Sequence[Mapping[str, str]]) -> Refusal:
    first, more = faults[0], f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    message = (
        f"segment {file.path}: column {first['column']} is {first['found']}, {first['required']} is required{more}"
    )
    return refuse(
        "ARCHIVE_SCHEMA_UNSUPPORTED", message, path=file.path, faults=[{"file": file.path, **one} for one in faults]
    )


def _find_column_faults(
    stored: Sequence[StoredColumn], int96_is_utc: bool, is_empty: Callable[[str], bool]
) -> Iterator[dict[str, str]]:
    """What of a file's schema is not the contract's: column, found, required."""
    for name, rule in COLUMNS.items():
        fitting = _INT96_RULE if rule is _TIME_RULE and int96_is_utc else rule
        yield from _judge_column("", name, stored, fitting, is_empty)
    yield from _judge_column("", ORIGIN, stored, _Rule("a struct", lambda column: bool(column.members)), is_empty)
    for origin in (column for column in stored if column.name == ORIGIN):
        for name, rule in ORIGIN_FIELDS.items() if pa.types.is_struct(origin.type) else ():
            yield from _judge_column(f"{ORIGIN}.", name, origin.members, rule, is_empty)


def _judge_column(
    inside: str, name: str, stored: Sequence[StoredColumn], rule: _Rule, is_empty: Callable[[str], bool]
) -> Iterator[dict[str, str]]:
    named = [column for column in stored if column.name == name]
    if not named and name == PUBLISHED:
        return
    if len(named) != 1:
        yield {
            "column": inside + name,
            "found": f"there {len(named)} times" if named else "missing",
            "required": rule.required,
        }
    elif not rule.fits(named[0]) and not is_empty(inside + name):
        yield {"column": inside + name, "found": named[0].describe(), "required": rule.required}


def _flatten(table: pa.Table) -> pa.Table:
    """Flat columns of plain types: texts as large_string, so that files of any text type and size concatenate."""
    rows = table.num_rows
    columns = {name: table.column(name) for name in _READ if name in table.column_names}
    columns |= _flatten_origin(table.column(ORIGIN))
    made = {name: _make_plain(columns[name], name) if name in columns else _make_nulls(rows, name) for name in _FLAT}
    return pa.table(made)


def _flatten_origin(origin: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    if not pa.types.is_struct(origin.type):
        return {}
    fields = [chunk.flatten() for chunk in origin.chunks]  # flatten, unlike field(), nulls the fields of a null struct
    names = [field.name for field in origin.type]
    return {
        name: pa.chunked_array([chunk[at] for chunk in fields], origin.type.field(at).type)
        for at, name in enumerate(names)
        if name in ORIGIN_FIELDS
    }


def _make_plain(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    if column.null_count == len(column):
        return _make_nulls(len(column), name)
    if name == PARTITION:
        return column.cast(pa.int64())
    return column if is_instant(column.type) else to_text(column, pa.large_string())


def _make_nulls(rows: int, name: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(rows, pa.int64() if name == PARTITION else pa.large_string())])
