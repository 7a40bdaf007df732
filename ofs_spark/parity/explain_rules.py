"""Causes that are other rules: another profile revision, another order or set of key fields, other amount fields.

Other rules touch every event, so they are believed only if they give the anchor's state of every differing key and leave
alone what does not differ. That needs a witness: a delivery of a key on which both sides agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations
from typing import Any

import numpy as np

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.parity.case import Case, count_events, find_field
from ofs_spark.parity.causes import Cause, CauseKind, Found
from ofs_spark.parity.differences import is_same
from ofs_spark.parity.events import OnlineEvent
from ofs_spark.parity.sums import add_up
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.online_law import KEY_OF_LAST_RESORT, find_amount, find_key

KEY_FIELDS, AMOUNT_FIELDS = 5, 64
"""Payload fields that are tried as key fields, and as amounts."""
PROBES = 3
"""Keys that a choice of amount fields must satisfy before all are computed."""
PROOFS = 8
"""Rules that fit by the quick test and are re-computed."""


@dataclass(frozen=True)
class Revision:
    """A profile revision whose rules may have been in force: `feature_def_policy_rev` as a snapshot states it."""

    document: Mapping[str, Any]
    rules: OnlineCoreRules


def has_witness(case: Case) -> bool:
    """Whether other rules can be told from a fault of the differing keys alone."""
    differing = frozenset(case.differing)
    return all(key in differing for key in case.rebuilt) or bool(case.agreeing)


def explain_by_revision(case: Case, revisions: Sequence[Revision]) -> Found | None:
    """A given revision whose rules give the anchor's states."""
    for revision in revisions:
        found = None if revision.rules == case.rules else _prove(case, CauseKind.PROFILE_REVISION, revision.rules, "")
        if found is not None:
            name = revision.document.get("revision")
            text = f"the content is what profile revision {name} gives"
            return replace(found[0], detail=text), found[1]
    return None


def explain_by_precedence(case: Case) -> Found | None:
    """Another order or set of key fields that gives the anchor's states."""
    for precedence in islice(_list_precedences(case), PROOFS):
        text = (
            f"the content is that of the key fields {_name(precedence)} instead of {_name(case.rules.key_precedence)}"
        )
        found = _prove(case, CauseKind.KEY_PRECEDENCE, replace(case.rules, key_precedence=precedence), text)
        if found:
            return found
    return None


def explain_by_amounts(case: Case) -> Found | None:
    """Other amount fields that give the anchor's states."""
    for fields in islice(_list_amount_fields(case), PROOFS):
        text = f"the content is that of the amount fields {_name(fields)} instead of {_name(case.rules.amount_fields)}"
        found = _prove(case, CauseKind.AMOUNT_FIELD, replace(case.rules, amount_fields=fields), text)
        if found:
            return found
    return None


def _name(fields: Sequence[str]) -> str:
    return "(" + ", ".join(fields) + ")"


def _prove(case: Case, kind: CauseKind, rules: OnlineCoreRules, text: str) -> Found | None:
    proof = case.prove(case.ends, rules)
    if proof is None:
        return None
    field, moved = find_field(case.expected, case.rebuilt, case.differing), proof.changes.moved
    return Cause(kind, case.differing, field, moved.events, text, True, rules=rules, more=moved.more), proof.patch


def _list_precedences(case: Case) -> Iterator[tuple[str, ...]]:
    """Orders of key fields under which every given key has the anchor's event count, those nearest to the rules first."""
    applied = [one.event for one in case.rulings if one.applied]
    names = _find_key_fields(case)
    numbers: dict[str, int] = {}
    columns = {name: _number_keys(applied, name, numbers) for name in names}
    last = np.array([numbers.setdefault(f"{KEY_OF_LAST_RESORT}:{one.event_id}", len(numbers)) for one in applied], int)
    if any(count_events(case.expected.get(key)) and key not in numbers for key in case.keys):
        return
    target = np.array([_count_wanted(case, key) for key in numbers], int)
    judged = np.array([case.is_given(key) for key in numbers], np.bool_)
    usual = case.rules.key_precedence
    choices = [one for length in range(len(names) + 1) for one in permutations(names, length) if one != usual]
    for choice in sorted(choices, key=lambda one: (len({*one} ^ {*usual}), abs(len(one) - len(usual)), one)):
        codes = last
        for name in reversed(choice):
            codes = np.where(columns[name] >= 0, columns[name], codes)
        if np.array_equal(np.bincount(codes, minlength=len(target))[judged], target[judged]):
            yield choice


