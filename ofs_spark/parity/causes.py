"""What an explanation says: causes of a closed list, each with the keys it claims, the positions and what was tested.

The words are seen from the online snapshot: EVENT_MISSING means that the snapshot lacks an event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from ofs_spark.parity.events import OnlineEvent
from ofs_spark.pins.profile.model import OnlineCoreRules

LISTED = 20
"""Positions, keys and alternatives that a cause lists; the counts are always whole."""
LISTED_CAUSES = 100
"""Causes that a document lists."""

State: TypeAlias = Mapping[str, Any]
"""{event_count, amount_sum, last_event_ts_utc}."""


class CauseKind(StrEnum):
    """Why an online snapshot says something else than the law."""

    EVENT_MISSING = "EVENT_MISSING"
    EVENT_EXTRA = "EVENT_EXTRA"
    DUPLICATE_APPLIED = "DUPLICATE_APPLIED"
    ADDITION_ORDER = "ADDITION_ORDER"
    WINDOW_END = "WINDOW_END"
    PROFILE_REVISION = "PROFILE_REVISION"
    KEY_PRECEDENCE = "KEY_PRECEDENCE"
    AMOUNT_FIELD = "AMOUNT_FIELD"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Deliveries:
    """Some deliveries. events: those that are at hand, by position; more: how many there are besides."""

    events: tuple[OnlineEvent, ...] = ()
    more: int = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.events) + self.more


@dataclass(frozen=True)
class Changes:
    """Deliveries that two ways of applying tell apart: `gained` and `lost` by the second, `moved` to another key or amount."""

    gained: Deliveries
    lost: Deliveries
    moved: Deliveries


@dataclass(frozen=True)
class EndShift:
    """Another end of one partition: the last offset by the anchor's basis, the last one by the snapshot's content.

    found: text; where nothing of the partition was applied, None.
    """

    topic: str
    partition: int
    stated: str | None
    found: str | None

    def to_document(self) -> dict[str, Any]:
        """The shift as documents hold it."""
        return {"topic": self.topic, "partition": self.partition, "stated": self.stated, "found": self.found}

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition} from {self.stated or 'nothing'} to {self.found or 'nothing'}"


@dataclass(frozen=True)
class Alternative:
    """Another change that gives the same state, so that the archive alone cannot tell the two apart."""

    kind: CauseKind
    positions: tuple[OnlineEvent, ...]

    def to_document(self) -> dict[str, Any]:
        """The alternative as documents hold it."""
        return {"cause": self.kind.value, "positions": [one.to_position() for one in self.positions[:LISTED]]}


@dataclass(frozen=True)
class Cause:
    """One cause. tested: re-computing with it gave exactly the anchor's state of every key in `keys`.

    field: the one field of the state that differs, None where several do or a whole key. positions: the deliveries it is
    about, `more` how many there are besides. ends, rules: of WINDOW_END, and of the causes that are other rules.
    alternatives: other changes that give the same states, the first of `alternative_count`.
    """

    kind: CauseKind
    keys: tuple[str, ...]
    field: str | None
    positions: tuple[OnlineEvent, ...]
    detail: str
    tested: bool
    ends: tuple[EndShift, ...] = ()
    rules: OnlineCoreRules | None = None
    alternatives: tuple[Alternative, ...] = ()
    alternative_count: int = 0
    more: int = 0

    def to_document(self) -> dict[str, Any]:
        """The cause as documents hold it; `key` is its first one, null where it is about none."""
        optional = {
            "ends": [one.to_document() for one in self.ends],
            "rules": _describe_rules(self.rules),
            "alternatives": [one.to_document() for one in self.alternatives[:LISTED]],
        }
        return {
            "cause": self.kind.value,
            "key": self.keys[0] if self.keys else None,
            "keys": list(self.keys[:LISTED]),
            "key_count": len(self.keys),
            "field": self.field,
            "positions": [one.to_position() for one in self.positions[:LISTED]],
            "position_count": len(self.positions) + self.more,
            "detail": self.detail,
            "tested": self.tested,
            "alternative_count": self.alternative_count,
            **{name: value for name, value in optional.items() if value},
        }


def _describe_rules(rules: OnlineCoreRules | None) -> dict[str, list[str]]:
    if rules is None:
        return {}
    return {"key_precedence": list(rules.key_precedence), "amount_fields": list(rules.amount_fields)}


Found: TypeAlias = tuple[Cause, dict[str, State | None]]
"""A cause of all keys, and the states that it gives."""


@dataclass(frozen=True)
class Explanation:
    """Why a snapshot differs from what is rebuilt.

    patched: the state of every key that a tested cause claims, None for a key that is not there. members: members of the
    snapshot other than `features` that a cause says to be the anchor's. limits: what was not tried, and why; empty when
    nothing was left out. Put in place of the rebuilt ones, `patched` and `members` give a content whose hash the caller
    compares with the anchor's (`patch_content`).
    """

    causes: tuple[Cause, ...]
    patched: Mapping[str, State | None] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every cause is tested."""
        return all(cause.tested for cause in self.causes)

    def to_document(self) -> dict[str, Any]:
        """The explanation as documents hold it, without the patches."""
        return {
            "causes": [cause.to_document() for cause in self.causes[:LISTED_CAUSES]],
            "cause_counts": dict(sorted(Counter(cause.kind.value for cause in self.causes).items())),
            "limits": list(self.limits),
        }


def patch_content(content: Mapping[str, Any], explanation: Explanation) -> dict[str, Any]:
    """The rebuilt snapshot's hashed content with what the explanation puts in its place."""
    features = {**content["features"], **explanation.patched}
    kept = {key: state for key, state in features.items() if state is not None}
    return {**content, **explanation.members, "features": kept}


def list_positions(events: Iterable[OnlineEvent], more: int = 0) -> str:
    """The first positions in words, for a detail text. more: how many there are besides `events`."""
    named: Sequence[OnlineEvent] = list(events)
    text = ", ".join(f"{one.topic}/{one.partition}@{one.offset}" for one in named[:3])
    rest = len(named) - 3 + more
    return text if rest <= 0 else f"{text} and {rest} more"
