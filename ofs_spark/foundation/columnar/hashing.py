"""Hashes over whole columns: CRC-32 as every other engine computes it, and hex text to bytes and back.

Placement decides where a row is worked on and which bucket stores it, never what equals what: equality is always of bytes.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks
from ofs_spark.foundation.columnar.compiled import BYTES, FLAGS, I64, LONGS, WORDS, compile_loop, type_array, type_tuple


def _make_crc_tables() -> Array:
    """Of a byte that has 0 to 7 bytes after it, what it leaves of a CRC; uint32, 256 a table."""
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> 1) ^ np.uint32(0xEDB88320), values >> 1).astype(np.uint32)
    tables = [values]
    for _ in range(7):
        tables.append(values[tables[-1] & 0xFF] ^ (tables[-1] >> np.uint32(8)))
    return np.concatenate(tables)


_TABLES = _make_crc_tables()


@compile_loop(type_array(types.uint32)(BYTES, LONGS, WORDS))
def _hash_crc32(data: Array, offsets: Array, tables: Array) -> Array:
    """Eight bytes at a time, for which the eight looks into the tables do not wait for each other."""
    out = np.empty(len(offsets) - 1, np.uint32)
    low = np.uint32(0xFF)
    for row in range(len(out)):
        crc = np.uint32(0xFFFFFFFF)
        at, end = offsets[row], offsets[row + 1]
        while end - at >= 8:
            crc ^= (
                np.uint32(data[at])
                | (np.uint32(data[at + 1]) << np.uint32(8))
                | (np.uint32(data[at + 2]) << np.uint32(16))
                | (np.uint32(data[at + 3]) << np.uint32(24))
            )
            crc = (
                tables[1792 + (crc & low)]
                ^ tables[1536 + ((crc >> np.uint32(8)) & low)]
                ^ tables[1280 + ((crc >> np.uint32(16)) & low)]
                ^ tables[1024 + (crc >> np.uint32(24))]
                ^ tables[768 + data[at + 4]]
                ^ tables[512 + data[at + 5]]
                ^ tables[256 + data[at + 6]]
                ^ tables[data[at + 7]]
            )
            at += 8
        while at < end:
            crc = tables[(crc ^ data[at]) & low] ^ (crc >> np.uint32(8))
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
    """(`width` bytes per text, whether each text is that many in lower-case hex): uint8 of shape (rows, width), bool.

    Bytes of a text that is not mean nothing.
    """
    rows, good = _parse_hex(*read_text_buffers(texts), width, _DIGITS)
    if texts.null_count:  # the bytes under a null are anything
        good &= np.asarray(texts.is_valid())
    return rows, good


def to_fixed_binary(rows: Array) -> pa.Array:
    """Rows of equally many bytes, uint8 of shape (rows, width), as an Arrow column."""
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(rows)])


def read_words(column: pa.Array, words: int) -> Array:
    """A column of 8 · `words` bytes a value as uint64 of shape (rows, words), without a copy."""
    if not len(column):
        return np.zeros((0, words), np.uint64)
    held: Array = np.frombuffer(column.buffers()[1], np.uint64).reshape(-1, words)
    return held[column.offset : column.offset + len(column)]


_HEX_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


@compile_loop(type_tuple(type_array(types.uint8), type_array(types.int32))(BYTES, FLAGS, I64, BYTES))
def _format_hex(data: Array, valid: Array, width: int, digits: Array) -> tuple[Array, Array]:
    """Digits of the valid rows one after another, and where each row begins and ends."""
    ends = np.zeros(len(valid) + 1, np.int32)
    for row in range(len(valid)):
        ends[row + 1] = ends[row] + (2 * width if valid[row] else 0)
    out = np.empty(ends[-1], np.uint8)
    for row in range(len(valid)):
        if valid[row]:
            at = ends[row]
            for i in range(width):
                byte = data[row * width + i]
                out[at + 2 * i] = digits[byte >> np.uint8(4)]
                out[at + 2 * i + 1] = digits[byte & np.uint8(15)]
    return out, ends


def format_hex(column: pa.Array) -> pa.Array:
    """A column of fixed-size bytes as lower-case hex text."""
    width, count = column.type.byte_width, len(column)
    held = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width : (column.offset + count) * width]
    valid = np.asarray(column.is_valid())
    digits, ends = _format_hex(held, valid, width, _HEX_DIGITS)
    present = pa.py_buffer(np.packbits(valid, bitorder="little")) if column.null_count else None
    return pa.Array.from_buffers(pa.string(), count, [present, pa.py_buffer(ends), pa.py_buffer(digits)])
