"""What one anchor's comparison comes to: MATCH, MISMATCH with its category, or UNCHECKABLE with what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ofs_spark.foundation.errors import Refusal
from ofs_spark.parity.anchors import Anchor
from ofs_spark.replay.completeness import COMPLETE, INCOMPLETE

Outcome = Literal["MATCH", "MISMATCH", "UNCHECKABLE"]
MATCH: Outcome = "MATCH"
MISMATCH: Outcome = "MISMATCH"
UNCHECKABLE: Outcome = "UNCHECKABLE"
OUTCOMES = (MATCH, MISMATCH, UNCHECKABLE)
BASIS, VERSION, GAP = "BASIS_MISMATCH", "VERSION_MISMATCH", "DATA_GAP"
CANONICALIZATION, CONTENT = "CANONICALIZATION_MISMATCH", "CONTENT_MISMATCH"
ORDER = "ORDER_UNDEFINED"
Document = dict[str, Any]


@dataclass(frozen=True)
class Rebuilt:
    """An anchor's snapshot as the archive gives it.

    snapshot_hash: None where it has none: `undefined` says why. status: of the replay of its own offsets; problem: in words.
    """

    snapshot_hash: str | None
    keys: int
    counts: Mapping[str, int]
    undefined: str = ""
    status: str = COMPLETE
    problem: str = ""


@dataclass(frozen=True)
class Verdict:
    """One result of a report."""

    anchor_ref: str
    kind: str
    outcome: Outcome
    category: str | None = None
    expected_hash: str | None = None
    rebuilt_hash: str | None = None
    keys: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    prerequisite: str = ""
    differences: Sequence[Document] = ()
    difference_count: int = 0
    explanation: Document | None = None
    warnings: Sequence[str] = ()

    def to_document(self) -> Document:
        """The result as reports hold it."""
        told: Document = {
            "anchor_ref": self.anchor_ref,
            "kind": self.kind,
            "outcome": self.outcome,
            "category": self.category,
            "expected_hash": self.expected_hash,
            "rebuilt_hash": self.rebuilt_hash,
            "keys": self.keys,
            "counts": dict(self.counts),
            "differences": list(self.differences),
            "difference_count": self.difference_count,
        }
        more = {"reason": self.reason, "prerequisite": self.prerequisite, "explanation": self.explanation}
        told |= {name: value for name, value in more.items() if value}
        return told | ({"warnings": list(self.warnings)} if self.warnings else {})


def make_unreadable(ref: str, refusal: Refusal) -> Verdict:
    """The result of an anchor that cannot be read as one."""
    return Verdict(ref, "unknown", UNCHECKABLE, reason=refusal.message, prerequisite=refusal.code)


def begin_verdict(anchor: Anchor) -> Verdict:
    """What is known of an anchor before anything is rebuilt."""
    return Verdict(anchor.ref, anchor.kind, UNCHECKABLE, expected_hash=anchor.snapshot_hash, warnings=anchor.warnings)


def lack(anchor: Anchor, prerequisite: str, reason: str) -> Verdict:
    """UNCHECKABLE: something that the comparison needs is missing."""
    return replace(begin_verdict(anchor), prerequisite=prerequisite, reason=reason)


def differ(anchor: Anchor, category: str, reason: str) -> Verdict:
    """MISMATCH that is known before anything is rebuilt."""
    return replace(begin_verdict(anchor), outcome=MISMATCH, category=category, reason=reason)


def judge(anchor: Anchor, rebuilt: Rebuilt, basis_problem: str, version_problems: Sequence[str]) -> Verdict:
    """The verdict of a rebuilt anchor: the first category that holds. CONTENT where only its features can tell the rest."""
    begun = replace(begin_verdict(anchor), rebuilt_hash=rebuilt.snapshot_hash, keys=rebuilt.keys, counts=rebuilt.counts)
    if rebuilt.snapshot_hash is not None and rebuilt.snapshot_hash == anchor.snapshot_hash:
        return replace(begun, outcome=MATCH)
    mismatch = replace(begun, outcome=MISMATCH)
    if basis_problem:
        return replace(mismatch, category=BASIS, reason=basis_problem)
    if version_problems:
        return replace(mismatch, category=VERSION, reason="; ".join(version_problems))
    if rebuilt.status == INCOMPLETE:
        return replace(mismatch, category=GAP, reason=rebuilt.problem)
    if rebuilt.status != COMPLETE:
        return replace(begun, prerequisite="REPLAY_UNCHECKABLE", reason=rebuilt.problem)
    if rebuilt.snapshot_hash is None:
        return replace(begun, prerequisite=ORDER, reason=rebuilt.undefined)
    reason = "" if anchor.body_ref else f"the hashes differ, and no body can be compared: {anchor.bodiless}"
    return replace(mismatch, category=CONTENT, reason=reason)


def choose_outcome(verdicts: Sequence[Verdict]) -> Outcome:
    """Of many: MISMATCH if any is, else UNCHECKABLE if any is, else MATCH."""
    found = {one.outcome for one in verdicts}
    return next(one for one in (MISMATCH, UNCHECKABLE, MATCH) if one in found or one is MATCH)


def count_outcomes(verdicts: Sequence[Verdict]) -> Document:
    """How many anchors came to what."""
    outcomes = [one.outcome for one in verdicts]
    return {"anchors": len(outcomes), **{one.lower(): outcomes.count(one) for one in OUTCOMES}}
