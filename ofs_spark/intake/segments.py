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
from ofs_spark.intake.rows import quote_json
from ofs_spark.intake.spool import Spool
from ofs_spark.intake.times import format_times
from ofs_spark.intake.world import MICROS, Run, Shard, describe_segment, describe_stored, make_archive_table

TOPIC = "own.events"
KIND = "file_line"
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
    """Writes every event; the entries of the index. announce: is told how many have been written. rows: of a segment, at most."""
    entries: list[dict[str, Any]] = []
    for partition, own in spool.list_partitions():
        writer = _Writer(root, run, Shard(TOPIC, partition, KIND), rows)
        for events in spool.gather(own):
            writer.add(events, published=spool.ordered)
            announce(sum(entry["record_count"] for entry in entries) + writer.written)
        entries += writer.finish()
    return entries


@dataclass
class _Writer:
    """The segments of one partition, one open at a time."""

    root: Path
    run: Run
    shard: Shard
    most: int
    written: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)
    _open: pq.ParquetWriter | None = None
    _began: int = 0
    _bytes: int = 0
    _times: tuple[int, int] = (0, 0)

    def add(self, events: pa.Table, *, published: bool) -> None:
        """Writes events at the next offsets."""
        while events.num_rows:
            room = self.most - (self.written - self._began)
            part, events = events.slice(0, room), events.slice(room)
            self._write(part, published)
            if self.written - self._began == self.most or self._bytes >= SEGMENT_BYTES:
                self._close()

    def finish(self) -> list[dict[str, Any]]:
        """Closes the last segment; the entries of all."""
        if self._open is not None:
            self._close()
        return self.entries

    def _write(self, events: pa.Table, published: bool) -> None:
        events = events.combine_chunks()
        offsets = list(map(str, range(self.written, self.written + events.num_rows)))
        envelopes = make_envelopes(self.run, events)
        ts = np.asarray(events.column("ts"))
        columns = {
            "event_id": events.column("event_id"),
            "event_type": events.column("event_type"),
            "ts_utc": events.column("ts").cast(MICROS),
            "payload_hash": pa.array(hash_texts(envelopes)),
            "envelope": envelopes,
            **({"published_at_utc": events.column("arrival").cast(MICROS)} if published else {}),
        }
        table = make_archive_table(self.run, self.shard, offsets, columns)
        if self._open is None:
            self._start(table.schema, ts)
        assert self._open is not None  # noqa: S101  # started above
        self._open.write_table(table)
        self.written += events.num_rows
        self._bytes += envelopes.nbytes
        self._times = (min(self._times[0], int(ts.min())), max(self._times[1], int(ts.max())))

    def _start(self, schema: pa.Schema, ts: Array) -> None:
        path = self.root / self._name()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open = pq.ParquetWriter(
            path, schema, compression="zstd", use_dictionary=[*_CODED, *_ORIGIN], write_page_checksum=True
        )
        self._times = (int(ts[0]), int(ts[0]))

    def _close(self) -> None:
        assert self._open is not None  # noqa: S101  # only an open one is closed
        self._open.close()
        self._open = None
        previous = self._began - 1 if self._began else None
        span = (self._began, self.written - 1, previous)
        stored = describe_stored(self.root, self._name())
        count = self.written - self._began
        self.entries.append(describe_segment(self.shard, span, count, self._times, stored))
        self._began, self._bytes = self.written, 0

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
