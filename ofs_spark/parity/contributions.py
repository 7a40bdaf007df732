"""What each event of some keys did to them within one anchor's basis, event by event."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.ports import Objects
from ofs_spark.parity.cells import Reach
from ofs_spark.parity.fold import Folded
from ofs_spark.parity.online_rows import AMOUNT, KEY, OnlineRows, read_files, take_rows
from ofs_spark.parity.repeats import find_starts
from ofs_spark.replay import rows as r
from ofs_spark.replay.online_law import Skip
from ofs_spark.replay.parts import Staged

SKIP = "skip"
"""Column of the contributions: null for an event that is applied, else the value of a `Skip`."""
_CARRIED = (KEY, r.OFFSET, AMOUNT, r.TS_TEXT)


@dataclass(frozen=True)
class Share:
    """Some of the events, by their prints: all copies of one are in the same share. There are `of` shares from 0."""

    number: int = 0
    of: int = 1

    def find(self, event: Array) -> Array:
        """Which events are in the share, bool. event: prints, uint64 of shape (rows, 2)."""
        found: Array = event[:, 1] % np.uint64(self.of) == self.number
        return found


EVERY = Share()


def list_contributions(
    objects: Objects,
    staged: Sequence[Staged],
    folded: Folded,
    reach: Reach,
    keys: Collection[str] | None = None,
    share: Share = EVERY,
) -> pa.Table:
    """Every event of the keys (None: of all) and of the share within a reach, in (partition, position) order.

    Columns: partition_ordinal, seq, offset (text, as archived), arrival (µs, running; NO_ARRIVAL for none), key,
    amount (float64), ts_text, SKIP. An event that the law skips whatever came before it has no key and is not there.
    MATERIALIZATION_CORRUPT for staged rows that are not the scan's. Memory: one staged file, and what is given.
    """
    wanted = None if keys is None else pa.array(sorted(keys), pa.string())
    reached = partial(_find_reached, folded=folded, reach=reach, share=share)
    events = None if wanted is None else _find_events(objects, staged, reached, wanted)
    parts = [part for rows in read_files(objects, staged) for part in _select(rows, reached(rows), events)]
    return _judge(pa.concat_tables([_EMPTY, *parts]), wanted)


def _find_events(
    objects: Objects, staged: Sequence[Staged], reached: Callable[[OnlineRows], Array], wanted: pa.Array
) -> Array:
    """The first print words of the events of the wanted keys, ascending, each once."""
    asked = [np.empty(0, np.uint64)]
    for rows in read_files(objects, staged):
        own = reached(rows)
        asked.append(np.unique(rows.event[own[_is_wanted(rows, own, wanted)], 0]))
    return np.unique(np.concatenate(asked))


def _find_reached(rows: OnlineRows, folded: Folded, reach: Reach, share: Share) -> Array:
    """Row numbers of the events of a share that may be applied within a reach."""
    inside = folded.cells.locate(rows.partition, rows.seq) <= reach.get(rows.partition, -1)
    found: Array = np.flatnonzero(inside & (rows.skip == 0) & share.find(rows.event))
    return found


def _is_wanted(rows: OnlineRows, chosen: Array, wanted: pa.Array) -> Array:
    texts = rows.table.column(KEY).take(pa.array(chosen))
    found: Array = pc.is_in(texts, wanted).to_numpy(zero_copy_only=False).astype(np.bool_)
    return found


def _select(rows: OnlineRows, reached: Array, events: Array | None) -> Iterator[pa.Table]:
    """All copies in a file of the events, of all where there are none to choose from."""
    own = reached if events is None else reached[np.isin(rows.event[reached, 0], events)]
    if len(own):
        texts = take_rows(rows, own, _CARRIED)
        prints = [np.ascontiguousarray(words[own, at]) for words in (rows.event, rows.payload) for at in (0, 1)]
        places = [np.full(len(own), rows.partition, np.int32), rows.seq[own], rows.arrival[own]]
        yield pa.table([*places, *texts.columns, *prints], schema=_EMPTY.schema)


_EMPTY = pa.schema(
    [
        (r.PARTITION_ORDINAL, pa.int32()), (r.SEQ, pa.int64()), (r.ARRIVAL, pa.int64()), (KEY, pa.string()),
        (r.OFFSET, pa.string()), (AMOUNT, pa.float64()), (r.TS_TEXT, pa.string()),
        *((name, pa.uint64()) for name in ("event_0", "event_1", "payload_0", "payload_1")),
    ]
).empty_table()  # fmt: skip


def _judge(table: pa.Table, wanted: pa.Array | None) -> pa.Table:
    """The wanted rows, each with why it is skipped: of the copies of an event the first one delivered is applied."""
    columns = {name: table.column(name).to_numpy() for name in table.column_names if name not in _CARRIED}
    zero, one = columns["event_0"], columns["event_1"]
    order = np.lexsort((one, zero))
    code = np.empty(len(order), np.int64)
    code[order] = np.cumsum(find_starts(zero[order], one[order])) - 1 if len(order) else order
    unknown = np.zeros(len(order) + 1, np.bool_)
    unknown[code[columns[r.ARRIVAL] == r.NO_ARRIVAL]] = True
    arrival = np.where(unknown[code], 0, columns[r.ARRIVAL])
    delivery = np.lexsort((columns[r.SEQ], columns[r.PARTITION_ORDINAL], arrival, code))
    first = np.empty(len(order), np.int64)
    starts = np.flatnonzero(find_starts(code[delivery])) if len(order) else order
    first[delivery] = np.repeat(delivery[starts], np.diff(np.append(starts, len(order))))
    same = np.logical_and.reduce([columns[name] == columns[name][first] for name in ("payload_0", "payload_1")])
    why = np.where(same, Skip.DUPLICATE.value, Skip.PAYLOAD_MISMATCH.value)
    skip = pc.if_else(
        pa.array(first == np.arange(len(order))), pa.scalar(None, pa.string()), pa.array(why, pa.string())
    )
    told = table.select([r.PARTITION_ORDINAL, r.SEQ, r.OFFSET, r.ARRIVAL, *(KEY, AMOUNT, r.TS_TEXT)])
    told = told.rename_columns([r.PARTITION_ORDINAL, r.SEQ, r.OFFSET, r.ARRIVAL, "key", "amount", r.TS_TEXT])
    told = told.append_column(SKIP, skip)
    if wanted is not None:
        told = told.filter(pc.is_in(told.column("key"), wanted))
    return told.sort_by([(r.PARTITION_ORDINAL, "ascending"), (r.SEQ, "ascending")])
