"""Rows of a Parquet file: each column as the JSON value that is exactly what it holds.

Whole numbers and float64 are numbers, decimals the text of their digits, timestamps and dates RFC 3339 text. A float that is
NaN or infinite rejects its row; a column of bytes, of durations, or of another kind that JSON has no value for is told at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types as t

from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.intake import rows as r
from ofs_spark.intake.times import read_times, read_timestamps, write_timestamps

_TEXTS = (t.is_string, t.is_large_string, t.is_string_view)
_NESTED = (t.is_struct, t.is_list, t.is_large_list, t.is_fixed_size_list, t.is_map)
_CALENDAR = (t.is_date, t.is_time)
_PLAIN = (*_TEXTS, t.is_integer, t.is_floating, t.is_boolean, t.is_null, t.is_decimal, t.is_timestamp, *_CALENDAR)


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file, read page by page. WrongArgument for a file that is no Parquet, or whose columns JSON cannot hold."""
    try:
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except (pa.ArrowException, OSError) as error:
        raise WrongArgument(f"{path} is no Parquet file: {str(error)[:200]}") from None
    odd = [f"{field.name} is {field.type}" for field in file.schema_arrow if not _is_readable(field.type)]
    if odd:
        message = f"{path}: column {odd[0]}, which has no value in JSON; leave it out or write it as text"
        raise WrongArgument(message)
    return file


def require_instants(file: pq.ParquetFile, path: Path, name: str) -> None:
    """WrongArgument for a column that holds neither text nor timestamps adjusted to UTC: every row would be rejected."""
    kind = _find_plain(file.schema_arrow.field(name).type)
    if t.is_null(kind) or any(is_one(kind) for is_one in _TEXTS) or (t.is_timestamp(kind) and kind.tz is not None):
        return
    message = f"{path}: column {name} is {kind}; timestamps adjusted to UTC, or RFC 3339 text, are required"
    raise WrongArgument(message)


def read_parquet(file: pq.ParquetFile, columns: Sequence[str]) -> r.Blocks:
    """The rows of the file, of these columns."""
    stored = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
    each = max(1, stored // max(1, file.metadata.num_rows))
    most = max(1, min(r.MOST_ROWS, r.MOST_BYTES // each))
    before = 0
    for batch in file.iter_batches(batch_size=most, columns=list(columns)):
        yield _read_batch(batch, before)
        before += batch.num_rows


def _read_batch(batch: pa.RecordBatch, before: int) -> tuple[r.Block, list[r.Reject]]:
    values: dict[str, list[Any]] = {}
    bad: dict[int, r.Reject] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        values[name], faults = _read_column(column)
        for row, reason in faults.items():
            bad.setdefault(row, r.Reject(before + row + 1, name, reason))
    if bad:
        kept = [row for row in range(batch.num_rows) if row not in bad]
        values = {name: [column[row] for row in kept] for name, column in values.items()}
        batch = batch.take(pa.array(kept, pa.int64()))
        numbers: Sequence[int] = [before + row + 1 for row in kept]
    else:
        numbers = range(before + 1, before + batch.num_rows + 1)
    return _make_block(batch, values, numbers), [bad[row] for row in sorted(bad)]


def _make_block(batch: pa.RecordBatch, values: dict[str, list[Any]], numbers: Sequence[int]) -> r.Block:
    def read_instants(name: str) -> r.Times:
        """The instants of a column."""
        column = _decode(batch.column(name))
        return read_timestamps(column) if t.is_timestamp(column.type) else read_times(values[name])

    def write(without: frozenset[str]) -> list[str]:
        """Each row as an object."""
        names = sorted(name for name in values if name not in without)
        if not names:
            return ["{}"] * len(numbers)
        template = r.make_template(names)
        columns = [_write_column(values[name]) for name in names]
        return [template % row for row in zip(*columns, strict=True)]

    return r.Block(numbers, batch.schema.names, values.__getitem__, read_instants, write)


def _write_column(values: list[Any]) -> list[str]:
    """Values as JSON texts."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return list(map(r.quote_json, values))
    if kinds == {int}:
        return list(map(str, values))
    return list(map(r.write_json_text, values))


def _read_column(column: pa.Array) -> tuple[list[Any], dict[int, str]]:
    """A column as JSON values; row → why it has none."""
    plain = _decode(column)
    if any(is_one(plain.type) for is_one in _TEXTS):
        return _read_texts(plain)
    if t.is_floating(plain.type):
        values = plain.to_pylist()
        bad = {row: r.NOT_FINITE for row, one in enumerate(values) if one is not None and not math.isfinite(one)}
        return values, bad
    if t.is_timestamp(plain.type):
        return write_timestamps(plain).to_pylist(), {}
    if t.is_decimal(plain.type):
        return [None if one is None else format(one, "f") for one in plain.to_pylist()], {}
    if any(is_one(plain.type) for is_one in _CALENDAR):
        return plain.cast(pa.string()).to_pylist(), {}
    if any(is_one(plain.type) for is_one in _NESTED):
        return _read_nested(plain)
    return plain.to_pylist(), {}


def _read_texts(column: pa.Array) -> tuple[list[Any], dict[int, str]]:
    try:
        return column.to_pylist(), {}
    except UnicodeDecodeError:
        return _read_each(column, lambda raw: raw.decode(), column.cast(pa.large_binary()).to_pylist())


def _read_nested(column: pa.Array) -> tuple[list[Any], dict[int, str]]:
    return _read_each(column, _convert, [None] * len(column))


def _read_each(column: pa.Array, convert: Callable[[Any], Any], values: list[Any]) -> tuple[list[Any], dict[int, str]]:
    """Values one by one. values: what is converted, where it is not the column's own."""
    found: list[Any] = [None] * len(column)
    bad: dict[int, str] = {}
    for row in range(len(column)):
        try:
            own = values[row] if values[row] is not None else column[row].as_py()
            found[row] = None if own is None else convert(own)
        except UnicodeDecodeError:
            bad[row] = r.NOT_UTF8
        except r.BadRowError as fault:
            bad[row] = fault.reason
    return found, bad


def _convert(value: Any) -> Any:
    """A nested value as JSON holds it. BadRowError where it cannot."""
    if isinstance(value, dict):
        return {name: _convert(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_convert(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise r.BadRowError(r.NOT_FINITE)
    if isinstance(value, bytes):
        raise r.BadRowError(r.NO_BYTES)
    if value is None or isinstance(value, str | int | float):
        return value
    return format(value, "f") if isinstance(value, Decimal) else _format_moment(value)


def _format_moment(value: Any) -> str:
    """A date or a time inside another value: as a column of its own would be written."""
    column = pa.array([value])
    written = write_timestamps(column) if t.is_timestamp(column.type) else column.cast(pa.string())
    return str(written[0].as_py())


def _decode(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if t.is_dictionary(column.type) else column


def _find_plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if t.is_dictionary(kind) else kind


def _list_leaves(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The types of what a value of this type is made of."""
    plain = _find_plain(kind)
    if any(is_one(plain) for is_one in _NESTED):
        for at in range(plain.num_fields):
            yield from _list_leaves(plain.field(at).type)
    else:
        yield plain


def _is_readable(kind: pa.DataType) -> bool:
    return all(any(is_one(leaf) for is_one in _PLAIN) for leaf in _list_leaves(kind))
