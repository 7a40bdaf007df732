"""Features and derived columns of one group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ofs_spark.foundation.wording import write_count
from ofs_spark.pins.profile.aggregates import (
    COMPUTED,
    OPERATIONS,
    OPERATIONS_NOT_YET,
    Aggregate,
    find_aggregate,
)
from ofs_spark.pins.profile.conditions import compile_condition
from ofs_spark.pins.profile.faults import Digits, Faults, read_items, read_mapping, read_name
from ofs_spark.pins.profile.model import Condition, Derived, Feature, Operand, ValueType
from ofs_spark.pins.profile.values import EXACT, NUMBERS, Declared, parse_duration

_KEYS = ("name", "aggregate", "value", "windows", "where", "delay", "empty", "output")
NumberCondition = Callable[[Condition], int]
Meanings = list[Operand | None]
"""The operands that one name may mean; None for what is no number."""


def compile_features(
    group: Mapping[str, Any],
    windows: Mapping[str, int],
    values: Sequence[Declared],
    conditions: NumberCondition,
    pointer: str,
    faults: Faults,
) -> list[Feature]:
    """One Feature per column, in file order over the group's windows. `conditions` numbers a condition."""
    delay = parse_duration(group.get("delay", "0s"), f"{pointer}/delay", faults)
    made: list[Feature] = []
    for i, one in enumerate(read_items(group.get("features"), f"{pointer}/features", faults)):
        at = f"{pointer}/features/{i}"
        document = read_mapping(one, at, faults)
        name = read_name(document, "name", at, faults)
        own_delay = parse_duration(document["delay"], f"{at}/delay", faults) if "delay" in document else delay
        where = conditions(compile_condition(document["where"], f"{at}/where", faults)) if "where" in document else None
        value = _find_value(document, values, at, faults)
        _check(document, values[value] if value is not None else None, at, faults)
        for window in _choose_windows(document, windows, at, faults):
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


def _choose_windows(document: Mapping[str, Any], windows: Mapping[str, int], at: str, faults: Faults) -> list[str]:
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


def _find_value(document: Mapping[str, Any], values: Sequence[Declared], at: str, faults: Faults) -> int | None:
    if "value" not in document:
        return None
    names = [value.name for value in values]
    if document["value"] not in names:
        faults.add(f"{at}/value", f"{document['value']!r:.60} is no value of the group")
        return None
    return names.index(document["value"])


def _check(document: Mapping[str, Any], value: Declared | None, at: str, faults: Faults) -> None:
    named = document.get("aggregate")
    aggregate = find_aggregate(named)
    faults.refuse_unknown_keys(at, document, (*_KEYS, *(aggregate.keys if aggregate else ())))
    if aggregate is None:
        faults.add(f"{at}/aggregate", f"is {named!r:.40}; known are {', '.join(one.name for one in COMPUTED)}")
    elif not aggregate.computed:
        faults.add(f"{at}/aggregate", f"{aggregate.name} is not computed by this release")
    else:
        _check_inputs(aggregate, document, value, at, faults)
    _check_options(aggregate, document, value, at, faults)


def _check_inputs(
    aggregate: Aggregate, document: Mapping[str, Any], value: Declared | None, at: str, faults: Faults
) -> None:
    if aggregate.needs_where and "where" not in document:
        faults.add(f"{at}/where", f"{aggregate.name} needs a condition")
    if aggregate.value == "absent" and "value" in document:
        faults.add(f"{at}/value", f"{aggregate.name} has no value")
    elif aggregate.value == "required" and "value" not in document:
        faults.add(f"{at}/value", f"{aggregate.name} needs a value")
    elif value is not None:
        _check_type(aggregate, value.type, at, faults)


def _check_type(aggregate: Aggregate, type_: ValueType, at: str, faults: Faults) -> None:
    if type_.kind not in aggregate.kinds:
        faults.add(f"{at}/value", f"{aggregate.name} is not defined for {type_.kind}")
    if aggregate.widest is not None and type_.precision > aggregate.widest:
        faults.add(f"{at}/value", f"{aggregate.name} needs a decimal of at most {aggregate.widest} digits, or int")


