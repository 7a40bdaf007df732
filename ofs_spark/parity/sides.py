"""One replay of a basis beside another, over all of its records: read in shares of the events, none of them held for long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks
from ofs_spark.foundation.ports import Objects
from ofs_spark.parity.case import sort_applied
from ofs_spark.parity.causes import LISTED, Changes, Deliveries
from ofs_spark.parity.cells import Reach
from ofs_spark.parity.contributions import SKIP, Share, list_contributions
from ofs_spark.parity.events import OnlineEvent, Ruling, list_position
from ofs_spark.parity.fold import Folded
from ofs_spark.parity.ports import KeyRulings
from ofs_spark.replay import rows as r
from ofs_spark.replay.index import Place
from ofs_spark.replay.online_law import Skip
from ofs_spark.replay.parts import Staged

SHARE_ROWS = 200_000
"""Deliveries of a share, about: of both sides some hundred bytes each are held at a time."""
_NAME = "name"


@dataclass(frozen=True)
class Side:
    """A replay as far as one reach. places: the partition of each ordinal, with its offset kind."""

    staged: Sequence[Staged]
    folded: Folded
    reach: Reach
    places: Sequence[Place]

    @property
    def rows(self) -> int:
        """Deliveries that were staged."""
        return sum(file.rows for file in self.staged)

    def make_event(self, row: Mapping[str, Any]) -> OnlineEvent:
        """The delivery of a row of contributions, without its envelope."""
        topic, partition, kind = self.places[row[r.PARTITION_ORDINAL]]
        offset, arrival = row[r.OFFSET], row[r.ARRIVAL]
        known = None if arrival == r.NO_ARRIVAL else arrival
        return OnlineEvent(topic, partition, kind, offset, int(offset), known, "", "", row[r.TS_TEXT], None)


def find_side_changes(objects: Objects, before: Side, after: Side, share_rows: int = SHARE_ROWS) -> Changes:
    """The deliveries that the second side applies otherwise than the first: the first LISTED of each kind, all counted.

    MATERIALIZATION_CORRUPT for staged rows that are not the scan's.
    """
    of = max(1, -(-max(before.rows, after.rows) // share_rows))
    found: list[list[OnlineEvent]] = [[], [], []]
    counts = [0, 0, 0]
    for number in range(of):
        one, other = (_list_applied(objects, side, Share(number, of)) for side in (before, after))
        for kind, (side, rows) in enumerate(_compare(before, one, after, other)):
            counts[kind] += rows.num_rows
            first = map(side.make_event, rows.slice(0, LISTED).to_pylist())  # they ascend by position
            found[kind] = sorted([*found[kind], *first], key=list_position)[:LISTED]
    told = [Deliveries(tuple(some), count - len(some)) for some, count in zip(found, counts, strict=True)]
    return Changes(*told)


def _list_applied(objects: Objects, side: Side, share: Share) -> pa.Table:
    """What a side applies of a share; each with a name that its position has on every side."""
    rows = list_contributions(objects, side.staged, side.folded, side.reach, share=share)
    applied = rows.filter(pc.is_null(rows.column(SKIP)))
    places = pa.array([f"{topic}/{partition}/{kind}/" for topic, partition, kind in side.places], pa.string())
    own = places.take(combine_chunks(applied.column(r.PARTITION_ORDINAL)))
    return applied.append_column(_NAME, pc.binary_join_element_wise(own, combine_chunks(applied.column(r.OFFSET)), ""))


def _compare(before: Side, one: pa.Table, after: Side, other: pa.Table) -> Iterator[tuple[Side, pa.Table]]:
    """What is gained, what is lost, what has another key or amount; each with the side that it is of."""
    names, own = combine_chunks(one.column(_NAME)), combine_chunks(other.column(_NAME))
    at = pc.index_in(own, value_set=names)
    yield after, other.filter(pc.is_null(at))
    yield before, one.filter(pc.invert(pc.is_in(names, value_set=own)))
    both = other.filter(pc.is_valid(at))
    was = one.take(at.drop_null())
    differs = _differ(both, was, "key") | _differ(both, was, "amount")
    yield after, both.filter(pa.array(differs))


def _differ(one: pa.Table, other: pa.Table, name: str) -> Array:
    found: Array = np.asarray(pc.not_equal(combine_chunks(one.column(name)), combine_chunks(other.column(name))))
    return found


def read_key_rulings(objects: Objects, side: Side, keys: Sequence[str]) -> Iterator[KeyRulings]:
    """What the law makes of the deliveries of some keys: as many of them are held as those keys have."""
    rows = list_contributions(objects, side.staged, side.folded, side.reach, keys)
    by_key: dict[str, list[Ruling]] = {}
    for row in rows.to_pylist():
        skip = None if row[SKIP] is None else Skip(row[SKIP])
        by_key.setdefault(row["key"], []).append(Ruling(side.make_event(row), skip, False, row["key"], row["amount"]))
    for key, rulings in sorted(by_key.items()):
        applied, skipped = ([one for one in rulings if one.applied is is_so] for is_so in (True, False))
        yield KeyRulings(key, sort_applied(applied), sort_applied(skipped))
