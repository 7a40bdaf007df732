"""Spooled events as archive segments: envelopes, their hashes, offsets without a hole, and the index of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.intake.declared import Delivered
from ofs_spark.intake.rows import quote_json
from ofs_spark.intake.spool import Spool
from ofs_spark.intake.times import format_times
from ofs_spark.intake.world import MICROS, Run, Shard, describe_segment, describe_stored, make_archive_table

TOPIC = "own.events"
GAP = "not_imported"
MOST_GAPS = 100_000
"""Holes between declared offsets that an index is made to state."""
SEGMENT_ROWS = 100_000
SEGMENT_BYTES = 512 << 20
"""Of payloads, after which a segment ends."""
_TO_ESCAPE = r"[^ !#-\[\]-~]"
_CODED = [
    "platform_run_id",
    "scenario_run_id",
    "manifest_fingerprint",
    "parameter_hash",
    "scenario_id",
    "seed",
    "event_type",
]
"""Columns of few values."""


def write_segments(
    root: Path, run: Run, spool: Spool, announce: Callable[[int], None], rows: int = SEGMENT_ROWS
) -> list[dict[str, Any]]:
    """Writes every event; the entries of the index. announce: is told how many have been written. rows: of a segment, at most.

    WrongArgument where declared offsets leave more holes than an index can state.
    """
    entries: list[dict[str, Any]] = []
    written = 0
    kind = "kafka_offset" if spool.delivered.offset else "file_line"
    for partition, own in spool.list_partitions():
        writer = _Writer(
            root, run, Shard(TOPIC, partition, kind), spool.delivered, rows, MOST_GAPS - _count_gaps(entries)
        )
        for events in spool.gather(own):
            writer.add(events)
            written += events.num_rows
            announce(written)
        entries += writer.finish()
    return entries


def _count_gaps(entries: list[dict[str, Any]]) -> int:
    return sum(len(entry["gaps"]) for entry in entries)


@dataclass
class _Segment:
    """A segment that is being written. span: first and last offset, and the one before it; times: µs, both ends."""

    file: pq.ParquetWriter
    span: tuple[int, int, int | None]
    times: tuple[int, int]
    rows: int = 0
    bytes: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class _Writer:
    """The segments of one partition, one open at a time. gaps_left: how many more the index may state."""

    root: Path
    run: Run
    shard: Shard
    delivered: Delivered
    most: int
    gaps_left: int
    entries: list[dict[str, Any]] = field(default_factory=list)
    _last: int | None = None
    _segment: _Segment | None = None

    def add(self, events: pa.Table) -> None:
        """Writes events at the next offsets, or at those that they state, which ascend."""
        while events.num_rows:
            room = self.most - (self._segment.rows if self._segment else 0)
            part, events = events.slice(0, room), events.slice(room)
            segment = self._write(part.combine_chunks())
            if segment.rows == self.most or segment.bytes >= SEGMENT_BYTES:
                self._close(segment)

    def finish(self) -> list[dict[str, Any]]:
        """Closes the last segment; the entries of all."""
        if self._segment is not None:
            self._close(self._segment)
        return self.entries

    def _write(self, events: pa.Table) -> _Segment:
        before = -1 if self._last is None else self._last
        offsets = np.arange(before + 1, before + 1 + events.num_rows)
        if self.delivered.offset:
            offsets = np.asarray(events.column("offset"))
        envelopes = make_envelopes(self.run, events)
        ts = np.asarray(events.column("ts"))
        columns = {
            "event_id": events.column("event_id"),
            "event_type": events.column("event_type"),
            "ts_utc": events.column("ts").cast(MICROS),
            "payload_hash": pa.array(hash_texts(envelopes)),
            "envelope": envelopes,
            **({"published_at_utc": events.column("arrival").cast(MICROS)} if self.delivered.arrival else {}),
        }
        table = make_archive_table(self.run, self.shard, list(map(str, offsets.tolist())), columns)
        segment = self._segment or self._start(table.schema, int(offsets[0]), int(ts[0]))
        segment.file.write_table(table)
        segment.rows += events.num_rows
        segment.bytes += envelopes.nbytes
        segment.times = (min(segment.times[0], int(ts.min())), max(segment.times[1], int(ts.max())))
        segment.span = (segment.span[0], int(offsets[-1]), segment.span[2])
        self._note_gaps(segment, offsets)
        self._last = int(offsets[-1])
        return segment

    def _note_gaps(self, segment: _Segment, offsets: Array) -> None:
        """Declares what is not taken between these offsets and the ones before them."""
        before = offsets[0] if self._last is None else self._last
        held = np.concatenate([np.array([before]), offsets])
        holes = np.flatnonzero(held[1:] - held[:-1] > 1)
        self.gaps_left -= len(holes)
        if self.gaps_left < 0:
            message = (
                f"the declared offsets leave more than {MOST_GAPS:,} holes; import without --offset to number the rows"
            )
            raise WrongArgument(message)
        segment.gaps += zip((held[holes] + 1).tolist(), (held[holes + 1] - 1).tolist(), strict=True)

    def _start(self, schema: pa.Schema, first: int, ts: int) -> _Segment:
        path = self.root / self._name()
        path.parent.mkdir(parents=True, exist_ok=True)
        coded = [*_CODED, *_ORIGIN]
        file = pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=coded, write_page_checksum=True)
        self._segment = _Segment(file, (first, first, self._last), (ts, ts))
        return self._segment

    def _close(self, segment: _Segment) -> None:
        segment.file.close()
        self._segment = None
        stored = describe_stored(self.root, self._name())
        entry = describe_segment(self.shard, segment.span, segment.rows, segment.times, stored)
        gaps = [{"start": str(start), "end": str(end), "reason": GAP} for start, end in segment.gaps]
        self.entries.append({**entry, "gaps": gaps})

    def _name(self) -> str:
        return self.shard.name_segment(self.run.platform_run_id, len(self.entries))


_ORIGIN = [f"origin_offset.{name}" for name in ("topic", "partition", "offset_kind")]


def make_envelopes(run: Run, events: pa.Table) -> pa.Array:
    """The canonical JSON text of every event's envelope."""
    ids, types = (_quote(events.column(name)) for name in ("event_id", "event_type"))
    return _join(
        '{"event_id":',
        ids,
        ',"event_type":',
        types,
        f",{run.event_head}",
        events.column("payload").combine_chunks(),
        run.event_tail,
        format_times(np.asarray(events.column("ts"))).cast(pa.large_string()),
        '"}',
    )


def _join(*parts: str | pa.Array) -> pa.Array:
    """Texts of one length, end to end; a plain text stands in every row."""
    made = [pa.scalar(one, pa.large_string()) if isinstance(one, str) else one for one in (*parts, "")]
    return pc.binary_join_element_wise(*made)


def _quote(texts: pa.ChunkedArray) -> pa.Array:
    """Texts as JSON strings, in ASCII."""
    plain = texts.combine_chunks()
    if pc.any(pc.match_substring_regex(plain, _TO_ESCAPE)).as_py():
        return pa.array(list(map(quote_json, plain.to_pylist())), pa.large_string())
    return _join('"', plain.cast(pa.large_string()), '"')


def hash_texts(texts: pa.Array) -> list[str]:
    """SHA-256 of every text, as lower-case hex."""
    return [sha256(one).hexdigest() for one in list_bytes(texts)]


def list_bytes(texts: pa.Array) -> Iterator[memoryview]:
    """The UTF-8 bytes of every text of a large_string column without nulls."""
    _, ends, data = texts.buffers()
    offsets = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1].tolist()
    held = memoryview(data if data is not None else b"")
    return (held[begin:end] for begin, end in pairwise(offsets))
