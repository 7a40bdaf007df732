"""An online world with more records than an explanation holds, and snapshots of a plane with one fault for all keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.oracle.faulty_plane import Delivery, Plane
from tests.worlds.model import PINS, RUN, TOPIC, Row, Segment, World, canon, digest, intent, slice_
from tests.worlds.snapshots import GOLDEN, SNAPSHOTS, Document, OnlineWorld, seal
from tests.worlds.writer import write_world

PARTITIONS = (0, 1)
BEYOND = 300
"""Deliveries of each partition that lie beyond the basis."""


@dataclass(frozen=True)
class LargeWorld:
    """The world, and what was delivered. Every key's events are in one partition, so that each has one order."""

    world: OnlineWorld
    deliveries: tuple[Delivery, ...]
    ends: Mapping[tuple[str, int], int]

    def snapshot(self, moved: Mapping[int, int] | None = None, **faults: Any) -> Document:
        """What a plane says at the basis' end. moved: by how much its ends are others than those it states."""
        ends = {place: end + (moved or {}).get(place[1], 0) for place, end in self.ends.items()}
        features = Plane(RUN, ends, **faults).run_over(self.deliveries)
        offsets = [
            {"topic": topic, "partition": partition, "offset": str(end)}
            for (topic, partition), end in self.ends.items()
        ]
        basis: Document = {"stream": TOPIC, "offset_kind": "kafka_offset", "offsets": offsets}
        return seal({**SNAPSHOTS[1], "eb_offset_basis": {**basis, "basis_digest": digest(basis)}, "features": features})

    def explain(self, request: str, snapshot: Document) -> Document:
        """The command's one result."""
        basis = [slice_(0, end, partition=partition) for (_, partition), end in self.ends.items()]
        ref = self.world.put_anchor(request, snapshot)
        answer = self.world.compare(self.world.ask("parity_rebuild", request, ref, replay_basis=basis))
        (result,) = answer["results"]
        return dict(result)


def write_large_world(folder: Path, records: int, flows: int = 4_000, seed: int = 1) -> LargeWorld:
    """So many records over two partitions, one in fifty delivered again, some of these with another amount."""
    deliveries = list(_deliver(Random(seed), records, flows))
    heads = {(TOPIC, partition): 0 for partition in PARTITIONS}
    placed = []
    for number, one in enumerate(deliveries):
        offset = heads[one.topic, one.partition]
        heads[one.topic, one.partition] += 1
        placed.append(replace(one, offset=offset, arrival=number))
    world = World(
        tuple(_list_segments(placed)), _describe_intent(), yaml.safe_load((GOLDEN / "profile.yaml").read_text())
    )
    write_world(world, folder)
    ends = {place: head - 1 - BEYOND for place, head in heads.items()}
    return LargeWorld(OnlineWorld(folder), tuple(placed), ends)


def _describe_intent() -> Document:
    named = {"feature_set_id": "core_features", "feature_set_version": "v1"}
    return {**intent(slice_(0, 1)), "feature_definition_set": named}


def _deliver(rng: Random, records: int, flows: int) -> Any:
    recent: dict[int, list[Delivery]] = {partition: [] for partition in PARTITIONS}
    for number in range(records):
        partition = rng.choice(PARTITIONS)
        if recent[partition] and rng.random() < 0.02:
            yield _copy(rng, rng.choice(recent[partition][-200:]))
            continue
        ts = f"2026-02-10T{rng.randrange(24):02}:{rng.randrange(60):02}:{number % 60:02}Z"
        payload = {
            "flow_id": f"flow-{partition}-{rng.randrange(flows)}",
            "account": f"acc-{partition}-{rng.randrange(flows)}",
            "amount": round(rng.uniform(1, 9_000), 2),
            "fee": round(rng.uniform(0.01, 9), 3),
        }
        head = {"event_id": f"e{number:07d}", "event_type": "card_payment", "schema_version": "v1", "ts_utc": ts}
        envelope = {**head, **PINS, "payload": payload}
        one = Delivery(TOPIC, partition, 0, 0, f"e{number:07d}", "card_payment", ts, envelope)
        recent[partition] = [*recent[partition][-200:], one]
        yield one


def _copy(rng: Random, one: Delivery) -> Delivery:
    if rng.random() < 0.7 or one.envelope is None:
        return one
    payload = {**one.envelope["payload"], "amount": round(rng.uniform(1, 900), 2)}
    return replace(one, envelope={**one.envelope, "payload": payload})


def _list_segments(deliveries: list[Delivery]) -> Any:
    for partition in PARTITIONS:
        rows = [
            Row(one.offset, one.event_id, one.ts, canon(one.envelope).decode())
            for one in deliveries
            if one.partition == partition
        ]
        for begin in range(0, len(rows), 20_000):
            yield Segment(TOPIC, partition, tuple(rows[begin : begin + 20_000]))
