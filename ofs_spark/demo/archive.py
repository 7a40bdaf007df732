"""How payments reach the archive: partitions, late arrivals, redeliveries, offsets with gaps, segments and their index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.demo.payments import CHANNELS, COUNTRIES, HOUR_US, Payments
from ofs_spark.foundation.canonical import digest, encode_canonical
from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.columnar.arrays import Array

RUN = "platform_20260210T130700Z"
SCENARIO = "74bd83db1ad3d1fa136e579115d55429"
PINS = {
    "manifest_fingerprint": "c8" * 32,
    "parameter_hash": "56" * 32,
    "seed": 42,
    "scenario_id": "baseline_v1",
    "run_id": SCENARIO,
    "platform_run_id": RUN,
    "scenario_run_id": SCENARIO,
}
TOPICS = ("fp.bus.traffic.baseline.v1", "fp.bus.traffic.fraud.v1")
PARTITIONS = 4
REDELIVERED = 0.02
LATE = 0.03
MICROS = pa.timestamp("us", "UTC")
_ORIGIN = pa.struct(
    [("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.string()), ("offset_kind", pa.string())]
)


class Delivery(NamedTuple):
    """One delivery as a consumer of the bus sees it; delivered: µs."""

    topic: str
    partition: int
    offset: int
    delivered: int
    envelope: str


@dataclass(frozen=True)
class _Deliveries:
    """Everything delivered: the events with ids, envelopes and whether they are token checks; per delivery event and time."""

    made: Payments
    ids: list[str]
    texts: list[str]
    check: Array
    event: Array
    delivered: Array


@dataclass(frozen=True)
class Archived:
    """What was written: event ids by payment, the intents' basis, and how many deliveries were repeated or late.

    place, offset: of every delivery in `sent`, the number of its partition and where it stands there.
    """

    event_ids: list[str]
    basis: list[dict[str, Any]]
    redeliveries: int
    late: int
    token_checks: int
    sent: _Deliveries
    place: Array
    offset: Array

    @property
    def count(self) -> int:
        """How many deliveries there are."""
        return len(self.offset)

    def deliver(self) -> Iterator[Delivery]:
        """Every delivery, in the order in which consumers get them: by time; in a partition by offset."""
        order = np.lexsort((self.offset, self.place, self.sent.delivered))
        columns = (self.place, self.offset, self.sent.delivered, self.sent.event)
        for place, offset, delivered, event in zip(*(column[order].tolist() for column in columns), strict=True):
            named = _name_partition(place)
            yield Delivery(named["topic"], named["partition"], offset, delivered, self.sent.texts[event])


def write_archive(root: Path, made: Payments, rng: np.random.Generator, rows_per_segment: int) -> Archived:
    """Writes every delivery as Parquet segments with their index. Every eighth event is a card_token_check."""
    n = len(made.ts)
    check = rng.random(n) < 0.12
    ids = [hashlib.md5(f"{made.ts[i]}-{i}".encode(), usedforsecurity=False).hexdigest() for i in range(n)]
    late = rng.random(n) < LATE
    arrival = (
        made.ts + rng.integers(200_000, 4_000_000, n) + np.where(late, rng.integers(HOUR_US // 6, 30 * HOUR_US, n), 0)
    )
    again = np.flatnonzero(rng.random(n) < REDELIVERED)
    event = np.concatenate([np.arange(n), again])
    delivered = np.concatenate([arrival, arrival[again] + rng.integers(1_000_000, 2 * HOUR_US, len(again))])
    place = (made.customer[event] * 2_654_435_761 >> 7) % (len(TOPICS) * PARTITIONS)
    sent = _Deliveries(made, ids, _write_envelopes(made, ids, check), check, event, delivered)
    segments: list[dict[str, Any]] = []
    basis: list[dict[str, Any]] = []
    offset = np.zeros(len(event), np.int64)
    for number in range(len(TOPICS) * PARTITIONS):
        own = np.flatnonzero(place == number)
        own = own[np.lexsort((event[own], delivered[own]))]
        if len(own):
            named = _name_partition(number)
            offset[own] = np.arange(len(own)) + np.arange(len(own)) // 4_999
            entries = _write_partition(root, named, sent, own, offset[own], rows_per_segment)
            segments += entries
            ends = {"start_offset": entries[0]["first_offset"], "end_offset": entries[-1]["last_offset"]}
            basis.append(named | ends)
    index = {"schema_version": "archive.segment_index.v0", "platform_run_id": RUN, "segments": segments}
    write_json(root / RUN / "archive" / "segment_index.json", {**index, "digest": digest(index)})
    return Archived(ids, basis, len(again), int(late.sum()), int(check.sum()), sent, place, offset)


def _name_partition(number: int) -> dict[str, Any]:
    return {
        "topic": TOPICS[number // PARTITIONS],
        "partition": number % PARTITIONS,
        "offset_kind": "kafka_offset",
    }


def _write_envelopes(made: Payments, ids: list[str], check: Array) -> list[str]:
    """Canonical envelope texts: keys sorted, compact, ASCII. Every value is known to need no escape."""
    head = f'"manifest_fingerprint":"{PINS["manifest_fingerprint"]}","parameter_hash":"{PINS["parameter_hash"]}","payload":'
    tail = (
        f',"platform_run_id":"{RUN}","run_id":"{SCENARIO}","scenario_id":"baseline_v1","scenario_run_id":"{SCENARIO}",'
        '"schema_version":"v1","seed":42,"ts_utc":"'
    )
    stamps = format_instants(made.ts)
    columns = (
        made.cents.tolist(),
        made.channel.tolist(),
        made.country.tolist(),
        made.customer.tolist(),
        made.merchant.tolist(),
        made.declined.tolist(),
        made.terminal.tolist(),
        check.tolist(),
        ids,
        stamps,
    )
    return [
        f'{{"event_id":"{i}","event_type":"{"card_token_check" if k else "card_payment"}",{head}'
        f'{{"amount":{_format_euros(a)},"card_id":"card-{c:06d}","channel":"{CHANNELS[h]}","country":"{COUNTRIES[o]}","currency":"EUR",'
        f'"customer_id":"cust-{c:06d}","flow_id":"flow-{c:06d}","merchant_id":"merch-{m:04d}",'
        f'"result":"{"declined" if d else "approved"}","terminal_id":"term-{t:05d}"}}{tail}{s}"}}'
        for a, h, o, c, m, d, t, k, i, s in zip(*columns, strict=True)
    ]


def _format_euros(cents: int) -> str:
    """Cents as the JSON number a platform's float has: 12.5, never 12.50."""
    return repr(cents / 100)


