"""Features and derived columns of one group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ofs_spark.pins.profile.conditions import compile_condition
from ofs_spark.pins.profile.faults import Digits, Faults, read_items, read_mapping, read_name
from ofs_spark.pins.profile.model import Condition, Derived, Feature, Operand
from ofs_spark.pins.profile.values import EXACT, NUMBERS, Declared, parse_duration

ANY = ("decimal", "int", "double", "string", "bool")
VALUED: Mapping[str, tuple[str, ...]] = {
    "count": ANY,
    "sum": EXACT,
    "mean": EXACT,
    "min": ANY,
    "max": ANY,
    "stddev_pop": EXACT,
    "stddev_samp": EXACT,
    "count_distinct": ANY,
    "first": ANY,
    "last": ANY,
}
"""Aggregates over a value, and the types it may have."""
BARE = ("rate", "time_since_first", "time_since_previous")
NOT_YET = ("last_k", "top_k", "histogram", "percentile", "streak")
"""Aggregates that profiles may name and this release does not compute."""
AS_DECLARED = ("min", "max", "first", "last")
DERIVED = ("ratio", "difference")
_KEYS_NOT_YET = {"last_k": ("k",), "top_k": ("k",), "percentile": ("q",), "histogram": ("categories",)}
_KEYS = ("name", "aggregate", "value", "windows", "where", "delay", "empty", "output")
_WIDEST_SQUARE = 15
Wheres = Callable[[Condition], int]


def compile_features(
    group: Mapping[str, Any],
    windows: Mapping[str, int],
    values: Sequence[Declared],
    conditions: Wheres,
    pointer: str,
    faults: Faults,
) -> list[Feature]:
    """One Feature per column, in file order over the group's windows. `wheres` numbers a condition."""
    delay = parse_duration(group.get("delay", "0s"), f"{pointer}/delay", faults)
    made: list[Feature] = []
    for i, one in enumerate(read_items(group.get("features"), f"{pointer}/features", faults)):
        at = f"{pointer}/features/{i}"
        document = read_mapping(one, at, faults)
        faults.refuse_unknown_keys(at, document, (*_KEYS, *_KEYS_NOT_YET.get(str(document.get("aggregate")), ())))
        name = read_name(document, "name", at, faults)
        own_delay = parse_duration(document["delay"], f"{at}/delay", faults) if "delay" in document else delay
        where = conditions(compile_condition(document["where"], f"{at}/where", faults)) if "where" in document else None
        value = _value(document, values, at, faults)
        _check(document, values[value] if value is not None else None, at, faults)
        for window in _windows(document, windows, at, faults):
            operand = f"{name}_{window}" if window else name
            faults.claim_column(f"{at}/name", f"{group.get('name')}__{operand}")
            made.append(
                Feature(
                    f"{group.get('name')}__{operand}",
                    operand,
                    str(document.get("aggregate")),
                    value,
                    where,
                    windows[window] if window else None,
                    own_delay,
                    window,
                    document.get("empty") == "zero",
                    document.get("output") == "exact",
                )
            )
    return made


def _windows(document: Mapping[str, Any], windows: Mapping[str, int], at: str, faults: Faults) -> list[str]:
    """Names of a feature's windows in the group's order; [""] where it aggregates everything up to the anchor."""
    if "windows" not in document:
        return list(windows) or [""]
    asked = read_items(document["windows"], f"{at}/windows", faults)
    if document["windows"] is None:
        faults.add(f"{at}/windows", "is empty; [] is required if everything up to the anchor is meant")
    for i, name in enumerate(asked):
        if not isinstance(name, str) or isinstance(name, Digits) or name not in windows:
            faults.add(f"{at}/windows/{i}", f"{name!r:.40} is no window of the group")
    if len(set(map(str, asked))) != len(asked):
        faults.add(f"{at}/windows", "names one window twice")
    return [name for name in windows if name in asked] or [""]


def _value(document: Mapping[str, Any], values: Sequence[Declared], at: str, faults: Faults) -> int | None:
    if "value" not in document:
        return None
    names = [value.name for value in values]
    if document["value"] not in names:
        faults.add(f"{at}/value", f"{document['value']!r:.60} is no value of the group")
        return None
    return names.index(document["value"])