def _check_options(
    aggregate: Aggregate | None, document: Mapping[str, Any], value: Declared | None, at: str, faults: Faults
) -> None:
    if "empty" in document:
        applies = aggregate is not None and aggregate.has_empty
        if not applies or document["empty"] not in ("null", "zero", None):
            named = _join_names(one for one in COMPUTED if one.has_empty)
            faults.add(f"{at}/empty", f"is for {named} alone, null or zero")
    if "output" in document:
        applies = aggregate is not None and aggregate.has_exact and value is not None and value.type.kind in EXACT
        if not applies or document["output"] != "exact":
            named = _join_names(one for one in COMPUTED if one.has_exact)
            faults.add(f"{at}/output", f"is exact, for {named} of a decimal or int")


def _join_names(aggregates: Iterable[Aggregate]) -> str:
    *names, last = (aggregate.name for aggregate in aggregates)
    return f"{', '.join(names)} and {last}" if names else last


def compile_derived(
    group: Mapping[str, Any], features: Sequence[Feature], values: Sequence[Declared], pointer: str, faults: Faults
) -> list[Derived]:
    """The derived columns, in file order."""
    operands = _list_operands(features, values)
    for name, meanings in operands.items():
        if len(meanings) > 1:
            faults.add(
                pointer, f"{name} could mean {write_count(len(meanings), 'operand')}: name values and features apart"
            )
    made: list[Derived] = []
    for i, one in enumerate(read_items(group.get("derived"), f"{pointer}/derived", faults)):
        at = f"{pointer}/derived/{i}"
        derived = _compile_operation(read_mapping(one, at, faults), str(group.get("name")), operands, at, faults)
        made += [derived] if derived else []
    return made


def _compile_operation(
    document: Mapping[str, Any], group: str, operands: Mapping[str, Meanings], at: str, faults: Faults
) -> Derived | None:
    column = f"{group}__{read_name(document, 'name', at, faults)}"
    faults.claim_column(f"{at}/name", column)
    named = [key for key in document if key != "name"]
    if len(named) == 1 and named[0] in OPERATIONS_NOT_YET:
        faults.add(f"{at}/{named[0]}", f"{named[0]} is not computed by this release")
        return None
    op = next((one for one in OPERATIONS if named == [one]), None)
    if op is None:
        faults.add(at, f"needs exactly one of {', '.join(OPERATIONS)} beside name")
        return None
    pair = read_items(document[op], f"{at}/{op}", faults)
    if len(pair) != 2:
        faults.add(f"{at}/{op}", "has two operands")
        return None
    left, right = (_find_operand(text, operands, f"{at}/{op}/{i}", faults) for i, text in enumerate(pair))
    return Derived(column, op, left, right) if left and right else None


def _list_operands(features: Sequence[Feature], values: Sequence[Declared]) -> dict[str, Meanings]:
    meanings: dict[str, Meanings] = {}
    for i, value in enumerate(values):
        meanings.setdefault(value.name, []).append(Operand("value", i) if value.type.kind in NUMBERS else None)
    for i, feature in enumerate(features):
        aggregate = find_aggregate(feature.aggregate)
        kept = aggregate is not None and aggregate.result == "declared" and feature.value is not None
        number = not kept or values[feature.value or 0].type.kind in NUMBERS
        meanings.setdefault(feature.operand, []).append(Operand("feature", i) if number else None)
    return meanings


def _find_operand(text: Any, operands: Mapping[str, Meanings], at: str, faults: Faults) -> Operand | None:
    meanings = operands.get(text, []) if isinstance(text, str) else []
    if not meanings:
        faults.add(at, f"{text!r:.60} is no value or feature of the group")
        return None
    if meanings[0] is None:
        faults.add(at, f"{text} is no number")
    return meanings[0]
