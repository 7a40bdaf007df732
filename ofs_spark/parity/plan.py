"""The plan of a parity or forensic rebuild: every pin, frozen before anything is replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.positions import Range, describe_basis, hash_basis
from ofs_spark.intent.model import Intent
from ofs_spark.parity.anchors import Anchor
from ofs_spark.pins.profile.compile import Profile
from ofs_spark.pins.run_facts import RunFacts
from ofs_spark.replay.index import Place, SegmentIndex, locate_range

SCHEMA_VERSION = "ofs.parity_plan.v1"
RECIPE = "ofs.parity_plan.v1"


@dataclass(frozen=True)
class ParityPlan:
    """What the run means.

    anchors: (ref, SHA-256) in the order asked, "" for one that cannot be read. basis: from each partition's first archived
    offset to the greatest end of its anchors.
    """

    intent: Intent
    profile: Profile
    run_facts: RunFacts
    archive: Mapping[str, Any]
    anchors: tuple[tuple[str, str], ...]
    basis: tuple[Range, ...]
    policy: Mapping[str, str]
    release: str
    differences: tuple[str, ...]

    @property
    def anchors_digest(self) -> str:
        """`H` of the anchors' refs and digests, in the order asked."""
        return digest([list(one) for one in self.anchors])

    @property
    def pins(self) -> dict[str, Any]:
        """The value whose `H` is plan_id."""
        return {
            "recipe": RECIPE,
            "platform_run_id": self.intent.platform_run_id,
            "basis_hash": hash_basis(self.basis),
            "feature_set_digest": self.profile.set_digest,
            "profile_digest": self.profile.digest,
            "run_facts_digest": self.run_facts.digest,
            "archive_slice_digest": self.archive["slice_digest"],
            "anchors_digest": self.anchors_digest,
            "run_config_digest": self.policy["run_config_digest"],
            "code_release": self.release,
        }

    @property
    def plan_id(self) -> str:
        """64 hex: equal for two runs iff every pin is."""
        return digest(self.pins)

    def to_document(self) -> dict[str, Any]:
        """The plan, as evidence."""
        return {
            "schema_version": SCHEMA_VERSION,
            "plan_id": self.plan_id,
            "platform_run_id": self.intent.platform_run_id,
            "intent_kind": self.intent.intent_kind,
            "basis_hash": hash_basis(self.basis),
            "basis": describe_basis(self.basis),
            "run_facts": {"ref": self.run_facts.ref, "digest": self.run_facts.digest},
            "feature_profile": self.profile.to_document(),
            "archive": dict(self.archive),
            "anchors": {"count": len(self.anchors), "digest": self.anchors_digest},
            "policy": dict(self.policy),
            "code_release": {"requested": self.intent.code_release, "running": self.release},
            "pins": self.pins,
            "differences": list(self.differences),
        }


def find_firsts(index: SegmentIndex) -> dict[Place, int]:
    """The first archived offset of every partition."""
    return {place: own[0].file.first for place, own in index.by_place.items()}


def find_unreachable(anchor: Anchor, firsts: Mapping[Place, int]) -> str:
    """Of a partition that the archive does not have, its name; "" where it has all that the anchor reaches."""
    missing = [one.place for one in anchor.ends if one.place not in firsts and one.last >= 0]
    return "" if not missing else "{} partition {} {}".format(*missing[0])


def find_uncovered(anchor: Anchor, firsts: Mapping[Place, int], basis: Sequence[Range]) -> str:
    """The first partition of which the intent's basis lacks offsets that the anchor applied, in words; "" for none."""
    held: dict[Place, list[Range]] = {}
    for one in basis:
        held.setdefault(locate_range(one), []).append(one)
    for end in anchor.ends:
        first = firsts.get(end.place, 0)
        covers = any(one.start <= first and end.last <= one.last for one in held.get(end.place, ()))
        if end.last >= first and not covers:
            return f"{end.topic} partition {end.partition}: the anchor applied {end.offset_kind} {first} to {end.last}"
    return ""


def unite_cells(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """Adjacent cells of one partition as one range; they are given in total order."""
    united: list[Range] = []
    for one in ranges:
        last = united[-1] if united else None
        if last is not None and locate_range(last) == locate_range(one) and last.last + 1 == one.start:
            united[-1] = Range(*locate_range(one), last.start, one.end)
        else:
            united.append(one)
    return tuple(united)
