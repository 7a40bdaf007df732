"""From the sorted table of one target to the arrays a kernel reads, with the missing rule and its refusals applied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.features.kernel.model import GroupRows, Values
from ofs_spark.features.order import delivery_rank, undefined_keys
from ofs_spark.pins.profile.model import Program, Value
from ofs_spark.replay import rows as r

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Fault:
    """Rows of a target that a rule refuses: how many, and the first of them in (part, seq) order."""

    code: str
    subject: str
    message: str
    count: int
    first: dict[str, Any]
    """The first row's part, seq, offset and event_id."""

    def note(self) -> dict[str, Any]:
        """JSON-ready content of the fault's note."""
        said = {"code": self.code, "subject": self.subject, "message": self.message, "count": self.count}
        return {**said, **self.first}


@dataclass(frozen=True)
class KeyedTable:
    """One target's rows in layout order: by key parts as UTF-8 bytes, rows without a key last by event id, then total order."""

    table: pa.Table
    code: Array
    keyed: int
    """Rows [0, keyed) have a key; `code` holds their dense ascending key codes."""


def sort_by_key(table: pa.Table, key_columns: list[str]) -> KeyedTable:
    """The rows of a target in layout order. Shapes: n rows in, n rows out."""
    code, missing = _key_codes(table, key_columns)
    order = _total_order(code, column(table, r.TS), column(table, r.PART), column(table, r.SEQ))
    return KeyedTable(table.take(pa.array(order)), code[order], table.num_rows - missing)


def _key_codes(table: pa.Table, key_columns: list[str]) -> tuple[Array, int]:
    code = np.zeros(table.num_rows, np.int64)
    missing = np.zeros(table.num_rows, np.bool_)
    for position, name in enumerate(key_columns):
        part, distinct = text_codes(table.column(name))
        code = np.unique(code * max(len(distinct), 1) + part, return_inverse=True)[1] if position else part
        missing |= ~np.asarray(one_array(table.column(name)).is_valid())
    count = int(missing.sum())
    if count:
        by_event, _ = text_codes(table.column(r.EVENT_ID).filter(pa.array(missing)))
        code[missing] = code.max(initial=0) + 1 + by_event
    return code, count


def _total_order(code: Array, ts: Array, part: Array, seq: Array) -> Array:
    """Permutation by (code, ts, part, seq): radix passes over the codes, and a second look at ties alone."""
    order = np.argsort(ts, kind="stable")
    for shift in range(0, int(code.max(initial=0)).bit_length(), 16):
        order = order[np.argsort((code[order] >> shift).astype(np.uint16), kind="stable")]
    tied = np.zeros(len(order) + 1, np.bool_)
    tied[1:-1] = (np.diff(code[order]) == 0) & (np.diff(ts[order]) == 0)
    again = tied[1:] | tied[:-1]
    rows = order[again]
    order[again] = rows[np.lexsort((seq[rows], part[rows], ts[rows], code[rows]))]
    return order


def text_codes(texts: pa.ChunkedArray) -> tuple[Array, pa.Array]:
    """Codes that order as the texts' UTF-8 bytes do (a null has code 0), and the distinct texts in that order."""
    encoded = one_array(texts).dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.zeros(max(len(order), 1), np.int64)
    rank[np.asarray(order)] = np.arange(len(order))
    return rank[np.asarray(encoded.indices.fill_null(0))], encoded.dictionary.take(order)


