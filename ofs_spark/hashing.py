"""Hashes over whole columns: CRC-32 as every other engine computes it, a 64-bit one for look-ups, and hex text of either.

Placement decides where a row is worked on and which bucket stores it, never what equals what: equality is always of bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import types

from ofs_spark.compiled import BYTES, I64, LONGS, WORDS, array_of, compiled, several

Array = np.ndarray[Any, np.dtype[Any]]


def _crc_table() -> Array:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> 1) ^ np.uint32(0xEDB88320), values >> 1).astype(np.uint32)
    return values


_TABLE = _crc_table()


@compiled(array_of(types.uint32)(BYTES, LONGS, WORDS))
def _crc32(data: Array, offsets: Array, table: Array) -> Array:
    out = np.empty(len(offsets) - 1, np.uint32)
    for row in range(len(out)):
        crc = np.uint32(0xFFFFFFFF)
        for at in range(offsets[row], offsets[row + 1]):
            crc = table[(crc ^ data[at]) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
        out[row] = crc ^ np.uint32(0xFFFFFFFF)
    return out


@compiled(array_of(types.uint64)(BYTES, LONGS))
def _fnv64(data: Array, offsets: Array) -> Array:
    out = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(out)):
        value = np.uint64(0xCBF29CE484222325)
        for at in range(offsets[row], offsets[row + 1]):
            value = (value ^ np.uint64(data[at])) * np.uint64(0x100000001B3)
        value ^= value >> np.uint64(32)
        out[row] = value
    return out


def text_buffers(texts: pa.Array | pa.ChunkedArray) -> tuple[Array, Array]:
    """UTF-8 bytes and int64 offsets of a string column without copying its bytes; a null reads as an empty text."""
    array = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, ends, data = array.buffers()
    if ends is None or len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, np.int64)
    offsets = np.frombuffer(ends, np.int64 if wide else np.int32)[array.offset : array.offset + len(array) + 1].astype(
        np.int64
    )
    return (np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)), offsets


def crc32(texts: pa.Array | pa.ChunkedArray) -> Array:
    """CRC-32 (ISO-HDLC, as zlib and Spark's `crc32`) of every text's UTF-8 bytes, uint32."""
    return _crc32(*text_buffers(texts), _TABLE)


def route(texts: pa.Array | pa.ChunkedArray, width: int) -> Array:
    """Target of every text: CRC-32 modulo `width`, int32."""
    return (crc32(texts) % np.uint32(width)).astype(np.int32)


def look_up_hash(texts: pa.Array | pa.ChunkedArray) -> Array:
    """A 64-bit hash of every text, for grouping candidates that are then compared byte by byte."""
    return _fnv64(*text_buffers(texts))


@compiled(several(array_of(types.uint8, 2), array_of(types.boolean))(BYTES, LONGS, I64))
def _hex_bytes(data: Array, offsets: Array, width: int) -> tuple[Array, Array]:
    out, good = np.zeros((len(offsets) - 1, width), np.uint8), np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(good)):
        good[row] = offsets[row + 1] - offsets[row] == 2 * width
        for i in range(2 * width if good[row] else 0):
            byte = data[offsets[row] + i]
            digit = byte - 48 if 48 <= byte <= 57 else byte - 87 if 97 <= byte <= 102 else 255
            good[row] &= digit < 16
            out[row, i // 2] = (out[row, i // 2] << 4) | (digit & 15)
    return out, good


def hex_bytes(texts: pa.Array, width: int) -> tuple[Array, Array]:
    """(`width` bytes per text, whether each text is that many in lower-case hex): uint8 of shape (rows, width), bool."""
    rows, good = _hex_bytes(*text_buffers(texts), width)
    if texts.null_count:  # the bytes under a null are anything
        good &= np.asarray(texts.is_valid())
    return rows, good


def fixed_bytes(rows: Array) -> pa.Array:
    """Rows of equally many bytes, uint8 of shape (rows, width), as an Arrow column."""
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(rows)])


_HEX_OF_BYTE = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)


def hex_texts(column: pa.Array) -> pa.Array:
    """A column of fixed-size bytes as lower-case hex text."""
    width, held = column.type.byte_width, np.frombuffer(column.buffers()[1], np.uint8)
    digits = _HEX_OF_BYTE[held[column.offset * width : (column.offset + len(column)) * width]]
    ends = pa.array(np.arange(len(column) + 1, dtype=np.int32) * 2 * width)
    texts = pa.Array.from_buffers(pa.string(), len(column), [None, ends.buffers()[1], pa.py_buffer(digits)])
    return pc.if_else(column.is_valid(), texts, None) if column.null_count else texts
