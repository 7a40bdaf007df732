"""Hashes over whole columns: CRC-32 as every other engine computes it, and hex text to bytes and back.

Placement decides where a row is worked on and which bucket stores it, never what equals what: equality is always of bytes.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import types

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks
from ofs_spark.foundation.columnar.compiled import BYTES, I64, LONGS, WORDS, compile_loop, type_array, type_tuple

_AT_ONCE = 8
"""Bytes that CRC-32 takes in by one step, each with a table of its own."""


def _make_crc_tables() -> Array:
    """Table n: what a byte comes to that n others follow; uint32 of shape (_AT_ONCE * 256,)."""
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> 1) ^ np.uint32(0xEDB88320), values >> 1).astype(np.uint32)
    tables = [values]
    while len(tables) < _AT_ONCE:
        tables.append(values[tables[-1] & 0xFF] ^ (tables[-1] >> np.uint32(8)))
    return np.concatenate(tables)


_TABLES = _make_crc_tables()


@compile_loop(type_array(types.uint32)(BYTES, LONGS, WORDS))
def _hash_crc32(data: Array, offsets: Array, tables: Array) -> Array:
    out = np.empty(len(offsets) - 1, np.uint32)
    for row in range(len(out)):
        crc = np.uint32(0xFFFFFFFF)
        at, end = offsets[row], offsets[row + 1]
        while at + 8 <= end:
            found = np.uint32(0)
            for i in range(4):
                byte = ((crc >> np.uint32(8 * i)) ^ data[at + i]) & np.uint32(0xFF)
                found ^= tables[256 * (7 - i) + byte] ^ tables[256 * (3 - i) + data[at + 4 + i]]
            crc = found
            at += 8
        while at < end:
            crc = tables[(crc ^ data[at]) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
            at += 1
        out[row] = crc ^ np.uint32(0xFFFFFFFF)
    return out


def read_text_buffers(texts: pa.Array | pa.ChunkedArray) -> tuple[Array, Array]:
    """UTF-8 bytes and int64 offsets of a string column without copying its bytes; a null reads as an empty text."""
    array = combine_chunks(texts)
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, ends, data = array.buffers()
    if ends is None or len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, np.int64)
    offsets = np.frombuffer(ends, np.int64 if wide else np.int32)[array.offset : array.offset + len(array) + 1].astype(
        np.int64
    )
    return (np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)), offsets


def hash_crc32(texts: pa.Array | pa.ChunkedArray) -> Array:
    """CRC-32 (ISO-HDLC, as zlib and Spark's `crc32`) of every text's UTF-8 bytes, uint32."""
    return _hash_crc32(*read_text_buffers(texts), _TABLES)


def route_texts(texts: pa.Array | pa.ChunkedArray, width: int) -> Array:
    """Target of every text: CRC-32 modulo `width`, int32."""
    return (hash_crc32(texts) % np.uint32(width)).astype(np.int32)


_NO_DIGIT = 255
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


@compile_loop(type_tuple(type_array(types.uint8, 2), type_array(types.boolean))(BYTES, LONGS, I64, BYTES))
def _parse_hex(data: Array, offsets: Array, width: int, digits: Array) -> tuple[Array, Array]:
    out, good = np.zeros((len(offsets) - 1, width), np.uint8), np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(good)):
        at = offsets[row]
        if offsets[row + 1] - at != 2 * width:
            continue
        seen = np.uint8(0)
        for i in range(width):
            high, low = digits[data[at + 2 * i]], digits[data[at + 2 * i + 1]]
            out[row, i] = (high << 4) | (low & 15)
            seen |= high | low
        good[row] = seen < 16
    return out, good


def parse_hex(texts: pa.Array, width: int) -> tuple[Array, Array]:
    """(`width` bytes per text, whether each text is that many in lower-case hex): uint8 of shape (rows, width), bool."""
    rows, good = _parse_hex(*read_text_buffers(texts), width, _DIGITS)
    if texts.null_count:  # the bytes under a null are anything
        good &= np.asarray(texts.is_valid())
    return rows, good


def to_fixed_binary(rows: Array) -> pa.Array:
    """Rows of equally many bytes, uint8 of shape (rows, width), as an Arrow column."""
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(rows)])


_HEX_OF_BYTE = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)


def format_hex(column: pa.Array) -> pa.Array:
    """A column of fixed-size bytes as lower-case hex text."""
    width, held = column.type.byte_width, np.frombuffer(column.buffers()[1], np.uint8)
    digits = _HEX_OF_BYTE[held[column.offset * width : (column.offset + len(column)) * width]]
    ends = pa.array(np.arange(len(column) + 1, dtype=np.int32) * 2 * width)
    texts = pa.Array.from_buffers(pa.string(), len(column), [None, ends.buffers()[1], pa.py_buffer(digits)])
    return pc.if_else(column.is_valid(), texts, None) if column.null_count else texts
