"""The content hash against its definition in plain Python, and the look-up of ids against a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.foundation.columnar.content_hash import hash_coded, hash_contents
from ofs_spark.foundation.columnar.hashing import format_hex, hash_crc32, parse_hex
from ofs_spark.labels.fingerprint import find_clashing_ids, find_first_copies, join_identities, route_identities

KEY = bytes(range(16))
MASK = 2**64 - 1


def rotated(word: int, by: int) -> int:
    return ((word << by) | (word >> (64 - by))) & MASK


def sip_round(v: list[int]) -> list[int]:
    a, b, c, d = v
    a = (a + b) & MASK
    b = rotated(b, 13) ^ a
    a = rotated(a, 32)
    c = (c + d) & MASK
    d = rotated(d, 16) ^ c
    a = (a + d) & MASK
    d = rotated(d, 21) ^ a
    c = (c + b) & MASK
    b = rotated(b, 17) ^ c
    return [a, b, rotated(c, 32), d]


def defined(texts: Sequence[str | None], numbers: Sequence[int], key: bytes) -> list[int]:
    low, high = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    start = (b"somepseu"[::-1], b"dorandom"[::-1], b"lygenera"[::-1], b"tedbytes"[::-1])
    a, b, c, d = (int.from_bytes(one, "little") for one in start)
    v = [a ^ low, b ^ high ^ 0xEE, c ^ low, d ^ high]
    words: list[int] = []
    for text in texts:
        body = b"" if text is None else text.encode()
        words.append(MASK if text is None else len(body))
        words += [int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body), 8)]
    for word in [*words, *(n & MASK for n in numbers)]:
        v[3] ^= word
        v = sip_round(v)
        v[0] ^= word
    v[2] ^= 0xEE
    out = []
    for _ in range(2):
        for _ in range(3):
            v = sip_round(v)
        out.append(v[0] ^ v[1] ^ v[2] ^ v[3])
        v[1] ^= 0xDD
    return out


TEXT = st.none() | st.text(max_size=20)
ROWS = st.lists(st.tuples(TEXT, TEXT, st.integers(-(2**63), 2**63 - 1)), max_size=8)


@given(ROWS, st.binary(min_size=16, max_size=16))
def test_the_hash_is_the_defined_one_however_the_column_is_stored(rows: list[tuple[str, str, int]], key: bytes) -> None:
    first = pa.array([None, *(row[0] for row in rows)], pa.string()).slice(1)  # an array that starts inside its buffers
    second = pa.array([row[1] for row in rows], pa.string()).dictionary_encode()
    numbers = np.array([row[2] for row in rows], np.int64)
    found = hash_contents([first, second], [numbers], len(rows), key)
    assert found.tolist() == [defined(row[:2], row[2:], key) for row in rows]


def test_ids_are_read_exactly() -> None:
    texts = ["0123456789abcdef" * 2, "0" * 31, "A" * 32, "g" * 32, None, "0" * 33, ""]
    ids, good = parse_hex(pa.array(texts), 16)
    assert good.tolist() == [True] + [False] * 6
    assert bytes(ids[0]).hex() == texts[0]


@given(st.lists(st.none() | st.binary(min_size=3, max_size=3), min_size=1))
def test_bytes_are_written_as_hex_wherever_the_column_starts(rows: list[bytes | None]) -> None:
    column = pa.array([b"abc", *rows], pa.binary(3)).slice(1)
    assert format_hex(column).to_pylist() == [None if row is None else row.hex() for row in rows]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=40), st.integers(1, 9))
def test_ids_that_clash_are_those_with_two_contents(rows: list[tuple[int, int]], width: int) -> None:
    ids, _ = parse_hex(pa.array([f"{i << 64:032x}" for i, _ in rows], pa.string()), 16)
    column = join_identities(ids, np.array([(c, 0) for _, c in rows], np.uint64).reshape(-1, 2))
    contents: dict[int, set[int]] = {}
    for i, c in rows:
        contents.setdefault(i, set()).add(c)
    clashing = sorted(f"{i << 64:032x}" for i, held in contents.items() if len(held) > 1)
    assert find_clashing_ids(column, 100) == clashing
    assert find_clashing_ids(column, 1) == clashing[:1]
    targets = route_identities(column, width)
    assert all(0 <= t < width for t in targets)
    assert len({(i, t) for (i, _), t in zip(rows, targets, strict=True)}) == len(contents)


@given(ROWS)
def test_codes_are_hashed_once_per_combination_to_the_same_hashes(rows: list[tuple[str, str, int]]) -> None:
    columns = [pa.array([row[at] for row in rows] * 5, pa.string()).dictionary_encode() for at in (0, 1)]
    for few in ([columns[0]], columns):
        expected = [defined(row[:2][: len(few)], (), KEY) for row in rows] * 5
        assert hash_coded(few, 5 * len(rows), KEY).tolist() == expected


def test_the_first_copy_of_each_id_is_found() -> None:
    ids = pa.array([bytes([n]) * 16 for n in (9, 1, 2, 1, 9, 3)], pa.binary(16))
    assert find_first_copies(ids.slice(1)).tolist() == [0, 1, 3, 4]
    assert find_first_copies(ids.slice(6)).tolist() == []


@given(st.lists(st.text(max_size=40), max_size=20))
def test_places_are_those_of_zlib(texts: list[str]) -> None:
    assert hash_crc32(pa.array(["", *texts]).slice(1)).tolist() == [crc32(text.encode()) for text in texts]