def one_array(values: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    combined = values.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def column(table: pa.Table, name: str) -> Array:
    """A column without nulls as NumPy values."""
    values: Array = one_array(table.column(name)).to_numpy(zero_copy_only=False)
    return values


def group_rows(program: Program, index: int, keyed: KeyedTable) -> tuple[GroupRows, list[Fault]]:
    """The kernel's view of group `index`, and everything in it that a rule refuses."""
    group, everything = program.groups[index], keyed.table
    table = everything.slice(0, keyed.keyed)
    flags = column(table, r.FLAGS)
    source = (flags & r.source_flag(index)) != 0
    anchor = (flags & r.ANCHOR) != 0
    code = keyed.code[: keyed.keyed]
    part, seq = column(table, r.PART), column(table, r.SEQ)
    faults = [*_key_faults(program, index, keyed), *_value_faults(program, index, everything)]
    values = [_values(program, value, table, source) for value in group.values]
    if group.knowledge == "as_observed":
        arrival = column(table, r.ARRIVAL)
        undefined = undefined_keys(code, part, arrival, source | anchor)
        if undefined.any():
            told = "keys span partitions and lack arrival times"
            faults.append(fault("ORDER_UNDEFINED", group.name, told, undefined, table))
        rank = delivery_rank(code, part, seq, arrival)
    else:
        rank = np.arange(len(code), dtype=np.int64)
    wheres = {f.where: column(table, r.where_column(f.where)) for f in group.features if f.where is not None}
    return GroupRows(code, column(table, r.TS), rank, source, anchor, tuple(values), wheres), faults


def _key_faults(program: Program, index: int, keyed: KeyedTable) -> Iterable[Fault]:
    group = program.groups[index]
    if program.keys[group.key].core is not None:
        return
    flags = column(keyed.table, r.FLAGS)
    concerned = (flags & (r.source_flag(index) | r.ANCHOR)) != 0
    for read, name in zip(program.keys[group.key].parts, program.keys[group.key].names, strict=True):
        bad = concerned & (column(keyed.table, r.status_column(read)) == r.INVALID)
        if bad.any():
            message = f"key part {name} is an object, an array or unreadable text"
            yield fault("FEATURE_VALUE_INVALID", f"{group.name}.{name}", message, bad, keyed.table)


def _value_faults(program: Program, index: int, table: pa.Table) -> Iterable[Fault]:
    """Source events whose value is not what is declared, or missing where that fails; with or without a key."""
    group = program.groups[index]
    source = (column(table, r.FLAGS) & r.source_flag(index)) != 0
    for value in group.values:
        status = column(table, r.status_column(value.read))
        bad = source & ((status == r.INVALID) | ((status == r.MISSING) & (value.missing == "fail")))
        if bad.any():
            yield fault(
                "FEATURE_VALUE_INVALID", f"{group.name}.{value.name}", _value_message(program, value), bad, table
            )


def fault(code: str, subject: str, message: str, bad: Array, table: pa.Table) -> Fault:
    """The fault of the `bad` rows of a table."""
    rows = np.flatnonzero(bad)
    part, seq = column(table, r.PART)[rows], column(table, r.SEQ)[rows]
    first = int(rows[np.lexsort((seq, part))[0]])
    named = table.select([r.PART, r.SEQ, r.OFFSET, r.EVENT_ID]).slice(first, 1).to_pylist()[0]
    return Fault(code, subject, message, len(rows), named)


def _value_message(program: Program, value: Value) -> str:
    read = program.reads[value.read]
    kind = f"decimal({read.type.precision},{read.type.scale})" if read.type.kind == "decimal" else read.type.kind
    return f"{'.'.join(read.path)} must be {kind}, missing: {value.missing}"


def _values(program: Program, value: Value, table: pa.Table, source: Array) -> Values:
    type_ = program.reads[value.read].type
    status = column(table, r.status_column(value.read))
    present = source & ((status == r.PRESENT) | ((status == r.MISSING) & (value.missing == "zero")))
    stored = table.column(r.read_column(value.read))
    if type_.kind == "string":
        codes, dictionary = text_codes(stored)
        return Values(codes, present, 0, "string", dictionary)
    if type_.wide:
        texts = zip(stored.to_pylist(), present, strict=True)
        wide = np.array([int(text) if ok and text else 0 for text, ok in texts], dtype=object)
        return Values(wide, present, type_.scale, type_.kind)
    data = one_array(stored).to_numpy(zero_copy_only=False)
    if type_.kind == "bool":
        data = data.astype(np.int64)
    return Values(np.where(present, data, data.dtype.type(0)), present, type_.scale, type_.kind)
