"""An exact columnar JSON scanner: where the declared members of every envelope stand, and whether it is JSON at all.

One pass over the Arrow string column's bytes. Every document is checked against RFC 8259 in full, whether or not a
member is declared; for each declared path the kind and byte span of its value is recorded. Numbers are not converted:
later code reads their digits. A document is refused when a declared member, or a member on the way to one, stands twice:
readers disagree on which one counts, so the record says two things.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, FLAGS, LONGS, compile_loop, type_array, type_tuple
from ofs_spark.foundation.columnar.hashing import read_text_buffers
from ofs_spark.replay.scan.lexemes import find_literal_end, find_number_end, find_string_end, is_same

Path = tuple[str, ...]

ABSENT, NULL, TRUE, FALSE, NUMBER, STRING, ESCAPED, OBJECT, ARRAY = range(9)
"""Kinds of a value; ESCAPED is a string that holds a backslash."""

VALID, BROKEN, DOUBLED, ESCAPED_NAME = range(4)
"""States of a document. ESCAPED_NAME documents are rewritten and scanned again; the others are final."""

MAX_DEPTH = 64


@dataclass(frozen=True)
class Tokens:
    """Per document: its state; per declared path and document: the value's kind and byte span (quotes left out)."""

    data: Array
    state: Array
    kind: dict[Path, Array]
    start: dict[Path, Array]
    end: dict[Path, Array]

    def read_texts(self, path: Path) -> pa.Array:
        """The value's bytes as text where it is a scalar with a span (strings undecoded), else null."""
        kind = self.kind[path]
        present = (kind == NUMBER) | (kind == STRING) | (kind == ESCAPED)
        ends, data = _copy_spans(self.data, self.start[path], self.end[path], present)
        valid = pa.array(present).buffers()[1] if not present.all() else None
        return pa.Array.from_buffers(pa.string(), len(kind), [valid, pa.py_buffer(ends), pa.py_buffer(data)])


def scan_tokens(texts: pa.Array | pa.ChunkedArray, paths: Sequence[Path]) -> Tokens:
    """Scans `texts` (string column, null reads as broken) for `paths`, each a tuple of member names from the root."""
    data, offsets = read_text_buffers(texts)
    trie = _Trie.of(paths)
    rows, nodes = len(offsets) - 1, len(trie.first_child)
    kind, start, end = (
        np.zeros((nodes, rows), np.uint8),
        np.zeros((nodes, rows), np.int64),
        np.zeros((nodes, rows), np.int64),
    )
    state = _scan(False, data, offsets[:-1], offsets[1:], *trie.to_arrays(), kind, start, end)
    again = np.flatnonzero(state == ESCAPED_NAME)
    if len(again):
        rewritten = [_has_plain_names(data[offsets[row] : offsets[row + 1]].tobytes()) for row in again]
        begins = len(data) + np.cumsum([0, *map(len, rewritten)])
        data = np.concatenate([data, np.frombuffer(b"".join(rewritten), np.uint8)])
        part = (
            np.zeros((nodes, len(again)), np.uint8),
            np.zeros((nodes, len(again)), np.int64),
            np.zeros((nodes, len(again)), np.int64),
        )
        state[again] = _scan(True, data, begins[:-1], begins[1:], *trie.to_arrays(), part[0], part[1], part[2])
        kind[:, again], start[:, again], end[:, again] = part
    by_path = {path: trie.node[path] for path in paths}
    return Tokens(
        data,
        state,
        {p: kind[n] for p, n in by_path.items()},
        {p: start[n] for p, n in by_path.items()},
        {p: end[n] for p, n in by_path.items()},
    )


@dataclass(frozen=True)
class _Trie:
    """Declared member names as a tree in arrays: node 0 is the document; a node's children are consecutive."""

    node: dict[Path, int]
    first_child: Array
    child_count: Array
    name_start: Array
    name_end: Array
    names: Array

    @classmethod
    def of(cls, paths: Sequence[Path]) -> _Trie:
        """The tree of these paths and all that leads to them."""
        prefixes = {()} | {path[:depth] for path in paths for depth in range(1, len(path) + 1)}
        ordered = sorted(prefixes, key=lambda path: (len(path), path))
        node = {path: index for index, path in enumerate(ordered)}
        children = [[node[p] for p in ordered if p and p[:-1] == path] for path in ordered]
        encoded = [path[-1].encode() if path else b"" for path in ordered]
        ends = np.cumsum([len(name) for name in encoded])
        return cls(
            node,
            np.array([c[0] if c else 0 for c in children], np.int64),
            np.array([len(c) for c in children], np.int64),
            ends - [len(name) for name in encoded],
            ends,
            np.frombuffer(b"".join(encoded) or b"\0", np.uint8),
        )

    def to_arrays(self) -> tuple[Array, Array, Array, Array, Array]:
        """What the compiled scan reads of it."""
        return self.first_child, self.child_count, self.name_start, self.name_end, self.names


