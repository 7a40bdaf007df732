"""At-least-once made exactly-once: of all rows of one event id, the one that counts.

The copy that was delivered first wins: in delivery order where every copy has an arrival, else by position. Copies
with another payload hash are conflicts, the rest redeliveries. Where an id was seen more than once, every copy must
carry the hash of its own envelope; one that does not is an invalid record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.replay import rows as r

Array = np.ndarray[Any, np.dtype[Any]]
Sample = dict[str, Any]

SAMPLES = 20
COUNTS = ("rows", "redeliveries", "conflicts", "invalid", "filtered")


@dataclass(frozen=True)
class BasisSlice:
    """One range of the basis as order numbers: its ordinal, its part, the first and last `seq` it may hold."""

    ordinal: int
    part: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True)
class Winners:
    """What one target's rows come to. `rows`: ascending row numbers of the winners that pass the intent's event types.

    counts: rows; redeliveries and conflicts (losing copies); invalid; filtered (winners of other event types).
    """

    rows: Array
    counts: dict[str, int]
    samples: dict[str, list[Sample]]

    def note(self) -> dict[str, Any]:
        """JSON-ready content of the note that tells the driver."""
        return {"counts": self.counts, "samples": self.samples}


def winners(table: pa.Table) -> Winners:
    """The winners among all rows of a target; `table` has every row of each of its event ids, arrivals carried in."""
    encoded = table.column(r.EVENT_ID).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    code = np.asarray(encoded.indices)
    seen = np.bincount(code, minlength=1)[code]
    flags, hash_ok = _column(table, r.FLAGS), _column(table, r.HASH_OK)
    readable = (flags & r.UNREADABLE) == 0
    wrong = readable & (seen > 1) & ~hash_ok
    valid = readable & ~wrong
    wins = valid & (seen == 1)
    repeated = np.flatnonzero(valid & (seen > 1))
    chosen, loser, conflict = _settle(table, repeated, code[repeated])
    wins[chosen] = True
    in_scope = (flags & r.IN_SCOPE) != 0
    counts = {
        "rows": int((wins & in_scope).sum()), "redeliveries": int((~conflict).sum()), "conflicts": int(conflict.sum()),
        "invalid": int(wrong.sum()), "filtered": int((wins & ~in_scope).sum()),
    }
    samples = {"conflict": _samples(table, loser[conflict]), "redelivery": _samples(table, loser[~conflict]),
               "invalid": _samples(table, np.flatnonzero(wrong))}
    return Winners(np.flatnonzero(wins & in_scope), counts, samples)


def _column(table: pa.Table, name: str) -> Array:
    column: Array = table.column(name).combine_chunks().to_numpy(zero_copy_only=False)
    return column


def _settle(table: pa.Table, rows: Array, code: Array) -> tuple[Array, Array, Array]:
    """(winners, losers, which losers conflict) among rows whose event ids were seen more than once."""
    arrival, part, seq = (_column(table, name)[rows] for name in (r.ARRIVAL, r.PART, r.SEQ))
    unknown = np.zeros(int(code.max(initial=0)) + 1, np.bool_)
    unknown[code[arrival == r.NO_ARRIVAL]] = True
    order = np.lexsort((seq, part, np.where(unknown[code], 0, arrival), code))
    rows, code = rows[order], code[order]
    first = np.flatnonzero(np.concatenate([np.ones(min(len(code), 1), np.bool_), np.diff(code) != 0]))
    hashes = table.column(r.PAYLOAD_HASH).take(pa.array(rows)).combine_chunks().dictionary_encode()
    hashed = np.asarray((hashes.combine_chunks() if isinstance(hashes, pa.ChunkedArray) else hashes).indices)
    leader = np.repeat(first, np.diff(np.concatenate([first, [len(code)]])))
    loses = np.ones(len(rows), np.bool_)
    loses[first] = False
    return rows[first], rows[loses], (hashed != hashed[leader])[loses]


def _samples(table: pa.Table, rows: Array) -> list[Sample]:
    """The first of the rows in (part, seq) order, as positions."""
    part, seq = _column(table, r.PART)[rows], _column(table, r.SEQ)[rows]
    chosen = table.select([r.PART, r.SEQ, r.OFFSET, r.EVENT_ID]).take(pa.array(rows[np.lexsort((seq, part))[:SAMPLES]]))
    samples: list[Sample] = chosen.to_pylist()
    return samples


def first_events(table: pa.Table, rows: Array, slices: Sequence[BasisSlice]) -> list[dict[str, int]]:
    """Per slice of the basis that has one: order number and time of its first event among `rows`."""
    part, seq, ts = (_column(table, name)[rows] for name in (r.PART, r.SEQ, r.TS))
    found = []
    by_part = np.argsort(part, kind="stable")
    bounds = np.searchsorted(part[by_part], np.arange(int(part.max(initial=-1)) + 2))
    for one in slices:
        if one.part + 1 >= len(bounds):
            continue
        own = by_part[bounds[one.part] : bounds[one.part + 1]]
        own = own[(seq[own] >= one.first_seq) & (seq[own] <= one.last_seq)]
        if len(own):
            first = own[np.argmin(seq[own])]
            found.append({"ordinal": one.ordinal, "seq": int(seq[first]), "ts": int(ts[first])})
    return found


def truncation_bound(found: Iterable[dict[str, int]]) -> int | None:
    """The largest, over the slices, of the time of the slice's first in-scope event; None if there is no event."""
    first: dict[int, tuple[int, int]] = {}
    for one in found:
        seen = (one["seq"], one["ts"])
        first[one["ordinal"]] = min(first.get(one["ordinal"], seen), seen)
    return max((ts for _, ts in first.values()), default=None)
