"""The features of one stored row, rebuilt from the segments that hold its keys' events, and the story of each.

Segments are chosen by the times that the index states, rows by key. A copy of an event that differs from it in key or
time could be missed that way. A dataset without conflicts and invalid records has none while its archive is the one it
was built from; of any other one every segment is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.features import explain_terms as x
from ofs_spark.features.explain import ROW, explain_group, explain_missing_key
from ofs_spark.features.flow import name_key_columns
from ofs_spark.features.group_rows import sort_by_key
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.errors import FeaturesRefused, Refusal
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import mark_anchor
from ofs_spark.replay.dedupe import pick_winners
from ofs_spark.replay.lookup import find_candidates
from ofs_spark.replay.scan import archive as a
from ofs_spark.replay.scan.segment import Wanted
from ofs_spark.replay.segment_groups import list_partitions
from ofs_spark.replay.selection import ALWAYS, Archive, Span
from ofs_spark.workflow.explain_anchor import StoredAnchor, find_own_event


@dataclass(frozen=True)
class GroupStories:
    """The columns of one group: its key's parts by name (None: the anchor has none), stories, and the rows they name."""

    key: Mapping[str, str] | None
    stories: Mapping[str, x.Story]
    rows: pa.Table


@dataclass
class FeatureSearch:
    """The stories of some groups for one anchor. everything: whether every segment is read, and every copy looked for."""

    archive: Archive
    anchor: StoredAnchor
    groups: Sequence[int]
    everything: bool
    _own: pa.Table = field(init=False)

    @property
    def program(self) -> Program:
        """The compiled feature set."""
        return self.archive.spec.program

    def explain(self) -> dict[int, GroupStories]:
        """By group. PARITY_MISMATCH where the archive does not hold the anchor, or rows that no dataset is built of."""
        event = find_own_event(self.archive, self.anchor)
        task, own, self._own = event.task, event.neighbours, event.row
        keys = {key: self._read_key(key) for key in dict.fromkeys(self.program.groups[g].key for g in self.groups)}
        tasks = self._select_tasks(keys)
        others = self.archive.find_rows(
            [one for one in tasks if one != task], lambda rows: _match_any(rows, keys), self._make_filter(keys)
        )
        mine = own.filter(pa.array(_match_any(own, keys)))
        rows = pa.concat_tables([mine, others, *([] if mine.num_rows else [self._own])]).unify_dictionaries()
        try:
            return dict(self._explain_keys(keys, rows))
        except (FeaturesRefused, Refusal) as refusal:
            if refusal.code not in ("FEATURE_VALUE_INVALID", "FEATURE_NUMERIC_OVERFLOW", "ORDER_UNDEFINED"):
                raise
            raise self.anchor.refuse(f"its key's events are refused: {refusal}") from None

    def _read_key(self, key: int) -> Mapping[str, str] | None:
        """The anchor's key by column; None where a part is missing."""
        names = name_key_columns(self.program, key)
        parts = {name: self._own.column(name)[0].as_py() for name in names}
        return None if None in parts.values() else parts

    def _select_tasks(self, keys: Mapping[int, Mapping[str, str] | None]) -> list[Any]:
        if self.everything:
            return list(self.archive.tasks)
        spans = [span for index in self.groups if keys[self.program.groups[index].key] for span in self._spans(index)]
        return self.archive.select_tasks(dict.fromkeys(spans))

    def _make_filter(self, keys: Mapping[int, Mapping[str, str] | None]) -> Wanted:
        """Which stored rows may have one of the keys: their envelope holds one part of it, or their id is an online key."""
        texts = set[str]()
        for key, parts in keys.items():
            own = list((parts or {}).values())[:1]
            texts.update(
                _read_online_key(text) if self.program.keys[key].online_core is not None else text for text in own
            )

        def select(table: pa.Table) -> Array:
            """Rows to look into."""
            named = pc.is_in(table.column(a.EVENT_ID), pa.array(sorted(texts), pa.large_string()))
            mask: Array = np.asarray(named) | find_candidates(table.column(a.ENVELOPE), texts)
            return mask

        return select

    def _spans(self, index: int) -> Iterator[Span]:
        """The event times that a group's windows reach over; an online state reaches over all."""
        group, ts = self.program.groups[index], self.anchor.ts
        if group.online_core is not None:
            yield ALWAYS
        for feature in group.features:
            until = ts - feature.delay_us
            yield Span(None if feature.window_us is None else until - feature.window_us, until)

    def _explain_keys(
        self, keys: Mapping[int, Mapping[str, str] | None], found: pa.Table
    ) -> Iterator[tuple[int, GroupStories]]:
        for key, parts in keys.items():
            groups = [index for index in self.groups if self.program.groups[index].key == key]
            if parts is None:
                for index in groups:
                    yield index, GroupStories(None, explain_missing_key(self.program, index), self._own)
                continue
            rows = self._settle_rows(found.filter(pa.array(_match(found, parts))))
            named = dict(zip(self.program.keys[key].names, parts.values(), strict=True))
            wins = pick_winners(rows).rows
            for index in groups:
                yield index, GroupStories(named, self._explain_group(index, parts, rows, wins), rows)

    def _settle_rows(self, rows: pa.Table) -> pa.Table:
        """The rows of one key with every copy of their events and their arrivals."""
        if self.everything:
            ids = combine_chunks(rows.column(r.EVENT_ID)).unique()
            rows = self.archive.find_rows(
                self.archive.tasks,
                lambda own: np.ones(own.num_rows, np.bool_),
                lambda stored: np.asarray(pc.is_in(stored.column(a.EVENT_ID), ids.cast(pa.large_string()))),
            )
        return self.archive.carry_arrivals(rows)

    def _explain_group(self, index: int, parts: Mapping[str, str], rows: pa.Table, wins: Array) -> dict[str, x.Story]:
        matching = _match(rows, parts)
        mine = wins[matching[wins]]
        events = rows.take(pa.array(mine)).append_column(ROW, pa.array(mine))
        place = [read_values(self._own, name)[0] for name in (r.PARTITION_ORDINAL, r.SEQ)]
        at = np.flatnonzero(
            (read_values(events, r.PARTITION_ORDINAL) == place[0]) & (read_values(events, r.SEQ) == place[1])
        )
        if len(at) != 1:
            raise self.anchor.refuse("another copy of it counts")
        keyed = sort_by_key(mark_anchor(events, int(at[0])), list(parts))
        stories = explain_group(self.program, index, keyed)
        left = tuple(_name_losers(rows, wins, matching))
        return {name: _add_losers(story, left) for name, story in stories.items()}


