"""One stored row explained: its values computed again from the archive, and compared with those that are stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ofs_spark.features.explain_terms import Story
from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.errors import refuse, show_text
from ofs_spark.foundation.positions import parse_range
from ofs_spark.foundation.wording import write_count
from ofs_spark.labels.explain import LabelStory, explain_label, find_assertions
from ofs_spark.labels.extract import EXTRACT, read_extract
from ofs_spark.labels.model import name_label_columns
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.pins.profile.compiler import list_columns
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay.index import digest_slice, read_index
from ofs_spark.replay.scan.spec import ScanSpec
from ofs_spark.replay.selection import Archive
from ofs_spark.workflow.claims import Claims, read_claims
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.explain_anchor import (
    MISMATCH,
    StoredAnchor,
    find_own_event,
    require_winner,
    tell_own_columns,
)
from ofs_spark.workflow.explain_answer import (
    Explained,
    explain_feature,
    explain_label_column,
    explain_own_column,
)
from ofs_spark.workflow.explain_features import FeatureSearch, GroupStories

_MOST_DIFFERING = 20
Document = Mapping[str, Any]


@dataclass
class Explainer:
    """One stored row of one published dataset, and everything that its values are explained from."""

    ref: str
    manifest: Document
    row: Document
    context: RunContext

    @cached_property
    def anchor(self) -> StoredAnchor:
        """The event that the row is about."""
        return StoredAnchor.from_row(self.row)

    @cached_property
    def claims(self) -> Claims:
        """The manifest's evidence, its bytes proven."""
        for one in self.manifest["evidence"].values():
            found = self.context.objects.digest(one["ref"])
            if found != one["sha256"]:
                message = f"{one['ref']} has sha256 {found}; the manifest states {one['sha256']}"
                raise refuse("EVIDENCE_IMMUTABILITY_VIOLATION", message, ref=one["ref"])
        return read_claims(self.ref, self.manifest, self.context.objects)

    @cached_property
    def program(self) -> Program:
        """The compiled feature set that the dataset was built with. FEATURE_PROFILE_MISMATCH for any other."""
        stated = self.manifest["feature_profile"]
        profile = read_profile(self.context.profiles, stated["feature_set_id"], stated["feature_set_version"])
        found = profile.find_set_digest(stated.get("feature_set_recipe", ""))
        if found != stated["feature_set_digest"]:
            message = f"{profile.ref} selects {found}; the dataset was built with {stated['feature_set_digest']}"
            raise refuse("FEATURE_PROFILE_MISMATCH", message, ref=profile.ref)
        return profile.program

    @cached_property
    def archive(self) -> Archive:
        """The dataset's basis in the archive as it is now."""
        manifest, policy = self.manifest, self.context.policy
        spec = ScanSpec(
            platform_run_id=manifest["platform_run_id"],
            program=self.program,
            scenario_run_ids=tuple(manifest["scenario_run_ids"]),
            event_types=self._read_event_types(),
            arrival=self.claims.replay["archive"]["arrival"],
            int96_is_utc=policy.int96_is_utc,
            most_decoded=policy.most_decoded_bytes,
        )
        basis = [parse_range(one["range"]) for one in manifest["basis"]]
        index = read_index(self.context.objects, manifest["platform_run_id"])
        return Archive(self.context.objects, index, basis, spec)

    def _read_event_types(self) -> tuple[str, ...] | None:
        """What the intent narrows its inputs to. PARITY_UNCHECKABLE where a plan of an earlier release leaves it out."""
        plan = self.claims.plan
        if "event_types" not in plan and self.manifest["replay"]["counts"]["out_of_scope"]:
            message = (
                "the plan does not say which event types the dataset is narrowed to, and some events are out of scope"
            )
            raise refuse("PARITY_UNCHECKABLE", message, ref=self.manifest["evidence"]["resolved_build_plan"]["ref"])
        types = plan.get("event_types")
        return None if types is None else tuple(types)

    @property
    def must_read_everything(self) -> bool:
        """Whether copies of an event may differ in key or time: the dataset tolerates some, or its archive has changed."""
        counts = self.manifest["replay"]["counts"]
        return self.has_changed or bool(counts["conflicts"] or counts["invalid"])

    @cached_property
    def has_changed(self) -> bool:
        """Whether the archive's slice is another one than the dataset was built from."""
        found = digest_slice(self.archive.index, self.archive.basis)
        return bool(found != self.manifest["archive"]["slice_digest"])

    def explain(self, columns: Sequence[Document]) -> list[Explained]:
        """Every column among these that has a story, in their order. PARITY_MISMATCH where a value is not the stored one."""
        explain = (self.explain_own, self.explain_features, self.explain_labels)
        found = {one.column["name"]: one for part in explain for one in part(columns)}
        return [found[column["name"]] for column in columns if column["name"] in found]

    def explain_own(self, columns: Sequence[Document]) -> list[Explained]:
        """The columns among these that the row's own event gives. PARITY_MISMATCH where the archive gives another value."""
        named = {column["name"]: column for column in columns if column["role"] in ("anchor", "identity")}
        wanted = [one for one in self.program.own if one.column.name in named] if named else []
        if not wanted:
            return []
        self.context.announce("replay", "reads the segment of the row's own event")
        event = find_own_event(self.archive, self.anchor)
        if self.has_changed:
            require_winner(self.archive, self.anchor, event)
        stories = tell_own_columns(self.program, wanted, event)
        differing = [name for name, story in stories.items() if not is_same(story.value, self.row[name])]
        if differing:
            raise self._refuse_values(differing, stories)
        return [
            explain_own_column(self.archive, event, named[name], story, self.row[name])
            for name, story in stories.items()
        ]

    def explain_features(self, columns: Sequence[Document]) -> list[Explained]:
        """The feature columns among these. PARITY_MISMATCH where the archive gives other values than are stored.

        What the chosen segments give is told only where it is what is stored: else every segment is read.
        """
        named = {column["name"]: column for column in columns if column["role"] == "feature"}
        if not named:
            return []
        groups = [n for n, group in enumerate(self.program.groups) if set(list_columns(group)) & set(named)]
        found, differing = {}, list(named)
        for everything in (False, True):
            if everything or not self.must_read_everything:
                self._announce_search(everything)
                found = FeatureSearch(self.archive, self.anchor, groups, everything).explain()
                differing = self._find_differing(named, found)
            if not differing:
                break
        if differing:
            raise self._refuse_values(differing, _gather_stories(found))
        return [
            explain_feature(self.archive, one, named[name], story, self.row[name])
            for one in found.values()
            for name, story in one.stories.items()
            if name in named
        ]

    def _announce_search(self, everything: bool) -> None:
        which = "every segment" if everything else "the segments that may hold the events of its keys"
        self.context.announce("replay", f"reads {which}, of {self.archive.segments}")

    def _find_differing(self, named: Document, found: Mapping[int, GroupStories]) -> list[str]:
        stories = _gather_stories(found)
        return [name for name in named if not is_same(stories[name].value, self.row[name])]

    def _refuse_values(self, differing: Sequence[str], stories: Mapping[str, Story]) -> Exception:
        first = differing[0]
        message = (
            f"{first} of event {show_text(self.anchor.event_id)} is stored as {self.row[first]!r:.200}; "
            f"the archive gives {stories[first].value!r:.200}"
        )
        position, listed = self.anchor.describe(), list(differing[:_MOST_DIFFERING])
        return refuse(MISMATCH, message, ref=self.ref, position=position, columns=listed, differing=len(differing))

    def explain_labels(self, columns: Sequence[Document]) -> list[Explained]:
        """The label columns among these. PARITY_MISMATCH where the extract gives other values than are stored."""
        named = {column["name"]: column for column in columns if column["role"] == "label"}
        labels = self.manifest["labels"]
        types = [one for one in labels["types"] if set(name_label_columns(one)) & set(named)]
        if not types:
            return []
        stories = self._tell_labels(types)
        found = []
        for label_type in types:
            story = stories[label_type]
            for place, name in enumerate(name_label_columns(label_type)):
                if name in named and not is_same(story.values[place], self.row[name]):
                    message = (
                        f"{name} is stored as {self.row[name]!r:.200}; the extract gives {story.values[place]!r:.200}"
                    )
                    raise refuse(MISMATCH, message, ref=self.ref, columns=[name])
                if name in named:
                    found.append(explain_label_column(named[name], story, story.values[place], self.row[name]))
        return found

    def _tell_labels(self, types: Sequence[str]) -> dict[str, LabelStory]:
        labels, policy = self.manifest["labels"], self.context.policy
        pinned = labels["extract"]
        extract = read_extract(self.context.objects, pinned["ref"])
        if extract.digest != pinned["digest"]:
            raise EXTRACT.refuse(pinned["ref"], f"has the digest {extract.digest}; the dataset pins {pinned['digest']}")
        self.context.announce("labels", f"reads {write_count(extract.row_count, 'assertion')}")
        run, event_id = self.manifest["platform_run_id"], self.anchor.event_id
        read_as = policy.int96_is_utc, policy.most_decoded_bytes
        assertions = find_assertions(self.context.objects, extract, run, event_id, types, *read_as)
        until = parse_instant(labels["label_asof_utc"]) if labels["posture"] == "KNEW_THEN" else None
        return {one: explain_label(assertions, event_id, one, labels["rule"], until) for one in types}

    def describe(self) -> dict[str, Any]:
        """What an answer says of dataset, event and segments."""
        read = self.__dict__.get("archive")
        segments = {"read": 0, "asked_for_arrivals": 0, "of": len(self.claims.plan["archive"]["segments"])}
        if isinstance(read, Archive):
            segments = {"read": len(read.read), "asked_for_arrivals": len(read.asked - read.read), "of": read.segments}
        return {
            "manifest_ref": self.ref,
            "dataset_manifest_id": self.manifest["dataset_manifest_id"],
            "row": self.row,
            "position": self.anchor.describe(),
            "segments": segments,
        }


def _gather_stories(found: Mapping[int, GroupStories]) -> dict[str, Story]:
    return {name: story for one in found.values() for name, story in one.stories.items()}


def is_same(value: Any, stored: Any) -> bool:
    """Whether a value is the one that is stored: of one type, and a zero of one sign."""
    if isinstance(value, float) and isinstance(stored, float):
        return value == stored and math.copysign(1, value) == math.copysign(1, stored)
    return type(value) is type(stored) and bool(value == stored)
