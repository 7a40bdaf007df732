"""The states of one share of the keys: tracks where the law alone decides, events where an anchor's basis does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from ofs_spark.features.online_core import advance_tracks
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, gather_chunks
from ofs_spark.foundation.columnar.hashing import read_text_buffers
from ofs_spark.foundation.columnar.notes import Note, encode_note
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.parity.cells import CellMap
from ofs_spark.parity.online_rows import AMOUNT, KEY, OnlineRows, find_rows, read_files, take_rows
from ofs_spark.parity.repeats import CONTESTED, LOST
from ofs_spark.replay import rows as r
from ofs_spark.replay.parts import Staged
from ofs_spark.replay.staged import StagedFile, stage_rows

SEVERAL = "several"
"""Column of the keys: whether it has tracks in more than one partition."""
STATES = pa.schema(
    [
        ("key", pa.int32()), ("cell", pa.int32()), ("event_count", pa.int64()), ("amount_sum", pa.float64()),
        ("last_event_ts_utc", pa.string()), ("low", pa.int32()), ("absolute", pa.float64()),
    ]
)  # fmt: skip
RIVALS = pa.schema(
    [
        ("key", pa.int32()), (r.PARTITION_ORDINAL, pa.int32()), (r.SEQ, pa.int64()), ("cell", pa.int32()),
        (r.ARRIVAL, pa.int64()), (AMOUNT, pa.float64()), (r.TS_TEXT, pa.string()), (CONTESTED, pa.bool_()),
        *((name, pa.uint64()) for name in ("event_0", "event_1", "payload_0", "payload_1")),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Shard(Note):
    """The files of one share of the keys.

    keys: [key, SEVERAL], keys by code point. states: STATES, cells ascending; a key is its row in `keys`. rivals: RIVALS,
    in (partition, position) order: every event of the keys that a contested event touches, and every copy of those.
    """

    kind: ClassVar[str] = "shard"
    keys: StagedFile
    states: StagedFile
    rivals: StagedFile

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The note that `content` wrote."""
        return cls(**{name: StagedFile(**one) for name, one in content.items()})

    def to_note(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class FoldKeys:
    """One share of the keys, by CRC-32 of their text; it is told of all repeats."""

    objects: Objects
    folder: OwnedRef
    files: tuple[Staged, ...]
    cells: CellMap
    width: int

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """One `Shard`."""
        repeats = gather_chunks(chunks)
        lost, contested = (_group_places(repeats[kind]) for kind in (LOST, CONTESTED))
        files = read_files(self.objects, self.files, lambda _number: False)  # the step before proved them
        parts = [self._select(rows, target, lost, contested) for rows in files]
        parts = sorted((part for part in parts if part.num_rows), key=_locate)
        rows = pa.concat_tables(parts) if parts else _NO_ROWS
        tables = (table.combine_chunks() for table in fold_rows(rows))
        yield encode_note(Shard(*(stage_rows(self.objects, self.folder, table) for table in tables)))

    def _select(
        self, rows: OnlineRows, share: int, lost: Mapping[int, Array], contested: Mapping[int, Array]
    ) -> pa.Table:
        """The share's rows of a file, without what lost in its own partition; which of them are contested."""
        mine = rows.skip == 0
        if self.width > 1:
            mine &= read_values(rows.table, r.ROUTE) % np.uint32(self.width) == share
        mine[find_rows(rows.seq, lost.get(rows.partition, _NONE))] = False
        chosen, rival = np.flatnonzero(mine), np.zeros(len(mine), np.bool_)
        rival[find_rows(rows.seq, contested.get(rows.partition, _NONE))] = True
        cell = self.cells.locate(rows.partition, rows.seq)[chosen]
        texts = take_rows(rows, chosen, [KEY, AMOUNT, r.TS_TEXT])
        prints = [np.zeros(len(chosen), np.uint64)] * 4  # of rivals alone
        if rival.any():
            words = np.where(rival[chosen, None], np.concatenate([rows.event[chosen], rows.payload[chosen]], axis=1), 0)
            prints = [np.ascontiguousarray(words[:, at]) for at in range(4)]
        own = [
            np.full(len(chosen), rows.partition, np.int32),
            rows.seq[chosen],
            cell.astype(np.int32),
            rows.arrival[chosen],
        ]
        arrays = [*texts.columns, *own, rival[chosen], *prints]
        return pa.table(arrays, schema=_SELECTED)


_NONE = np.empty(0, np.int64)
_SELECTED = pa.schema(
    [
        (KEY, pa.string()), (AMOUNT, pa.float64()), (r.TS_TEXT, pa.string()),
        *((one.name, one.type) for one in RIVALS if one.name not in ("key", AMOUNT, r.TS_TEXT)),
    ]
)  # fmt: skip
_NO_ROWS = _SELECTED.empty_table()


def _locate(part: pa.Table) -> tuple[int, int]:
    return part.column(r.PARTITION_ORDINAL)[0].as_py(), part.column(r.SEQ)[0].as_py()


def _group_places(table: pa.Table) -> dict[int, Array]:
    """Partition ordinal → order numbers, ascending."""
    if not table.num_rows:
        return {}
    partition, seq = read_values(table, r.PARTITION_ORDINAL), read_values(table, r.SEQ)
    return {int(one): np.sort(seq[partition == one]) for one in np.unique(partition)}


def fold_rows(rows: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
    """(keys, states, rivals) of the applied events of some keys, in (partition, position) order."""
    coded = combine_chunks(rows.column(KEY)).dictionary_encode()
    order = np.asarray(pa.compute.sort_indices(coded.dictionary)).astype(np.int64)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    key = rank[np.asarray(coded.indices).astype(np.int64)]
    partition = read_values(rows, r.PARTITION_ORDINAL).astype(np.int64)
    tangled, several = np.zeros(len(order), np.bool_), np.zeros(len(order), np.bool_)
    tangled[key[read_values(rows, CONTESTED)]] = True
    first = np.full(len(order), -1, np.int64)
    first[key[::-1]] = partition[::-1]
    several[key[partition != first[key]]] = True
    plain = np.flatnonzero(~tangled[key])
    states = _fold_tracks(rows if len(plain) == len(key) else rows.take(pa.array(plain)), key[plain], several)
    rival = pa.array(np.flatnonzero(tangled[key]))
    named = {"key": pa.array(key.astype(np.int32)).take(rival)}
    rivals = [
        named.get(one.name, rows.column(one.name).take(rival) if one.name in rows.column_names else None)
        for one in RIVALS
    ]
    keys = pa.table({"key": coded.dictionary.take(pa.array(order)), SEVERAL: several & ~tangled})
    return keys, states, pa.table(rivals, schema=RIVALS)


def _fold_tracks(rows: pa.Table, key: Array, several: Array) -> pa.Table:
    partition, cell = (read_values(rows, name).astype(np.int64) for name in (r.PARTITION_ORDINAL, "cell"))
    times = combine_chunks(rows.column(r.TS_TEXT))
    tracks = advance_tracks(key, partition, cell, read_values(rows, AMOUNT), read_text_buffers(times), several)
    last = times.take(pa.array(tracks.last))
    numbers = [tracks.key.astype(np.int32), tracks.cell.astype(np.int32), tracks.count, tracks.total]
    return pa.table([*numbers, last, tracks.low.astype(np.int32), tracks.absolute], schema=STATES)
