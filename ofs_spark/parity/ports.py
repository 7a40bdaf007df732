"""What an explanation asks of the basis that it is about, where that has more records than can be held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ofs_spark.parity.causes import Changes
from ofs_spark.parity.differences import Features
from ofs_spark.parity.events import Ends, Ruling
from ofs_spark.pins.profile.model import OnlineCoreRules


@dataclass(frozen=True)
class Whole:
    """What all records of a basis come to. states: of every key. find_changes: what the law itself applies otherwise."""

    states: Features
    find_changes: Callable[[], Changes]


@dataclass(frozen=True)
class KeyRulings:
    """What the law makes of one key: what it applies, in order of application, and the copies that it skips."""

    key: str
    applied: Sequence[Ruling]
    skipped: Sequence[Ruling]


class WholeBasis(Protocol):
    """Every record of an anchor's basis. They are read again for each question, and a bounded number is held at a time.

    Refuses as reading the archive does where this process may not or cannot.
    """

    @property
    def limits(self) -> Sequence[str]:
        """What was not computed, and why, in words."""
        ...

    def compute(self, rules: OnlineCoreRules, ends: Ends) -> Whole | None:
        """What all records come to under other rules and ends; None where the archive does not prove them all, or too
        much was asked already: `limits` says so."""
        ...

    def read_keys(self, keys: Sequence[str]) -> Iterator[KeyRulings]:
        """The law's rulings of some keys, in any order; those with too many events are left out: `limits` says so.

        Their events have no envelope. Deliveries beyond the basis are not there, nor any that the law skips for another
        reason than that it is a copy.
        """
        ...
