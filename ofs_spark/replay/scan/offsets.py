"""The position proof of one segment group: every row's offset, one kept copy per position, in offset order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, LONGS, compile_loop, type_array
from ofs_spark.foundation.columnar.hashing import read_text_buffers
from ofs_spark.foundation.positions import DENSE_KINDS, MAX_DENSE, parse_offset
from ofs_spark.replay.scan.spec import ScanRange

NO_OFFSET = -1


@dataclass(frozen=True)
class Offsets:
    """The offsets of all rows as int64 codes that order as the offsets do; NO_OFFSET where the text is none.

    Dense kinds: the code is the offset. The sparse kind: the rank among `numbers`, the distinct offsets ascending.
    """

    code: Array
    numbers: tuple[int, ...] | None = None

    def decode(self, code: int) -> int:
        """The offset a code stands for."""
        return int(code) if self.numbers is None else self.numbers[code]

    def select_inside(self, ranges: Sequence[ScanRange]) -> Array:
        """Which rows lie in one of some disjoint, ascending ranges, both ends inside."""
        codes = np.array([pair for one in ranges if (pair := self.find_codes(one))[0] <= pair[1]], np.int64)
        if not len(codes):
            return np.zeros(len(self.code), np.bool_)
        place = np.searchsorted(codes[:, 1], self.code, "left")
        within: Array = codes[np.minimum(place, len(codes) - 1), 0] <= self.code
        return within & (place < len(codes))

    def find_held(self, asked: Sequence[int]) -> list[int]:
        """Those of the asked offsets that a row has; sparse kinds only."""
        return sorted(set(asked).intersection(self.numbers or ()))

    def find_codes(self, offset_range: ScanRange) -> tuple[int, int]:
        """The codes between which a range's rows lie, both inside; first > last if it has none."""
        if self.numbers is None:
            return offset_range.start, offset_range.last
        return bisect_left(self.numbers, offset_range.start), bisect_right(self.numbers, offset_range.last) - 1


@compile_loop(type_array(types.int64)(BYTES, LONGS))
def _read_dense(data: Array, ends: Array) -> Array:
    out = np.full(len(ends) - 1, NO_OFFSET, np.int64)
    for row in range(len(out)):
        at, end = ends[row], ends[row + 1]
        if end == at or end - at > 19 or (data[at] == 48 and end - at > 1):
            continue
        value = np.uint64(0)
        good = True
        for i in range(at, end):
            good = good and 48 <= data[i] <= 57
            value = value * np.uint64(10) + np.uint64(data[i] - 48)
        if good and value <= np.uint64(MAX_DENSE):
            out[row] = np.int64(value)
    return out


def read_offsets(texts: pa.Array, offset_kind: str) -> Offsets:
    """The rows' offsets; a null or a text that is not the canonical one of an offset is NO_OFFSET."""
    if offset_kind in DENSE_KINDS:
        return Offsets(_read_dense(*read_text_buffers(texts.fill_null("") if texts.null_count else texts)))
    found = [_read_sparse(text, offset_kind) for text in texts.cast(pa.large_binary()).to_pylist()]
    numbers = sorted({number for number in found if number is not None})
    rank = {number: index for index, number in enumerate(numbers)}
    codes = [NO_OFFSET if number is None else rank[number] for number in found]
    return Offsets(np.array(codes, np.int64), tuple(numbers))


def _read_sparse(text: bytes | None, offset_kind: str) -> int | None:
    try:
        return None if text is None else parse_offset(text.decode("ascii"), offset_kind)
    except ValueError:  # a text that is not ASCII too
        return None


@dataclass(frozen=True)
class Kept:
    """One row per position, positions ascending: row numbers, and whether the copies' hashes differ.

    copy_rows, copy_places: every row of the positions stored more than once, and the index of its position in `rows`.
    """

    rows: Array
    mismatch: Array
    copy_rows: Array
    copy_places: Array


def keep_one(code: Array, chosen: Array, preference: Callable[[int], tuple[Any, ...]]) -> Kept:
    """The kept copy of each position among the `chosen` rows (ascending row numbers).

    Of several copies the one with the least `preference` stays. Its first item is the payload hash: copies that differ
    in it are a mismatch.
    """
    codes = code[chosen]
    steps = np.diff(codes)
    if (steps > 0).all():
        nothing = np.empty(0, np.int64)
        return Kept(chosen, np.zeros(len(chosen), np.bool_), nothing, nothing)
    if (steps < 0).any():
        order = np.argsort(codes, kind="stable")
        chosen, codes = chosen[order], codes[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(codes) != 0]))
    copies = np.diff(np.concatenate([starts, [len(codes)]]))
    rows, mismatch = chosen[starts], np.zeros(len(starts), np.bool_)
    place_of = np.repeat(np.arange(len(starts)), copies)
    several = (copies > 1)[place_of]
    for place in np.flatnonzero(copies > 1):
        same = chosen[starts[place] : starts[place] + copies[place]].tolist()
        ranked = sorted((preference(row), row) for row in same)
        rows[place] = ranked[0][1]
        mismatch[place] = len({preferred[0] for preferred, _ in ranked}) > 1
    return Kept(rows, mismatch, chosen[several], place_of[several])
