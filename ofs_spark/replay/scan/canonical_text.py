"""Whether a JSON text is the canonical one: what Python writes with sorted keys, without blanks, in ASCII.

`reading.py` asks this on its way over a text, lexeme by lexeme. A yes is certain. Names that are written with escapes are
told as a no: whoever needs to know writes such a text anew.
"""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import (
    BYTES,
    I64,
    LONGS,
    TEXT,
    compile_loop,
    point_to,
    type_array,
    type_tuple,
)
from ofs_spark.replay.scan.lexemes import find_literal_end, find_number_end, find_plain_end, find_string_end

NO, YES, OPEN = range(3)
"""What is known of a text so far; OPEN: it is canonical if Python writes some of its fractions so."""

_SURE = 16
"""Bytes of a decimal fraction of 15 digits: up to there its shortest text is the one without zeros at its end."""


def settle_fractions(data: Array, offsets: Array, verdicts: Array) -> Array:
    """Which texts data[offsets[i]:offsets[i + 1]] are certainly canonical, bool. Python's own writer settles the open ones."""
    canonical: Array = verdicts != NO
    rows = np.flatnonzero(verdicts == OPEN)
    if len(rows):
        spans = np.empty((_note_open(data, offsets, rows, np.empty((0, 3), np.int64)), 3), np.int64)
        _note_open(data, offsets, rows, spans)
        for row, at, end in spans.tolist():
            text = data[at:end].tobytes().decode()
            canonical[row] &= repr(float(text)) == text
    return canonical


@compile_loop(I64(TEXT, I64, I64))
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


@compile_loop(type_tuple(I64, I64)(TEXT, I64, I64, I64))
def end_spelled(data: Array, at: int, end: int, verdict: int) -> tuple[int, int]:
    """`find_string_end` of the string text at `at`, and the verdict on the text after it."""
    closing = find_string_end(data, at, end)
    while verdict != NO and closing != -1:
        at = find_plain_end(data, at, abs(closing), abs(closing))
        if at == abs(closing):
            break
        at = _find_escape_end(data, at, abs(closing)) if data[at] == 92 else -1
        verdict = NO if at == -1 else verdict
    return closing, verdict


@compile_loop(I64(TEXT, I64, I64, I64))
def judge_number(data: Array, at: int, end: int, verdict: int) -> int:
    """The verdict, YES or OPEN so far, after the number data[at:end]."""
    negative = data[at] == 45
    first = at + 1 if negative else at
    point = end
    for i in range(first, end):
        if data[i] == 101 or data[i] == 69:
            return OPEN
        point = i if data[i] == 46 else point
    if point == end:
        return NO if negative and data[first] == 48 else verdict
    if end - first > _SURE or (data[end - 1] == 48 and end - point > 2):
        return OPEN
    tiny = data[first] == 48 and end - point > 4
    for i in range(point + 1, min(point + 5, end)):
        tiny = tiny and data[i] == 48
    return OPEN if tiny else verdict


_ENDED = type_tuple(I64, types.uint8, I64)


@compile_loop(_ENDED(TEXT, I64, I64, I64, I64), inline=True)
def end_text(data: Array, at: int, end: int, size: int, verdict: int) -> tuple[int, np.uint8, int]:
    """(closing quote, -1 if there is none; kind of the string whose text starts at `at`; the verdict after it).

    size: how many bytes `data` has.
    """
    closing = find_plain_end(data, at, end, size)
    if closing == end or data[closing] != 34:
        closing, verdict = end_spelled(data, closing, end, verdict)
    kind = np.uint8(5) if closing > 0 else np.uint8(6)
    return -1 if closing == -1 else abs(closing), kind, verdict


@compile_loop(_ENDED(TEXT, I64, I64, I64), inline=True)
def end_bare(data: Array, at: int, end: int, verdict: int) -> tuple[int, np.uint8, int]:
    """(position after the number or literal at `at`, -1 if there is none; its kind; the verdict after it)."""
    c = data[at]
    if c == 116 or c == 102 or c == 110:
        kind = np.uint8(2) if c == 116 else np.uint8(3) if c == 102 else np.uint8(1)
        return find_literal_end(data, at, end), kind, verdict
    after = find_number_end(data, at, end)
    if after != -1 and verdict != NO:
        verdict = judge_number(data, at, after, verdict)
    return after, np.uint8(4), verdict


@compile_loop(types.boolean(BYTES, I64, I64, I64, I64))
def precedes(data: Array, at: int, end: int, other: int, other_end: int) -> bool:
    """Whether the bytes data[at:end] order before data[other:other_end]."""
    while at < end and other < other_end:
        if data[at] != data[other]:
            return bool(data[at] < data[other])
        at, other = at + 1, other + 1
    return at == end and other < other_end


@compile_loop(I64(BYTES, LONGS, LONGS, type_array(types.int64, 2)))
def _note_open(data: Array, offsets: Array, rows: Array, spans: Array) -> int:
    """How many open numbers these texts hold; (row, start, end) of each stands in `spans` as far as that has room."""
    found, text = 0, point_to(data)
    for row in rows:
        at, end = offsets[row], offsets[row + 1]
        while at < end:
            c = data[at]
            if c == 34:
                at = abs(find_string_end(text, at + 1, end)) + 1
            elif c == 45 or 48 <= c <= 57:
                stop = find_number_end(text, at, end)
                if judge_number(text, at, stop, YES) == OPEN:
                    if found < len(spans):
                        spans[found, 0], spans[found, 1], spans[found, 2] = row, at, stop
                    found += 1
                at = stop
            else:
                at += 1
    return found
