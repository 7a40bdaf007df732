"""The step by event id: one copy per event, its labels as known by the cut-off, and on to the first entity key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from ofs_spark.features.load import LABEL_IDENTITIES, LABELS, PIECES
from ofs_spark.features.own import find_own_faults
from ofs_spark.features.ports import Attachment
from ofs_spark.features.routing import Route
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, gather_chunks
from ofs_spark.foundation.columnar.ids import unpack_ids
from ofs_spark.foundation.columnar.notes import Fault, Note, encode_note
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.labels import model as m
from ofs_spark.labels.asof import keep_one_per_id, resolve_labels
from ofs_spark.labels.assertions import find_conflicts
from ofs_spark.labels.coverage import TypeCounts, count_labels
from ofs_spark.labels.terms import LabelTerms
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import select_anchors
from ofs_spark.replay.basis_slice import BasisSlice
from ofs_spark.replay.dedupe import EventAccount, FirstEvent, find_first_events, pick_winners
from ofs_spark.replay.parts import read_pieces


def name_choice_column(label_type: str) -> str:
    """Column in which a label type's choice travels, as one packed struct."""
    return f"label:{label_type}"


@dataclass(frozen=True)
class EventsNote(Note):
    """What the events of one target came to: their account, the anchors among the winners, the first of each slice."""

    kind: ClassVar[str] = "events"
    account: EventAccount
    anchors: int
    first: tuple[FirstEvent, ...]

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The note that `content` wrote."""
        first = tuple(FirstEvent(**one) for one in content["first"])
        return cls(EventAccount(**content["account"]), content["anchors"], first)


@dataclass(frozen=True)
class LabelsNote(Note):
    """The label counts of one target, by label type."""

    kind: ClassVar[str] = "labels"
    types: Mapping[str, TypeCounts]

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The note that `content` wrote."""
        return cls({name: TypeCounts(**counts) for name, counts in content["types"].items()})


@dataclass(frozen=True)
class ByEvent:
    """Reads its event rows, picks winners, judges what rows keep of them, attaches labels, and routes to the first key.

    width: how many targets share the event ids.
    """

    objects: Objects
    width: int
    program: Program
    terms: LabelTerms
    slices: tuple[BasisSlice, ...]
    onward: Route
    attachment: Attachment | None = None

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """Chunks of the first exchange by key; an `EventsNote`, a `LabelsNote`; a `Fault` where assertions clash, or by column.

        A `Fault` alone where staged rows are lost.
        """
        tables = gather_chunks(chunks)
        try:
            events = self._read_events(tables.get(PIECES), target)
        except Refusal as refusal:
            yield encode_note(Fault.from_refusal(refusal))
            return
        yield from self._settle(events, tables)

    def _read_events(self, pieces: pa.Table | None, target: int) -> pa.Table | None:
        """The target's rows; None where it has none."""
        rows = None if pieces is None else read_pieces(self.objects, pieces, target, self.width)
        return rows if rows is not None and rows.num_rows else None

    def _settle(self, table: pa.Table | None, tables: Mapping[str, pa.Table]) -> Iterator[Chunk]:
        if LABEL_IDENTITIES in tables:
            clashing = find_conflicts(tables[LABEL_IDENTITIES])
            if clashing:
                message = "one label_assertion_id stands for assertions of different content"
                yield encode_note(Fault("LABEL_SCOPE_INVALID", message, {"label_assertion_ids": clashing}))
        assertions = keep_one_per_id(tables.get(LABELS, m.ASSERTIONS.empty_table().select(list(m.OF_SUBJECT))))
        if table is None:
            nobody = self._choose_labels(assertions, pa.array([], pa.string()))
            yield self._count_labels(nobody, assertions, np.empty(0, np.int64))
            if self.attachment is not None:
                none = np.empty(0, np.int64)
                _, notes = self.attachment.attach(tables.get(self.attachment.kind), nobody.column(0), none, none)
                yield from map(encode_note, notes)
            return
        chosen = pick_winners(table)
        events = table.drop_columns([r.PAYLOAD_HASH, r.HASH_OK]).take(pa.array(chosen.rows))
        anchors = select_anchors(events)
        first = find_first_events(table, chosen.rows, self.slices)
        yield encode_note(EventsNote(chosen.account, len(anchors), tuple(first)))
        yield from map(encode_note, find_own_faults(self.program, events, anchors))
        choices = self._choose_labels(assertions, combine_chunks(events.column(r.EVENT_ID)).take(pa.array(anchors)))
        yield self._count_labels(choices, assertions, read_values(events, r.TS)[anchors])
        labelled = self._attach_labels(events, anchors, choices)
        if self.attachment is not None:
            ids, ts = unpack_ids(events.column(r.EVENT_ID)), read_values(events, r.TS)
            column, notes = self.attachment.attach(tables.get(self.attachment.kind), ids, ts, anchors)
            labelled = labelled.append_column(self.attachment.kind, column)
            yield from map(encode_note, notes)
        yield from self.onward.send_rows(labelled)

    def _choose_labels(self, assertions: pa.Table, subjects: pa.Array) -> pa.Table:
        return resolve_labels(assertions, subjects, self.terms.types, self.terms.rule, self.terms.eligible_until_us)

    def _count_labels(self, choices: pa.Table, assertions: pa.Table, anchor_ts: Array) -> Chunk:
        counts = count_labels(choices, assertions, anchor_ts, self.terms.mature_until_us)
        return encode_note(LabelsNote({name: counts[name] for name in self.terms.types}))

    def _attach_labels(self, events: pa.Table, anchors: Array, choices: pa.Table) -> pa.Table:
        """The events with one struct column per label type, null where the event is no anchor."""
        place = np.full(events.num_rows, -1, np.int64)
        place[anchors] = np.arange(len(anchors))
        where = pa.array(place, mask=place < 0)
        for name in self.terms.types:
            events = events.append_column(name_choice_column(name), combine_chunks(choices.column(name)).take(where))
        return events