def format_instants(micros: Array) -> list[str]:
    """µs as RFC 3339 text with six digits."""
    return [str(text) + "Z" for text in np.datetime_as_string(micros.astype("datetime64[us]"))]


def _write_partition(
    root: Path, named: dict[str, Any], sent: _Deliveries, own: Array, offset: Array, rows_per_segment: int
) -> list[dict[str, Any]]:
    """The partition's segments; every 5,000th offset is a transaction marker, a declared gap. offset: of the `own` rows."""
    folder = f"{RUN}/archive/segments/topic={named['topic']}/partition={named['partition']}"
    entries: list[dict[str, Any]] = []
    previous: int | None = None
    for begin in range(0, len(own), rows_per_segment):
        rows, held = own[begin : begin + rows_per_segment], offset[begin : begin + rows_per_segment]
        stored = write_parquet(root, f"{folder}/{len(entries):04d}.parquet", _make_table(named, sent, rows, held))
        after = 0 if previous is None else previous + 1
        markers = sorted(set(range(after, int(held[-1]) + 1)) - set(held.tolist()))
        ts = sent.made.ts[sent.event[rows]]
        entry = {
            "first_offset": str(held[0]),
            "last_offset": str(held[-1]),
            "record_count": len(held),
            "previous_last_offset": None if previous is None else str(previous),
            "gaps": [{"start": str(o), "end": str(o), "reason": "transaction_marker"} for o in markers],
            "min_ts_utc": format_instant(int(ts.min())),
            "max_ts_utc": format_instant(int(ts.max())),
        }
        entries.append({**named, **entry, **stored})
        previous = int(held[-1])
    return entries


def _make_table(named: dict[str, Any], sent: _Deliveries, rows: Array, offset: Array) -> pa.Table:
    made, ids, check, event, delivered = sent.made, sent.ids, sent.check, sent.event[rows], sent.delivered[rows]
    n, which = len(event), event.tolist()
    envelopes = [sent.texts[i] for i in which]
    origin = pa.StructArray.from_arrays(
        [
            pa.repeat(named["topic"], n),
            pa.repeat(pa.scalar(named["partition"], pa.int32()), n),
            pa.array([str(o) for o in offset.tolist()]),
            pa.repeat(named["offset_kind"], n),
        ],
        fields=list(_ORIGIN),
    )
    columns = {
        "archived_at_utc": pa.array(delivered + 60_000_000).cast(MICROS),
        "platform_run_id": pa.repeat(RUN, n),
        "scenario_run_id": pa.repeat(SCENARIO, n),
        "manifest_fingerprint": pa.repeat(str(PINS["manifest_fingerprint"]), n),
        "parameter_hash": pa.repeat(str(PINS["parameter_hash"]), n),
        "scenario_id": pa.repeat("baseline_v1", n),
        "seed": pa.repeat("42", n),
        "event_id": pa.array([ids[i] for i in which]),
        "event_type": pa.array(np.where(check[event], "card_token_check", "card_payment")),
        "ts_utc": pa.array(made.ts[event]).cast(MICROS),
        "payload_hash": pa.array([hashlib.sha256(text.encode()).hexdigest() for text in envelopes]),
        "origin_offset": origin,
        "envelope": pa.array(envelopes),
        "published_at_utc": pa.array(delivered).cast(MICROS),
    }
    return pa.table(columns)


def write_parquet(root: Path, ref: str, table: pa.Table) -> dict[str, Any]:
    """Writes a file of the world; its path, bytes and sha256, as an index or an extract states them."""
    path = root / ref
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)
    body = path.read_bytes()
    return {"path": ref, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def write_json(path: Path, document: dict[str, Any]) -> Path:
    """Writes a document as canonical JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_canonical(document, max_depth=64))
    return path
