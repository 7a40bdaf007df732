"""Generated deliveries for the plane with faults, and an explanation of what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from ofs_spark.parity.case import Bounds
from ofs_spark.parity.causes import Explanation
from ofs_spark.parity.differences import find_differences
from ofs_spark.parity.events import OnlineEvent, Place
from ofs_spark.parity.explain import Archive, Law, Stated, explain
from ofs_spark.pins.profile.model import OnlineCoreRules
from tests.oracle.core import PINS
from tests.oracle.faulty_plane import Delivery, Features, Plane

TOPICS = ("fp.bus.traffic.fraud.v1", "fp.bus.context.arrival_events.v1")
RUN = "platform_1"
AROUND = 12


@dataclass(frozen=True)
class World:
    """Deliveries, the ends of the basis, and the kind of its offsets."""

    deliveries: tuple[Delivery, ...]
    ends: dict[Place, int]
    offset_kind: str
    timed: bool

    def plane(self, **faults: Any) -> Plane:
        return Plane(**{"run": RUN, "ends": self.ends, **faults})

    def events(self) -> list[OnlineEvent]:
        return [
            OnlineEvent(
                d.topic, d.partition, self.offset_kind, str(d.offset), d.offset, d.arrival if self.timed else None,
                d.event_id, d.event_type, d.ts, d.envelope,
            )
            for d in self.deliveries
        ]  # fmt: skip


def envelope(rng: Random, flow: str | None, number: int, alike: bool) -> dict[str, Any]:
    amounts = (0.1, 5.0, None) if alike else (round(rng.uniform(1, 9_000), 4), rng.uniform(0, 1e6))
    payload: dict[str, Any] = {"amount": rng.choice(amounts)}
    if rng.random() < 0.8:
        payload["fee"] = round(rng.uniform(0.01, 9), 3)
    if flow is not None:
        payload["flow_id"] = flow
    if rng.random() < 0.5:
        payload["event_id"] = f"inner-{number % 40}"
    return {**dict.fromkeys(PINS, "p"), "platform_run_id": RUN, "schema_version": "v1", "payload": payload}


def make_world(rng: Random, places: int | None = None, events: int | None = None, alike: bool = False) -> World:
    """1 to 4 partitions, few hot keys; duplicates, conflicts, skips; the ends before the last records of each partition.

    alike: amounts are few, so that one change often gives what another does.
    """
    homes = [(TOPICS[index % 2], index // 2) for index in range(places or rng.randint(1, 4))]
    step = rng.choice((1, 1, 10**20))
    heads = dict.fromkeys(homes, 0)
    made: list[Delivery] = []
    flows = rng.randint(3, 9)
    for number in range(events or rng.randint(30, 90)):
        home, flow = rng.choice(homes), rng.choice([None, *(f"flow-{index}" for index in range(flows))])
        ts = f"2026-02-10T{rng.randint(0, 23):02}:{number % 60:02}:00Z"
        one = Delivery(*home, 0, 0, f"id-{number}", "event_stream_fraud", ts, envelope(rng, flow, number, alike))
        one = spoil(rng, one)
        made += again(rng, made, homes, one)
    placed = [replace(d, offset=place(heads, d, step, rng), arrival=1_000 * at) for at, d in enumerate(made)]
    placed += [replace(d, copy=1) for d in placed if rng.random() < 0.05]
    placed.sort(key=lambda d: (d.arrival, d.copy))
    ends = {home: cut(rng, [d.offset for d in placed if (d.topic, d.partition) == home]) for home in homes}
    return World(tuple(placed), ends, "kafka_offset" if step == 1 else "kinesis_sequence", True)


def cut(rng: Random, offsets: Sequence[int]) -> int:
    return sorted(offsets)[int(len(offsets) * rng.uniform(0.5, 0.9))] if offsets else -1


def place(heads: dict[Place, int], one: Delivery, step: int, rng: Random) -> int:
    heads[one.topic, one.partition] += 1 if step == 1 else rng.randint(1, step)
    return heads[one.topic, one.partition] - 1


def spoil(rng: Random, one: Delivery) -> Delivery:
    """The delivery as the law skips it, sometimes."""
    dice, content = rng.random(), dict(one.envelope or {})
    if dice < 0.05:
        return replace(one, event_type="action_intent")
    if dice < 0.10:
        return replace(one, envelope={**content, "platform_run_id": "platform_2"})
    if dice < 0.15:
        return replace(one, envelope={**content, "scenario_id": ""})
    return replace(one, envelope=None) if dice < 0.17 else one


def again(rng: Random, made: list[Delivery], homes: Sequence[Place], one: Delivery) -> list[Delivery]:
    """The delivery; sometimes after it a copy of an earlier event, with its payload or another."""
    if not made or rng.random() > 0.2:
        return [one]
    copy = rng.choice(made[-25:])
    topic, partition = rng.choice(homes)
    if copy.envelope is None or topic != copy.topic:
        return [one]  # the class is the topic's: elsewhere it is another event
    copy = replace(copy, partition=partition)
    if rng.random() < 0.4:
        payload = {**(copy.envelope or {})["payload"], "amount": round(rng.uniform(1, 900), 2)}
        copy = replace(copy, envelope={**(copy.envelope or {}), "payload": payload})
    return [one, copy]


def explain_world(
    world: World,
    expected: Features,
    rebuilt: Features,
    rules: OnlineCoreRules | None = None,
    *,
    trimmed: bool = False,
    stated: Stated | None = None,
    bounds: Bounds | None = None,
) -> Explanation:
    """The explanation from every delivery, or from those alone that a caller must give."""
    differences = find_differences(expected, rebuilt)
    events = world.events()
    whole = {place: (0, max(e.order for e in events if e.place == place)) for place in {e.place for e in events}}
    if trimmed:
        whole = {place: narrow(world, place, events) for place in whole}
        events = trim(events, whole, set(differences.keys), rebuilt)
    law = Law(rules or OnlineCoreRules(), RUN, world.ends)
    return explain(differences, expected, rebuilt, Archive(events, whole), law, stated=stated, bounds=bounds)


def narrow(world: World, place: Place, events: Sequence[OnlineEvent]) -> tuple[int, int]:
    orders = sorted({e.order for e in events if e.place == place})
    at = orders.index(world.ends[place]) if world.ends[place] in orders else 0
    return orders[max(0, at - AROUND)], orders[min(len(orders) - 1, at + AROUND)]


def trim(events: list[OnlineEvent], whole: dict[Place, tuple[int, int]], keys: set[str], rebuilt: Features) -> Any:
    agreeing = sorted(set(rebuilt) - keys)[:3]
    texts = {key.partition(":")[2] for key in [*keys, *agreeing]}
    near = [
        e for e in events
        if whole[e.place][0] <= e.order <= whole[e.place][1]
        or texts & {e.event_id, e.payload.get("flow_id"), e.payload.get("event_id")}
    ]  # fmt: skip
    names = {e.event_id for e in near}
    return [e for e in events if e.event_id in names]
