"""A target's rows as pieces in layout order, each of which a kernel computes at once: decided by exact counts.

A piece is some whole keys, or a stretch of the time of one key that is too large for a piece. Such a stretch begins where
its instant begins, and takes along what its windows look back at: rows that come before it by less than the widest
window. Where these rows would be too many, all told, its pieces are made larger. Every value is computed
from the same rows as in one piece, so that all its bits are the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np
import pyarrow as pa

from ofs_spark.features.group_rows import KeyedTable, encode_keys, sort_totally
from ofs_spark.features.runs import Run
from ofs_spark.foundation.columnar.arrays import Array, read_values
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.wording import write_count
from ofs_spark.replay import rows as r

PIECE_ROWS = 1 << 18
"""Of a piece: a bucket's rows, on average, and some hundred megabytes with all that is computed of them."""
MOST_AGAIN = 3
"""How often a row of a split key may be looked back at, on average: a kernel's time against its memory."""
MOST_HELD = 1 << 23
"""Rows that one piece may take, those that it looks back at included: some gigabytes of a kernel's memory."""
MOST_KEY_ROWS = 1 << 25
"""Rows of one key, whose times are sorted in memory to cut it: half a gigabyte."""


@dataclass
class Pieces:
    """What a target's rows come to: their pieces in layout order, with the features of the key.

    anchors: rows of the dataset by key code; loose: those of rows without a key. seconds: what making `parts` has taken.
    """

    anchors: Array
    loose: int
    parts: Iterator[KeyedTable]
    seconds: float = field(default=0.0)

    def __iter__(self) -> Iterator[KeyedTable]:
        """The pieces, each held by nobody but who takes it; the time that they take is counted."""
        while True:
            start = time.perf_counter()
            part = [*islice(self.parts, 1)]
            self.seconds += time.perf_counter() - start
            if not part:
                return
            yield part.pop()


@dataclass(frozen=True)
class Cut:
    """Which rows a piece has: of key codes [first, last), and of one key's times those in [begin, end) if it is split.

    looks: the piece's windows see no row up to this time.
    """

    first: int
    last: int
    begin: int | None = None
    end: int | None = None
    looks: int = 0


