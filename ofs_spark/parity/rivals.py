"""Keys whose state hangs on which copy of an event an anchor applied first: folded anew where a basis says something else."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ofs_spark.features.online_core import ANY_BIT, adds_exactly, find_lowest_bits
from ofs_spark.parity.cells import Reach
from ofs_spark.parity.online_rows import AMOUNT
from ofs_spark.parity.repeats import CONTESTED
from ofs_spark.replay import rows as r
from ofs_spark.replay.online_law import State


@dataclass(frozen=True)
class Track:
    """A key's state in one partition, and what tells whether its amounts add exactly (`adds_exactly`)."""

    state: State
    low: int
    absolute: float


def combine_tracks(tracks: Sequence[Track]) -> State | None:
    """The state of a key over its partitions; None where its sum hangs on the order in which they were read.

    Zeros may be added anywhere; otherwise amounts of two partitions must add exactly, in whatever order.
    """
    valued = [one for one in tracks if one.low != ANY_BIT]
    low, absolute = min((one.low for one in tracks), default=ANY_BIT), sum(one.absolute for one in tracks)
    if len(valued) > 1 and not adds_exactly(low, absolute):
        return None
    total = sum((one.state.amount_sum for one in valued), 0.0)
    greatest = max(one.state.last_event_ts_utc for one in tracks)
    return State(sum(one.state.event_count for one in tracks), total, greatest)


@dataclass(frozen=True)
class Settled:
    """What a reach makes of a contested event: the row that is applied, duplicates, copies with another payload."""

    winner: int
    duplicates: int
    mismatches: int


_UNREACHED = Settled(-1, 0, 0)


class Rivals:
    """All rivals of a fold. `key`: each row's key, as whoever asks numbers them."""

    def __init__(self, rows: pa.Table, key: Sequence[int]) -> None:
        self._key, self._partition, self._seq, self._cell, self._arrival, self._amount, self._time, self._contested = (
            list(key),
            *(
                rows.column(name).to_pylist()
                for name in (r.PARTITION_ORDINAL, r.SEQ, "cell", r.ARRIVAL, AMOUNT, r.TS_TEXT)
            ),
            rows.column(CONTESTED).to_pylist(),
        )
        words = [rows.column(name).to_pylist() for name in ("event_0", "event_1", "payload_0", "payload_1")]
        self._event = list(zip(*words[:2], strict=True))
        self._payload = list(zip(*words[2:], strict=True))
        self._low = find_lowest_bits(np.array(self._amount, np.float64)).tolist()
        self._copies: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self._rows: defaultdict[int, list[int]] = defaultdict(list)
        order = sorted(range(len(self._key)), key=lambda row: (self._partition[row], self._seq[row]))
        for row in order:
            self._rows[self._key[row]].append(row)
            if self._contested[row]:
                self._copies[self._event[row]].append(row)
        self._by_cell = sorted(order, key=lambda row: self._cell[row])
        self._cells = [self._cell[row] for row in self._by_cell]
        self._near = {key: self._list_near(own) for key, own in self._rows.items()}
        self._known: dict[tuple[int, tuple[int, ...]], State | None] = {}
        self._settled: dict[tuple[int, int], Settled] = {}
        self.duplicates = self.mismatches = 0

    def _list_near(self, own: Iterable[int]) -> list[list[int]]:
        """Per partition the cells, ascending, of all events that decide a key: its own, and every copy of those."""
        near = {copy for row in own for copy in (self._copies[self._event[row]] if self._contested[row] else [row])}
        found: defaultdict[int, list[int]] = defaultdict(list)
        for row in sorted(near, key=lambda row: self._cell[row]):
            found[self._partition[row]].append(self._cell[row])
        return [[partition, *cells] for partition, cells in sorted(found.items())]

    def move(self, after: int, until: int, reach: Reach) -> set[int]:
        """The keys that the events of cells after `after` up to `until`, now in `reach` or no more, may change."""
        begin, end = bisect_right(self._cells, after), bisect_right(self._cells, until)
        changed = set()
        for row in self._by_cell[begin:end]:
            changed.add(self._key[row])
            if self._contested[row]:
                changed.update(self._key[copy] for copy in self._copies[self._event[row]])
                self._resettle(self._event[row], reach)
        return changed

    def _resettle(self, event: tuple[int, int], reach: Reach) -> None:
        before, now = self._settled.get(event, _UNREACHED), self._settle(event, reach)
        self._settled[event] = now
        self.duplicates += now.duplicates - before.duplicates
        self.mismatches += now.mismatches - before.mismatches

    def _settle(self, event: tuple[int, int], reach: Reach) -> Settled:
        own = [row for row in self._copies[event] if self._is_reached(row, reach)]
        if not own:
            return _UNREACHED
        known = all(self._arrival[row] != r.NO_ARRIVAL for row in own)
        winner = min(own, key=lambda row: (self._arrival[row] if known else 0, self._partition[row], self._seq[row]))
        same = sum(self._payload[row] == self._payload[winner] for row in own)
        return Settled(winner, same - 1, len(own) - same)

    def _is_reached(self, row: int, reach: Reach) -> bool:
        return bool(self._cell[row] <= reach.get(self._partition[row], -1))

    def fold(self, key: int, reach: Reach) -> State | None:
        """The state of a key; one without events where none is applied; None where its order is undefined."""
        ranks = tuple(bisect_right(one, reach.get(one[0], -1), lo=1) for one in self._near[key])
        if (key, ranks) not in self._known:
            self._known[key, ranks] = self._fold(key, reach)
        return self._known[key, ranks]

    def _fold(self, key: int, reach: Reach) -> State | None:
        tracks: dict[int, Track] = {}
        for row in self._rows[key]:
            if not self._is_reached(row, reach):
                continue
            if self._contested[row] and self._settle(self._event[row], reach).winner != row:
                continue
            before = tracks.get(self._partition[row], Track(State(), ANY_BIT, 0.0))
            tracks[self._partition[row]] = Track(
                before.state.apply(self._amount[row], self._time[row]),
                min(before.low, self._low[row]),
                before.absolute + abs(self._amount[row]),
            )
        return combine_tracks(list(tracks.values())) if tracks else State()