def _check(document: Mapping[str, Any], value: Declared | None, at: str, faults: Faults) -> None:
    aggregate = document.get("aggregate")
    if aggregate in NOT_YET:
        faults.add(f"{at}/aggregate", f"{aggregate} is not computed by this release")
    elif aggregate in BARE:
        if "value" in document:
            faults.add(f"{at}/value", f"{aggregate} has no value")
        if aggregate == "rate" and "where" not in document:
            faults.add(f"{at}/where", "rate needs a condition")
    elif not isinstance(aggregate, str) or aggregate not in VALUED:
        faults.add(f"{at}/aggregate", f"is {aggregate!r:.40}; known are {', '.join((*VALUED, *BARE))}")
    elif "value" not in document:
        if aggregate != "count":
            faults.add(f"{at}/value", f"{aggregate} needs a value")
    elif value is not None:
        _check_type(str(aggregate), value, at, faults)
    _check_options(document, value, at, faults)


def _check_options(document: Mapping[str, Any], value: Declared | None, at: str, faults: Faults) -> None:
    aggregate = document.get("aggregate")
    if "empty" in document and (aggregate != "sum" or document["empty"] not in ("null", "zero", None)):
        faults.add(f"{at}/empty", "is for sum alone, null or zero")
    if "output" in document:
        fits = value is not None and value.type.kind in EXACT and aggregate in ("sum", *AS_DECLARED)
        if document["output"] != "exact" or not fits:
            faults.add(f"{at}/output", "is exact, for sum, min, max, first and last of a decimal or int")


def _check_type(aggregate: str, value: Declared, at: str, faults: Faults) -> None:
    if value.type.kind not in VALUED[aggregate]:
        faults.add(f"{at}/value", f"{aggregate} is not defined for {value.type.kind}")
    if aggregate.startswith("stddev") and value.type.kind == "decimal" and value.type.precision > _WIDEST_SQUARE:
        faults.add(f"{at}/value", f"{aggregate} needs a decimal of at most {_WIDEST_SQUARE} digits, or int")


def compile_derived(
    group: Mapping[str, Any], features: Sequence[Feature], values: Sequence[Declared], pointer: str, faults: Faults
) -> list[Derived]:
    """The derived columns, in file order."""
    operands = _operands(features, values)
    for name, meanings in operands.items():
        if len(meanings) > 1:
            faults.add(pointer, f"{name} could mean {len(meanings)} operands: name values and features apart")
    made: list[Derived] = []
    for i, one in enumerate(read_items(group.get("derived"), f"{pointer}/derived", faults)):
        at = f"{pointer}/derived/{i}"
        document = read_mapping(one, at, faults)
        name = read_name(document, "name", at, faults)
        faults.claim_column(f"{at}/name", f"{group.get('name')}__{name}")
        kinds = [key for key in document if key != "name"]
        if kinds == ["zscore"]:
            faults.add(f"{at}/zscore", "zscore is not computed by this release")
            continue
        if len(kinds) != 1 or kinds[0] not in DERIVED:
            faults.add(at, f"needs exactly one of {', '.join(DERIVED)} beside name")
            continue
        pair = read_items(document[kinds[0]], f"{at}/{kinds[0]}", faults)
        if len(pair) != 2:
            faults.add(f"{at}/{kinds[0]}", "has two operands")
            continue
        found = [_operand(text, operands, f"{at}/{kinds[0]}/{j}", faults) for j, text in enumerate(pair)]
        if found[0] and found[1]:
            op = "ratio" if kinds[0] == "ratio" else "difference"
            made.append(Derived(f"{group.get('name')}__{name}", op, found[0], found[1]))  # type: ignore[arg-type]  # op is one of two
    return made


def _operands(features: Sequence[Feature], values: Sequence[Declared]) -> dict[str, list[Operand | None]]:
    """Everything a name may mean; None for what is no number."""
    meanings: dict[str, list[Operand | None]] = {}
    for i, value in enumerate(values):
        meanings.setdefault(value.name, []).append(Operand("value", i) if value.type.kind in NUMBERS else None)
    for i, feature in enumerate(features):
        kept = feature.aggregate in AS_DECLARED and feature.value is not None
        number = not kept or values[feature.value or 0].type.kind in NUMBERS
        meanings.setdefault(feature.operand, []).append(Operand("feature", i) if number else None)
    return meanings


def _operand(text: Any, operands: Mapping[str, list[Operand | None]], at: str, faults: Faults) -> Operand | None:
    meanings = operands.get(text, []) if isinstance(text, str) else []
    if not meanings:
        faults.add(at, f"{text!r:.60} is no value or feature of the group")
        return None
    if meanings[0] is None:
        faults.add(at, f"{text} is no number")
    return meanings[0]
