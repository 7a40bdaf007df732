"""Conditions over payload fields, three-valued: true, false, or unknown where a field is absent or null.

Each leaf is decided once per distinct value of its field in the segment, exactly, then spread over the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.pins.profile.model import Condition
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.exact_numbers import parse_number
from ofs_spark.replay.scan.members import Path as MemberPath

FALSE, TRUE, UNKNOWN = 0, 1, 2
_NOT = np.array([TRUE, FALSE, UNKNOWN], np.uint8)
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_EXACT = {t.NUMBER: "number", t.STRING: "string", t.ESCAPED: "string", t.TRUE: "bool", t.FALSE: "bool"}


def list_paths(where: Condition) -> Iterator[MemberPath]:
    """Every path a condition reads."""
    if where.path:
        yield where.path
    for part in where.parts:
        yield from list_paths(part)


def judge_condition(tokens: t.Tokens, where: Condition) -> Array:
    """Whether the condition is true, per document; unknown is not true."""
    truth: Array = _judge(tokens, where) == TRUE
    return truth


def _judge(tokens: t.Tokens, where: Condition) -> Array:
    if where.op == "not":
        negated: Array = _NOT[_judge(tokens, where.parts[0])]
        return negated
    if where.op in ("all", "any"):
        parts = np.stack([_judge(tokens, part) for part in where.parts])
        strong, weak = (FALSE, TRUE) if where.op == "all" else (TRUE, FALSE)
        return np.where((parts == strong).any(0), strong, np.where((parts == UNKNOWN).any(0), UNKNOWN, weak)).astype(
            np.uint8
        )
    kind = tokens.kind[where.path]
    empty = (kind == t.ABSENT) | (kind == t.NULL)
    if where.op == "is_null":
        return np.where(empty == (where.constants[0][1] == "true"), TRUE, FALSE).astype(np.uint8)
    return np.where(empty, UNKNOWN, _judge_leaf(tokens, where, kind)).astype(np.uint8)


def _judge_leaf(tokens: t.Tokens, where: Condition, kind: Array) -> Array:
    """Truth of a comparison per document, decided once per distinct (kind, text)."""
    out = np.full(len(kind), FALSE, np.uint8)
    constants = [_read_constant(kind_, text) for kind_, text in where.constants]
    texts = tokens.read_texts(where.path).dictionary_encode()
    codes = np.asarray(texts.indices.fill_null(-1))
    for value_kind in np.unique(kind):
        rows = kind == value_kind
        type_ = _EXACT.get(int(value_kind))
        if type_ is None:
            out[rows] = _judge_across_types(where.op)
        elif type_ == "bool":
            out[rows] = _judge_comparison(where.op, ("bool", value_kind == t.TRUE), constants)
        else:
            wanted = np.unique(codes[rows])
            decided = np.zeros(len(texts.dictionary), np.uint8)
            for code in wanted:
                decided[code] = _judge_comparison(
                    where.op, _read_value(int(value_kind), texts.dictionary[int(code)]), constants
                )
            out[rows] = decided[codes[rows]]
    return out


def _read_value(kind: int, text: pa.Scalar) -> tuple[str, Any]:
    if kind == t.NUMBER:
        return _read_constant("number", text.as_py())
    return _read_constant(
        "string", t.decode_string(text.as_buffer().to_pybytes()) if kind == t.ESCAPED else text.as_py()
    )


def _read_constant(kind: str, text: str) -> tuple[str, Any]:
    """(kind, value) for comparison: text as its UTF-8 bytes, which order as its code points do; numbers exactly."""
    if kind == "bool":
        return kind, text == "true"
    return kind, text.encode("utf-8", "surrogatepass") if kind == "string" else parse_number(text)


def _judge_across_types(op: str) -> int:
    return {"eq": FALSE, "in": FALSE, "ne": TRUE}.get(op, UNKNOWN)


def _judge_comparison(op: str, value: tuple[str, Any], constants: list[tuple[str, Any]]) -> int:
    if op in ("eq", "in", "ne"):
        equal = value in constants
        return TRUE if equal != (op == "ne") else FALSE
    if value[0] != constants[0][0]:
        return _judge_across_types(op)
    return TRUE if _ORDERINGS[op](value[1], constants[0][1]) else FALSE
