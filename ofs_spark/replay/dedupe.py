"""At-least-once made exactly-once: of all rows of one event id, the one that counts.

The copy that was delivered first wins: in delivery order where every copy has an arrival, else by position. Copies
with another payload hash are conflicts, the rest redeliveries. Where an id was seen more than once, every copy must
carry the hash of its own envelope; one that does not is an invalid record.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.ids import number_ids, show_id
from ofs_spark.replay import rows as r
from ofs_spark.replay.basis_slice import BasisSlice

Sample = dict[str, Any]

SAMPLES = 20
COUNTS = ("rows", "redeliveries", "conflicts", "invalid", "filtered")


@dataclass(frozen=True)
class EventAccount:
    """What one target's rows come to; counts and samples are JSON values, by name.

    counts: rows (winners that pass the intent's event types); redeliveries and conflicts (losing copies); invalid;
    filtered (winners of other event types). samples: the first positions of each kind of anomaly.
    """

    counts: Mapping[str, int]
    samples: Mapping[str, Sequence[Sample]]


@dataclass(frozen=True)
class Winners:
    """The events of one target. `rows`: ascending row numbers of the winners that pass the intent's event types."""

    rows: Array
    account: EventAccount


@dataclass(frozen=True)
class FirstEvent:
    """The first event of one range of the basis: the range's ordinal, the event's order number and time (µs)."""

    ordinal: int
    seq: int
    ts: int


def pick_winners(table: pa.Table) -> Winners:
    """The winners among all rows of a target; `table` has every row of each of its event ids, arrivals carried in."""
    code = number_ids(table.column(r.EVENT_ID))
    seen = np.bincount(code, minlength=1)[code]
    flags, hash_ok = read_values(table, r.FLAGS), read_values(table, r.HASH_OK)
    readable = (flags & r.UNREADABLE) == 0
    wrong = readable & (seen > 1) & ~hash_ok
    valid = readable & ~wrong
    wins = valid & (seen == 1)
    repeated = np.flatnonzero(valid & (seen > 1))
    chosen, loser, conflict = _settle(table, repeated, code[repeated])
    wins[chosen] = True
    in_scope = (flags & r.IN_SCOPE) != 0
    counts = {
        "rows": int((wins & in_scope).sum()),
        "redeliveries": int((~conflict).sum()),
        "conflicts": int(conflict.sum()),
        "invalid": int(wrong.sum()),
        "filtered": int((wins & ~in_scope).sum()),
    }
    samples = {
        "conflict": _sample_positions(table, loser[conflict]),
        "redelivery": _sample_positions(table, loser[~conflict]),
        "invalid": _sample_positions(table, np.flatnonzero(wrong)),
    }
    return Winners(np.flatnonzero(wins & in_scope), EventAccount(counts, samples))


def _settle(table: pa.Table, rows: Array, code: Array) -> tuple[Array, Array, Array]:
    """(winners, losers, which losers conflict) among rows whose event ids were seen more than once."""
    arrival, ordinal, seq = (read_values(table, name)[rows] for name in (r.ARRIVAL, r.PARTITION_ORDINAL, r.SEQ))
    unknown = np.zeros(int(code.max(initial=0)) + 1, np.bool_)
    unknown[code[arrival == r.NO_ARRIVAL]] = True
    order = np.lexsort((seq, ordinal, np.where(unknown[code], 0, arrival), code))
    rows, code = rows[order], code[order]
    first = np.flatnonzero(np.concatenate([np.ones(min(len(code), 1), np.bool_), np.diff(code) != 0]))
    hashes = combine_chunks(table.column(r.PAYLOAD_HASH).take(pa.array(rows)))
    hashed = np.asarray(hashes.dictionary_encode().indices)
    leader = np.repeat(first, np.diff(np.concatenate([first, [len(code)]])))
    loses = np.ones(len(rows), np.bool_)
    loses[first] = False
    return rows[first], rows[loses], (hashed != hashed[leader])[loses]


def _sample_positions(table: pa.Table, rows: Array) -> list[Sample]:
    """The first of the rows in (partition ordinal, seq) order, as positions."""
    ordinal, seq = read_values(table, r.PARTITION_ORDINAL)[rows], read_values(table, r.SEQ)[rows]
    chosen = table.select([r.PARTITION_ORDINAL, r.SEQ, r.OFFSET, r.EVENT_ID]).take(
        pa.array(rows[np.lexsort((seq, ordinal))[:SAMPLES]])
    )
    samples: list[Sample] = chosen.to_pylist()
    return [{**one, r.EVENT_ID: show_id(one[r.EVENT_ID])} for one in samples]


def find_first_events(table: pa.Table, rows: Array, slices: Sequence[BasisSlice]) -> list[FirstEvent]:
    """Per slice of the basis that has one: order number and time of its first event among `rows`."""
    ordinal, seq, ts = (read_values(table, name)[rows] for name in (r.PARTITION_ORDINAL, r.SEQ, r.TS))
    found = []
    by_ordinal = np.lexsort((seq, ordinal))
    bounds = np.searchsorted(ordinal[by_ordinal], np.arange(int(ordinal.max(initial=-1)) + 2))
    for one in slices:
        if one.partition_ordinal + 1 >= len(bounds):
            continue
        own = by_ordinal[bounds[one.partition_ordinal] : bounds[one.partition_ordinal + 1]]
        at = bisect_left(own, one.first_seq, key=lambda row: int(seq[row]))
        if at < len(own) and seq[own[at]] <= one.last_seq:
            first = own[at]
            found.append(FirstEvent(one.ordinal, int(seq[first]), int(ts[first])))
    return found


def find_truncation_bound(found: Iterable[FirstEvent]) -> int | None:
    """The largest, over the slices, of the time of the slice's first in-scope event; None if there is no event."""
    first: dict[int, tuple[int, int]] = {}
    for one in found:
        seen = (one.seq, one.ts)
        first[one.ordinal] = min(first.get(one.ordinal, seen), seen)
    return max((ts for _, ts in first.values()), default=None)
