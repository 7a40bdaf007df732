"""Ids as columns: texts or, where every one is 32 lower-case hex digits as platforms write them, 16 bytes each.

Packed ids are half as long, and two words of 64 bits are hashed and compared faster than two texts. What is asked of ids is
answered alike of both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import types

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks
from ofs_spark.foundation.columnar.compiled import I64, compile_loop, type_array
from ofs_spark.foundation.columnar.hashing import format_hex, parse_hex, read_words, to_fixed_binary
from ofs_spark.foundation.errors import show_text

_U64 = types.uint64
_ROWS = types.Array(_U64, 2, "C", readonly=True)
"""Rows of words, of which the first two are an id."""
_ID_BYTES = 16
PACKED = pa.binary(_ID_BYTES)
"""Type of a column of ids that are 32 lower-case hex digits each."""
_MOST_STEPS = 256
"""From an id's place to the one where it stands. A table that is half full, of ids that nobody chose, has never come to a
hundred; ids that somebody chose to share a place are sorted instead."""


@compile_loop(I64(_ROWS, type_array(types.int32), _U64, _U64))
def _find_place(rows: Array, table: Array, high: int, low: int) -> Any:
    """Where an id stands in an open-addressing table of row numbers, or is to stand: -1 is there. -1: too many are in its way."""
    size = len(table)
    mixed = (high + low * np.uint64(0xC2B2AE3D27D4EB4F)) * np.uint64(0x9E3779B97F4A7C15)
    at = np.int64((mixed >> np.uint64(32)) & np.uint64(size - 1))
    for _ in range(_MOST_STEPS):
        if table[at] < 0 or (rows[table[at], 0] == high and rows[table[at], 1] == low):
            return at
        at = (at + 1) & (size - 1)
    return -1


@compile_loop(type_array(types.int32)(I64))
def _make_table(rows: int) -> Array:
    """An empty table for so many ids: at most half of it is ever taken."""
    size = 16
    while size < 2 * rows:
        size *= 2
    return np.full(size, -1, np.int32)


@compile_loop(type_array(types.int64)(_ROWS))
def _find_first(ids: Array) -> Array:
    """As `find_first_rows`; empty where ids crowd."""
    table, first = _make_table(len(ids)), np.empty(len(ids), np.int64)
    for row in range(len(ids)):
        at = _find_place(ids, table, ids[row, 0], ids[row, 1])
        if at < 0:
            return first[:0]
        if table[at] < 0:
            table[at] = row
        first[row] = table[at]
    return first


@compile_loop(type_array(types.int64)(_ROWS, _ROWS))
def _find(ids: Array, known: Array) -> Array:
    """As `find_ids`; empty where ids crowd."""
    table, found = _make_table(len(known)), np.empty(len(ids), np.int64)
    for row in range(len(known)):
        at = _find_place(known, table, known[row, 0], known[row, 1])
        if at < 0:
            return found[:0]
        if table[at] < 0:
            table[at] = row
    for row in range(len(ids)):
        at = _find_place(known, table, ids[row, 0], ids[row, 1])
        if at < 0:
            return found[:0]
        found[row] = table[at]
    return found


def find_first_rows(ids: Array) -> Array:
    """The first row with the id of each row. ids: uint64 of shape (rows, 2 or more), of which the first two words count."""
    found: Array = _find_first(ids)
    return found if len(found) == len(ids) else _sort_first_rows(ids)


def _sort_first_rows(ids: Array) -> Array:
    """As `find_first_rows`, in a time that no choice of ids makes long."""
    order = np.lexsort((ids[:, 1], ids[:, 0]))  # stable: of equal ids the first row comes first
    own = ids[order, :2]
    starts = np.ones(len(ids), bool)
    starts[1:] = (own[1:] != own[:-1]).any(axis=1)
    first = np.empty(len(ids), np.int64)
    first[order] = order[starts][np.cumsum(starts) - 1]
    return first


def pack_ids(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The ids as PACKED; their texts where one is no 32 hex digits, or null."""
    texts = combine_chunks(ids)
    words = _parse_ids(texts)
    return texts if words is None else to_fixed_binary(words.view(np.uint8))


def is_packed(ids: pa.Array | pa.ChunkedArray) -> bool:
    """Whether ids are PACKED, and no texts."""
    return bool(ids.type == PACKED)


def unpack_ids(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The ids as texts."""
    held = combine_chunks(ids)
    return format_hex(held) if is_packed(held) else held


def show_id(event_id: str | bytes) -> str:
    """One id of such a column, as a person is told it."""
    return show_text(event_id if isinstance(event_id, str) else event_id.hex())


def number_ids(ids: pa.Array | pa.ChunkedArray) -> Array:
    """A number per row, int64, equal for equal ids and ascending by their first rows; no id is null."""
    held = combine_chunks(ids)
    words = _read_words(held)
    return np.asarray(held.dictionary_encode().indices).astype(np.int64) if words is None else find_first_rows(words)


def find_ids(ids: pa.Array | pa.ChunkedArray, known: pa.Array | pa.ChunkedArray) -> Array:
    """The first row of `known` with the id of each row, int64; -1 where none has."""
    held, sought = combine_chunks(ids), combine_chunks(known)
    mine, theirs = _read_words(held), _read_words(sought)
    if mine is None or theirs is None:
        among = pc.index_in(unpack_ids(held), value_set=unpack_ids(sought))
        return np.asarray(among.fill_null(-1)).astype(np.int64)
    found: Array = _find(mine, theirs)
    if len(found) == len(mine):
        return found
    first = _sort_first_rows(np.concatenate([theirs, mine]))[len(theirs) :]
    return np.where(first < len(theirs), first, -1)


def _read_words(ids: pa.Array) -> Array | None:
    """Two words an id; None where an id is no 32 hex digits."""
    return read_words(ids, _ID_BYTES // 8) if is_packed(ids) else _parse_ids(ids)


def _parse_ids(texts: pa.Array) -> Array | None:
    """Two words an id; None where an id is no 32 lower-case hex digits."""
    parsed, good = parse_hex(texts, _ID_BYTES)
    return parsed.view(np.uint64).reshape(-1, 2) if good.all() else None
