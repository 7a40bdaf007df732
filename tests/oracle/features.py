"""Feature values of one group, anchor by anchor, straight from the definition of a window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.oracle.conditions import at, key_of, truth
from tests.oracle.exact import Refused, duration, nearest, nearest_root, read_value
from tests.oracle.replay import Event

Document = Mapping[str, Any]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Root:
    """An exact square root that has not been taken yet."""

    square: Fraction


def group_features(group: Document, events: list[Event], anchors: list[Event]) -> list[dict[str, Any]]:
    """One {column: value} per anchor. `events`: every in-scope event; `anchors`: those that become rows.

    Raises every fault of the group at once: a build may meet them in any order.
    """
    faults: list[str] = []
    sources = sorted((e for e in events if is_source(group, e)), key=lambda e: e.total)
    values = {e: noting(faults, values_of, group, e) or no_values(group) for e in sources}
    key = {e: noting(faults, key_of, e.envelope, group["key"]) for e in {*sources, *anchors}}
    keyed: dict[Key, list[Event]] = defaultdict(list)
    for e in sources:
        if key[e] is not None:
            keyed[key[e]].append(e)
    if group.get("knowledge", "as_observed") == "as_observed":
        for k in {k for k in key.values() if k is not None}:
            noting(faults, refuse_undefined_order, [e for e in key if key[e] == k])
    empty = dict.fromkeys(column_names(group))
    rows = [noting(faults, row_of, group, a, keyed[key[a]], values) if key[a] else empty for a in anchors]
    if faults:
        raise Refused(faults)
    return rows


def noting(faults: list[str], make: Callable[..., Any], *args: Any) -> Any:
    """What `make(*args)` makes, or None and its refusal noted."""
    try:
        return make(*args)
    except Refused as no:
        faults.extend(no.codes)
        return None


def no_values(group: Document) -> dict[str, Any]:
    return dict.fromkeys(group.get("values") or {})


def is_source(group: Document, e: Event) -> bool:
    types = (group.get("source") or {}).get("event_types")
    return types is None or e.event_type in types


def values_of(group: Document, e: Event) -> dict[str, Any]:
    """Every declared value of a source event, its missing rule applied."""
    return {
        name: read_value(at(e.record, v["path"]), v["type"], v.get("missing", "fail") or "null")
        for name, v in (group.get("values") or {}).items()
    }


def refuse_undefined_order(events: list[Event]) -> None:
    if len({e.place for e in events}) > 1 and any(e.arrival is None for e in events):
        raise Refused("ORDER_UNDEFINED")


def windows_of(group: Document, feature: Document) -> list[tuple[str, int | None]]:
    """(suffix, length in µs) of each window of a feature; ("", None) aggregates everything up to the anchor."""
    declared = group.get("windows") or []
    names = feature.get("windows", [w["window"] for w in declared])
    return [(f"_{w['window']}", duration(w["duration"])) for w in declared if w["window"] in names] or [("", None)]


def column_names(group: Document) -> list[str]:
    """The group's columns in dataset order: features in file order over their windows, then derived ones."""
    features = [f["name"] + suffix for f in group["features"] for suffix, _ in windows_of(group, f)]
    return [f"{group['name']}__{name}" for name in features + [d["name"] for d in group.get("derived") or []]]


def precedes(group: Document, e: Event, a: Event) -> bool:
    """Whether e was known at a, as the group understands knowing; ties in time included."""
    if group.get("knowledge", "as_observed") == "event_time":
        return e.total < a.total
    return e.offset < a.offset if e.place == a.place else e.delivery < a.delivery


def in_window(group: Document, a: Event, keyed: list[Event], length: int | None, delay: int) -> list[Event]:
    """The events of a's window, oldest first in the total order."""
    newest = a.ts - delay
    return [
        e
        for e in keyed
        if e.ts <= newest
        and (length is None or newest - length < e.ts)
        and (group.get("include_anchor", True) if e == a else precedes(group, e, a))
    ]


def row_of(group: Document, a: Event, keyed: list[Event], values: Mapping[Event, Document]) -> dict[str, Any]:
    """All columns of one anchor whose key is present; `keyed` in total order."""
    row, operands = {}, dict(values.get(a) or no_values(group))
    for f in group["features"]:
        for suffix, length in windows_of(group, f):
            delay = duration(f.get("delay", group.get("delay", "0s")))
            result = aggregate(f, a, in_window(group, a, keyed, length, delay), values, scale_of(f, group))
            operands[f["name"] + suffix] = result
            row[f"{group['name']}__{f['name']}{suffix}"] = output(result, f, group)
    for d in group.get("derived") or []:
        row[f"{group['name']}__{d['name']}"] = derived(d, operands)
    return row


