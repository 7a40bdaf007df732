"""What stands between the values of envelopes: learned from a few, and compared instead of read in all that are alike.

Envelopes of one producer differ in their values alone. A canonical text is cut at its strings, numbers and literals into
*pieces*: `{"amount":`, `,"card_id":"`, `"},"seed":`. Where a piece was seen at a place, the same bytes at that place mean
the same, and one comparison stands for all that the scanner does over them. A *place* is what those steps depend on: the
open containers, and of each object the name that was read last. Names of a canonical text ascend, so that none before it
matters, and none stands twice.

A text that leaves what was learned is not met, and nothing is known of it: `reading.py` reads it byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

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
from ofs_spark.foundation.columnar.text_words import read_word
from ofs_spark.replay.scan.canonical_text import YES, end_bare, end_text
from ofs_spark.replay.scan.members import MemberTree

MOST_TEXTS, MOST_PIECES, MOST_TEXT_BYTES = 64, 4_096, 1 << 16
"""What is learned at most: from how many texts, how many pieces, and of how long a text. A text costs some 100 µs."""
MOST_AT_A_PLACE = 32
"""Pieces that may begin at one place: they are tried one after another."""

_STRING, _BARE, _END = range(3)
"""What follows a piece: a string, whose quote the piece ends with; a number or a literal; nothing."""
_LEXEMES = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^{}\[\]:,"]+')
_KINDS = {b"{": 7, b"[": 8}
_CLOSED = 0
_WORD = 8

Place: TypeAlias = tuple[bytes | None, ...] | None
"""Per open container the name that was read last, None of a list; None alone: before the text."""
_Arrays: TypeAlias = tuple[Array, Array, Array, Array, Array]


@dataclass(frozen=True)
class _Piece:
    """Bytes between two values, what follows, which declared member that is (-1: none), and the place where it stands.

    marks: (declared member, kind of the container that opens there or _CLOSED, byte of the piece).
    """

    text: bytes
    follows: int
    member: int
    place: Place
    marks: tuple[tuple[int, int, int], ...]


@dataclass
class Shapes:
    """The pieces that were seen, by the place where they begin, in texts that are scanned for the members of `tree`."""

    tree: MemberTree
    _pieces: dict[Place, dict[bytes, _Piece]] = field(default_factory=lambda: {None: {}})
    _texts: int = 0
    _count: int = 0
    _arrays: _Arrays | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing more is learned."""
        return self._texts >= MOST_TEXTS or self._count >= MOST_PIECES

    def learn(self, text: bytes) -> None:
        """Takes in the pieces of a text that is canonical, but perhaps for how its fractions are written."""
        self._texts, self._arrays = self._texts + 1, None
        for place, piece in _cut(text, self.tree) if len(text) <= MOST_TEXT_BYTES else ():
            known = self._pieces.setdefault(place, {})
            if piece.text in known:
                continue
            if self._count == MOST_PIECES or len(known) == MOST_AT_A_PLACE:
                return
            known[piece.text], self._count = piece, self._count + 1
            self._pieces.setdefault(piece.place, {})

    def forget(self) -> None:
        """Gives up: texts are too unlike each other for what is learned from some to help with others."""
        self._texts, self._count, self._pieces, self._arrays = MOST_TEXTS, 0, {None: {}}, None

    def meet(
        self, data: Array, offsets: Array, rows: Array, verdicts: Array, spans: tuple[Array, Array, Array]
    ) -> Array:
        """Which of the `rows` are made of known pieces, bool; verdicts and spans of those are filled in as a scan does.

        spans: kind, start and end per member and text.
        """
        if not self._pieces[None]:
            return np.zeros(len(rows), np.bool_)
        if self._arrays is None:
            self._arrays = _lay_out(self._pieces)
        return _meet(data, offsets, rows, *self._arrays, verdicts, *spans)


def _cut(text: bytes, tree: MemberTree) -> Iterator[tuple[Place, _Piece]]:
    """(place, piece that begins there) over a canonical text."""
    names, members, marks = list[bytes | None](), list[int](), list[tuple[int, int, int]]()
    here, begin, is_name = None, 0, False
    for lexeme in _LEXEMES.finditer(text):
        found, at = lexeme.group(), lexeme.start()
        if found in _KINDS:
            members.append(_find_member(names, tree))
            marks += [(members[-1], _KINDS[found], at - begin)] if members[-1] >= 0 else []
            names.append(b"" if found == b"{" else None)
            is_name = found == b"{"
        elif found in (b"}", b"]"):
            names.pop()
            member = members.pop()
            marks += [(member, _CLOSED, at + 1 - begin)] if member >= 0 else []
        elif found in (b",", b":"):
            is_name = found == b"," and names[-1] is not None
        elif is_name:
            names[-1] = found
        else:
            quote = int(found[:1] == b'"')
            place, member = tuple(names), _find_member(names, tree)
            yield here, _Piece(text[begin : at + quote], _STRING if quote else _BARE, member, place, tuple(marks))
            here, begin, marks = place, lexeme.end() - quote, []
    yield here, _Piece(text[begin:], _END, -1, None, tuple(marks))


def _find_member(names: list[bytes | None], tree: MemberTree) -> int:
    """The declared member that a value inside these containers is; -1 for none."""
    path = [name[1:-1].decode() for name in names if name is not None]
    return tree.node.get(tuple(path), -1) if len(path) == len(names) else -1