@dataclass(frozen=True)
class TargetRows:
    """The runs of a target under one numbering of their keys."""

    runs: Sequence[Run]
    key_columns: tuple[str, ...]

    @cached_property
    def _numbers(self) -> tuple[tuple[Array, ...], int]:
        """Per run the codes of its keys, and the first code of a row without a key."""
        keys = pa.concat_tables([run.keys for run in self.runs]).combine_chunks()
        code, missing = encode_keys(keys, self.key_columns)
        bounds = np.cumsum([run.keys.num_rows for run in self.runs])[:-1]
        first_loose = int(np.sort(code)[len(code) - missing]) if missing else int(code.max(initial=-1)) + 1
        return tuple(np.split(code, bounds)), first_loose

    @property
    def codes(self) -> tuple[Array, ...]:
        """Per run the codes of its keys, ascending."""
        return self._numbers[0]

    @property
    def first_loose(self) -> int:
        """The first code that is no key's: rows without one have it and those after it."""
        return self._numbers[1]

    def count(self, per_run: Sequence[Array]) -> Array:
        """Sums by key code of what each run has per key."""
        found = np.zeros(max(int(codes.max(initial=-1)) for codes in self.codes) + 1, np.int64)
        for codes, own in zip(self.codes, per_run, strict=True):
            found[codes] += own
        return found

    def cut(self, reach: int | None, piece_rows: int = PIECE_ROWS) -> list[Cut]:
        """The pieces, for windows that reach so far back; None: to a key's first row.

        RESOURCE_EXCEEDED where one would have more rows than may be held at once, or one key more than can be cut.
        """
        counts = self.count([np.diff(run.starts) for run in self.runs])
        total, code, cuts = np.concatenate([[0], np.cumsum(counts)]), 0, list[Cut]()
        while code < len(counts):
            last = int(np.searchsorted(total, total[code] + piece_rows, side="right")) - 1
            cuts += [Cut(code, last)] if last > code else self._cut_key(code, int(counts[code]), reach, piece_rows)
            code = max(last, code + 1)
        return cuts

    def _cut_key(self, code: int, rows: int, reach: int | None, piece_rows: int) -> list[Cut]:
        """The stretches of a key's time."""
        if rows > (MOST_HELD if reach is None else MOST_KEY_ROWS):
            held = "a window without a length holds" if reach is None else "it is cut into pieces of"
            raise _refuse(rows, rows, MOST_HELD if reach is None else MOST_KEY_ROWS, held)
        if reach is None:
            return [Cut(code, code + 1)]
        own = [run.ts[slice(*self._find(at, code, code + 1))] for at, run in enumerate(self.runs)]
        ts = np.sort(np.concatenate(own))
        begins = _choose_begins(ts, reach, piece_rows)
        ends = [*ts[begins[1:]].tolist(), None]
        starts = ts[begins].tolist()
        return [Cut(code, code + 1, start, end, start - reach) for start, end in zip(starts, ends, strict=True)]

    def _find(self, at: int, first: int, last: int) -> tuple[int, int]:
        """Rows of run `at` that have key codes [first, last)."""
        low, high = np.searchsorted(self.codes[at], [first, last])
        return int(self.runs[at].starts[low]), int(self.runs[at].starts[high])

    def read(self, cut: Cut) -> KeyedTable:
        """The rows of a piece, merged from the runs."""
        tables, codes = list[pa.Table](), list[Array]()
        for at, run in enumerate(self.runs):
            begin, end = self._find(at, cut.first, cut.last)
            low, high = np.searchsorted(self.codes[at], [cut.first, cut.last])
            code = np.repeat(self.codes[at][low:high], np.diff(run.starts[low : high + 1]))
            if cut.begin is not None:
                ts = run.ts[begin:end]
                end = begin + (len(ts) if cut.end is None else int(np.searchsorted(ts, cut.end)))
                begin += int(np.searchsorted(ts, cut.begin))
                code = code[: end - begin]
            if begin < end:
                tables.append(run.read(begin, end))
                codes.append(code)
        code = np.concatenate(codes)
        table = tables[0] if len(tables) == 1 else pa.concat_tables(tables)
        tables.clear()
        if len(codes) > 1 or table.column(0).num_chunks > 1:
            table = table.combine_chunks()
        if len(codes) > 1:
            order = sort_totally(code, table)
            table, code = table.take(pa.array(order)), code[order]
        return KeyedTable(table, code, int(np.searchsorted(code, self.first_loose)), is_split=cut.begin is not None)


def _choose_begins(ts: Array, reach: int, piece_rows: int) -> Array:
    """Where a key's pieces begin, among its times: pieces so large that they look back at no row too often."""
    rows, fitting, least = len(ts), None, len(ts)
    while True:
        begins = np.unique(np.searchsorted(ts, ts[::piece_rows]))
        looks = np.searchsorted(ts, ts[begins] - reach, side="right")
        held = int((np.append(begins[1:], rows) - looks).max())
        least = min(least, held)
        if held <= MOST_HELD:
            fitting = begins
        if held > MOST_HELD or (begins - looks).sum() <= MOST_AGAIN * rows:
            break
        piece_rows *= 2
    if fitting is None:
        raise _refuse(rows, least, MOST_HELD, "one instant and what its widest window reaches hold")
    return fitting


def keep_before(keyed: KeyedTable, names: Sequence[str], looks: int) -> pa.Table:
    """Of a piece, and of what was before it, the rows that come after a time, in some columns and memory of their own."""
    own = keyed.table.select(list(names))
    table = own if keyed.before is None else pa.concat_tables([keyed.before, own])
    first = int(np.searchsorted(read_values(table, r.TS), looks, side="right"))
    kept = table.slice(first)
    return kept.take(pa.array(np.arange(kept.num_rows)))


def _refuse(rows: int, found: int, allowed: int, why: str) -> Exception:
    message = f"one key has {write_count(rows, 'row')}; {why} {found:,} of them at once, and at most {allowed:,} can be"
    return refuse("RESOURCE_EXCEEDED", message, rows=rows, found=found, allowed=allowed)
