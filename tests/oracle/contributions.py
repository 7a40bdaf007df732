"""Which positions one value of a dataset comes from, straight from the definitions: what `ofs explain` must list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.oracle.build import admit, pin
from tests.oracle.conditions import key_of, truth
from tests.oracle.core import COLUMNS, applied, core_key
from tests.oracle.exact import duration
from tests.oracle.features import Document, in_window, is_source, noting, values_of, windows_of
from tests.oracle.own import declared_set, own_columns, own_paths
from tests.oracle.replay import Event, replay
from tests.worlds.model import World

Position = tuple[str, int, str]
Counted = dict[str, set[Position]]


def contributions(world: World) -> dict[str, Counted]:
    """Event id → column → the positions that count; derived columns have those of their operands, own ones the event's."""
    groups, declared = pin(world), declared_set(world)
    events = replay(world, admit(world.intent), groups, own_paths(declared)).events
    found: dict[str, Counted] = {
        e.event_id: {
            name: set[Position]() if value is None else {_position(e)}
            for name, value in (noting([], own_columns, declared, groups, e) or {}).items()
        }
        for e in events
    }
    for group in groups:
        for a in events:
            counted = _features(group, a, events) if "features" in group else _core(a, events, world)
            found[a.event_id] |= {f"{group['name']}__{name}": positions for name, positions in counted.items()}
    return found


def _position(e: Event) -> Position:
    return (e.topic, e.partition, str(e.offset))


def _features(group: Document, a: Event, events: list[Event]) -> Counted:
    key, counted = key_of(a.envelope, group["key"]), Counted()
    keyed = [e for e in events if key and is_source(group, e) and key_of(e.envelope, group["key"]) == key]
    for f in group["features"]:
        delay = duration(f.get("delay", group.get("delay", "0s")))
        for suffix, length in windows_of(group, f):
            window = in_window(group, a, keyed, length, delay)
            counted[f["name"] + suffix] = {_position(e) for e in window if _counts(group, f, e, a)}
    own = {_position(a)} if key and is_source(group, a) else set()
    values = {
        name: own if own and values_of(group, a)[name] is not None else set() for name in group.get("values") or {}
    }
    for d in group.get("derived") or []:
        operands: Any = d["ratio"] if "ratio" in d else d["difference"]
        counted[d["name"]] = set().union(*({**values, **counted}[name] for name in operands))
    return counted


def _counts(group: Document, f: Mapping[str, Any], e: Event, a: Event) -> bool:
    """Whether an event of the window takes part: of a rate every one does, for it is divided by them."""
    if f["aggregate"] == "rate":
        return True
    if f["aggregate"] == "time_since_previous" and e == a:
        return False
    present = "value" not in f or values_of(group, e)[f["value"]] is not None
    return truth(f.get("where"), e.record) is True and present


def _core(a: Event, events: list[Event], world: World) -> Counted:
    run = world.intent["platform_run_id"]
    if not applied(a, run):
        return {name: set[Position]() for name in COLUMNS}
    same = [e for e in events if applied(e, run) and core_key(e) == core_key(a)]
    before = {_position(e) for e in same if e == a or (_order(e, same) < _order(a, same))}
    return dict.fromkeys(COLUMNS, before)


def _order(e: Event, same: list[Event]) -> Any:
    return (e.offset,) if len({x.place for x in same}) == 1 else e.delivery
