"""What identifies an assertion: its id as 16 bytes, and 128 bits of everything its row says.

The content hash (`foundation/columnar/content_hash.py`) is over every column, keyed by the extract's digest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import compile_loop, type_array
from ofs_spark.foundation.columnar.content_hash import read_words
from ofs_spark.foundation.columnar.hashing import to_fixed_binary

_U64 = types.uint64
_ROWS = types.Array(_U64, 2, "C", readonly=True)
_WORDS = 4
"""Of an identity: two of the id, two of the content."""


@compile_loop(types.int64(_ROWS, type_array(types.int64), types.int64))
def _find_place(rows: Array, table: Array, row: int) -> Any:
    """Where a row's id, its first two words, stands in an open-addressing table of row numbers, or is to stand: -1 is there."""
    size = len(table)
    high, low = rows[row, 0], rows[row, 1]
    mixed = (high ^ (low >> np.uint64(32)) ^ (low << np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    at = np.int64((mixed >> np.uint64(32)) & np.uint64(size - 1))
    while table[at] >= 0 and (rows[table[at], 0] != high or rows[table[at], 1] != low):
        at = (at + 1) & (size - 1)
    return at


@compile_loop(type_array(types.int64)(types.int64))
def _make_table(rows: int) -> Array:
    size = 16
    while size < 2 * rows:
        size *= 2
    return np.full(size, -1, np.int64)


@compile_loop(type_array(types.int64)(_ROWS))
def _find_clashing(identities: Array) -> Array:
    """Rows whose id stands in an earlier row with another content: one look into a table each."""
    table, found = _make_table(len(identities)), np.zeros(len(identities), np.bool_)
    for row in range(len(identities)):
        at = _find_place(identities, table, row)
        known = table[at]
        if known < 0:
            table[at] = row
        else:
            found[row] = identities[known, 2] != identities[row, 2] or identities[known, 3] != identities[row, 3]
    return np.flatnonzero(found)


@compile_loop(type_array(types.int64)(_ROWS))
def _find_first(ids: Array) -> Array:
    """The first row of each id, ascending."""
    table, found = _make_table(len(ids)), np.zeros(len(ids), np.bool_)
    for row in range(len(ids)):
        at = _find_place(ids, table, row)
        if table[at] < 0:
            table[at] = row
            found[row] = True
    return np.flatnonzero(found)


def find_first_copies(ids: pa.Array) -> Array:
    """The first row of each distinct id of 16 bytes, ascending."""
    first: Array = _find_first(read_words(ids, 2)) if len(ids) else np.zeros(0, np.int64)
    return first


def join_identities(ids: Array, contents: Array) -> pa.Array:
    """Ids (rows, 16 bytes) and contents (rows, 2 words) as one column of 32 bytes."""
    return to_fixed_binary(np.concatenate([ids, contents.view(np.uint8).reshape(-1, 16)], axis=1))


def find_clashing_ids(column: pa.Array, bound: int) -> list[str]:
    """Ids under which the identities hold different contents, ascending, at most `bound`; every row of an id is there."""
    words = read_words(column, _WORDS)
    found = np.unique(words[_find_clashing(words)][:, :2].copy().view("V16")).tolist()
    return sorted(one.hex() for one in found)[:bound]


def route_identities(column: pa.Array, width: int) -> Array:
    """Target of every identity by its id, int32."""
    words = read_words(column, _WORDS)
    mixed = (words[:, 0] ^ words[:, 1]) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(32)) % np.uint64(width)).astype(np.int32)