def aggregate(f: Document, a: Event, window: list[Event], values: Mapping[Event, Document], scale: int) -> Any:
    """The exact result: int, Fraction, Root, text, bool, float (of a `double`), or None."""
    kept = [e for e in window if truth(f.get("where"), e.record)]
    if f["aggregate"] in OVER_EVENTS:
        return OVER_EVENTS[f["aggregate"]](a, kept, window)
    if "value" not in f:
        return len(kept)
    present = [values[e][f["value"]] for e in kept if values[e][f["value"]] is not None]
    if not present and f["aggregate"] not in ("count", "count_distinct"):
        return Fraction(0) if f["aggregate"] == "sum" and f.get("empty") == "zero" else None
    return OVER_VALUES[f["aggregate"]](present, scale)


def since(a: Event, one: list[Event]) -> Fraction | None:
    return Fraction(a.ts - one[0].ts, 10**6) if one else None


def exact_sum(numbers: list[Fraction]) -> Fraction:
    return sum(numbers, Fraction(0))


def bounded_sum(numbers: list[Fraction], scale: int) -> Fraction:
    """The sum, refused when its unscaled integer has more than 38 digits."""
    total = exact_sum(numbers)
    if abs(total) * 10**scale >= 10**38:
        raise Refused("FEATURE_NUMERIC_OVERFLOW")
    return total


def spread(numbers: list[Fraction]) -> Fraction:
    """Σ (x − mean)²."""
    mean = exact_sum(numbers) / len(numbers)
    return exact_sum([(x - mean) ** 2 for x in numbers])


OVER_EVENTS: dict[str, Callable[[Event, list[Event], list[Event]], Fraction | None]] = {
    "rate": lambda _, kept, window: Fraction(len(kept), len(window)) if window else None,
    "time_since_first": lambda a, kept, _: since(a, kept[:1]),
    "time_since_previous": lambda a, kept, _: since(a, [e for e in kept if e != a][-1:]),
}
"""Aggregates of the anchor, the window's events that meet the condition, and all of its events; both oldest first."""

OVER_VALUES: dict[str, Callable[[list[Any], int], Any]] = {
    "count": lambda xs, _: len(xs),
    "count_distinct": lambda xs, _: len(set(xs)),
    "sum": bounded_sum,
    "mean": lambda xs, scale: bounded_sum(xs, scale) / len(xs),
    "min": lambda xs, _: min(xs),
    "max": lambda xs, _: max(xs),
    "first": lambda xs, _: xs[0],
    "last": lambda xs, _: xs[-1],
    "stddev_pop": lambda xs, _: Root(spread(xs) / len(xs)),
    "stddev_samp": lambda xs, _: Root(spread(xs) / (len(xs) - 1)) if len(xs) > 1 else None,
}
"""Aggregates of non-null values, oldest first."""


def output(result: Any, f: Document, group: Document) -> Any:
    """The column's value: rounded once to float64, or DECIMAL(38, s) for `output: exact`."""
    if isinstance(result, Root):
        return nearest_root(result.square)
    if not isinstance(result, Fraction):
        return result
    return to_decimal(result, scale_of(f, group)) if f.get("output") == "exact" else nearest(result)


def derived(d: Document, operands: Document) -> float | None:
    """ratio or difference of exact operands; null for null operands, division by zero and what no float64 is near to."""
    op = "ratio" if "ratio" in d else "difference"
    left, right = (as_operand(operands[name]) for name in d[op])
    if left is None or right is None or (op == "ratio" and right == 0):
        return None
    try:
        return nearest(left / right if op == "ratio" else left - right)
    except OverflowError:
        return None


def as_operand(x: Any) -> Fraction | None:
    """Exact; a stddev or a double enters as its float64."""
    return None if x is None else Fraction(nearest_root(x.square) if isinstance(x, Root) else x)


def scale_of(f: Document, group: Document) -> int:
    """Digits behind the point of the feature's value; 0 for whatever is not a decimal."""
    kind = group["values"][f["value"]]["type"] if "value" in f else ""
    return int(kind[:-1].split(",")[1]) if kind.startswith("decimal") else 0


def to_decimal(x: Fraction, scale: int) -> Decimal:
    """Exactly x, with `scale` digits behind the point; Decimal's own constructor does not round."""
    units = x * 10**scale
    sign, digits = int(units < 0), tuple(map(int, str(abs(int(units)))))
    return Decimal((sign, digits, -scale))
