"""Whether an envelope says one thing: no member that a build reads stands twice, and nothing is nested too deep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.oracle.conditions import parts_of

Names = tuple[str, ...]
MOST_LEVELS = 64
PINS = ("platform_run_id", "scenario_run_id", "manifest_fingerprint", "parameter_hash", "scenario_id", "seed")
ONLINE = (
    *((name,) for name in (*PINS, "event_class")),
    *(("payload", name) for name in ("flow_id", "event_id", "amount")),
)
INPUT_FILTERS = ("label_types", "label_coverage_policy", "event_types")


class Members(list[tuple[str, Any]]):
    """An object's members as they stand, doubled ones too."""


def declared_members(
    intent: Mapping[str, Any], groups: Iterable[Mapping[str, Any]], kept: Iterable[str] = ()
) -> set[Names]:
    """Names, from the envelope's root, of the members that a build looks at, and of those that lead there."""
    found: set[Names] = {("payload", name) for name in intent.get("filters") or {} if name not in INPUT_FILTERS}
    found |= {tuple(parts_of(path)) for path in kept if parts_of(path)[0] == "payload"}
    for group in groups:
        own = [tuple(parts_of(path)) for path in paths_of(group)] if "features" in group else ONLINE
        found |= {names for names in own if "features" not in group or names[0] == "payload"}
    return {("payload",)} | {names[:length] for names in found for length in range(1, len(names) + 1)}


def paths_of(group: Mapping[str, Any]) -> Iterator[str]:
    """Every path of an extended group, as written."""
    yield from group["key"]
    yield from (value["path"] for value in (group.get("values") or {}).values())
    yield from (path for f in group["features"] if "where" in f for path in condition_paths(f["where"]))


def condition_paths(where: Mapping[str, Any]) -> Iterator[str]:
    """Every path of a condition."""
    if "path" in where:
        yield where["path"]
    for parts in [where["not"]] if "not" in where else where.get("all", where.get("any", [])):
        yield from condition_paths(parts)


def says_one_thing(text: str, declared: set[Names]) -> bool:
    """Whether a JSON text has no declared member twice and at most MOST_LEVELS levels, itself the first."""
    try:
        document = json.loads(text, object_pairs_hook=Members, parse_int=str, parse_float=str)
    except RecursionError:
        return False
    return depth_of(document) <= MOST_LEVELS and not has_double(document, (), declared)


def depth_of(value: Any) -> int:
    if isinstance(value, Members):
        return 1 + max((depth_of(inner) for _, inner in value), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def has_double(value: Any, at: Names, declared: set[Names]) -> bool:
    if not isinstance(value, Members):
        return False
    names = [name for name, _ in value if (*at, name) in declared]
    inside = (has_double(inner, (*at, name), declared) for name, inner in value if (*at, name) in declared)
    return len(names) > len(set(names)) or any(inside)
