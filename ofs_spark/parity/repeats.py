"""Which events stand at more than one position, and what of that is the same for every anchor.

Copies in one partition: the first is applied, by every anchor that has the others too; those lose whatever the anchor is,
and are counted where they stand. Copies in several partitions contest the event: which one is applied hangs on the anchor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, encode_chunk
from ofs_spark.foundation.columnar.notes import Note, encode_note
from ofs_spark.foundation.ports import Objects
from ofs_spark.parity.cells import CellMap
from ofs_spark.parity.online_rows import OnlineRows, read_files
from ofs_spark.replay import rows as r
from ofs_spark.replay.online_law import SKIP_CODES, Skip
from ofs_spark.replay.parts import Staged

LOST, CONTESTED = "lost", "contested"
"""Kinds of chunks: positions of copies that lose in their own partition; positions of contested events, with their prints."""
SEEN = 0
KINDS = len(SKIP_CODES) + 1
"""What is counted of a cell: SEEN, then one count per code of a skip."""
_WORDS = ("event_0", "event_1", "payload_0", "payload_1")


@dataclass(frozen=True)
class CellCounts(Note):
    """What one task counted: the cells, and KINDS counts of each."""

    kind: ClassVar[str] = "cell_counts"
    cells: Sequence[int]
    counts: Sequence[Sequence[int]]

    @classmethod
    def of(cls, counts: Array) -> Self:
        """The cells of a (cells, KINDS) array in which anything was counted."""
        found = np.flatnonzero(counts.any(axis=1))
        return cls(found.tolist(), counts[found].tolist())


def add_counts(notes: Sequence[CellCounts], cells: int) -> Array:
    """The counts of all tasks, int64 of shape (cells, KINDS)."""
    total = np.zeros((cells, KINDS), np.int64)
    for one in notes:
        if one.cells:
            total[one.cells] += np.array(one.counts, np.int64)
    return total


@dataclass(frozen=True)
class FindRepeats:
    """One task's share of the events, by their prints; it also proves and counts the files whose number falls to it.

    shares: how many tasks there are. width: targets, each of which is told of all repeats.
    """

    objects: Objects
    files: tuple[Staged, ...]
    cells: CellMap
    shares: int
    width: int

    def __call__(self, target: int, _chunks: Iterator[Body]) -> Iterator[Chunk]:
        """Chunks of LOST and CONTESTED, and one `CellCounts`."""
        counts = np.zeros((self.cells.count, KINDS), np.int64)
        parts = []
        own = [number % self.shares == target for number in range(len(self.files))]
        for number, rows in enumerate(read_files(self.objects, self.files, own.__getitem__)):
            cell = self.cells.locate(rows.partition, rows.seq)
            if own[number]:
                _count_rows(counts, cell, rows.skip)
            parts.append(self._select(rows, cell, target))
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
        lost, contested = self._settle(columns, counts) if parts else ({}, {})
        for kind, table in ((LOST, lost), (CONTESTED, contested)):
            body = encode_chunk(kind, pa.table(table))
            yield from (Chunk(to, body) for to in range(self.width))
        yield encode_note(CellCounts.of(counts))

    def _select(self, rows: OnlineRows, cell: Array, share: int) -> dict[str, Array]:
        own = np.flatnonzero((rows.skip == 0) & (rows.event[:, 0] % np.uint64(self.shares) == share))
        prints = np.concatenate([rows.event[own], rows.payload[own]], axis=1)
        place = {
            r.PARTITION_ORDINAL: np.full(len(own), rows.partition),
            r.SEQ: rows.seq[own],
            r.ARRIVAL: rows.arrival[own],
        }
        return {**place, "cell": cell[own], **{name: prints[:, at] for at, name in enumerate(_WORDS)}}

    def _settle(self, columns: Mapping[str, Array], counts: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        """(lost, contested) among all copies of the share's events; what is lost is counted."""
        kept = select_repeated(columns)
        new, partition = find_starts(kept[_WORDS[0]], kept[_WORDS[1]]), kept[r.PARTITION_ORDINAL]
        event = np.cumsum(new) - 1
        leader = np.flatnonzero(new)[event]
        several = np.bincount(event, partition != partition[leader], int(new.sum())) > 0
        contested = several[event]
        lost = ~contested & ~new
        other = (kept["payload_0"] != kept["payload_0"][leader]) | (kept["payload_1"] != kept["payload_1"][leader])
        for skip, what in ((Skip.DUPLICATE, lost & ~other), (Skip.PAYLOAD_MISMATCH, lost & other)):
            np.add.at(counts[:, SKIP_CODES[skip]], kept["cell"][what], 1)
        places = (r.PARTITION_ORDINAL, r.SEQ)
        return {name: kept[name][lost] for name in places}, {name: of[contested] for name, of in kept.items()}


def _count_rows(counts: Array, cell: Array, skip: Array) -> None:
    counts[:, SEEN] += np.bincount(cell, minlength=len(counts))
    skipped = np.flatnonzero(skip)
    np.add.at(counts, (cell[skipped], skip[skipped]), 1)


def select_repeated(columns: Mapping[str, Array]) -> dict[str, Array]:
    """The rows whose event stands at several positions, by event, then partition and position."""
    first = columns[_WORDS[0]]
    ascending = np.argsort(first)
    same = np.zeros(len(first) + 1, np.bool_)
    same[1:-1] = first[ascending[1:]] == first[ascending[:-1]]
    some = ascending[same[1:] | same[:-1]]
    found = {name: values[some] for name, values in columns.items()}
    order = np.lexsort((found[r.SEQ], found[r.PARTITION_ORDINAL], found[_WORDS[1]], found[_WORDS[0]]))
    found = {name: values[order] for name, values in found.items()}
    new = find_starts(found[_WORDS[0]], found[_WORDS[1]])
    event = np.cumsum(new) - 1
    several = (np.bincount(event, minlength=int(new.sum())) > 1)[event]
    return {name: values[several] for name, values in found.items()}


def find_starts(*columns: Array) -> Array:
    """Where a row differs from the one before it, bool; the first one does."""
    new = np.ones(len(columns[0]), np.bool_)
    new[1:] = np.logical_or.reduce([values[1:] != values[:-1] for values in columns])
    return new
