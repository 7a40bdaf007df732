"""How many labels are enough: the thresholds an intent states, else the loaded policy's, as they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ofs_spark.foundation.contracts import DocumentFault, format_pointer

POLICY_POINTER = "/filters/label_coverage_policy"
MINIMA, MOST_CONFLICTS = "min_coverage_by_label_type", "max_conflict_ratio"
Number = int | float | Decimal | str


@dataclass(frozen=True)
class CoveragePolicy:
    """Thresholds as written: least coverage per type (1 for types left out), most conflicts, least mature anchors."""

    min_coverage: Mapping[str, Number]
    max_conflict_ratio: Number = 0
    min_mature_anchor_ratio: Number = 0

    def find_least(self, label_type: str) -> Number:
        """The least coverage of a type, as written."""
        return self.min_coverage.get(label_type, 1)


def choose_policy(stated: Any, defaults: Mapping[str, Any], min_mature_anchor_ratio: Number = 0) -> CoveragePolicy:
    """The policy an intent states (it stands alone), else the loaded one. `find_policy_faults` has judged the former."""
    policy = defaults if stated is None else stated
    return CoveragePolicy(dict(policy.get(MINIMA, {})), policy.get(MOST_CONFLICTS, 0), min_mature_anchor_ratio)


def find_policy_faults(stated: Any) -> Iterator[DocumentFault]:
    """What of the policy an intent states is none: LABEL_POLICY_INVALID for an unknown key or a ratio outside 0 to 1.

    The names of its types are judged with the other lists of types (`terms.find_type_faults`).
    """
    if stated is None:
        return
    if not isinstance(stated, Mapping):
        yield _make_fault(POLICY_POINTER, stated, "an object")
        return
    for key in sorted(set(stated) - {MINIMA, MOST_CONFLICTS}, key=str):
        yield _make_fault(f"{POLICY_POINTER}{format_pointer([key])}", key, f"{MINIMA} or {MOST_CONFLICTS}")
    minima = stated.get(MINIMA, {})
    if not isinstance(minima, Mapping):
        yield _make_fault(f"{POLICY_POINTER}/{MINIMA}", minima, "an object of label type → ratio")
        minima = {}
    shares = {f"{MINIMA}{format_pointer([name])}": minima[name] for name in minima}
    for place, value in {**shares, MOST_CONFLICTS: stated.get(MOST_CONFLICTS, 0)}.items():
        if not is_share(value):
            yield _make_fault(f"{POLICY_POINTER}/{place}", value, "a number from 0 to 1")


def to_fraction(number: Number) -> Fraction:
    """The number as written: the shortest digits of a float, not its binary value."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def is_share(value: object) -> bool:
    """Whether a value is a number from 0 to 1; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return bool(0 <= value <= 1)


def _make_fault(pointer: str, found: object, required: str) -> DocumentFault:
    return DocumentFault("LABEL_POLICY_INVALID", pointer, f"is {str(found)[:80]!r}; {required} is required")
