"""Hashes over columns: CRC-32 as zlib computes it, hex as Python reads it."""

from __future__ import annotations

import zlib
from random import Random

import pyarrow as pa

from ofs_spark.foundation.columnar.hashing import hash_crc32, parse_hex, route_texts


def test_crc_is_that_of_zlib_for_every_length() -> None:
    draw = Random(1)
    texts = [draw.randbytes(length) for length in [*range(60), 1_000, 5_001] for _ in range(4)]
    assert hash_crc32(pa.array(texts, pa.binary())).tolist() == [zlib.crc32(text) for text in texts]
    assert route_texts(pa.array(texts, pa.binary()), 8).tolist() == [zlib.crc32(text) % 8 for text in texts]


def test_hex_is_lower_case_digits_of_the_right_number() -> None:
    texts = [bytes([high, low]) * 2 for high in range(256) for low in b"0aFg"]
    rows, good = parse_hex(pa.array(texts, pa.binary()), 2)
    told = [not set(text) - set(b"0123456789abcdef") for text in texts]
    assert good.tolist() == told
    assert [row.tobytes() for row in rows[good]] == [
        bytes.fromhex(text.decode()) for text, is_hex in zip(texts, told, strict=True) if is_hex
    ]
    assert parse_hex(pa.array(["", "00", "000000", None, "0000"]), 2)[1].tolist() == [False, False, False, False, True]
