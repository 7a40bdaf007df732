"""The states of all keys under one reach after another: only what differs from the last one is looked at."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.ports import Objects
from ofs_spark.parity.cells import Reach
from ofs_spark.parity.fold import Folded
from ofs_spark.parity.folding import RIVALS, SEVERAL, STATES
from ofs_spark.parity.rivals import Rivals, Track, combine_tracks
from ofs_spark.replay.online_law import State
from ofs_spark.replay.staged import read_staged

_NO_KEYS = pa.table({"key": pa.array([], pa.string()), SEVERAL: pa.array([], pa.bool_())})


class StateBook:
    """Every key's state after every cell, read from a fold's files; keys are numbered by code point over all shards.

    `turn` goes to a reach and says which keys may differ from before; `read` gives the state of one of them.
    MATERIALIZATION_CORRUPT for a file that is not the one that was written.
    """

    def __init__(self, objects: Objects, folded: Folded) -> None:
        shards = [[read_staged(objects, file) for file in (one.keys, one.states, one.rivals)] for one in folded.shards]
        texts = pa.concat_tables([_NO_KEYS, *(keys for keys, _, _ in shards)])
        order = pc.sort_indices(combine_chunks(texts.column("key")))
        number = np.empty(len(order), np.int64)
        number[np.asarray(order)] = np.arange(len(order))
        self.keys: pa.Array = combine_chunks(texts.column("key").take(order))
        self._several = read_values(texts.take(order), SEVERAL)
        begins = np.cumsum([0, *(keys.num_rows for keys, _, _ in shards)])
        numbers = [number[begin : begin + keys.num_rows] for begin, (keys, _, _) in zip(begins, shards, strict=False)]
        states = pa.concat_tables([STATES.empty_table(), *(table for _, table, _ in shards)])
        key = _renumber(numbers, [table for _, table, _ in shards])
        if len(shards) > 1:
            by_cell = np.argsort(read_values(states, "cell"), kind="stable")
            states, key = states.take(pa.array(by_cell)), key[by_cell]
        self._states, self._key = states.combine_chunks(), key
        self._cell = read_values(states, "cell").astype(np.int64)  # searched by int64: no copy a time
        self._cells = folded.cells
        rivals = pa.concat_tables([RIVALS.empty_table(), *(table for _, _, table in shards)])
        self.rivals = Rivals(rivals, _renumber(numbers, [table for _, _, table in shards]).tolist())
        self._current = np.full(len(self.keys), -1, np.int64)
        self._tracks: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._folded: dict[int, State | None] = {}
        self._reach: Reach = {}

    def turn(self, reach: Reach) -> set[int]:
        """Goes to a reach: the keys whose state may be another one now."""
        changed: set[int] = set()
        rivals: set[int] = set()
        before = self._reach
        self._reach = reach
        for partition, ordinals in self._cells.ordinals.items():
            nothing = int(ordinals[0]) - 1
            old, new = before.get(partition, nothing), reach.get(partition, nothing)
            if old != new:
                changed |= self._turn_tracks(partition, old, new)
                rivals |= self.rivals.move(min(old, new), max(old, new), reach)
        for key in rivals:
            self._folded[key] = self.rivals.fold(key, reach)
        return changed | rivals

    def _turn_tracks(self, partition: int, old: int, new: int) -> set[int]:
        begin, end = np.searchsorted(self._cell, [min(old, new), max(old, new)], "right").tolist()
        if old < new:
            keys, last = np.unique(self._key[begin:end][::-1], return_index=True)
            row = end - 1 - last
        else:
            keys, first = np.unique(self._key[begin:end], return_index=True)
            row = self._previous[begin + first]
        several = self._several[keys]
        self._current[keys[~several]] = row[~several]
        for key, at in zip(keys[several].tolist(), row[several].tolist(), strict=True):
            self._tracks[key][partition] = at
        return set(keys.tolist())

    @cached_property
    def _previous(self) -> Array:
        """Row of the state before each, of the same key and partition; -1 for the first one."""
        firsts = np.array([ordinals[0] for ordinals in self._cells.ordinals.values()], np.int64)
        partition = np.searchsorted(np.sort(firsts), self._cell, "right")
        order = np.lexsort((self._cell, partition, self._key))
        previous = np.full(len(order), -1, np.int64)
        same = (self._key[order][1:] == self._key[order][:-1]) & (partition[order][1:] == partition[order][:-1])
        previous[order[1:][same]] = order[:-1][same]
        return previous

    def read(self, keys: Array) -> list[State | None]:
        """The states of some keys, ascending: one without events for a key that has none; None: its order is undefined."""
        rows = self._current[keys]
        simple = np.flatnonzero(rows >= 0)
        found: list[State | None] = [State()] * len(keys)
        for place, state in zip(simple.tolist(), self._read_rows(rows[simple]), strict=True):
            found[place] = state
        for place in np.flatnonzero(rows < 0).tolist():
            found[place] = self._read_other(int(keys[place]))
        return found

    def _read_rows(self, rows: Array) -> list[State]:
        names = ("event_count", "amount_sum", "last_event_ts_utc")
        columns = [self._states.column(name).take(pa.array(rows)).to_pylist() for name in names]
        return list(map(State, *columns))

    def _read_other(self, key: int) -> State | None:
        if key in self._folded:
            return self._folded[key]
        rows = np.array([row for row in self._tracks.get(key, {}).values() if row >= 0], np.int64)
        if not len(rows):
            return State()
        measures = (self._states.column(name).take(pa.array(rows)).to_pylist() for name in ("low", "absolute"))
        return combine_tracks(list(map(Track, self._read_rows(rows), *measures)))


def _renumber(numbers: list[Array], tables: list[pa.Table]) -> Array:
    parts = [own[read_values(table, "key")] for own, table in zip(numbers, tables, strict=True)]
    return np.concatenate([np.empty(0, np.int64), *parts])


def develop(objects: Objects, folded: Folded, reach: Reach) -> pa.Table:
    """The states of one reach: [key, event_count, amount_sum, last_event_ts_utc] by key; a sum is null if undefined.

    An undefined key's count and time are null too. Errors as `StateBook`.
    """
    book = StateBook(objects, folded)
    changed = np.array(sorted(book.turn(reach)), np.int64)
    states = book.read(changed)
    stands = [place for place, state in enumerate(states) if state is None or state.event_count]
    columns = {
        "event_count": pa.int64(), "amount_sum": pa.float64(), "last_event_ts_utc": pa.string(),
    }  # fmt: skip
    values = {
        name: pa.array([None if states[place] is None else getattr(states[place], name) for place in stands], type_)
        for name, type_ in columns.items()
    }
    return pa.table({"key": book.keys.take(pa.array(changed[stands])), **values})
