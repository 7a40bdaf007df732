"""Changes to a world under which its dataset's rows must stay as they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from tests.worlds.model import RUN, Segment, World, label, row

Place = tuple[str, int]
CANARY = "canary"
"""Stands in every planted event id: none may ever be seen in an output."""

LAST_WORD = {
    "fraud_disposition": "LEGIT_CONFIRMED",
    "chargeback_status": "PENDING",
    "account_takeover": "ATO_CONFIRMED",
}


def with_redeliveries(world: World) -> World:
    """Every partition that the basis reads to its end goes on with copies of its own events, none published later."""
    extended: dict[Place, int] = {}
    added = []
    for place, segments in by_place(world).items():
        rows = [r for s in segments for r in s.rows]
        last, sightings = max(s.last for s in segments), Counter(r.offset for r in rows)
        if str(last) not in {s["end_offset"] for s in world.intent["replay_basis"] if place_of(s) == place}:
            continue
        again = [
            r for r in rows if sightings[r.offset] == 1 and r.platform_run_id == RUN and read(world, place, r.offset)
        ]
        newest = max((r.published_at_utc for r in rows if r.published_at_utc), key=instant_order, default=None)
        copies = [replace(r, offset=last + n, published_at_utc=newest) for n, r in enumerate(again, start=1)]
        if copies:
            added.append(Segment(*place, tuple(copies), segments[0].offset_kind))
            extended[place] = last
    basis = [reaching(s, extended, added) for s in world.intent["replay_basis"]]
    return replace(world.with_intent(replay_basis=basis), segments=(*world.segments, *added))


def reaching(slice_: dict[str, Any], extended: dict[Place, int], added: list[Segment]) -> dict[str, Any]:
    """The slice, moved on to the new end if it read to the old one."""
    place = place_of(slice_)
    if slice_["end_offset"] != str(extended.get(place)):
        return slice_
    end = next(s.last for s in added if (s.topic, s.partition) == place)
    return {**slice_, "end_offset": str(end)}


def with_rows_outside_the_basis(world: World) -> World:
    """Every partition goes on after its last offset with events that nobody asked for."""
    added = []
    for place, segments in by_place(world).items():
        after, kind = max(s.last for s in segments) + 1, segments[0].offset_kind
        payload = {"card": "A", "shop": "A", "flow_id": "f", "s": CANARY, "i": 424242}
        strays = [row(after + n, f"{CANARY}{after + n}", "2026-03-29T01:00:00Z", payload) for n in range(3)]
        added.append(Segment(*place, tuple(strays), kind))
    return replace(world, segments=(*world.segments, *added))


def with_labels_after_the_cut_off(world: World) -> World:
    """Every event is given one more assertion of each type, a minute too late."""
    types = world.intent["join_scope"]["label_types"]
    events = sorted({r.event_id for s in world.segments for r in s.rows if r.event_id})
    late = [
        label(10**6 + n, event, LAST_WORD[of], "2030-01-01T00:01:00Z", label_type=of)
        for n, (event, of) in enumerate((event, of) for event in events for of in types)
    ]
    return replace(world, labels=(*world.labels, *late))


def by_place(world: World) -> dict[Place, list[Segment]]:
    places: dict[Place, list[Segment]] = {}
    for s in world.segments:
        places.setdefault((s.topic, s.partition), []).append(s)
    return places


def place_of(slice_: dict[str, Any]) -> Place:
    return (slice_["topic"], slice_["partition"])


def read(world: World, place: Place, offset: int) -> bool:
    slices = [s for s in world.intent["replay_basis"] if place_of(s) == place]
    return any(int(s["start_offset"]) <= offset <= int(s["end_offset"]) for s in slices)


def instant_order(text: str) -> str:
    """Canonical text of the spellings that generated worlds use, which orders as their instants do."""
    return text.replace("+00:00", ".000000Z") if "." not in text else text
