"""Declared values and durations of a group."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ofs_spark.foundation.contracts import format_pointer as member
from ofs_spark.pins.profile.conditions import parse_path
from ofs_spark.pins.profile.faults import Faults, read_mapping, read_name
from ofs_spark.pins.profile.model import Kind, Path, ValueType

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(0|[1-9][0-9]{0,8})([smhd])")
_MOST_DAYS = 365_000
_DECIMAL = re.compile(r"decimal\(\s*([0-9]{1,2})\s*,\s*([0-9]{1,2})\s*\)")
EXACT: tuple[Kind, ...] = ("decimal", "int")
NUMBERS: tuple[Kind, ...] = (*EXACT, "double")
KINDS: tuple[Kind, ...] = (*NUMBERS, "string", "bool")
"""What a declared value may be."""


@dataclass(frozen=True)
class Declared:
    """A value as declared: its name, path, type and missing rule."""

    name: str
    path: Path
    type: ValueType
    missing: Literal["fail", "null", "zero"]
    unit: str


def parse_duration(text: Any, pointer: str, faults: Faults) -> int:
    """Microseconds of an integer and s, m, h or d; 1d is 86,400 s. A thousand years at most: times stay in 64 bits."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        faults.add(pointer, f"is {text!r:.40}; a whole number and s, m, h or d is required")
        return 0
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _MOST_DAYS * _SECONDS["d"]:
        faults.add(pointer, f"is {text}; at most {_MOST_DAYS}d is computed")
    return seconds * 1_000_000


def compile_windows(group: Mapping[str, Any], pointer: str, faults: Faults) -> dict[str, int]:
    """Window name → length in µs, in file order."""
    found: dict[str, int] = {}
    given = group.get("windows")
    for i, one in enumerate(given if isinstance(given, list) else []):
        at = f"{pointer}/windows/{i}"
        window = read_mapping(one, at, faults)
        faults.refuse_unknown_keys(at, window, ("window", "duration", "ttl"))
        name = read_name(window, "window", at, faults)
        length = parse_duration(window.get("duration"), f"{at}/duration", faults)
        if length == 0:
            faults.add(f"{at}/duration", "must be longer than nothing")
        if parse_duration(window.get("ttl"), f"{at}/ttl", faults) < length:
            faults.add(f"{at}/ttl", "must be at least the duration")
        if name in found:
            faults.add(f"{at}/window", f"{name} is declared twice")
        found[name] = length
    if given is not None and not isinstance(given, list):
        faults.add(f"{pointer}/windows", "must be a list")
    return found


def compile_values(group: Mapping[str, Any], pointer: str, faults: Faults) -> list[Declared]:
    """The declared values, in file order."""
    given = read_mapping(group["values"], f"{pointer}/values", faults) if group.get("values") is not None else {}
    return [_compile_value(name, value, f"{pointer}/values{member([name])}", faults) for name, value in given.items()]


def _compile_value(name: str, value: Any, at: str, faults: Faults) -> Declared:
    document = read_mapping(value, at, faults)
    faults.refuse_unknown_keys(at, document, ("path", "type", "unit", "missing"))
    type_ = parse_type(document.get("type"), f"{at}/type", faults)
    missing = document.get("missing", "fail")
    missing = "null" if missing is None else missing
    if missing not in ("fail", "null", "zero"):
        faults.add(f"{at}/missing", f"is {missing!r:.40}; fail, null or zero is required")
        missing = "fail"
    if missing == "zero" and type_.kind not in NUMBERS:
        faults.add(f"{at}/missing", f"zero is for numbers, not for {type_.kind}")
    unit = read_name(document, "unit", at, faults) if document.get("unit") is not None else ""
    return Declared(name, parse_path(document.get("path"), f"{at}/path", faults, columns=True), type_, missing, unit)


def parse_type(text: Any, pointer: str, faults: Faults) -> ValueType:
    """The declared type of a value: decimal(p,s), int, double, string or bool."""
    found = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if found:
        precision, scale = int(found[1]), int(found[2])
        if not 1 <= precision <= 38 or scale > precision:
            faults.add(pointer, f"is {text}; decimal(p,s) needs 1 ≤ p ≤ 38 and s ≤ p")
            return ValueType("decimal", 18, 0)
        return ValueType("decimal", precision, scale)
    if text in ("int", "double", "string", "bool"):
        return ValueType(text)
    faults.add(pointer, f"is {text!r:.40}; decimal(p,s), int, double, string or bool is required")
    return ValueType("int")
