"""An exact columnar JSON scanner: where the declared members of every envelope stand, and whether it is JSON at all.

One pass over the Arrow string column's bytes. Every document is checked against RFC 8259 in full, whether or not a
member is declared; for each declared path the kind and byte span of its value is recorded. Numbers are not converted:
later code reads their digits. A document is refused when a declared member, or a member on the way to one, stands twice:
readers disagree on which one counts, so the record says two things.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, FLAGS, LONGS, compile_loop, type_array, type_tuple
from ofs_spark.foundation.columnar.hashing import read_text_buffers
from ofs_spark.replay.scan.canonical_text import NO, YES, end_spelled, judge_number, precedes, settle_fractions
from ofs_spark.replay.scan.lexemes import (
    find_blanks_end,
    find_literal_end,
    find_number_end,
    find_plain_end,
    find_string_end,
    is_named,
    read_head,
)
from ofs_spark.replay.scan.members import MemberTree, Path

ABSENT, NULL, TRUE, FALSE, NUMBER, STRING, ESCAPED, OBJECT, ARRAY = range(9)
"""Kinds of a value; ESCAPED is a string that holds a backslash."""

VALID, BROKEN, DOUBLED = range(3)
"""States of a document."""

MAX_DEPTH = 64
"""Levels of nesting that are read; the document itself is the first."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Tokens:
    """Per document: its state, and whether it is certainly canonical text (`canonical_text.py`), bool.

    Per path and document: the value's kind and its span (a string's without its quotes) in the path's bytes.
    """

    state: Array
    canonical: Array
    data: Mapping[Path, Array]
    kind: Mapping[Path, Array]
    start: Mapping[Path, Array]
    end: Mapping[Path, Array]

    def read_texts(self, path: Path) -> pa.Array:
        """The value's bytes as text where it is a scalar with a span (strings undecoded), else null."""
        kind = self.kind[path]
        present = (kind == NUMBER) | (kind == STRING) | (kind == ESCAPED)
        ends, data = _copy_spans(self.data[path], self.start[path], self.end[path], present)
        valid = pa.array(present).buffers()[1] if not present.all() else None
        return pa.Array.from_buffers(pa.string(), len(kind), [valid, pa.py_buffer(ends), pa.py_buffer(data)])

    def add_column(self, path: Path, texts: pa.Array) -> Tokens:
        """These tokens and one text per document, null or as it is, that is read by `path` like a value."""
        data, offsets = read_text_buffers(texts)
        return replace(
            self,
            data={**self.data, path: data},
            kind={**self.kind, path: np.where(np.asarray(texts.is_valid()), STRING, NULL).astype(np.uint8)},
            start={**self.start, path: offsets[:-1]},
            end={**self.end, path: offsets[1:]},
        )


def scan_tokens(texts: pa.Array | pa.ChunkedArray, paths: Sequence[Path]) -> Tokens:
    """Scans `texts` (string column, null reads as broken) for `paths`, each a tuple of member names from the root."""
    data, offsets = read_text_buffers(texts)
    trie = MemberTree.of(paths)
    shape = len(trie.first_child), len(offsets) - 1
    kind, start, end = np.zeros(shape, np.uint8), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    verdicts = np.zeros(shape[1], np.uint8)
    state = _scan(data, offsets[:-1], offsets[1:], *trie.to_arrays(), kind, start, end, verdicts)
    canonical = settle_fractions(data, offsets, verdicts)
    node = {path: trie.node[path] for path in paths}
    spans = ({path: table[at] for path, at in node.items()} for table in (kind, start, end))
    return Tokens(state, canonical, dict.fromkeys(paths, data), *spans)


def decode_string(body: bytes) -> str:
    """The text of a JSON string that stands between its quotes; an unpaired surrogate stays one."""
    text: str = json.loads(b'"' + body + b'"')
    return text


def has_unpaired_surrogate(text: str) -> bool:
    """Whether a text holds half a character, which UTF-8 cannot write."""
    return not text.isascii() and _SURROGATE.search(text) is not None


_SPANS = type_array(types.int64, 2)
_KINDS = type_array(types.uint8, 2)
_HEADS = types.Array(types.uint64, 1, "C", readonly=True)


