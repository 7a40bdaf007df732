"""Logged values in Parquet: columns event_id, column, value and logged_at_utc; other columns are ignored.

`value` is one column for all features: numbers, bools, texts, lists of these. A text stands for what it spells, so one
column of texts holds values of every type. NaN and infinities are faults of their rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, find_undecodable
from ofs_spark.foundation.columnar.bounded import fit_batch
from ofs_spark.foundation.columnar.instants import read_micros
from ofs_spark.foundation.columnar.stored_columns import (
    INSTANT,
    TEXT,
    StoredColumn,
    list_columns,
    measure_footer,
    open_stored,
    to_text,
)
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.wording import write_count
from ofs_spark.parity import values as v
from ofs_spark.parity.logged_bytes import CODE, FileBytes
from ofs_spark.parity.logged_rows import (
    COLUMN,
    EVENT_ID,
    LOGGED_AT,
    MEMBERS,
    VALUE,
    LineFault,
    LoggedRows,
    judge_instants,
    judge_names,
    leave_out,
)

_MOST_FOOTER = 64 * 1024**2
_BUFFER = 1024**2
_ROWS = 262_144
"""Of a batch."""
_VALUES = "numbers, bools, texts, or lists of these"


def read_table(body: FileBytes, share: int, of: int, most: int) -> Iterator[tuple[LoggedRows, list[LineFault]]]:
    """The rows of one of `of` shares of a file's row groups, batch by batch, each with the faults of its rows.

    PARITY_ANCHOR_INVALID for bytes that are no Parquet, or lack a column, or store one as another type;
    RESOURCE_EXCEEDED as `read_bounded`. Memory: a batch, and what Arrow reads of each column at once.
    """
    ref = body.file.ref
    try:
        file = _open(body)
        _require_columns(file, ref)
        own = range(share, file.metadata.num_row_groups, of)
        rows = min(_ROWS, fit_batch(file, body, ref, list(MEMBERS), most, own) or _ROWS)
        number = 1
        for group in range(file.metadata.num_row_groups):
            if group in own:
                at = number
                for batch in file.iter_batches(rows, [group], list(MEMBERS), use_threads=False):
                    yield _read_batch(batch, at)
                    at += batch.num_rows
            number += file.metadata.row_group(group).num_rows
    except (pa.ArrowException, OSError) as unreadable:
        raise refuse(CODE, f"{ref}: is no readable Parquet: {unreadable}", ref=ref) from None


def _open(body: FileBytes) -> pq.ParquetFile:
    """The file, of which no more than its footer is read here."""
    size = len(body)
    footer = measure_footer(body.cut(size - 8, size)) if size >= len(b"PAR1") * 3 else size
    if footer > _MOST_FOOTER:
        raise pa.ArrowInvalid(f"its footer has {write_count(footer, 'byte')}; at most {_MOST_FOOTER:,} are read")
    return open_stored(pa.PythonFile(body, mode="r"), body.cut(size - footer, size), buffer=_BUFFER)


def _require_columns(file: pq.ParquetFile, ref: str) -> None:
    stored = {column.name: column for column in list_columns(file)}
    for name in MEMBERS:
        required, fits = _judge_column(name, stored.get(name))
        if not fits:
            found = stored[name].describe() if name in stored else "absent"
            message = f"{ref}: column {name} is {found}; {required} is required"
            raise refuse(CODE, message, ref=ref, column=name, found=found, required=required)


def _judge_column(name: str, column: StoredColumn | None) -> tuple[str, bool]:
    """(what the column must be, whether it is)."""
    if name == VALUE:
        return _VALUES, column is not None and _is_value(column.type, column)
    if name == LOGGED_AT:
        return f"{INSTANT}, or {TEXT}", column is not None and (column.is_instant or column.is_text)
    return TEXT, column is not None and column.is_text


def _is_value(type_: pa.DataType, column: StoredColumn | None = None) -> bool:
    """Whether a column of this type holds values that can be compared."""
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return _is_value(type_.value_type)
    if column is not None and column.is_text:
        return True
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
    return any(judge(type_) for judge in (*plain, *texts))


def _read_batch(batch: pa.RecordBatch, first: int) -> tuple[LoggedRows, list[LineFault]]:
    line = first + np.arange(batch.num_rows)
    named = {name: to_text(combine_chunks(batch.column(name)), pa.string()) for name in (EVENT_ID, COLUMN)}
    logged_at = combine_chunks(batch.column(LOGGED_AT))
    if not pa.types.is_timestamp(logged_at.type):
        logged_at = to_text(logged_at, pa.string())
    kinds, texts, numbers, faults = _read_values(combine_chunks(batch.column(VALUE)), line)
    for name, column in {**named, VALUE: texts}.items():
        broken = find_undecodable(column) if pa.types.is_string(column.type) else np.zeros(len(line), np.bool_)
        faults += [LineFault(int(line[row]), name, "is not UTF-8") for row in np.flatnonzero(broken)]
        if name != VALUE:
            nulls = np.asarray(column.is_null())
            faults += [LineFault(int(line[row]), name, "is null") for row in np.flatnonzero(nulls)]
    kept = ~np.isin(line, [fault.line for fault in faults])
    micros = read_micros(logged_at)
    for name, column in named.items():
        faults += judge_names(line, name, column, kept)
    faults += judge_instants(line, micros, kept)
    rows = LoggedRows(line, named[EVENT_ID], named[COLUMN], kinds, texts, numbers, micros)
    return leave_out(rows, faults), sorted(faults, key=lambda one: (one.line, MEMBERS.index(one.member)))


def _read_values(values: pa.Array, line: Array) -> tuple[Array, pa.Array, pa.Array, list[LineFault]]:
    """(kinds, texts, numbers, faults) of the values of a batch."""
    type_, rows = values.type, len(values)
    valid = np.asarray(values.is_valid())
    no_texts, no_numbers = pa.nulls(rows, pa.string()), pa.nulls(rows, pa.float64())
    if pa.types.is_floating(type_):
        numbers = values.cast(pa.float64())
        odd = ~np.asarray(pc.is_finite(numbers).fill_null(True))
        faults = [LineFault(int(line[row]), VALUE, "is NaN or infinite") for row in np.flatnonzero(odd)]
        return np.where(valid, v.NUMBER, v.NULL), no_texts, numbers, faults
    if pa.types.is_integer(type_) or pa.types.is_decimal(type_):
        texts = _write_numbers(values)
        return np.where(valid, v.NUMBER, v.NULL), texts, no_numbers, []
    if pa.types.is_boolean(type_):
        said = np.where(np.asarray(values.fill_null(False)), v.TRUE, v.FALSE)
        return np.where(valid, said, v.NULL), no_texts, no_numbers, []
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        texts = pa.array([None if one is None else _write_list(one) for one in values.to_pylist()], pa.string())
        odd = np.asarray(pc.equal(texts, "").fill_null(False))
        faults = [LineFault(int(line[row]), VALUE, "holds NaN or an infinity") for row in np.flatnonzero(odd)]
        return np.where(valid, v.LIST, v.NULL), texts, no_numbers, faults
    if pa.types.is_null(type_):
        return np.zeros(rows, np.uint8), no_texts, no_numbers, []
    return np.where(valid, v.STRING, v.NULL), to_text(values, pa.string()), no_numbers, []


def _write_numbers(values: pa.Array) -> pa.Array:
    if pa.types.is_integer(values.type):
        return values.cast(pa.string())
    return pa.array([None if one is None else format(one, "f") for one in values.to_pylist()], pa.string())


def _write_list(elements: list[Any]) -> str:
    """The JSON text of a list as Parquet holds it; "" if one of its numbers is none."""
    texts = [_write_element(one) for one in elements]
    return "" if "NaN" in texts else f"[{','.join(texts)}]"


def _write_element(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN"
    return json.dumps(value)
