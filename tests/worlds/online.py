"""Worlds that an online plane reads: several topics, partitions and offset kinds, and everything its law has to judge."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.oracle.online_plane import Record
from tests.worlds.model import HASHED, PINS, RUN, Row, Segment, World, intent, profile, slice_

TOPICS = (
    "fp.bus.traffic.fraud.v1",
    "fp.bus.traffic.baseline.v1",
    "fp.bus.context.arrival_events.v1",
    "fp.bus.context.flow_anchor.fraud.v1",
    "elsewhere.v1",
)
TYPES = ("s3_event_stream_with_fraud_6B", "card_payment", "arrival_events_5B", "flow_anchor_baseline")
FLOWS = (
    "flow-1",
    "flow-2",
    "flow-3",
    'q"\\t',
    "flöw-é",
    "𝛼-flow",
    "",
    None,
    7,
    1.5,
    True,
    {"a": 1},
    "flow-4",
    "flow-5",
)
AMOUNTS: tuple[Any, ...] = (
    *(1, 2.5, 0.25, 10.1, 401.33, "12.5", " 7 ", "x", True, False, None, 0, -3.75, 0.1, 1e300, 5e-324, "1e3", [1], 2**70),
)  # fmt: skip
EXACT: tuple[Any, ...] = (1, 2.5, 0.25, True, "4.5", 0, -8, None)
ROUND: tuple[Any, ...] = (0, 0.0, None, "x")
FIRST = {"kafka_offset": 0, "file_line": 0, "kinesis_sequence": 10**30}


@dataclass(frozen=True)
class Partition:
    """A partition of a world, with its rows in offset order; `again` holds rows that the archive stores once more."""

    topic: str
    partition: int
    offset_kind: str
    rows: tuple[Row, ...]
    again: tuple[Row, ...]

    def records(self) -> list[Record]:
        """What an online plane receives of it."""
        found, running = [], None
        for row in self.rows:
            at = None if row.published_at_utc is None else _micros(row.published_at_utc)
            running = at if running is None else max(running, at or running)
            found.append(Record(self.topic, self.partition, row.offset, row.envelope or "", running))
        return found


def _micros(text: str) -> int:
    seconds = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
    return seconds * 1_000_000 + int(text[20:26]) + 1


def draw_partitions(rng: Random, events: int) -> list[Partition]:
    """Deliveries over 1 to 4 partitions, with arrivals in two worlds of three."""
    places = sorted({(rng.choice(TOPICS), rng.randrange(3)) for _ in range(rng.choice((1, 2, 4, 4)))})
    kinds = {topic: rng.choice(sorted(FIRST)) for topic, _ in places}
    has_arrivals, known = rng.random() < 0.67, list[dict[str, Any]]()
    amounts = rng.choice((AMOUNTS, AMOUNTS, EXACT, EXACT, ROUND))
    rows: dict[tuple[str, int], list[Row]] = {place: [] for place in places}
    offsets = {place: FIRST[kinds[place[0]]] + rng.randrange(5) for place in places}
    homes = {json.dumps(flow): rng.choice(places) for flow in FLOWS}
    astray = rng.choice((0.05, 0.3, 1.0))
    for number in range(events):
        content = _draw_event(rng, number, known, amounts)
        home = homes[json.dumps(content["payload"].get("flow_id"))]
        place = rng.choice(places) if rng.random() < astray else home
        offset = offsets[place]
        step = rng.randrange(1, 10**6) if kinds[place[0]] == "kinesis_sequence" else 1
        offsets[place] = offset + step
        arrival = f"2026-02-10T{rng.randrange(24):02d}:{rng.randrange(60):02d}:00.{rng.randrange(3):06d}Z"
        rows[place].append(_archive(rng, content, offset, arrival if has_arrivals else None))
    return [
        Partition(*place, kinds[place[0]], tuple(own), tuple(row for row in own if rng.random() < 0.05))
        for place, own in rows.items()
        if own
    ]


def _draw_event(rng: Random, number: int, known: list[dict[str, Any]], amounts: Sequence[Any]) -> dict[str, Any]:
    if known and rng.random() < 0.25:  # delivered again, maybe with another content
        content: dict[str, Any] = json.loads(json.dumps(rng.choice(known)))
        if rng.random() < 0.3:
            content["payload"]["amount"] = rng.choice(amounts)
        if rng.random() < 0.1:
            content["payload"]["flow_id"] = rng.choice(FLOWS)
        if rng.random() < 0.1:
            content["schema_version"] = rng.choice(["v2", None, {"major": 1}])
        return content
    second, micros = rng.randrange(60), rng.choice(["", ".5", ".123456", ".000001"])
    payload = {"flow_id": rng.choice(FLOWS), "amount": rng.choice(amounts), "note": rng.choice(["é", "", "\n", 0.1])}
    payload = {name: value for name, value in payload.items() if rng.random() < 0.9}
    content = {
        "event_id": f"e{number:04d}", "event_type": rng.choice(TYPES), "schema_version": "v1",
        "ts_utc": f"2026-02-10T00:{rng.randrange(60):02d}:{second:02d}{micros}Z", **PINS, "payload": payload,
    }  # fmt: skip
    odd = rng.random()
    if odd < 0.05:
        content["event_type"] = rng.choice(["decision_response", "action_intent", "action_outcome"])
    elif odd < 0.1:
        content[rng.choice(["seed", "scenario_id", "parameter_hash"])] = rng.choice(["", None])
    elif odd < 0.13:
        content["platform_run_id"] = "platform_20260101T000000Z"
    elif odd < 0.2:
        content["event_class"] = rng.choice(["traffic_fraud", "context_arrival", "nobody_knows", "", 0, {}, [1]])
    known.append(content)
    return content


def _archive(rng: Random, content: Mapping[str, Any], offset: int, arrival: str | None) -> Row:
    """A row as an archive's writer stores the record; now and then one that nobody can read."""
    spelled = rng.random()
    text = json.dumps(content, sort_keys=spelled > 0.05, separators=(",", ":"), ensure_ascii=spelled > 0.1)
    if rng.random() < 0.04:
        text = rng.choice(["{", "[]", text[:-1], text.replace('"payload":', '"payload":null,"body":')])
    return Row(
        offset,
        content["event_id"],
        content["ts_utc"],
        text,
        content["event_type"],
        arrival,
        HASHED if rng.random() < 0.97 else "0" * 64,
        RUN,
    )


def make_world(partitions: Sequence[Partition], rng: Random) -> World:
    """The world of an archive; its segments are cut at random, and copies of a position stand in one of them."""
    segments = []
    for one in partitions:
        begin = 0
        while begin < len(one.rows):
            end = begin + rng.randint(1, 40)
            rows = one.rows[begin:end]
            kept = {row.offset for row in rows}
            again = [
                replace(row, archived_at_utc="2026-02-21T00:00:00.000000Z") for row in one.again if row.offset in kept
            ]
            hashed = tuple(row for row in again if row.payload_hash == HASHED)
            segments.append(Segment(one.topic, one.partition, rows + hashed, one.offset_kind))
            begin = end
    return World(tuple(segments), intent(slice_(0, 1)), profile())
