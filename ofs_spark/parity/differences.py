"""Where two snapshots' features differ: key by key, field by field, exactly.

Two values are equal when their canonical texts are: 5 and 5.0 differ, as they do in the hash.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Features: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Key → state, as a snapshot's `features`."""

LISTED = 100
"""Differences listed; the counts are always whole."""
FIELDS = ("event_count", "amount_sum", "last_event_ts_utc")


@dataclass(frozen=True)
class Difference:
    """One field of one key. field: None where one side lacks the whole key; a lacking side is None.

    delta: the anchor's value less the rebuilt one, where both are numbers.
    """

    key: str
    field: str | None
    expected: Any
    rebuilt: Any
    delta: int | float | None = None

    def to_document(self) -> dict[str, Any]:
        """The difference as documents hold it."""
        return {
            "key": self.key,
            "field": self.field,
            "expected": self.expected,
            "rebuilt": self.rebuilt,
            "delta": self.delta,
        }


@dataclass(frozen=True)
class Differences:
    """All differing keys, sorted; the first differences; how many there are of each field ("" for whole keys)."""

    keys: tuple[str, ...]
    listed: tuple[Difference, ...]
    by_field: Mapping[str, int]

    @property
    def count(self) -> int:
        """How many differences there are."""
        return sum(self.by_field.values())


def find_differences(expected: Features, rebuilt: Features, listed: int = LISTED) -> Differences:
    """Every differing key, and the first `listed` differences by key and field."""
    keys = sorted(
        key for key in {*expected, *rebuilt} if not is_same_state(expected.get(key), rebuilt.get(key))
    )  # fmt: skip
    found: list[Difference] = []
    by_field: Counter[str] = Counter()
    for key in keys:
        for one in compare_states(key, expected.get(key), rebuilt.get(key)):
            by_field[one.field or ""] += 1
            if len(found) < listed:
                found.append(one)
    return Differences(tuple(keys), tuple(found), dict(by_field))


def compare_states(key: str, expected: Any, rebuilt: Any) -> list[Difference]:
    """The differences of one key's states, by field; one for the whole key where a side is no state."""
    if not (isinstance(expected, Mapping) and isinstance(rebuilt, Mapping)):
        return [] if is_same(expected, rebuilt) else [Difference(key, None, expected, rebuilt)]
    names = [name for name in sorted({*expected, *rebuilt}) if not _is_same_member(expected, rebuilt, name)]
    return [
        Difference(key, name, mine, other, subtract(mine, other))
        for name in names
        for mine, other in [(expected.get(name), rebuilt.get(name))]
    ]


def is_same_state(expected: Any, rebuilt: Any) -> bool:
    """Whether two states have one text; None is the state of a key that is not there."""
    return (expected is None) == (rebuilt is None) and not compare_states("", expected, rebuilt)


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values have one text."""
    return type(one) is type(other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _is_same_member(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    return (name in one) == (name in other) and is_same(one.get(name), other.get(name))


def subtract(one: Any, other: Any) -> int | float | None:
    """one - other where both are numbers whose difference is finite; integers exactly."""
    if not (_is_number(one) and _is_number(other)):
        return None
    try:
        delta = one - other
    except OverflowError:
        return None
    return delta if isinstance(delta, int) or abs(delta) != float("inf") else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
