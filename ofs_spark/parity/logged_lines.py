"""Logged values in JSON lines: one object a line with event_id, column, value, logged_at_utc; other members are ignored.

A share of a file is the lines that begin in its part of the bytes. Lines of nothing but blanks are no rows, and count as
lines. Every line is checked to the letter of RFC 8259, so NaN and Infinity are no values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.canonical import CanonicalError, parse_json
from ofs_spark.foundation.columnar.arrays import Array, find_undecodable
from ofs_spark.foundation.columnar.instants import read_micros
from ofs_spark.parity import values as v
from ofs_spark.parity.logged_bytes import FileBytes
from ofs_spark.parity.logged_rows import (
    COLUMN,
    EVENT_ID,
    LOGGED_AT,
    MEMBERS,
    VALUE,
    LineFault,
    LoggedRows,
    judge_instants,
    judge_names,
    leave_out,
)
from ofs_spark.replay.scan import tokens as t

MOST_LINE: Final = 1024**2
"""Bytes of a line."""
_PIECE: Final = 32 * 1024**2
"""Bytes that are worked on at once, and no more than one line beyond."""
_KINDS: Final = {
    t.NULL: v.NULL,
    t.TRUE: v.TRUE,
    t.FALSE: v.FALSE,
    t.NUMBER: v.NUMBER,
    t.STRING: v.STRING,
    t.ESCAPED: v.STRING,
    t.OBJECT: v.OBJECT,
    t.ARRAY: v.LIST,
}
_TO_KIND: Final = np.array([_KINDS.get(kind, v.NULL) for kind in range(t.ARRAY + 1)], np.uint8)


def read_lines(body: FileBytes, share: int, of: int) -> Iterator[tuple[LoggedRows, list[LineFault]]]:
    """The rows of one of `of` equal shares of a file, piece by piece, each with the faults of its lines."""
    at, end = (body.find_line(len(body) * part // of) for part in (share, share + 1))
    number = body.count_newlines(at) + 1
    while at < end:
        stop = min(end, body.find_line(at + _PIECE))
        piece = body.cut(at, stop)
        yield _read_piece(piece, number)
        number += piece.count(b"\n")
        at = stop


def _read_piece(piece: bytes, first: int) -> tuple[LoggedRows, list[LineFault]]:
    """The rows and faults of whole lines, of which the first one is line `first`."""
    data = np.frombuffer(piece, np.uint8)
    ends = np.flatnonzero(data == 10) + 1
    offsets = np.concatenate([[0], ends, [] if len(ends) and ends[-1] == len(data) else [len(data)]]).astype(np.int64)
    texts = pa.Array.from_buffers(
        pa.large_string(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(piece)]
    )
    tokens = t.scan_tokens(texts, [(name,) for name in MEMBERS])
    number = first + np.arange(len(texts))
    faults = list(_find_line_faults(piece, offsets, number, texts, tokens))
    told = np.isin(number, [fault.line for fault in faults])
    blank = (tokens.state == t.BROKEN) & ~told
    rows = _read_rows(number, tokens, piece)
    kept = ~(told | blank)
    later = [
        *judge_names(number, EVENT_ID, rows.event_ids, kept),
        *judge_names(number, COLUMN, rows.columns, kept),
        *judge_instants(number, rows.logged_at, kept),
    ]
    faults += later
    return leave_out(rows.keep(kept), later), sorted(
        faults, key=lambda one: (one.line, MEMBERS.index(one.member or EVENT_ID))
    )


def _find_line_faults(
    piece: bytes, offsets: Array, number: Array, texts: pa.Array, tokens: t.Tokens
) -> Iterator[LineFault]:
    """What makes a line no object with the four members, each of the kind that it must be."""
    broken = (tokens.state != t.VALID) | (np.diff(offsets) > MOST_LINE)
    if not piece.isascii():
        broken |= find_undecodable(texts)
    for row in np.flatnonzero(broken):
        line = piece[offsets[row] : offsets[row + 1]]
        if line.strip(b" \t\r\n"):
            yield LineFault(int(number[row]), "", _explain(line))
    for name in MEMBERS:
        kind = tokens.kind[name,]
        wrong = (kind == t.ABSENT) if name == VALUE else (kind != t.STRING) & (kind != t.ESCAPED)
        for row in np.flatnonzero(wrong & ~broken):
            message = "is absent" if kind[row] == t.ABSENT else "is no text"
            yield LineFault(int(number[row]), name, message)
    for name in (EVENT_ID, COLUMN, VALUE):
        for row in np.flatnonzero((tokens.kind[name,] == t.ESCAPED) & ~broken):
            body = piece[tokens.start[name,][row] : tokens.end[name,][row]]
            if t.has_unpaired_surrogate(t.decode_string(body)):
                yield LineFault(int(number[row]), name, "holds half a surrogate pair")


def _explain(line: bytes) -> str:
    """Why a line is not read."""
    try:
        parse_json(line, what="the line", max_bytes=MOST_LINE)
    except CanonicalError as error:
        return str(error)
    return "the line is no JSON object with each member once"


def _read_rows(number: Array, tokens: t.Tokens, piece: bytes) -> LoggedRows:
    """What all lines say; of those with a fault it means nothing."""
    kinds, values = tokens.kind[VALUE,], _decode(tokens, VALUE, piece)
    lists = np.flatnonzero((kinds == t.ARRAY) & (tokens.state == t.VALID))
    if len(lists):
        cut: list[str | None] = [None] * len(number)
        for row in lists:
            cut[row] = _cut_list(piece, int(tokens.start[VALUE,][row]))
        values = pa.compute.coalesce(values, pa.array(cut, pa.string()))
    return LoggedRows(
        number,
        _decode(tokens, EVENT_ID, piece),
        _decode(tokens, COLUMN, piece),
        _TO_KIND[kinds],
        values,
        pa.nulls(len(number), pa.float64()),
        read_micros(_decode(tokens, LOGGED_AT, piece)),
    )


def _decode(tokens: t.Tokens, name: str, piece: bytes) -> pa.Array:
    """A member's texts, escapes read; a number by its digits; null for any other value."""
    texts = tokens.read_texts((name,))
    escaped = np.flatnonzero((tokens.kind[name,] == t.ESCAPED) & (tokens.state == t.VALID))
    if not len(escaped):
        return texts
    made = texts.cast(pa.binary()).to_pylist()
    for row in escaped:
        decoded = t.decode_string(piece[tokens.start[name,][row] : tokens.end[name,][row]])
        made[row] = decoded.encode("utf-8", "replace")  # half a surrogate pair is told as a fault
    return pa.array(made, pa.binary()).view(pa.string())


def _cut_list(piece: bytes, at: int) -> str:
    """The JSON text of the list that begins at a place of a valid line."""
    line_end = piece.find(b"\n", at)
    text = piece[at : line_end if line_end != -1 else len(piece)].decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder(parse_float=str, parse_int=str).raw_decode(text)
    except RecursionError:
        return ""  # no column holds it
    return text[:end]
