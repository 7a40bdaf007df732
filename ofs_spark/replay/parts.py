"""Staged rows in parts: a scan lays its rows out by event id, so that whoever settles events reads its own and no others.

The files take the place of an exchange: no event row travels between the scan and the step by event id. How many shares a
file has changes nothing but speed: a target of another width reads more than one part, or one part and leaves out what is
not its own. Shares and widths are powers of two, so that one divides the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.hashing import route_texts
from ofs_spark.foundation.columnar.ids import is_packed, pack_ids, unpack_ids
from ofs_spark.foundation.ports import ObjectMissing, Objects
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.replay import rows as r
from ofs_spark.replay.staged import StagedFile, put_staged, raise_arrival, read_staged, refuse_lost

MOST_SHARES = 256
"""Of one file. A step with more targets than that has several of them read one part."""
READERS = 8
"""Parts that one worker asks a store for at once: over a network the time is that of answers, not of bytes."""


@dataclass(frozen=True)
class Part:
    """The rows of one share of the event ids, an Arrow stream of its own; a file's parts stand one after another."""

    share: int
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ScannedFile(StagedFile):
    """A file of typed rows in parts, by ascending share; a share without rows has none.

    shares: a power of two. is_packed: whether its event ids are 16 bytes each, and no texts (`columnar/ids.py`).
    """

    shares: int
    parts: tuple[Part, ...]
    is_packed: bool

    def to_document(self) -> dict[str, Any]:
        """JSON-ready, by the names of the fields. A scan has thousands of parts: `asdict` would look into each value."""
        return {**vars(self), "parts": self.describe_parts()}

    def describe_parts(self) -> list[dict[str, Any]]:
        """The parts, JSON-ready."""
        return [dict(vars(part)) for part in self.parts]


@dataclass(frozen=True)
class Staged(ScannedFile):
    """A file of a scan and the running arrival that its partition brings along."""

    arrival_before: int

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Staged:
        """The file that `to_document` described."""
        return cls(**{**document, "parts": tuple(Part(**one) for one in document["parts"])})


def stage_parts(objects: Objects, folder: OwnedRef, rows: pa.Table, shares: int) -> ScannedFile:
    """Writes the typed rows of a scan as a file of the folder, one part per share of the event ids: packed where that can be."""
    packed = _pack_rows(rows)
    cut = list(_cut_rows(packed, rows.column(r.EVENT_ID), shares)) if shares > 1 else [(0, packed)]
    body, ends = _encode_parts([table for _, table in cut])
    view = memoryview(body)
    parts = tuple(
        Part(share, table.num_rows, end - start, hashlib.sha256(view[start:end]).hexdigest())
        for (share, table), start, end in zip(cut, [0, *ends], ends, strict=False)
    )
    ref, sha256 = put_staged(objects, folder, body)
    return ScannedFile(ref, sha256, rows.num_rows, len(body), shares, parts, packed is not rows)


def _pack_rows(rows: pa.Table) -> pa.Table:
    """The rows with packed event ids; as they are where those cannot be, or none are there, as by the online plane's law."""
    at = rows.schema.get_field_index(r.EVENT_ID)
    ids = None if at < 0 else pack_ids(rows.column(at))
    return rows if ids is None or not is_packed(ids) else rows.set_column(at, r.EVENT_ID, ids)


def _cut_rows(rows: pa.Table, ids: pa.ChunkedArray, shares: int) -> Iterator[tuple[int, pa.Table]]:
    """(share, its rows): positions ascending inside a share. ids: as texts."""
    share = route_texts(ids, shares).astype(np.uint16)
    order = np.argsort(share, kind="stable")
    placed, bounds = rows.take(pa.array(order)), np.searchsorted(share[order], np.arange(shares + 1))
    for number in np.flatnonzero(np.diff(bounds)):
        yield int(number), placed.slice(bounds[number], bounds[number + 1] - bounds[number])


def _encode_parts(tables: Sequence[pa.Table]) -> tuple[bytes, list[int]]:
    """The streams of the tables, one after another, and where each ends."""
    sink, ends = pa.BufferOutputStream(), list[int]()
    for table in tables:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        ends.append(sink.tell())
    return bytes(sink.getvalue()), ends


def read_rows(objects: Objects, file: Staged, proven: bool = False) -> pa.Table:
    """The typed rows of a file of one share, positions ascending; errors and `proven` as of `read_staged`."""
    return raise_arrival(read_staged(objects, file, proven), file.arrival_before)


PIECES = pa.schema(
    {
        "ref": pa.string(),
        "start": pa.int64(),
        "bytes": pa.int64(),
        "sha256": pa.string(),
        "arrival_before": pa.int64(),
        "is_own": pa.bool_(),
        "unpacks": pa.bool_(),
    }
)
"""What a target of the step by event id reads: bytes of a file, whether every row of them is its own, and whether it reads event
ids as texts."""


def address_parts(files: Sequence[Staged], width: int, unpacks: bool) -> Iterator[tuple[int, pa.Table]]:
    """(target, its `PIECES`) of every target of `width` that some part has rows for.

    width: a power of two. unpacks: event ids are of one type in all rows of a job, texts where some file of its basis has them
    so, among these files or others.
    """
    found: dict[int, list[tuple[Any, ...]]] = {}
    for file in files:
        starts, is_own = accumulate((part.bytes for part in file.parts), initial=0), file.shares >= width
        for part, start in zip(file.parts, starts, strict=False):
            piece = file.ref, start, part.bytes, part.sha256, file.arrival_before, is_own, unpacks
            for target in range(part.share % width, width, file.shares):
                found.setdefault(target, []).append(piece)
    for target, pieces in sorted(found.items()):
        columns = [
            pa.array(column, field.type) for column, field in zip(zip(*pieces, strict=True), PIECES, strict=True)
        ]
        yield target, pa.Table.from_arrays(columns, schema=PIECES)


def read_pieces(objects: Objects, pieces: pa.Table, target: int, width: int) -> pa.Table:
    """The typed rows of one target, in no particular order, each with the running arrival of its whole partition.

    LOST_ROWS for other bytes than were written, or none; errors of the store.
    """
    with ThreadPoolExecutor(min(READERS, max(1, pieces.num_rows))) as readers:
        found = readers.map(lambda piece: _read_piece(objects, piece), pieces.to_pylist())
        tables = [table if is_own else _select_own(table, target, width) for table, is_own in found]
    return pa.concat_tables(tables).combine_chunks()


def _read_piece(objects: Objects, piece: dict[str, Any]) -> tuple[pa.Table, bool]:
    try:
        body = objects.read_range(piece["ref"], piece["start"], piece["bytes"])
    except ObjectMissing:
        body = b""
    if hashlib.sha256(body).hexdigest() != piece["sha256"]:
        raise refuse_lost(piece["ref"])
    table = raise_arrival(pa.ipc.open_stream(body).read_all(), piece["arrival_before"])
    if piece["unpacks"]:
        table = table.set_column(
            table.schema.get_field_index(r.EVENT_ID), r.EVENT_ID, unpack_ids(table.column(r.EVENT_ID))
        )
    return table, piece["is_own"]


def _select_own(table: pa.Table, target: int, width: int) -> pa.Table:
    own: Array = route_texts(unpack_ids(table.column(r.EVENT_ID)), width) == target
    return table.filter(pa.array(own))