def _count_wanted(case: Case, key: str) -> int:
    return count_events(case.expected.get(key)) if key in case.looked_at else len(case.applied.get(key, []))


def _find_key_fields(case: Case) -> list[str]:
    """Fields that keys may be of: the rules', the default ones, those that the differing keys are named after."""
    return list_key_fields(case.rules, (key for key in case.keys if key in case.expected))


def list_key_fields(rules: OnlineCoreRules, keys: Iterable[str]) -> list[str]:
    """Fields that keys may be of: the rules', the default ones, those that some keys are named after."""
    named = Counter(key.partition(":")[0] for key in keys)
    return list(dict.fromkeys([*rules.key_precedence, *OnlineCoreRules().key_precedence, *named]))[:KEY_FIELDS]


def _number_keys(events: Sequence[OnlineEvent], name: str, numbers: dict[str, int]) -> Array:
    """Per event the number of the key that this field gives, -1 where the field gives none."""
    texts = [find_key(event.payload, "", (name,)) for event in events]
    return np.array(
        [numbers.setdefault(f"{name}:{text}", len(numbers)) if field == name and text else -1 for field, text in texts],
        int,
    )


def _list_amount_fields(case: Case) -> Iterator[tuple[str, ...]]:
    """Choices of amount fields that give the sums of some keys, those nearest to the rules first."""
    states = [(case.expected.get(key), case.rebuilt.get(key)) for key in case.keys]
    if any(one is None or other is None or _differs_elsewhere(one, other) for one, other in states):
        return
    probes = [*_pick_probes(case, case.keys), *_pick_probes(case, case.agreeing)]
    columns = [AmountColumns([one.event for one in case.applied[key]]) for key in probes]
    wanted = [
        case.expected[key]["amount_sum"] if key in case.looked_at else one.add(case.rules.amount_fields)
        for key, one in zip(probes, columns, strict=True)
    ]
    for fields in _list_choices(case):
        if all(is_same(one.add(fields), total) for one, total in zip(columns, wanted, strict=True)):
            yield fields


class AmountColumns:
    """The amounts that each payload field gives some deliveries; every field is read once."""

    def __init__(self, events: Sequence[OnlineEvent]) -> None:
        self.events = events
        self.read: dict[str, tuple[Array, Array]] = {}

    def add(self, fields: Sequence[str]) -> float:
        """The sum of the amounts that these fields give, added in order."""
        amounts = np.zeros(len(self.events))
        for name in reversed(fields):
            values, present = self.find(name)
            amounts = np.where(present, values, amounts)
        return add_up(amounts)

    def find(self, name: str) -> tuple[Array, Array]:
        """(values, whether the field gives one)."""
        if name not in self.read:
            payloads = [event.payload for event in self.events]
            values = np.array([find_amount(one, (name,)) for one in payloads], np.float64)
            self.read[name] = values, np.array([_is_amount(one.get(name)) for one in payloads], np.bool_)
        return self.read[name]


def _pick_probes(case: Case, keys: Sequence[str]) -> list[str]:
    return sorted(keys, key=lambda key: (len(case.applied[key]), key))[:PROBES]


def _differs_elsewhere(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return any(one[name] != other[name] for name in ("event_count", "last_event_ts_utc"))


def _list_choices(case: Case) -> Iterator[tuple[str, ...]]:
    """The rules' fields reordered or cut, one more field put among them or in the place of one; then each field alone."""
    usual = case.rules.amount_fields
    known = list(dict.fromkeys([*usual, *OnlineCoreRules().amount_fields]))[:KEY_FIELDS]
    near = [one for length in range(len(known), -1, -1) for one in permutations(known, length)]
    for name in _find_amount_names(case):
        near += [(*usual[:at], name, *usual[at:]) for at in range(len(usual) + 1)]
        near += [(*usual[:at], name, *usual[at + 1 :]) for at in range(len(usual))]
        near.append((name,))
    yield from (one for one in dict.fromkeys(near) if one != usual)


def _find_amount_names(case: Case) -> list[str]:
    """Payload fields of the differing keys' events that hold an amount, the most frequent first."""
    found: Counter[str] = Counter()
    for key in case.keys:
        for one in case.applied.get(key, []):
            found.update(name for name, value in one.event.payload.items() if _is_amount(value))
    return [name for name, _ in sorted(found.items(), key=lambda one: (-one[1], one[0]))][:AMOUNT_FIELDS]


def _is_amount(value: Any) -> bool:
    """Whether the law reads an amount of this value: what stands after it then makes no difference."""
    return find_amount({"": value}, ("",)) == find_amount({"": value, "1": 1.0}, ("", "1"))
