"""Judged events on disk until all of them are known, and then in any order, in memory for a few blocks of them.

The platform run is named by the greatest event time, and offsets follow arrivals: both are known once the last row was read.
In memory stay, per event, its partition, its offset or arrival where one is declared, and a hash of its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.intake.declared import Delivered
from ofs_spark.intake.events import EVENTS

BLOCK = 1 << 14
"""Events that are gathered at once, at most."""
BLOCK_BYTES = 32 << 20
"""Bytes of payload that are gathered at once, about."""


@dataclass
class Spool:
    """Events as they come. at: the file that holds them; delivered: what is declared of how they came to be there.

    latest: the greatest event time, µs.
    """

    at: Path
    delivered: Delivered
    count: int = 0
    latest: int = -(2**63)
    bytes: int = 0
    _starts: list[int] = field(default_factory=list)
    _partitions: list[Array] = field(default_factory=list)
    _orders: list[Array] = field(default_factory=list)
    _ids: list[Array] = field(default_factory=list)
    _sorted: bool = False
    _writer: pa.ipc.RecordBatchFileWriter | None = None

    def add(self, events: pa.RecordBatch) -> None:
        """Keeps a batch of `EVENTS`."""
        if not events.num_rows:
            return
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self.at), EVENTS)
        self._writer.write_batch(events)
        self._starts.append(self.count)
        self.count += events.num_rows
        self.bytes += events.nbytes
        self.latest = max(self.latest, int(np.asarray(events.column("ts")).max()))
        self._partitions.append(np.array(events.column("partition")))
        if self.delivered.order:
            self._orders.append(np.array(events.column(self.delivered.order)))
        ids = events.column("event_id").to_pylist()
        self._ids.append(np.fromiter(map(hash, ids), np.int64, len(ids)))

    def close(self) -> None:
        """Ends the file. Nothing more is added."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def list_partitions(self) -> list[tuple[int, Array]]:
        """(partition, its events by number) in the order of their offsets: those declared, else by arrival, else as read."""
        partitions = np.concatenate(self._partitions)
        order = np.concatenate(self._orders) if self.delivered.order else None
        found = []
        for partition in np.unique(partitions).tolist():
            own = np.flatnonzero(partitions == partition)
            if order is not None and (np.diff(order[own]) < 0).any():
                own = own[np.argsort(order[own], kind="stable")]
            found.append((partition, own))
        return found

    def gather(self, chosen: Array) -> Iterator[pa.Table]:
        """The events of these numbers, in their order, block by block."""
        each = max(1, min(BLOCK, BLOCK_BYTES * self.count // max(1, self.bytes)))
        ascending = bool((chosen[1:] > chosen[:-1]).all())
        # Read batch by batch where each is needed once or twice; in any other order only the pages that hold a row.
        with (pa.OSFile if ascending else pa.memory_map)(str(self.at)) as held, pa.ipc.open_file(held) as file:
            for begin in range(0, len(chosen), each):
                yield self._gather_block(file, chosen[begin : begin + each])

    def _gather_block(self, file: pa.ipc.RecordBatchFileReader, chosen: Array) -> pa.Table:
        starts = np.array(self._starts)
        which = np.searchsorted(starts, chosen, "right") - 1
        by_batch = np.argsort(which, kind="stable")
        sorted_which, inside = which[by_batch], (chosen - starts[which])[by_batch]
        cuts = [0, *(np.flatnonzero(np.diff(sorted_which)) + 1).tolist(), len(chosen)]
        pieces = [
            file.get_batch(int(sorted_which[begin])).take(pa.array(inside[begin:end])) for begin, end in pairwise(cuts)
        ]
        table = pa.Table.from_batches(pieces)
        if (by_batch[1:] > by_batch[:-1]).all():
            return table
        return table.take(pa.array(np.argsort(by_batch, kind="stable")))

    def find_unknown(self, ids: list[str]) -> int:
        """How many of these ids no event has."""
        known = self._sort_ids()
        asked = np.fromiter(map(hash, ids), np.int64, len(ids))
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        return int((known[at] != asked).sum())

    def _sort_ids(self) -> Array:
        if not self._sorted:
            self._ids, self._sorted = [np.sort(np.concatenate(self._ids))], True
        return self._ids[0]
