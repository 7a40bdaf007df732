"""The step by event id: one copy per event, its labels as known by the cut-off, and on to the first entity key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from ofs_spark.features.by_key import EVENTS, Route
from ofs_spark.features.load import LABEL_IDENTITIES, LABELS
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, gather_chunks, make_note
from ofs_spark.labels import model as m
from ofs_spark.labels.asof import keep_one_per_id, resolve_labels
from ofs_spark.labels.assertions import find_conflicts
from ofs_spark.labels.coverage import count_labels
from ofs_spark.labels.terms import LabelTerms
from ofs_spark.replay import rows as r
from ofs_spark.replay.dedupe import BasisSlice, find_first_events, pick_winners


def name_choice_column(label_type: str) -> str:
    """Column in which a label type's choice travels, as one packed struct."""
    return f"label:{label_type}"


@dataclass(frozen=True)
class ByEvent:
    """Picks winners, drops what is out of scope, attaches labels, and routes to the first key."""

    terms: LabelTerms
    slices: tuple[BasisSlice, ...]
    onward: Route

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """Chunks of the first exchange by key; one `events` note, one `labels` note, one `refusal` note per fault."""
        tables = gather_chunks(chunks)
        if LABEL_IDENTITIES in tables:
            clashing = find_conflicts(tables[LABEL_IDENTITIES])
            if clashing:
                yield make_note(
                    "refusal",
                    code="LABEL_SCOPE_INVALID",
                    details={"label_assertion_ids": clashing},
                    message="one label_assertion_id stands for assertions of different content",
                )
        assertions = keep_one_per_id(tables.get(LABELS, m.ASSERTIONS.empty_table().select(list(m.OF_SUBJECT))))
        if EVENTS not in tables:
            nobody = self._choices(assertions, pa.array([], pa.string()))
            yield self._labels_note(nobody, assertions, np.empty(0, np.int64))
            return
        table = tables[EVENTS]
        chosen = pick_winners(table)
        events = table.take(pa.array(chosen.rows))
        anchors = np.flatnonzero((read_values(events, r.FLAGS) & r.ANCHOR) != 0)
        yield make_note(
            "events", **chosen.note(), anchors=len(anchors), first=find_first_events(table, chosen.rows, self.slices)
        )
        choices = self._choices(assertions, combine_chunks(events.column(r.EVENT_ID)).take(pa.array(anchors)))
        yield self._labels_note(choices, assertions, read_values(events, r.TS)[anchors])
        yield from self.onward.send(self._labelled(events, anchors, choices))

    def _choices(self, assertions: pa.Table, subjects: pa.Array) -> pa.Table:
        return resolve_labels(assertions, subjects, self.terms.types, self.terms.rule, self.terms.eligible_until_us)

    def _labels_note(self, choices: pa.Table, assertions: pa.Table, anchor_ts: Array) -> Chunk:
        counts = count_labels(choices, assertions, anchor_ts, self.terms.mature_until_us)
        return make_note("labels", types={name: asdict(counts[name]) for name in self.terms.types})

    def _labelled(self, events: pa.Table, anchors: Array, choices: pa.Table) -> pa.Table:
        """The events with one struct column per label type, null where the event is no anchor."""
        place = np.full(events.num_rows, -1, np.int64)
        place[anchors] = np.arange(len(anchors))
        where = pa.array(place, mask=place < 0)
        for name in self.terms.types:
            events = events.append_column(name_choice_column(name), combine_chunks(choices.column(name)).take(where))
        return events
