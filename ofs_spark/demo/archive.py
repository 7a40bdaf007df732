"""How payments reach the archive: partitions, late arrivals, redeliveries, offsets with gaps, segments and their index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ofs_spark.demo.payments import CHANNELS, COUNTRIES, HOUR_US, Payments
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.intake.world import (
    MICROS,
    Run,
    Shard,
    describe_segment,
    list_basis,
    make_archive_table,
    write_index,
    write_parquet,
)

MADE = Run(
    platform_run_id="platform_20260210T130700Z",
    scenario_run_id="74bd83db1ad3d1fa136e579115d55429",
    scenario_id="baseline_v1",
    seed=42,
    manifest_fingerprint="c8" * 32,
    parameter_hash="56" * 32,
)
RUN = MADE.platform_run_id
TOPICS = ("fp.bus.traffic.baseline.v1", "fp.bus.traffic.fraud.v1")
PARTITIONS = 4
REDELIVERED = 0.02
LATE = 0.03
READ_AT_ONCE = 50_000
"""Deliveries whose texts are held while they are handed out."""


class Delivery(NamedTuple):
    """One delivery as a consumer of the bus sees it; delivered: µs."""

    topic: str
    partition: int
    offset: int
    delivered: int
    envelope: str


@dataclass(frozen=True)
class _Deliveries:
    """Everything delivered: the payments and whether they are token checks; per delivery event and time.

    Ids and envelopes are composed for those that are asked for: texts of all of a large world fit no memory.
    """

    made: Payments
    check: Array
    event: Array
    delivered: Array

    def write_envelopes(self, events: Array) -> list[str]:
        """Canonical texts of some events: keys sorted, compact, ASCII. Every value is known to need no escape."""
        made, head, tail = self.made, MADE.event_head, MADE.event_tail
        numbers = (made.cents, made.channel, made.country, made.customer, made.merchant, made.declined, made.terminal)
        columns = [column[events].tolist() for column in (*numbers, self.check)]
        return [
            f'{{"event_id":"{i}","event_type":"{"card_token_check" if k else "card_payment"}",{head}'
            f'{{"amount":{_format_euros(a)},"card_id":"card-{c:06d}","channel":"{CHANNELS[h]}","country":"{COUNTRIES[o]}","currency":"EUR",'
            f'"customer_id":"cust-{c:06d}","flow_id":"flow-{c:06d}","merchant_id":"merch-{m:04d}",'
            f'"result":"{"declined" if d else "approved"}","terminal_id":"term-{t:05d}"}}{tail}{s}"}}'
            for a, h, o, c, m, d, t, k, i, s in zip(
                *columns, name_events(made, events), format_instants(made.ts[events]), strict=True
            )
        ]


@dataclass(frozen=True)
class Archived:
    """What was written: the intents' basis, and how many deliveries were repeated or late.

    place, offset: of every delivery in `sent`, the number of its partition and where it stands there.
    """

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
        for begin in range(0, len(order), READ_AT_ONCE):
            rows = order[begin : begin + READ_AT_ONCE]
            envelopes = self.sent.write_envelopes(self.sent.event[rows])
            columns = (column[rows].tolist() for column in (self.place, self.offset, self.sent.delivered))
            for place, offset, delivered, envelope in zip(*columns, envelopes, strict=True):
                shard = _find_shard(place)
                yield Delivery(shard.topic, shard.partition, offset, delivered, envelope)


def write_archive(root: Path, made: Payments, rng: np.random.Generator, rows_per_segment: int) -> Archived:
    """Writes every delivery as Parquet segments with their index. Every eighth event is a card_token_check."""
    n = len(made.ts)
    check = rng.random(n) < 0.12
    late = rng.random(n) < LATE
    arrival = (
        made.ts + rng.integers(200_000, 4_000_000, n) + np.where(late, rng.integers(HOUR_US // 6, 30 * HOUR_US, n), 0)
    )
    again = np.flatnonzero(rng.random(n) < REDELIVERED)
    event = np.concatenate([np.arange(n), again])
    delivered = np.concatenate([arrival, arrival[again] + rng.integers(1_000_000, 2 * HOUR_US, len(again))])
    place = (made.customer[event] * 2_654_435_761 >> 7) % (len(TOPICS) * PARTITIONS)
    sent = _Deliveries(made, check, event, delivered)
    segments: list[dict[str, Any]] = []
    offset = np.zeros(len(event), np.int64)
    for number in range(len(TOPICS) * PARTITIONS):
        own = np.flatnonzero(place == number)
        own = own[np.lexsort((event[own], delivered[own]))]
        if len(own):
            offset[own] = np.arange(len(own)) + np.arange(len(own)) // 4_999
            segments += _write_partition(root, _find_shard(number), sent, own, offset[own], rows_per_segment)
    write_index(root, MADE, segments)
    return Archived(list_basis(segments), len(again), int(late.sum()), int(check.sum()), sent, place, offset)


def _find_shard(number: int) -> Shard:
    return Shard(TOPICS[number // PARTITIONS], number % PARTITIONS, "kafka_offset")


def name_events(made: Payments, events: Array) -> list[str]:
    """The ids of some payments."""
    places = zip(made.ts[events].tolist(), events.tolist(), strict=True)
    return [hashlib.md5(f"{ts}-{i}".encode(), usedforsecurity=False).hexdigest() for ts, i in places]


def _format_euros(cents: int) -> str:
    """Cents as the JSON number a platform's float has: 12.5, never 12.50."""
    return repr(cents / 100)


