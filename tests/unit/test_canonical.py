"""Canonical JSON: one text per value, and nothing else let in."""

from __future__ import annotations

import json
from collections import OrderedDict
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.foundation.canonical import MAX_BYTES, CanonicalError, digest, encode_canonical, parse_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


class Level(IntEnum):
    """An int that is not exactly an int."""

    ONE = 1


class Name(str):
    """A text that is not exactly a text."""

    __slots__ = ()


@given(VALUES)
def test_it_is_the_platforms_text(value: Any) -> None:
    platform = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    assert encode_canonical(value) == platform.encode("utf-8")


@given(VALUES)
def test_what_is_written_reads_back_as_the_same_text(value: Any) -> None:
    text = encode_canonical(value)
    assert encode_canonical(parse_json(text)) == text


def test_hash_law() -> None:
    assert digest({"b": [1, 2.5], "a": "é"}) == digest({"a": "é", "b": [1, 2.5]})
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


FOREIGN: dict[str, Any] = {
    "tuple": (1, 2),
    "set": {1},
    "bytes": b"a",
    "decimal": Decimal("1.5"),
    "path": Path("a"),
    "int subclass": Level.ONE,
    "text subclass": Name("a"),
    "dict subclass": OrderedDict(a=1),
    "nan": float("nan"),
    "infinity": [float("inf")],
    "int key": {1: "a"},
    "null key": {None: "a"},
    "bool key": {True: "a"},
    "surrogate": ["\ud800"],
    "surrogate key": {"\udfff": 1},
    "huge integer": 10**1000,
}


@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_values_are_refused_wherever_they_stand(value: Any) -> None:
    for held in (value, [value], {"a": [{"b": value}]}):
        with pytest.raises(CanonicalError):
            encode_canonical(held)


def test_a_cycle_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CanonicalError, match="nested deeper"):
        encode_canonical(loop)


UNREADABLE: dict[str, bytes | str] = {
    "duplicate key": '{"a": 1, "b": {"c": 1, "c": 1}}',
    "duplicate key by escape": '{"a": 1, "\\u0061": 1}',
    "nan": "[NaN]",
    "infinity": "-Infinity",
    "overflowing float": "1e400",
    "underflowing float": "1e-400",
    "float that a float64 changes": "0.90000000000000000001",
    "huge integer": "1" * 5000,
    "huge float": "0." + "1" * 5000,
    "lone surrogate": '"\\ud800"',
    "lone surrogate in a key": '{"\\udc00": 1}',
    "raw surrogate": '"\ud800"',
    "10,000 lists": "[" * 10_000 + "]" * 10_000,
    "100,000 objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "65 lists": "[" * 65 + "]" * 65,
    "10 MB": b'"' + b"a" * 10_000_000 + b'"',
    "not utf-8": b'"\xff"',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "control character": '"\x01"',
    "two documents": "{} {}",
    "truncated": '{"a": [1,',
    "empty": b"",
    "comment": "{} // no",
    "single quotes": "{'a': 1}",
    "leading zero": "007",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_hostile_texts_are_refused_by_name(text: bytes | str) -> None:
    with pytest.raises(CanonicalError, match="the intent"):
        parse_json(text, what="the intent")


def test_what_is_at_the_limits_is_read() -> None:
    assert parse_json("[" * 64 + "]" * 64)
    assert parse_json(b'"' + b"a" * (MAX_BYTES - 2) + b'"')
    assert parse_json('"\\ud83d\\ude00"') == "😀"
    assert parse_json("[0.1, 1e2, 1E-2, 100000000000000000000]") == [0.1, 100.0, 0.01, 10**20]
    assert parse_json('{"\\u0000": "\\u0000"}') == {"\0": "\0"}
