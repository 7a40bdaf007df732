"""Whether a JSON text is the canonical one: what Python writes with sorted keys, without blanks, in ASCII.

Judged byte by byte, without parsing. Asked of texts that are JSON, a yes is certain. Names that are written with escapes,
and nesting beyond what a record may have, are told as a no: whoever needs to know writes such a text anew.
"""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, I64, LONGS, compile_loop, type_array, type_tuple
from ofs_spark.replay.scan.lexemes import find_literal_end, find_number_end
from ofs_spark.replay.scan.tokens import MAX_DEPTH

_NO, _YES, _OPEN = range(3)
_SURE = 16
"""Bytes of a decimal fraction of 15 digits: up to there its shortest text is the one without zeros at its end."""
_PLAIN = np.array([32 <= byte <= 126 and byte not in b'"\\' for byte in range(256)])
"""Bytes that stand in a string for themselves."""
_NEW_SPANS = type_array(types.int64, 2)


def judge_canonical(data: Array, offsets: Array) -> Array:
    """Which of the texts data[offsets[i]:offsets[i + 1]] are certainly canonical, bool."""
    flags, found = _judge(data, offsets, np.empty((0, 3), np.int64))
    if found:  # fractions that only Python's own writer settles
        spans = np.empty((found, 3), np.int64)
        flags, _ = _judge(data, offsets, spans)
        for row, at, end in spans.tolist():
            text = data[at:end].tobytes().decode()
            flags[row] &= repr(float(text)) == text
    judged: Array = flags
    return judged


@compile_loop(I64(BYTES, I64, I64))
def _find_escape_end(data: Array, at: int, end: int) -> int:
    """Position after the escape whose backslash is at `at`, if Python writes it so; else -1."""
    c = data[at + 1] if at + 1 < end else 0
    if c == 34 or c == 92 or c == 98 or c == 102 or c == 110 or c == 114 or c == 116:
        return at + 2
    if c != 117 or at + 6 > end:
        return -1
    value = 0
    for i in range(at + 2, at + 6):
        h = data[i]
        if not (48 <= h <= 57 or 97 <= h <= 102):
            return -1
        value = value * 16 + (h - 48 if h <= 57 else h - 87)
    short = value == 8 or value == 9 or value == 10 or value == 12 or value == 13
    return at + 6 if (value < 32 and not short) or value >= 127 else -1


@compile_loop(I64(BYTES, I64, I64))
def _find_text_end(data: Array, at: int, end: int) -> int:
    """Position of the quote that ends the string text at `at`; negative of it after escapes; -1 if Python writes it otherwise."""
    escaped = False
    while at < end:
        while at < end and _PLAIN[data[at]]:
            at += 1
        if at < end and data[at] == 34:
            return -at if escaped else at
        if at >= end or data[at] != 92:
            return -1
        escaped = True
        at = _find_escape_end(data, at, end)
        if at == -1:
            return -1
    return -1


@compile_loop(I64(BYTES, I64, I64))
def _judge_number(data: Array, at: int, end: int) -> int:
    """Whether Python writes the number data[at:end] so: _NO, _YES, or _OPEN for a fraction that is not judged here."""
    negative = data[at] == 45
    first = at + 1 if negative else at
    point = end
    for i in range(first, end):
        if data[i] == 101 or data[i] == 69:
            return _OPEN
        point = i if data[i] == 46 else point
    if point == end:
        return _NO if negative and data[first] == 48 else _YES
    if end - first > _SURE or (data[end - 1] == 48 and end - point > 2):
        return _OPEN
    tiny = data[first] == 48 and end - point > 4
    for i in range(point + 1, min(point + 5, end)):
        tiny = tiny and data[i] == 48
    return _OPEN if tiny else _YES


@compile_loop(types.boolean(BYTES, I64, I64, I64, I64))
def _precedes(data: Array, at: int, end: int, other: int, other_end: int) -> bool:
    """Whether the bytes data[at:end] order before data[other:other_end]."""
    while at < end and other < other_end:
        if data[at] != data[other]:
            return bool(data[at] < data[other])
        at, other = at + 1, other + 1
    return at == end and other < other_end


@compile_loop(I64(BYTES, I64, I64, type_array(types.int64, 2), I64))
def _pass_string(data: Array, at: int, end: int, last: Array, depth: int) -> int:
    """Position after the string at `at`, and after its colon if it is a name; -1 where it is not canonical here.

    last[depth]: the object's name before this one, as (start, end), start 0 for none; the name takes its place.
    """
    closing = _find_text_end(data, at + 1, end)
    if closing == -1:
        return -1
    after = abs(closing) + 1
    if after >= end or data[after] != 58:
        return after
    if (
        closing < 0
        or depth < 0
        or (last[depth, 0] and not _precedes(data, last[depth, 0], last[depth, 1], at + 1, closing))
    ):
        return -1
    last[depth, 0], last[depth, 1] = at + 1, closing
    return after + 1


@compile_loop(type_tuple(types.boolean, I64)(BYTES, I64, I64, type_array(types.int64, 2), I64, _NEW_SPANS, I64))
def _judge_one(data: Array, at: int, end: int, last: Array, row: int, spans: Array, found: int) -> tuple[bool, int]:
    """Whether the text data[at:end] is canonical but for its open numbers, which are noted in `spans` where it has room."""
    depth = -1
    while at < end and at >= 0:
        c = data[at]
        if c == 34:
            at = _pass_string(data, at, end, last, depth)
        elif c == 123 or c == 91:
            depth, at = depth + 1, at + 1
            if depth == len(last):
                return False, found
            last[depth, 0] = 0
        elif c == 125 or c == 93 or c == 44:
            depth, at = depth if c == 44 else max(depth - 1, -1), at + 1
        elif c == 45 or 48 <= c <= 57:
            stop = find_number_end(data, at, end)
            verdict = _NO if stop < 0 else _judge_number(data, at, stop)
            if verdict == _NO:
                return False, found
            if verdict == _OPEN:
                if found < len(spans):
                    spans[found, 0], spans[found, 1], spans[found, 2] = row, at, stop
                found += 1
            at = stop
        else:
            at = find_literal_end(data, at, end)
    return at >= 0, found


@compile_loop(type_tuple(type_array(types.boolean), I64)(BYTES, LONGS, _NEW_SPANS))
def _judge(data: Array, offsets: Array, spans: Array) -> tuple[Array, int]:
    """Flags of the texts, and how many open numbers they hold: (row, start, end) of each stands in `spans`."""
    out, found = np.zeros(len(offsets) - 1, np.bool_), 0
    last = np.zeros((MAX_DEPTH, 2), np.int64)
    for row in range(len(out)):
        out[row], found = _judge_one(data, offsets[row], offsets[row + 1], last, row, spans, found)
    return out, found