@compile_loop(
    type_array(types.uint8)(
        BYTES, LONGS, LONGS, LONGS, LONGS, LONGS, LONGS, BYTES, _HEADS, _KINDS, _SPANS, _SPANS, type_array(types.uint8)
    )
)
def _scan(
    data: Array,
    begins: Array,
    ends: Array,
    first_child: Array,
    child_count: Array,
    name_start: Array,
    name_end: Array,
    names: Array,
    heads: Array,
    kind: Array,
    start: Array,
    stop: Array,
    canonical: Array,
) -> Array:
    # One loop over every byte: handing these arrays to a second function costs 0.5 µs for each envelope.
    state = np.zeros(len(begins), np.uint8)
    is_object = np.zeros(MAX_DEPTH, np.bool_)
    node_at, opened = np.zeros(MAX_DEPTH, np.int64), np.zeros(MAX_DEPTH, np.int64)
    last_head = np.zeros(MAX_DEPTH, np.uint64)
    last_name, last_end = np.zeros(MAX_DEPTH, np.int64), np.zeros(MAX_DEPTH, np.int64)
    for row in range(len(begins)):
        at, end = begins[row], ends[row]
        depth, node, verdict = 0, np.int64(0), YES
        # 0 value, 1 value or ], 2 name or }, 3 name, 4 after a value, 5 broken, 6 doubled
        expect = 0
        while expect < 5:
            if at < end and data[at] <= 32:
                at, verdict = find_blanks_end(data, at, end), NO
            if at >= end:
                break
            c = data[at]
            if expect <= 1:
                if expect == 1 and c == 93:
                    depth -= 1
                    at += 1
                    if opened[depth] >= 0:
                        stop[opened[depth], row] = at
                    expect = 4
                    continue
                found, begin = np.uint8(0), at
                if c == 123 or c == 91:
                    found = np.uint8(7) if c == 123 else np.uint8(8)
                elif c == 34:
                    closing = find_plain_end(data, at + 1, end)
                    if closing == end or data[closing] != 34:
                        closing, verdict = end_spelled(data, closing, end, verdict)
                    if closing == -1:
                        expect = 5
                        continue
                    found, begin = np.uint8(5) if closing > 0 else np.uint8(6), at + 1
                    at = abs(closing) + 1
                elif c == 116 or c == 102 or c == 110:
                    at = find_literal_end(data, at, end)
                    found = np.uint8(2) if c == 116 else np.uint8(3) if c == 102 else np.uint8(1)
                else:
                    at = find_number_end(data, begin, end)
                    found = np.uint8(4)
                    if at != -1 and verdict != NO:
                        verdict = judge_number(data, begin, at, verdict)
                if at == -1:
                    expect = 5
                    continue
                if node >= 0:
                    if kind[node, row] != 0:
                        expect = 6
                        continue
                    kind[node, row] = found
                    start[node, row] = begin
                    stop[node, row] = at - 1 if found == 5 or found == 6 else at
                if found < 7:
                    expect = 4
                    continue
                if depth == MAX_DEPTH:
                    expect = 5
                    continue
                is_object[depth] = found == 7
                last_head[depth], last_name[depth], opened[depth] = 0, 0, node
                node_at[depth] = node if found == 7 and node >= 0 and child_count[node] > 0 else -1
                depth += 1
                node = np.int64(-1)
                at += 1
                expect = 2 if found == 7 else 1
            elif expect <= 3:
                if expect == 2 and c == 125:
                    depth -= 1
                    at += 1
                    if opened[depth] >= 0:
                        stop[opened[depth], row] = at
                    expect = 4
                    continue
                if c != 34:
                    expect = 5
                    continue
                closing = find_plain_end(data, at + 1, end)
                is_plain = closing < end and data[closing] == 34
                if is_plain:
                    head, before = read_head(data, at + 1, closing), last_head[depth - 1]
                    if (
                        head <= before
                        and last_name[depth - 1]
                        and (
                            head < before
                            or not precedes(data, last_name[depth - 1], last_end[depth - 1], at + 1, closing)
                        )
                    ):
                        verdict = NO
                    last_head[depth - 1], last_name[depth - 1], last_end[depth - 1] = head, at + 1, closing
                else:
                    head, verdict = np.uint64(0), NO
                    closing = find_string_end(data, closing, end)
                    if closing == -1:
                        expect = 5
                        continue
                parent, node = node_at[depth - 1], np.int64(-1)
                if parent >= 0:
                    known = min(abs(closing) - at - 1, 8) if is_plain else 0
                    for child in range(first_child[parent], first_child[parent] + child_count[parent]):
                        begin, past = name_start[child], name_end[child]
                        if is_plain and (heads[child] != head or past - begin != closing - at - 1):
                            continue
                        if is_named(data, at + 1 + known, abs(closing), names, begin + known, past):
                            node = np.int64(child)
                            break
                at = abs(closing) + 1
                if at < end and data[at] <= 32:
                    at, verdict = find_blanks_end(data, at, end), NO
                if at >= end or data[at] != 58:
                    expect = 5
                    continue
                at += 1
                expect = 0
            else:
                if depth == 0:
                    expect = 5
                elif c == 44:
                    at += 1
                    node = np.int64(-1)
                    expect = 3 if is_object[depth - 1] else 0
                elif c == (125 if is_object[depth - 1] else 93):
                    depth -= 1
                    at += 1
                    if opened[depth] >= 0:
                        stop[opened[depth], row] = at
                else:
                    expect = 5
        if expect == 4 and depth == 0:
            state[row] = 0
            canonical[row] = verdict
        else:
            state[row] = 2 if expect == 6 else 1
    return state


@compile_loop(type_tuple(type_array(types.int32), type_array(types.uint8))(BYTES, LONGS, LONGS, FLAGS))
def _copy_spans(data: Array, start: Array, end: Array, present: Array) -> tuple[Array, Array]:
    ends = np.zeros(len(start) + 1, np.int32)
    for row in range(len(start)):
        ends[row + 1] = ends[row] + (end[row] - start[row] if present[row] else 0)
    out = np.empty(ends[-1], np.uint8)
    for row in range(len(start)):
        if present[row]:
            out[ends[row] : ends[row + 1]] = data[start[row] : end[row]]
    return ends, out
