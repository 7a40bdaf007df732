"""The content digest, encoded a second time from Python values by the letter of the law."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.foundation.errors import InternalError
from ofs_spark.publish.digest import LeafDigest, digest_column, digest_content, digest_leaf

MICROS = pa.timestamp("us", "UTC")


def encoded(values: list[Any], one: Callable[[Any], bytes], zero: Any) -> bytes:
    head = struct.pack("<Q", len(values)) + bytes(v is not None for v in values)
    return head + b"".join(one(zero if v is None else v) for v in values)


def encoded_texts(values: list[str | None]) -> bytes:
    head = struct.pack("<Q", len(values)) + bytes(v is not None for v in values)
    bodies = [(v or "").encode() for v in values]
    return head + offsets([len(b) for b in bodies]) + b"".join(bodies)


def encoded_lists(values: list[list[int | None] | None]) -> bytes:
    head = struct.pack("<Q", len(values)) + bytes(v is not None for v in values)
    elements = [e for v in values for e in (v or [])]
    return head + offsets([len(v or []) for v in values]) + encoded(elements, int64, 0)


def offsets(lengths: list[int]) -> bytes:
    ends = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    return b"".join(struct.pack("<Q", end) for end in ends)


def int64(value: int) -> bytes:
    return struct.pack("<q", value)


def float64(value: float) -> bytes:
    return struct.pack("<d", value)


def cents(value: Decimal) -> bytes:
    return int(Fraction(value) * 100).to_bytes(16, "little", signed=True)


INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
CENTS = st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(f"{n}e-2"))
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any], Callable[[list[Any]], bytes]]] = {
    "int64": (pa.int64(), INT64, lambda v: encoded(v, int64, 0)),
    "int32 as int64": (pa.int32(), st.integers(-(2**31), 2**31 - 1), lambda v: encoded(v, int64, 0)),
    "float64": (pa.float64(), st.floats(allow_nan=False), lambda v: encoded(v, float64, 0.0)),
    "bool": (pa.bool_(), st.booleans(), lambda v: encoded(v, lambda b: bytes([b]), False)),
    "string": (pa.string(), TEXT, encoded_texts),
    "list": (pa.list_(pa.int64()), st.lists(INT64 | st.none(), max_size=3), encoded_lists),
    "decimal": (pa.decimal128(38, 2), CENTS, lambda v: encoded(v, cents, Decimal(0))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_is_hashed_by_the_letter_of_the_law(kind: str) -> None:
    type_, values, law = KINDS[kind]

    @given(st.lists(values | st.none(), max_size=12), st.integers(0, 3), st.integers(0, 3))
    def check(rows: list[Any], before: int, after: int) -> None:
        expected = hashlib.sha256(law(rows)).hexdigest()
        padded = pa.array([*rows[:before], *rows, *rows[:after]], type_)
        sliced = padded.slice(len(rows[:before]), len(rows))
        assert digest_column(pa.array(rows, type_)) == expected
        assert digest_column(sliced) == expected
        assert digest_column(pa.chunked_array([sliced.slice(0, 2), sliced.slice(2)], type_)) == expected

    check()


def test_worked_examples() -> None:
    one_two = bytes.fromhex("030000000000000001000101000000000000000000000000000000feffffffffffffff")
    assert digest_column(pa.array([1, None, -2])) == hashlib.sha256(one_two).hexdigest()
    texts = bytes.fromhex("0300000000000000010001") + struct.pack("<4Q", 0, 1, 1, 3) + "aé".encode()
    assert digest_column(pa.array(["a", None, "é"])) == hashlib.sha256(texts).hexdigest()
    assert digest_column(pa.array([], pa.int64())) == hashlib.sha256(bytes(8)).hexdigest()
    micros = pa.array([1], pa.int64()).cast(MICROS)
    assert digest_column(micros) == digest_column(pa.array([1]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([None], pa.int64()), pa.array([0])),
        (pa.array(["", None]), pa.array([None, ""])),
        (pa.array(["ab", "c"]), pa.array(["a", "bc"])),
        (pa.array([[1], [2]]), pa.array([[1, 2], []])),
        (pa.array([[], None], pa.list_(pa.int64())), pa.array([None, []], pa.list_(pa.int64()))),
        (pa.array([0.0]), pa.array([5e-324])),
        (pa.array([1, 2]), pa.array([2, 1])),
    ],
)
def test_near_misses_differ(one: pa.Array, other: pa.Array) -> None:
    assert digest_column(one) != digest_column(other)


def test_how_a_column_is_held_does_not_matter() -> None:
    texts = pa.array(["b", None, "a", "b"])
    assert digest_column(texts.dictionary_encode()) == digest_column(texts)
    assert digest_column(texts.cast(pa.large_string())) == digest_column(texts)
    garbage = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([7, 8]).buffers()[1]])
    assert digest_column(garbage) == digest_column(pa.array([7, None]))


def test_the_dataset_is_h_over_its_leaves_by_id() -> None:
    leaves = [digest_leaf(name, pa.table({"a": [n], "b": [str(n)]})) for n, name in enumerate(["b2", "b10", "b1"])]
    columns = [("a", "int64"), ("b", "string")]
    ordered = sorted(leaves, key=lambda leaf: leaf.leaf)
    document = {
        "recipe": "ofs.content_digest.v1",
        "columns": [["a", "int64"], ["b", "string"]],
        "leaves": [[leaf.leaf, leaf.rows, list(leaf.columns)] for leaf in ordered],
    }
    law = hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    assert digest_content(columns, leaves) == digest_content(columns, leaves[::-1]) == law
    assert digest_content([("a", "int64"), ("c", "string")], leaves) != law


def test_a_leaf_counts_once_and_a_type_without_a_law_is_a_defect() -> None:
    with pytest.raises(InternalError, match="twice"):
        digest_content([], [LeafDigest("b", 0, ()), LeafDigest("b", 0, ())])
    with pytest.raises(InternalError, match="no column of type"):
        digest_column(pa.array([1], pa.uint8()))
