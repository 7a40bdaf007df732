"""Tokens to typed columns: one value column and one status column per declared read, exactly as the text says.

A value is never converted: a number that is not a multiple of its scale, a string where a boolean is declared, an object
where a key is declared are INVALID, and later rooms decide what that means for the event.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.pins.profile.model import Read, ValueType
from ofs_spark.replay import rows as r
from ofs_spark.replay.key_text import Whole, spell_key
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.exact_numbers import parse_number
from ofs_spark.replay.scan.members import Path as MemberPath
from ofs_spark.replay.scan.numbers import judge_numbers, read_unscaled


def read_values(tokens: t.Tokens, read: Read) -> tuple[pa.Array, Array]:
    """(value column, uint8 status per document) of one read. Values of rows that are not PRESENT are 0, false or null."""
    kind = tokens.kind[read.path]
    values, good = _READERS[read.type.kind](tokens, read.path, read.type)
    missing = (kind == t.ABSENT) | (kind == t.NULL)
    status = np.where(missing, r.MISSING, np.where(good, r.PRESENT, r.INVALID)).astype(np.uint8)
    return values, status


def find_numeric_spans(tokens: t.Tokens, path: MemberPath) -> tuple[Array, Array, Array, Array]:
    """(bytes, start, end, is a number) of the number or number-string at `path`; an escaped string is decoded first."""
    kind, data, start, end = tokens.kind[path], tokens.data[path], tokens.start[path], tokens.end[path]
    numbers = (kind == t.NUMBER) | ((kind == t.STRING) & judge_numbers(data, start, end, kind == t.STRING))
    escaped = np.flatnonzero(kind == t.ESCAPED)
    if len(escaped):
        decoded = [
            t.decode_string(data[start[row] : end[row]].tobytes()).encode("utf-8", "surrogatepass") for row in escaped
        ]
        begins = len(data) + np.cumsum([0, *map(len, decoded)])
        data = np.concatenate([data, np.frombuffer(b"".join(decoded), np.uint8)])
        start, end = start.copy(), end.copy()
        start[escaped], end[escaped] = begins[:-1], begins[1:]
        numbers[escaped] = judge_numbers(data, start, end, kind == t.ESCAPED)[escaped]
    return data, start, end, numbers


def _read_exact(tokens: t.Tokens, path: MemberPath, type_: ValueType) -> tuple[pa.Array, Array]:
    data, start, end, numbers = find_numeric_spans(tokens, path)
    if type_.wide:
        return _read_wide(data, start, end, numbers, type_)
    scale, digits = (type_.scale, type_.precision) if type_.kind == "decimal" else (0, 19)
    values, good = read_unscaled(data, start, end, numbers, scale, digits)
    return pa.array(values), good


def _read_wide(data: Array, start: Array, end: Array, numbers: Array, type_: ValueType) -> tuple[pa.Array, Array]:
    """Unscaled integers of more than 64 bits, as decimal text."""
    texts: list[str | None] = [None] * len(start)
    for row in np.flatnonzero(numbers):
        number = parse_number(data[start[row] : end[row]].tobytes().decode())
        texts[row] = number.format_unscaled(type_.scale, type_.precision)
    return pa.array(texts, pa.string()), np.array([text is not None for text in texts], np.bool_)


def _read_double(tokens: t.Tokens, path: MemberPath, type_: ValueType) -> tuple[pa.Array, Array]:  # noqa: ARG001  # one signature for all readers
    return read_doubles(*find_numeric_spans(tokens, path))


def read_doubles(data: Array, start: Array, end: Array, numbers: Array) -> tuple[pa.Array, Array]:
    """Nearest float64 of each number text and whether it is finite. Arrow's parser rounds correctly; −0.0 reads as 0.0."""
    ends, body = t._copy_spans(data, start, end, numbers)
    valid = pa.array(numbers).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), len(start), [valid, pa.py_buffer(ends), pa.py_buffer(body)])
    values = np.asarray(texts.cast(pa.float64()).fill_null(0.0)) + 0.0
    finite = np.isfinite(values)
    return pa.array(np.where(finite, values, 0.0)), numbers & finite


def _read_string(tokens: t.Tokens, path: MemberPath, type_: ValueType) -> tuple[pa.Array, Array]:  # noqa: ARG001  # as above
    kind = tokens.kind[path]
    return decode_texts(tokens, path, (kind == t.STRING) | (kind == t.ESCAPED))


def _read_bool(tokens: t.Tokens, path: MemberPath, type_: ValueType) -> tuple[pa.Array, Array]:  # noqa: ARG001  # as above
    kind = tokens.kind[path]
    return pa.array(kind == t.TRUE), (kind == t.TRUE) | (kind == t.FALSE)


def _read_key(tokens: t.Tokens, path: MemberPath, type_: ValueType) -> tuple[pa.Array, Array]:  # noqa: ARG001  # as above
    return read_key_texts(tokens, path)


def read_key_texts(tokens: t.Tokens, path: MemberPath) -> tuple[pa.Array, Array]:
    """Text of each scalar: a string as it is, any other scalar as its canonical JSON text."""
    kind = tokens.kind[path]
    texts, good = decode_texts(tokens, path, (kind == t.STRING) | (kind == t.ESCAPED))
    others = np.flatnonzero((kind == t.NUMBER) | (kind == t.TRUE) | (kind == t.FALSE))
    if len(others):
        spans = zip(tokens.start[path][others], tokens.end[path][others], strict=True)
        canonical = [_spell_scalar(tokens.data[path][a:b].tobytes()) for a, b in spans]
        chosen = np.zeros(len(kind), np.bool_)
        chosen[others] = True
        texts = pc.replace_with_mask(texts, pa.array(chosen), pa.array(canonical, pa.string()))
        good[others] = [text is not None for text in canonical]
    return texts, good


def _spell_scalar(text: bytes) -> str | None:
    """Canonical JSON text of a number or a boolean; None for a number that no float64 is near to."""
    return spell_key(json.loads(text, parse_int=Whole))


def decode_texts(tokens: t.Tokens, path: MemberPath, wanted: Array) -> tuple[pa.Array, Array]:
    """Texts of the strings among `wanted` rows (null elsewhere) and which are text: an unpaired surrogate is not."""
    kind, start, end = tokens.kind[path], tokens.start[path], tokens.end[path]
    plain = wanted & (kind == t.STRING)
    ends, body = t._copy_spans(tokens.data[path], start, end, plain)
    valid = pa.array(plain).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), len(kind), [valid, pa.py_buffer(ends), pa.py_buffer(body)])
    good = plain.copy()
    escaped = wanted & (kind == t.ESCAPED)
    rows = np.flatnonzero(escaped)
    if len(rows):
        decoded = [_read_text(tokens.data[path][start[row] : end[row]].tobytes()) for row in rows]
        texts = pc.replace_with_mask(texts, pa.array(escaped), pa.array(decoded, pa.string()))
        good[rows] = [text is not None for text in decoded]
    return texts, good


def _read_text(body: bytes) -> str | None:
    text = t.decode_string(body)
    return None if t.has_unpaired_surrogate(text) else text


_READERS = {
    "decimal": _read_exact,
    "int": _read_exact,
    "double": _read_double,
    "string": _read_string,
    "bool": _read_bool,
    "key": _read_key,
}