def _read_online_key(text: str) -> str:
    """The value of an online key "field:value"."""
    return text.partition(":")[2]


def _add_losers(story: x.Story, left: tuple[x.Considered, ...]) -> x.Story:
    """A story with the rows that are no events of the key: of each operand of a derived column they are the same."""
    return replace(story, considered=(*story.considered, *left))


def _match(rows: pa.Table, parts: Mapping[str, str]) -> Array:
    """Which rows have a key; shape (rows,)."""
    mask = np.ones(rows.num_rows, np.bool_)
    for name, text in parts.items():
        mask &= np.asarray(pc.fill_null(pc.equal(rows.column(name), text), False))
    return mask


def _match_any(rows: pa.Table, keys: Mapping[int, Mapping[str, str] | None]) -> Array:
    mask = np.zeros(rows.num_rows, np.bool_)
    for parts in keys.values():
        if parts is not None:
            mask |= _match(rows, parts)
    return mask


def _name_losers(rows: pa.Table, wins: Array, matching: Array) -> Iterator[x.Considered]:
    """The rows of a key that are no events of it, and why: in the order of what is told of a record."""
    flags, hash_ok = read_values(rows, r.FLAGS), read_values(rows, r.HASH_OK)
    ids, hashes = rows.column(r.EVENT_ID).to_pylist(), rows.column(r.PAYLOAD_HASH).to_pylist()
    seen: dict[str, int] = {}
    for event_id in ids:
        seen[event_id] = seen.get(event_id, 0) + 1
    counts = {ids[row]: row for row in wins.tolist()}
    won = set(wins.tolist())
    for row in np.flatnonzero(matching).tolist():
        if row in won:
            continue
        if flags[row] & r.UNREADABLE or (seen[ids[row]] > 1 and not hash_ok[row]):
            reason = x.INVALID
        elif ids[row] in counts:
            reason = x.REDELIVERY if hashes[row] == hashes[counts[ids[row]]] else x.CONFLICT
        else:
            reason = x.OUT_OF_SCOPE
        yield x.Considered(row, False, reason)


def locate_rows(archive: Archive, rows: pa.Table) -> list[dict[str, Any]]:
    """The position of every row, as documents hold one."""
    places = list_partitions(archive.basis)
    ordinals, offsets = read_values(rows, r.PARTITION_ORDINAL).tolist(), rows.column(r.OFFSET).to_pylist()
    return [
        {"topic": places[ordinal][0], "partition": places[ordinal][1], "offset": offset}
        for ordinal, offset in zip(ordinals, offsets, strict=True)
    ]
