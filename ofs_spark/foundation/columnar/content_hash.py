"""What a row says, as 128 bits: SipHash-1-3 with a 128-bit result over texts and numbers.

Each text is led by its length and a null by a length no text has, so that texts which only join alike differ. The key is
16 bytes that nobody knows before the rows are fixed, the digest of what holds them: rows cannot be made to share a hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, LONGS, compile_loop, point_to, type_array, type_tuple
from ofs_spark.foundation.columnar.hashing import read_text_buffers
from ofs_spark.foundation.columnar.text_words import read_word

_U64 = types.uint64
_STATE = type_array(_U64, 2)
_NULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_START = np.array([0x736F6D6570736575, 0x646F72616E646F6D ^ 0xEE, 0x6C7967656E657261, 0x7465646279746573], np.uint64)
KEY_BYTES = 16


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


@compile_loop(types.void(_STATE, BYTES, LONGS, LONGS))
def _absorb_spans(state: Array, data: Array, start: Array, end: Array) -> None:
    """Takes in one text per row, data[start:end], or a null where its start is -1."""
    text = point_to(data)
    for row in range(len(start)):
        a, b, c, d = state[row, 0], state[row, 1], state[row, 2], state[row, 3]
        at, stop = start[row], end[row]
        word = np.uint64(stop - at)
        if at < 0:
            at = stop = np.int64(0)
            word = _NULL
        a, b, c, d = _round(a, b, c, d ^ word)
        a ^= word
        while stop - at >= 8:
            word = read_word(text, at)
            a, b, c, d = _round(a, b, c, d ^ word)
            a ^= word
            at += 8
        if at < stop:
            word = np.uint64(0)
            for i in range(stop - at):
                word |= np.uint64(data[at + i]) << np.uint64(8 * i)
            a, b, c, d = _round(a, b, c, d ^ word)
            a ^= word
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


class ContentHash:
    """The hash of some rows, to be: each call takes in one more text or number per row."""

    def __init__(self, rows: int, key: bytes) -> None:
        """key: KEY_BYTES bytes."""
        low, high = np.frombuffer(key, "<u8").astype(np.uint64)
        self._state = np.tile(_START ^ np.array([low, high, low, high], np.uint64), (rows, 1))

    def add_texts(self, column: pa.Array) -> None:
        """A string array, or a dictionary array of strings."""
        coded = pa.types.is_dictionary(column.type)
        data, offsets = read_text_buffers(column.dictionary if coded else column)
        start, end = offsets[:-1], offsets[1:]
        if coded:
            entry = np.asarray(column.indices.fill_null(len(start)))
            start, end = np.append(start, -1)[entry], np.append(end, 0)[entry]
        elif column.null_count:
            start = np.where(np.asarray(column.is_valid()), start, -1)
        self.add_spans(data, start, end)

    def add_spans(self, data: Array, start: Array, end: Array) -> None:
        """The texts data[start:end]; a null where `start` is -1."""
        _absorb_spans(self._state, data, start, end)

    def add_numbers(self, values: Array) -> None:
        """64-bit numbers."""
        _absorb_numbers(self._state, values)

    def finish(self) -> Array:
        """128 bits per row, uint64 of shape (rows, 2), that two rows share iff they said the same."""
        hashes: Array = _squeeze(self._state)
        return hashes


def hash_contents(texts: Iterable[pa.Array], numbers: Iterable[Array], rows: int, key: bytes) -> Array:
    """128 bits per row, uint64 of shape (rows, 2), that two rows share iff they say the same.

    `texts` are string arrays or dictionary arrays of strings, `numbers` int64; `key` is 16 bytes.
    """
    content = ContentHash(rows, key)
    for column in texts:
        content.add_texts(column)
    for values in numbers:
        content.add_numbers(values)
    return content.finish()


def hash_coded(columns: Sequence[pa.DictionaryArray], rows: int, key: bytes) -> Array:
    """`hash_contents` of dictionary columns alone, computed once for each combination of values that occurs."""
    counts = [len(column.dictionary) + 1 for column in columns]  # a null is one more
    if prod(counts) > rows:
        return hash_contents(columns, (), rows, key)
    place = np.zeros(rows, np.int64)
    for column, count in zip(columns, counts, strict=True):
        codes = column.indices.fill_null(count - 1) if column.indices.null_count else column.indices
        place = place * count + np.asarray(codes)
    example = np.full(prod(counts), -1, np.int64)
    example[place] = np.arange(rows)
    occurs = np.flatnonzero(example >= 0)
    examples = pa.array(example[occurs])
    hashes = np.zeros((len(example), 2), np.uint64)
    hashes[occurs] = hash_contents((column.take(examples) for column in columns), (), len(occurs), key)
    of_row: Array = hashes[place]
    return of_row
