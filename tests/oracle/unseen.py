"""Declared fields that no in-scope event has, looked up in every event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.oracle.build import admit, pin
from tests.oracle.conditions import parts_of
from tests.oracle.envelopes import Names, condition_paths
from tests.oracle.own import declared_set, own_paths
from tests.oracle.replay import replay
from tests.worlds.model import World


def unseen_fields(world: World) -> set[Names]:
    """Every path that a column comes from and that no event has; of a world whose events have one payload each."""
    groups, declared = pin(world), declared_set(world)
    events = replay(world, admit(world.intent), groups, own_paths(declared)).events
    paths = {tuple(parts_of(path)) for group in groups for path in read_paths(group)}
    paths |= {tuple(parts_of(path)) for path in own_paths(declared)}
    return {
        names for names in paths if names[0] == "payload" and not any(has_member(e.envelope, names) for e in events)
    }


def read_paths(group: Mapping[str, Any]) -> Iterator[str]:
    """Every path of a group with features that one of its columns comes from."""
    operands = {name for d in group.get("derived") or [] for name in d.get("ratio") or d["difference"]}
    for f in group.get("features", ()):
        yield from group["key"]
        yield from condition_paths(f["where"]) if "where" in f else ()
        yield from [group["values"][f["value"]]["path"]] if "value" in f else ()
    yield from (value["path"] for name, value in (group.get("values") or {}).items() if name in operands)


def has_member(value: Any, names: Names) -> bool:
    """Whether the member is there, null or not."""
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return True