class _Raw(str):
    """A number's digits as written."""


def _has_plain_names(document: bytes) -> bytes:
    """The same document with member names written without escapes; the input itself if it is not JSON."""
    try:
        parsed = json.loads(
            document, object_pairs_hook=_Members, parse_float=_Raw, parse_int=_Raw, parse_constant=_refuse
        )
        return _spell(parsed).encode()
    except (ValueError, RecursionError):
        return b"?"


class _Members(list[tuple[str, Any]]):
    """An object's members in order, doubles kept."""


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _spell(value: Any) -> str:
    if isinstance(value, _Members):
        return "{" + ",".join(f"{json.dumps(n, ensure_ascii=False)}:{_spell(v)}" for n, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_spell, value)) + "]"
    return str(value) if isinstance(value, _Raw) else json.dumps(value)


_SPANS = type_array(types.int64, 2)
_KINDS = type_array(types.uint8, 2)


@compile_loop(
    type_array(types.uint8)(
        types.boolean, BYTES, LONGS, LONGS, LONGS, LONGS, LONGS, LONGS, BYTES, _KINDS, _SPANS, _SPANS
    )
)
def _scan(
    rewritten: bool,
    data: Array,
    begins: Array,
    ends: Array,
    first_child: Array,
    child_count: Array,
    name_start: Array,
    name_end: Array,
    names: Array,
    kind: Array,
    start: Array,
    stop: Array,
) -> Array:
    state = np.zeros(len(begins), np.uint8)
    is_object = np.zeros(MAX_DEPTH, np.bool_)
    node_at = np.zeros(MAX_DEPTH, np.int64)
    for row in range(len(begins)):
        at, end = begins[row], ends[row]
        depth, node = 0, np.int64(0)
        # 0 value, 1 value or ], 2 name or }, 3 name, 4 after a value, 5 broken, 6 doubled, 7 escaped name
        expect = 0
        while expect < 5:
            while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
                at += 1
            if at >= end:
                break
            c = data[at]
            if expect <= 1:
                if expect == 1 and c == 93:
                    depth -= 1
                    at += 1
                    expect = 4
                    continue
                found, begin = np.uint8(0), at
                if c == 123 or c == 91:
                    found = np.uint8(7) if c == 123 else np.uint8(8)
                elif c == 34:
                    closing = find_string_end(data, at + 1, end)
                    if closing == -1:
                        expect = 5
                        continue
                    found, begin = np.uint8(5) if closing > 0 else np.uint8(6), at + 1
                    at = abs(closing) + 1
                elif c == 116 or c == 102 or c == 110:
                    at = find_literal_end(data, at, end)
                    found = np.uint8(2) if c == 116 else np.uint8(3) if c == 102 else np.uint8(1)
                else:
                    at = find_number_end(data, at, end)
                    found = np.uint8(4)
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
                node_at[depth] = node if found == 7 and node >= 0 and child_count[node] > 0 else -1
                depth += 1
                node = np.int64(-1)
                at += 1
                expect = 2 if found == 7 else 1
            elif expect <= 3:
                if expect == 2 and c == 125:
                    depth -= 1
                    at += 1
                    expect = 4
                    continue
                if c != 34:
                    expect = 5
                    continue
                closing = find_string_end(data, at + 1, end)
                if closing == -1:
                    expect = 5
                    continue
                parent = node_at[depth - 1]
                node = np.int64(-1)
                if parent >= 0:
                    if closing < 0 and not rewritten:
                        expect = 7
                        continue
                    # a name that needs an escape even when rewritten is none of the declared ones
                    for child in range(first_child[parent], first_child[parent] + child_count[parent]):
                        if closing > 0 and is_same(data, at + 1, closing, names, name_start[child], name_end[child]):
                            node = np.int64(child)
                            break
                at = abs(closing) + 1
                while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
                    at += 1
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
                else:
                    expect = 5
        if expect == 4 and depth == 0:
            state[row] = 0
        elif expect >= 6:
            state[row] = expect - 4
        else:
            state[row] = 1
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
