"""Paths, entity keys and the three-valued `where`."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.oracle.exact import Far, Refused, is_number, is_text, order

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."]+)')


def parts_of(path: str) -> list[str]:
    """Member names of a dotted path; a part in double quotes is a JSON string."""
    return [match[2] or json.loads(match[0]) for match in PART.finditer(path)]


def at(document: Any, path: str) -> Any:
    """The member at `payload.a.b`; None where it is absent or null."""
    return member_at(document, parts_of(path))


def member_at(document: Any, names: Iterable[str]) -> Any:
    for name in names:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def key_of(document: Any, paths: list[str]) -> tuple[str, ...] | None:
    """The entity key as texts, one per path; None when any part is missing."""
    parts = [at(document, path) for path in paths]
    if any(isinstance(part, (Mapping, list)) or not is_text(part) for part in parts):
        raise Refused("FEATURE_VALUE_INVALID", "an object, an array or half a character as a key")
    return None if any(part is None for part in parts) else tuple(map(key_text, parts))


def key_text(part: Any) -> str:
    """A string as it is, another scalar as its canonical JSON text."""
    if isinstance(part, str):
        return part
    if isinstance(part, Far) and set(part.text) <= set("-0123456789"):
        return part.text
    try:
        return json.dumps(part if isinstance(part, int) else float(part), allow_nan=False)
    except ValueError as infinite:
        raise Refused("FEATURE_VALUE_INVALID", f"{part} as a key") from infinite


def truth(where: Mapping[str, Any] | None, document: Any) -> bool | None:
    """True, False or None for unknown."""
    if where is None:
        return True
    if "not" in where:
        inner = truth(where["not"], document)
        return None if inner is None else not inner
    if "all" in where or "any" in where:
        parts = [truth(part, document) for part in where.get("all", where.get("any"))]
        decisive = "any" in where
        return decisive if decisive in parts else None if None in parts else not decisive
    found = at(document, where["path"])
    ((op, constant),) = ((op, c) for op, c in where.items() if op != "path")
    if op == "is_null":
        return bool((found is None) == constant)
    if found is None:
        return None
    return among(found, constant) if op == "in" else compare(op, found, constant)


def among(found: Any, constants: Iterable[Any]) -> bool:
    """Whether a scalar equals one of the constants."""
    return any(compare("eq", found, one) for one in constants)


def compare(op: str, found: Any, constant: Any) -> bool | None:
    if family(found) != family(constant) or family(found) == "other":
        return {"eq": False, "ne": True}.get(op)
    if family(found) == "number":
        found, constant = order(found, constant), 0
    return COMPARE[op](found, constant)


def family(x: Any) -> str:
    names = {bool: "bool", str: "string"}
    return "number" if is_number(x) else names.get(type(x), "other")