def _lay_out(pieces: dict[Place, dict[bytes, _Piece]]) -> _Arrays:
    """What the compiled loop reads: per place its first piece; per piece its numbers, head and mask; all marks; all bytes."""
    number = {place: at for at, place in enumerate(pieces)}
    listed = [piece for own in pieces.values() for piece in own.values()]
    ends = np.cumsum([0, *(len(one.text) for one in listed)])
    marks = [mark for one in listed for mark in one.marks]
    last = np.cumsum([0, *(len(one.marks) for one in listed)])
    numbers = [
        (begin, end, one.follows, one.member, number[one.place], mark, past)
        for one, begin, end, mark, past in zip(listed, ends, ends[1:], last, last[1:], strict=False)
    ]
    heads = [[int.from_bytes(part[:_WORD], "little") for part in (one.text, b"\xff" * len(one.text))] for one in listed]
    return (
        np.cumsum([0, *map(len, pieces.values())], dtype=np.int64),
        np.array(numbers, np.int64).reshape(-1, 7),
        np.array(heads, np.uint64).reshape(-1, 2),
        np.array(marks, np.int64).reshape(-1, 3),
        np.frombuffer(b"".join(one.text for one in listed) + bytes(_WORD), np.uint8),
    )


@compile_loop(types.boolean(TEXT, I64, TEXT, I64, I64), inline=True)
def _stands(data: Array, at: int, texts: Array, begin: int, end: int) -> bool:
    """Whether data[at:] begins with texts[begin:end]: eight or more bytes, and as many are there."""
    here, shift = begin, at - begin
    while here + 8 <= end:
        if read_word(data, here + shift) != read_word(texts, here):
            return False
        here += 8
    return here == end or read_word(data, end - 8 + shift) == read_word(texts, end - 8)


@compile_loop(types.boolean(TEXT, I64, I64, TEXT, I64, I64, types.uint64, types.uint64), inline=True)
def _begins(data: Array, at: int, size: int, texts: Array, begin: int, end: int, head: int, mask: int) -> bool:
    """Whether data[at:] begins with the piece texts[begin:end], as many bytes being there.

    head, mask: the piece's first eight bytes as a number, and which of them it has. size: how many bytes `data` has.
    """
    if at + 8 <= size:
        if (read_word(data, at) ^ head) & mask:
            return False
        return end - begin <= 8 or _stands(data, at, texts, begin, end)
    for byte in range(end - begin):
        if data[at + byte] != texts[begin + byte]:
            return False
    return True


@compile_loop(type_tuple(I64, types.uint8, I64)(TEXT, I64, I64, I64, I64, I64), inline=True)
def _end_value(data: Array, at: int, end: int, size: int, follows: int, verdict: int) -> tuple[int, np.uint8, int]:
    """As `end_text` or `end_bare`, of what follows a piece; a text that should end and does not has no end."""
    if follows == _STRING:
        return end_text(data, at, end, size, verdict)
    if follows == _BARE and at < end:
        return end_bare(data, at, end, verdict)
    return end if follows == _END and at == end else -1, np.uint8(0), verdict


_NUMBERS = types.Array(types.int64, 2, "C", readonly=True)
_HEADS = types.Array(types.uint64, 2, "C", readonly=True)
_SPANS = type_array(types.int64, 2)


@compile_loop(
    type_array(types.boolean)(
        BYTES, LONGS, LONGS, LONGS, _NUMBERS, _HEADS, _NUMBERS, BYTES,
        type_array(types.uint8), type_array(types.uint8, 2), _SPANS, _SPANS,
    )
)  # fmt: skip
def _meet(
    data: Array,
    offsets: Array,
    rows: Array,
    firsts: Array,
    pieces: Array,
    heads: Array,
    marks: Array,
    texts: Array,
    verdicts: Array,
    kind: Array,
    start: Array,
    stop: Array,
) -> Array:
    text, known, size = point_to(data), point_to(texts), len(data)
    met = np.zeros(len(rows), np.bool_)
    for place in range(len(rows)):
        row = rows[place]
        at, end, verdict = offsets[row], offsets[row + 1], YES
        piece, past = firsts[0], firsts[1]
        while piece < past:
            first, last = pieces[piece, 0], pieces[piece, 1]
            begin = at + last - first
            after, found, follows = -1, np.uint8(0), pieces[piece, 2]
            if begin <= end and _begins(text, at, size, known, first, last, heads[piece, 0], heads[piece, 1]):
                after, found, verdict = _end_value(text, begin, end, size, follows, verdict)
            if after == -1:
                piece += 1
                continue
            for mark in range(pieces[piece, 5], pieces[piece, 6]):
                member, opened, byte = marks[mark, 0], marks[mark, 1], at + marks[mark, 2]
                if opened:
                    kind[member, row], start[member, row] = opened, byte
                else:
                    stop[member, row] = byte
            if follows == _END:
                met[place] = True
                verdicts[row] = verdict
                break
            member = pieces[piece, 3]
            if member >= 0:
                kind[member, row], start[member, row], stop[member, row] = found, begin, after
            here, at = pieces[piece, 4], after
            piece, past = firsts[here], firsts[here + 1]
    return met