def format_instants(micros: Array) -> list[str]:
    """µs as RFC 3339 text with six digits."""
    return [str(text) + "Z" for text in np.datetime_as_string(micros.astype("datetime64[us]"))]


def _write_partition(
    root: Path, shard: Shard, sent: _Deliveries, own: Array, offset: Array, rows_per_segment: int
) -> list[dict[str, Any]]:
    """The partition's segments; every 5,000th offset is a transaction marker, a declared gap. offset: of the `own` rows."""
    entries: list[dict[str, Any]] = []
    previous: int | None = None
    for begin in range(0, len(own), rows_per_segment):
        rows, held = own[begin : begin + rows_per_segment], offset[begin : begin + rows_per_segment]
        table = make_archive_table(MADE, shard, list(map(str, held.tolist())), _find_events(sent, rows))
        stored = write_parquet(root, shard.name_segment(RUN, len(entries)), table)
        span = (int(held[0]), int(held[-1]), previous)
        markers = sorted(set(range(0 if previous is None else previous + 1, span[1] + 1)) - set(held.tolist()))
        ts = sent.made.ts[sent.event[rows]]
        entry = describe_segment(shard, span, len(held), (int(ts.min()), int(ts.max())), stored)
        gaps = [{"start": str(o), "end": str(o), "reason": "transaction_marker"} for o in markers]
        entries.append({**entry, "gaps": gaps})
        previous = span[1]
    return entries


def _find_events(sent: _Deliveries, rows: Array) -> dict[str, pa.Array]:
    """What is archived of some deliveries, by column."""
    event, delivered = sent.event[rows], sent.delivered[rows]
    envelopes = sent.write_envelopes(event)
    return {
        "archived_at_utc": pa.array(delivered + 60_000_000).cast(MICROS),
        "event_id": pa.array(name_events(sent.made, event)),
        "event_type": pa.array(np.where(sent.check[event], "card_token_check", "card_payment")),
        "ts_utc": pa.array(sent.made.ts[event]).cast(MICROS),
        "payload_hash": pa.array([hashlib.sha256(text.encode()).hexdigest() for text in envelopes]),
        "envelope": pa.array(envelopes),
        "published_at_utc": pa.array(delivered).cast(MICROS),
    }
