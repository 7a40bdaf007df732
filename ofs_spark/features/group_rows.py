"""From the sorted table of one target to the arrays a kernel reads, with the missing rule and its refusals applied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.features.faults import find_key_faults, find_value_faults, is_source, make_fault
from ofs_spark.features.kernel.model import GroupRows, Values
from ofs_spark.features.kernel.words import choose
from ofs_spark.features.order import find_undefined_keys, rank_deliveries
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.notes import Fault
from ofs_spark.pins.profile.model import Program, Value
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import is_anchor


@dataclass(frozen=True)
class KeyedTable:
    """One target's rows in layout order: by key parts as UTF-8 bytes, rows without a key last by event id, then total order."""

    table: pa.Table
    code: Array
    keyed: int
    """Rows [0, keyed) have a key; `code` holds their dense ascending key codes."""


def sort_by_key(table: pa.Table, key_columns: list[str]) -> KeyedTable:
    """The rows of a target in layout order. Shapes: n rows in, n rows out."""
    code, missing = _encode_keys(table, key_columns)
    order = _sort_totally(
        code, read_values(table, r.TS), read_values(table, r.PARTITION_ORDINAL), read_values(table, r.SEQ)
    )
    return KeyedTable(table.take(pa.array(order)), code[order], table.num_rows - missing)


def _encode_keys(table: pa.Table, key_columns: list[str]) -> tuple[Array, int]:
    code = np.zeros(table.num_rows, np.int64)
    missing = np.zeros(table.num_rows, np.bool_)
    for position, name in enumerate(key_columns):
        part, distinct = encode_texts(table.column(name))
        code = np.unique(code * max(len(distinct), 1) + part, return_inverse=True)[1] if position else part
        missing |= ~np.asarray(combine_chunks(table.column(name)).is_valid())
    count = int(missing.sum())
    if count:
        by_event, _ = encode_texts(table.column(r.EVENT_ID).filter(pa.array(missing)))
        code[missing] = code.max(initial=0) + 1 + by_event
    return code, count


def _sort_totally(code: Array, ts: Array, ordinal: Array, seq: Array) -> Array:
    """Permutation by (code, ts, partition ordinal, seq): radix passes over the codes, and a second look at ties alone."""
    order = np.argsort(ts, kind="stable")
    for shift in range(0, int(code.max(initial=0)).bit_length(), 16):
        order = order[np.argsort((code[order] >> shift).astype(np.uint16), kind="stable")]
    tied = np.zeros(len(order) + 1, np.bool_)
    tied[1:-1] = (np.diff(code[order]) == 0) & (np.diff(ts[order]) == 0)
    again = tied[1:] | tied[:-1]
    rows = order[again]
    order[again] = rows[np.lexsort((seq[rows], ordinal[rows], ts[rows], code[rows]))]
    return order


def encode_texts(texts: pa.ChunkedArray) -> tuple[Array, pa.Array]:
    """Codes that order as the texts' UTF-8 bytes do (a null has code 0), and the distinct texts in that order."""
    encoded = combine_chunks(texts).dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.zeros(max(len(order), 1), np.int64)
    rank[np.asarray(order)] = np.arange(len(order))
    return rank[np.asarray(encoded.indices.fill_null(0))], encoded.dictionary.take(order)


def read_group_rows(program: Program, index: int, keyed: KeyedTable) -> tuple[GroupRows, list[Fault]]:
    """The kernel's view of group `index`, and everything in it that a rule refuses."""
    group, everything = program.groups[index], keyed.table
    table = everything.slice(0, keyed.keyed)
    source, anchor = is_source(table, index), is_anchor(table)
    code = keyed.code[: keyed.keyed]
    ordinal, seq = read_values(table, r.PARTITION_ORDINAL), read_values(table, r.SEQ)
    faults = [*find_key_faults(program, index, everything), *find_value_faults(program, index, everything)]
    values = [_select_values(program, value, table, source) for value in group.values]
    if group.knowledge == "as_observed":
        arrival = read_values(table, r.ARRIVAL)
        undefined = find_undefined_keys(code, ordinal, arrival, source | anchor)
        if undefined.any():
            message = "keys span partitions and lack arrival times"
            faults.append(make_fault("ORDER_UNDEFINED", group.name, message, undefined, table))
        rank = rank_deliveries(code, ordinal, seq, arrival)
    else:
        rank = np.arange(len(code), dtype=np.int64)
    conditions = {
        f.where: read_values(table, r.name_condition_column(f.where)) for f in group.features if f.where is not None
    }
    return GroupRows(code, read_values(table, r.TS), rank, source, anchor, tuple(values), conditions), faults


def _select_values(program: Program, value: Value, table: pa.Table, source: Array) -> Values:
    type_ = program.reads[value.read].type
    status = read_values(table, r.name_status_column(value.read))
    present = source & ((status == r.PRESENT) | ((status == r.MISSING) & (value.missing == "zero")))
    stored = table.column(r.name_read_column(value.read))
    if type_.kind == "string":
        codes, dictionary = encode_texts(stored)
        return Values(codes, present, 0, "string", dictionary)
    if type_.wide:
        return Values(choose(present, read_wide_integers(stored)), present, type_.scale, type_.kind)
    data = combine_chunks(stored).to_numpy(zero_copy_only=False)
    if type_.kind == "bool":
        data = data.astype(np.int64)
    return Values(np.where(present, data, data.dtype.type(0)), present, type_.scale, type_.kind)


def read_wide_integers(texts: pa.ChunkedArray) -> Array:
    """Unscaled integers of at most 38 digits as words, shape (rows, 2); a null is 0. A decimal128 is its two words."""
    whole = combine_chunks(texts.cast(pa.decimal128(38, 0)).fill_null(0))
    data = np.frombuffer(whole.buffers()[1], np.uint64).reshape(-1, 2)
    return data[whole.offset : whole.offset + len(whole)]
