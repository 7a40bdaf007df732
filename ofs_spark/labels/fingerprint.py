"""What identifies an assertion: its id as 16 bytes, and 128 bits of everything its row says.

The content hash is SipHash-1-3 with a 128-bit result over every column, each text led by its length and a null by a
length no text has, so that texts which only join alike differ. It is keyed by the extract's digest, which nobody
knows before the rows are fixed: rows cannot be made to share a hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, LONGS, compile_loop, type_array, type_tuple
from ofs_spark.foundation.columnar.hashing import read_text_buffers, to_fixed_binary

_U64 = types.uint64
_STATE = type_array(_U64, 2)
_NULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_START = np.array([0x736F6D6570736575, 0x646F72616E646F6D ^ 0xEE, 0x6C7967656E657261, 0x7465646279746573], np.uint64)


@compile_loop(type_tuple(_U64, _U64, _U64, _U64)(_U64, _U64, _U64, _U64))
def _round(a: Any, b: Any, c: Any, d: Any) -> Any:
    """One SipHash round over the four words of a state."""
    a += b
    b = ((b << np.uint64(13)) | (b >> np.uint64(51))) ^ a
    a = (a << np.uint64(32)) | (a >> np.uint64(32))
    c += d
    d = ((d << np.uint64(16)) | (d >> np.uint64(48))) ^ c
    a += d
    d = ((d << np.uint64(21)) | (d >> np.uint64(43))) ^ a
    c += b
    b = ((b << np.uint64(17)) | (b >> np.uint64(47))) ^ c
    c = (c << np.uint64(32)) | (c >> np.uint64(32))
    return a, b, c, d


@compile_loop(types.void(_STATE, LONGS, BYTES, LONGS))
def _absorb_texts(state: Array, entry: Array, data: Array, offsets: Array) -> None:
    """Takes in one text per row: text `entry[row]` of the buffers, or a null where that is -1."""
    for row in range(len(entry)):
        a, b, c, d = state[row, 0], state[row, 1], state[row, 2], state[row, 3]
        at = end = np.int64(0)
        word = _NULL
        if entry[row] >= 0:
            at, end = offsets[entry[row]], offsets[entry[row] + 1]
            word = np.uint64(end - at)
        a, b, c, d = _round(a, b, c, d ^ word)
        a ^= word
        while at < end:
            word = np.uint64(0)
            for i in range(8 if end - at >= 8 else end - at):
                word |= np.uint64(data[at + i]) << np.uint64(8 * i)
            a, b, c, d = _round(a, b, c, d ^ word)
            a ^= word
            at += 8
        state[row, 0], state[row, 1], state[row, 2], state[row, 3] = a, b, c, d


@compile_loop(types.void(_STATE, LONGS))
def _absorb_numbers(state: Array, values: Array) -> None:
    """Takes in one 64-bit number per row."""
    for row in range(len(values)):
        word = np.uint64(values[row])
        a, b, c, d = _round(state[row, 0], state[row, 1], state[row, 2], state[row, 3] ^ word)
        state[row, 0], state[row, 1], state[row, 2], state[row, 3] = a ^ word, b, c, d


@compile_loop(type_array(_U64, 2)(_STATE))
def _squeeze(state: Array) -> Array:
    out = np.empty((len(state), 2), np.uint64)
    for row in range(len(state)):
        a, b, c, d = state[row, 0], state[row, 1], state[row, 2] ^ np.uint64(0xEE), state[row, 3]
        for half in range(2):
            for _ in range(3):
                a, b, c, d = _round(a, b, c, d)
            out[row, half] = a ^ b ^ c ^ d
            b ^= np.uint64(0xDD)
    return out


def hash_contents(texts: Iterable[pa.Array], numbers: Iterable[Array], rows: int, key: bytes) -> Array:
    """128 bits per row, uint64 of shape (rows, 2), that two rows share iff they say the same.

    `texts` are string arrays or dictionary arrays of strings, `numbers` int64; `key` is 16 bytes.
    """
    low, high = np.frombuffer(key, "<u8").astype(np.uint64)
    state = np.tile(_START ^ np.array([low, high, low, high], np.uint64), (rows, 1))
    for column in texts:
        coded = pa.types.is_dictionary(column.type)
        entry = np.asarray(column.indices.fill_null(-1)).astype(np.int64) if coded else np.arange(rows)
        if column.null_count and not coded:
            entry[~np.asarray(column.is_valid())] = -1
        _absorb_texts(state, entry, *read_text_buffers(column.dictionary if coded else column))
    for values in numbers:
        _absorb_numbers(state, values)
    hashes: Array = _squeeze(state)
    return hashes


@compile_loop(type_array(types.int64)(types.Array(_U64, 2, "C", readonly=True)))
def _find_clashing(identities: Array) -> Array:
    """Rows whose id stands in an earlier row with another content: one look into an open-addressing table each."""
    size = 16
    while size < 2 * len(identities):
        size *= 2
    table = np.full(size, -1, np.int64)
    found = np.zeros(len(identities), np.bool_)
    for row in range(len(identities)):
        high, low = identities[row, 0], identities[row, 1]
        mixed = (high ^ (low >> np.uint64(32)) ^ (low << np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
        at = np.int64((mixed >> np.uint64(32)) & np.uint64(size - 1))
        while table[at] >= 0 and (identities[table[at], 0] != high or identities[table[at], 1] != low):
            at = (at + 1) & (size - 1)
        if table[at] < 0:
            table[at] = row
        else:
            known = table[at]
            found[row] = identities[known, 2] != identities[row, 2] or identities[known, 3] != identities[row, 3]
    return np.flatnonzero(found)


def join_identities(ids: Array, contents: Array) -> pa.Array:
    """Ids (rows, 16 bytes) and contents (rows, 2 words) as one column of 32 bytes."""
    return to_fixed_binary(np.concatenate([ids, contents.view(np.uint8).reshape(-1, 16)], axis=1))


def find_clashing_ids(column: pa.Array, bound: int) -> list[str]:
    """Ids under which the identities hold different contents, ascending, at most `bound`; every row of an id is there."""
    words = _read_words(column)
    found = np.unique(words[_find_clashing(words)][:, :2].copy().view("V16")).tolist()
    return sorted(one.hex() for one in found)[:bound]


def route_identities(column: pa.Array, width: int) -> Array:
    """Target of every identity by its id, int32."""
    words = _read_words(column)
    mixed = (words[:, 0] ^ words[:, 1]) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(32)) % np.uint64(width)).astype(np.int32)


def _read_words(column: pa.Array) -> Array:
    """Identities as (rows, 4) words: two of the id, two of the content."""
    body = column.buffers()[1]
    words: Array = np.frombuffer(body, np.uint64).reshape(-1, 4)[column.offset : column.offset + len(column)]
    return words
