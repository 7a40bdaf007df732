"""What a row keeps of its own event: the values that the feature set's `anchor` declares, and its entity keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from tests.oracle.conditions import at, key_of, parts_of
from tests.oracle.core import applied, core_key
from tests.oracle.exact import read_value
from tests.oracle.features import to_decimal
from tests.oracle.replay import Event
from tests.worlds.model import World

Document = Mapping[str, Any]


def declared_set(world: World) -> Document:
    """The entry of the profile's feature sets that the intent names; empty where it names a group."""
    wanted, sets = world.intent["feature_definition_set"], world.profile.get("feature_sets") or []
    return next((s for s in sets if {name: s.get(name) for name in wanted} == wanted), {})


def own_paths(declared: Document) -> list[str]:
    """Every path that `anchor` reads, as written."""
    return [value["path"] for value in declared.get("anchor") or []]


def own_columns(declared: Document, groups: list[Document], e: Event) -> dict[str, Any]:
    """{column: value} of one anchor: null where the event has no value. Raises for one that is not of its type."""
    anchor = {
        f"anchor__{v['name']}": own_value(at(e.record, v["path"]), v["type"]) for v in declared.get("anchor") or []
    }
    keys = [pair for group in groups for pair in kept_keys(group, e)] if declared.get("keep_keys") else []
    return anchor | dict(keys)


def own_value(raw: Any, kind: str) -> Any:
    value = read_value(raw, kind, "null")
    if not isinstance(value, Fraction):
        return value
    return int(value) if kind == "int" else to_decimal(value, int(kind[:-1].split(",")[1]))


def kept_keys(group: Document, e: Event) -> Iterator[tuple[str, str | None]]:
    """Each part of the event's key as text; of a core group field and text of the key that the online plane takes."""
    if "features" not in group:
        text = ":".join(core_key(e)) if applied(e, e.platform_run_id) else None
        yield f"key__{group['name']}__key", text
        return
    for path in group["key"]:
        part = key_of(e.envelope, [path])
        yield f"key__{group['name']}__{parts_of(path)[-1]}", None if part is None else part[0]
