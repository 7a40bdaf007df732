"""Logged rows at the event they name: those that can be compared travel with it, the others are counted and named.

Of rows that say the same of one column of one event the first line goes on, the others are repeats. Where they say
different things none of them is compared: nobody knows which one the decision was made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.notes import Note
from ofs_spark.parity.logged import COLUMN, EVENT_ID, LINE, LOGGED_AT, NUMBER, TEXT, Reason, Unchecked, note_unchecked


@dataclass(frozen=True)
class RepeatsNote(Note):
    """How many rows of a target say again what an earlier line says."""

    kind: ClassVar[str] = "repeats"
    repeats: int

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The note that `content` wrote."""
        return cls(content["repeats"])


@dataclass(frozen=True)
class AttachLogged:
    """Attaches staged rows of logged values. columns: names of the features, by place."""

    kind: ClassVar[str] = "logged_values"
    columns: tuple[str, ...]

    def attach(
        self, rows: pa.Table | None, event_ids: pa.Array, ts: Array, anchors: Array
    ) -> tuple[pa.Array, Sequence[Note]]:
        """A list of {column, text, number, line} per event, by column; a note per reason, and one of the repeats."""
        events = len(event_ids)
        if rows is None:
            return _make_lists(None, np.zeros(events + 1, np.int64)), []
        place = np.asarray(pc.index_in(combine_chunks(rows.column(EVENT_ID)), event_ids).fill_null(-1)).astype(np.int64)
        is_anchor = np.zeros(events + 1, np.bool_)
        is_anchor[anchors] = True
        known_ts = np.append(ts, np.iinfo(np.int64).min)
        notes: list[Note] = []
        rows, place = self._set_aside(rows, place, place < 0, "EVENT_UNKNOWN", notes)
        rows, place = self._set_aside(rows, place, ~is_anchor[place], "EVENT_NOT_ANCHOR", notes)
        early = read_values(rows, LOGGED_AT) < known_ts[place]
        rows, place = self._set_aside(rows, place, early, "LOGGED_BEFORE_EVENT", notes)
        order = np.lexsort((read_values(rows, LINE), read_values(rows, COLUMN), place))
        rows, place = rows.take(pa.array(order)), place[order]
        again, differs = _compare_repeats(rows, place)
        rows, place, again = *self._set_aside(rows, place, differs, "VALUES_CONFLICT", notes), again[~differs]
        if again.any():
            notes.append(RepeatsNote(int(again.sum())))
        rows, place = rows.filter(pa.array(~again)), place[~again]
        return _make_lists(rows, np.searchsorted(place, np.arange(events + 1))), notes

    def _set_aside(
        self, rows: pa.Table, place: Array, bad: Array, reason: Reason, notes: list[Note]
    ) -> tuple[pa.Table, Array]:
        """The rows that are not bad and their events; a note of those that are."""
        if not bad.any():
            return rows, place
        notes.append(self._note(rows.filter(pa.array(bad)), reason))
        return rows.filter(pa.array(~bad)), place[~bad]

    def _note(self, rows: pa.Table, reason: Reason) -> Unchecked:
        names = pa.array(self.columns, pa.string()).take(combine_chunks(rows.column(COLUMN)))
        return note_unchecked(reason, read_values(rows, LINE), combine_chunks(rows.column(EVENT_ID)), names)


def _compare_repeats(rows: pa.Table, place: Array) -> tuple[Array, Array]:
    """(rows after the first of their event and column, rows of an event and column with different values).

    Rows ascend by event, column and line. Both zeros of a float64 are one value.
    """
    column = read_values(rows, COLUMN)
    again = np.zeros(len(place), np.bool_)
    again[1:] = (np.diff(place) == 0) & (np.diff(column) == 0)
    number, text = (combine_chunks(rows.column(name)) for name in (NUMBER, TEXT))
    codes = np.asarray(text.dictionary_encode().indices.fill_null(-1))
    numbers, stated = np.asarray(number.fill_null(0.0)), np.asarray(number.is_valid())
    other = np.zeros(len(place), np.bool_)
    other[1:] = (np.diff(codes) != 0) | (numbers[1:] != numbers[:-1]) | (stated[1:] != stated[:-1])
    group = np.cumsum(~again) - 1
    conflicts = np.zeros(group[-1] + 1 if len(group) else 0, np.bool_)
    conflicts[group[again & other]] = True
    return again, conflicts[group]


def _make_lists(rows: pa.Table | None, offsets: Array) -> pa.Array:
    """A list of rows per event; `offsets` says where each one's begin and end."""
    fields = [pa.field(COLUMN, pa.int32()), pa.field(TEXT, pa.string())]
    fields += [pa.field(NUMBER, pa.float64()), pa.field(LINE, pa.int64())]
    arrays = [pa.array([], field.type) if rows is None else combine_chunks(rows.column(field.name)) for field in fields]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.StructArray.from_arrays(arrays, fields=fields))
