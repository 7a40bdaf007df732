"""One pass over the bytes of texts: what each of them is, and where its declared members stand; `tokens.py` says what for.

Texts whose shape was seen before are met with it (`shapes.py`), all others are read byte by byte.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, LONGS, compile_loop, point_to, type_array
from ofs_spark.replay.scan.canonical_text import NO, YES, end_bare, end_text, precedes
from ofs_spark.replay.scan.lexemes import (
    find_blanks_end,
    find_plain_end,
    find_string_end,
    is_named,
    read_head,
)
from ofs_spark.replay.scan.members import MemberTree
from ofs_spark.replay.scan.shapes import Shapes

MAX_DEPTH = 64
"""Levels of nesting that are read; the document itself is the first."""

_TAUGHT_AT_ONCE = 4
"""Texts that shapes are learned from before the others are met with them."""


@dataclass(frozen=True)
class Found:
    """What a scan fills in: per text its state and what is known of its spelling, per member and text kind and span."""

    tree: MemberTree
    state: Array
    verdicts: Array
    kind: Array
    start: Array
    end: Array

    @classmethod
    def of(cls, tree: MemberTree, rows: int) -> Found:
        """Nothing yet."""
        shape = len(tree.first_child), rows
        spans = np.zeros(shape, np.uint8), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        return cls(tree, np.zeros(rows, np.uint8), np.zeros(rows, np.uint8), *spans)

    def read(self, data: Array, begins: Array, ends: Array) -> None:
        """Reads texts byte by byte."""
        self.state[:] = _read(
            data, begins, ends, *self.tree.to_arrays(), self.kind, self.start, self.end, self.verdicts
        )

    def read_rows(self, data: Array, offsets: Array, rows: Array) -> None:
        """Reads some of the texts byte by byte, whatever was filled in of them before."""
        own = Found.of(self.tree, len(rows))
        own.read(data, offsets[:-1][rows], offsets[1:][rows])
        self.state[rows], self.verdicts[rows] = own.state, own.verdicts
        self.kind[:, rows], self.start[:, rows], self.end[:, rows] = own.kind, own.start, own.end

    def read_by_shape(self, data: Array, offsets: Array, shapes: Shapes) -> None:
        """Meets the texts with what was learned, learns from the first few that are not met, and reads those that are left."""
        left, spans = np.arange(len(offsets) - 1), (self.kind, self.start, self.end)
        while True:
            left = left[~shapes.meet(data, offsets, left, self.verdicts, spans)]
            few = left[:_TAUGHT_AT_ONCE]
            if not len(few) or shapes.is_full:
                break
            self.read_rows(data, offsets, few)
            told = few[self.verdicts[few] != NO]  # how a fraction is written is no part of a shape
            for row in told:
                shapes.learn(data[offsets[row] : offsets[row + 1]].tobytes())
            if not len(told):
                break
        if len(left):
            self.read_rows(data, offsets, left)
            if shapes.is_full and 2 * len(left) > len(offsets):
                shapes.forget()


_SPANS = type_array(types.int64, 2)
_KINDS = type_array(types.uint8, 2)
_HEADS = types.Array(types.uint64, 1, "C", readonly=True)


@compile_loop(
    type_array(types.uint8)(
        BYTES, LONGS, LONGS, LONGS, LONGS, LONGS, LONGS, BYTES, _HEADS, _KINDS, _SPANS, _SPANS, type_array(types.uint8)
    )
)
def _read(
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
    text, given, size = point_to(data), point_to(names), len(data)
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
            if at < end and text[at] <= 32:
                at, verdict = find_blanks_end(text, at, end), NO
            if at >= end:
                break
            c = text[at]
            if (
                (expect == 1 and c == 93)
                or (expect == 2 and c == 125)
                or (expect == 4 and depth > 0 and c == (125 if is_object[depth - 1] else 93))
            ):
                depth -= 1
                at += 1
                if opened[depth] >= 0:
                    stop[opened[depth], row] = at
                expect = 4
            elif expect <= 1:
                found, begin = np.uint8(0), at
                if c == 123 or c == 91:
                    found = np.uint8(7) if c == 123 else np.uint8(8)
                elif c == 34:
                    begin = at + 1
                    closing, found, verdict = end_text(text, begin, end, size, verdict)
                    at = -1 if closing == -1 else closing + 1
                else:
                    at, found, verdict = end_bare(text, at, end, verdict)
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
                if c != 34:
                    expect = 5
                    continue
                closing = find_plain_end(text, at + 1, end, size)
                is_plain = closing < end and text[closing] == 34
                if is_plain:
                    head, before = read_head(text, at + 1, closing, size), last_head[depth - 1]
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
                    closing = find_string_end(text, closing, end)
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
                        if is_named(text, at + 1 + known, abs(closing), given, begin + known, past):
                            node = np.int64(child)
                            break
                at = abs(closing) + 1
                if at < end and text[at] <= 32:
                    at, verdict = find_blanks_end(text, at, end), NO
                if at >= end or text[at] != 58:
                    expect = 5
                    continue
                at += 1
                expect = 0
            elif depth > 0 and c == 44:
                at += 1
                node = np.int64(-1)
                expect = 3 if is_object[depth - 1] else 0
            else:
                expect = 5
        if expect == 4 and depth == 0:
            state[row] = 0
            canonical[row] = verdict
        else:
            state[row] = 2 if expect == 6 else 1
    return state
