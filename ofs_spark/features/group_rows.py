"""From the sorted table of one target to the arrays a kernel reads, with the missing rule and its refusals applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.features.faults import find_key_faults, find_order_faults, find_value_faults, is_source
from ofs_spark.features.kernel.model import GroupRows, Values
from ofs_spark.features.kernel.words import choose
from ofs_spark.features.order import find_undefined_keys, rank_deliveries
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.ids import unpack_ids
from ofs_spark.foundation.columnar.notes import Fault
from ofs_spark.pins.profile.model import Program, Value
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import is_anchor


@dataclass(frozen=True)
class KeyedTable:
    """Rows of one target in layout order: by key parts as UTF-8 bytes, rows without a key last by event id, then total order.

    Rows [0, keyed) have a key; `code` holds their dense ascending key codes. Where they are a stretch of one key's time,
    `before` has the rows that their windows look back at, in the columns that kernels read.
    """

    table: pa.Table
    code: Array
    keyed: int
    before: pa.Table | None = None
    is_split: bool = False
    """Whether some other piece has rows of the same key."""


def sort_by_key(table: pa.Table, key_columns: list[str]) -> KeyedTable:
    """The rows of a target in layout order. Shapes: n rows in, n rows out."""
    code, missing = encode_keys(table, key_columns)
    order = sort_totally(code, table)
    return KeyedTable(table.take(pa.array(order)), code[order], table.num_rows - missing)


def encode_keys(table: pa.Table, key_columns: Sequence[str]) -> tuple[Array, int]:
    """Dense codes that order as rows of a layout do, and how many rows have no key; their codes are the greatest."""
    code = np.zeros(table.num_rows, np.int64)
    missing = np.zeros(table.num_rows, np.bool_)
    for position, name in enumerate(key_columns):
        part, distinct = encode_texts(table.column(name))
        code = np.unique(code * max(len(distinct), 1) + part, return_inverse=True)[1] if position else part
        missing |= ~np.asarray(combine_chunks(table.column(name)).is_valid())
    count = int(missing.sum())
    if count:
        by_event, _ = encode_texts(unpack_ids(table.column(r.EVENT_ID).filter(pa.array(missing))))
        code[missing] = code.max(initial=0) + 1 + by_event
    return code, count


def sort_totally(code: Array, table: pa.Table) -> Array:
    """Permutation by (code, ts, partition ordinal, seq): radix passes over the codes, and a second look at ties alone."""
    ts, ordinal, seq = (read_values(table, name) for name in (r.TS, r.PARTITION_ORDINAL, r.SEQ))
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
    """The kernel's view of group `index`, and everything in the piece that a rule refuses.

    The rows before the piece come first, and are no anchors. Whether a key that has other pieces has an order is not judged.
    """
    group, everything = program.groups[index], keyed.table
    faults = [*find_key_faults(program, index, everything), *find_value_faults(program, index, everything)]
    table, code = everything.slice(0, keyed.keyed), keyed.code[: keyed.keyed]
    before = 0
    if keyed.before is not None and keyed.keyed:
        before = keyed.before.num_rows
        table = pa.concat_tables([keyed.before, table.select(keyed.before.column_names)]).combine_chunks()
        code = np.full(table.num_rows, code[0])
    source, anchor = is_source(table, index), is_anchor(table)
    anchor[:before] = False
    values = [_select_values(program, value, table, source) for value in group.values]
    if group.knowledge == "as_observed":
        ordinal, arrival = read_values(table, r.PARTITION_ORDINAL), read_values(table, r.ARRIVAL)
        if not keyed.is_split:
            faults += find_order_faults(group.name, table, find_undefined_keys(code, ordinal, arrival, source | anchor))
        rank = rank_deliveries(code, ordinal, read_values(table, r.SEQ), arrival)
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
