"""The build plan: every pin of a run, resolved and frozen before anything is replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.contracts import shorten
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.policy import Policy
from ofs_spark.foundation.positions import SourcedRange, describe_basis, hash_basis
from ofs_spark.foundation.wording import write_count
from ofs_spark.intent.identity import compose_manifest_v0, derive_manifest_id, describe_slices, fingerprint_dataset
from ofs_spark.intent.model import Intent, Scope
from ofs_spark.pins.columns import Column
from ofs_spark.pins.profile.catalogue import describe_dataset
from ofs_spark.pins.profile.compile import Profile
from ofs_spark.pins.profile.model import Program
from ofs_spark.pins.run_facts import RunFacts

SCHEMA_VERSION = "ofs.build_plan.v1"
OWN_DATA = "ofs_import"
"""The origin that index, extract and run facts state where no platform wrote them: own data, imported, or invented."""
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Archive:
    """The slice of the segment index that the basis reads: index ref and digest, the entries and their digest.

    rows: what index and basis state, for people; nothing is laid out by it.
    """

    index_ref: str
    index_digest: str
    slice_digest: str
    segments: tuple[Document, ...]
    rows: int

    def describe(self) -> str:
        """How much there is to read, for people."""
        return f"{write_count(len(self.segments), 'segment')}, {write_count(self.rows, 'offset')}"


@dataclass(frozen=True)
class BuildPlan:
    """What the run means. `labels`: extract, rule, posture, cut-off and types, as documents hold them.

    `sources`: the ranges of the basis, each with the source it is read from, in total order.
    """

    intent: Intent
    scope: Scope
    profile: Profile
    run_facts: RunFacts
    archive: Archive
    labels: Document
    policy: Policy
    release: str
    differences: tuple[str, ...]
    sources: tuple[SourcedRange, ...]

    @property
    def program(self) -> Program:
        """The compiled feature set."""
        return self.profile.program

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The dataset's columns, in order. FEATURE_PROFILE_UNRESOLVED where two would have one name."""
        return describe_dataset(self.program, self.labels["types"])

    @property
    def schema(self) -> tuple[tuple[str, str], ...]:
        """(column, type) of the dataset, in order."""
        return tuple((column.name, column.type) for column in self.columns)

    def describe_features(self) -> str:
        """How many feature columns there are, for people."""
        return write_count(len(self.program.feature_columns), "feature")

    @property
    def fingerprint(self) -> str:
        """The dataset's fingerprint."""
        return fingerprint_dataset(self.intent)

    @property
    def dataset_manifest_id(self) -> str:
        """The dataset's id."""
        return derive_manifest_id(self.fingerprint)

    @property
    def basis_hash(self) -> str:
        """`H` of the resolved basis."""
        return hash_basis(self.intent.basis)

    @property
    def layout(self) -> dict[str, Any]:
        """The rule by which rows are placed; how many buckets it comes to, the proven rows decide."""
        return {
            "rows_per_bucket": self.policy.rows_per_bucket,
            "leaf_rows": self.policy.leaf_rows,
            "hash": "crc32",
            "key": "layout key, else event_id",
        }

    @property
    def pins(self) -> dict[str, Any]:
        """The value whose `H` is plan_id: what the dataset depends on, not what surrounds it."""
        return compose_pins(
            {
                "dataset_fingerprint": self.fingerprint,
                "basis_hash": self.basis_hash,
                "feature_profile": self.profile.to_document(),
                "run_facts": {"digest": self.run_facts.digest},
                "archive": {"slice_digest": self.archive.slice_digest},
                "labels": self.labels,
                "contexts": [context.to_document() for context in self.run_facts.contexts],
                "policy": self._describe_policy(),
                "code_release": self._release(),
            }
        )

    @property
    def plan_id(self) -> str:
        """64 hex: equal for two runs iff every pin is."""
        return digest(self.pins)

    def to_document(self) -> dict[str, Any]:
        """The resolved build plan."""
        return {
            "schema_version": SCHEMA_VERSION,
            "plan_id": self.plan_id,
            "platform_run_id": self.intent.platform_run_id,
            "dataset_fingerprint": self.fingerprint,
            "dataset_manifest_id": self.dataset_manifest_id,
            "training": self.intent.training,
            "basis_hash": self.basis_hash,
            "basis": describe_basis(self.intent.basis),
            "run_facts": {"ref": self.run_facts.ref, "digest": self.run_facts.digest},
            "feature_profile": self.profile.to_document(),
            "contexts": [context.to_document() for context in self.run_facts.contexts],
            "archive": {
                "index_ref": self.archive.index_ref,
                "index_digest": self.archive.index_digest,
                "slice_digest": self.archive.slice_digest,
                "segments": list(self.archive.segments),
            },
            "labels": dict(self.labels),
            "event_types": None if self.scope.event_types is None else list(self.scope.event_types),
            "policy": self._describe_policy(),
            "config_revision": self.policy.config_revision,
            "code_release": self._release(),
            "pins": self.pins,
            "layout": self.layout,
            "differences": list(self.differences),
            **describe_correction(self.intent),
        }

    def describe_pinned(self) -> dict[str, Any]:
        """Every field of a manifest that the plan alone decides."""
        view = compose_manifest_v0(self.intent)
        own = {name: view[name] for name in ("feature_definition_set", "scenario_run_ids")}
        code = self.intent.reason_code if self.intent.supersedes else None
        own |= describe_correction(self.intent) | ({"backfill": {"reason_code": code}} if code else {})
        return own | {
            "dataset_manifest_id": self.dataset_manifest_id,
            "dataset_fingerprint": self.fingerprint,
            "platform_run_id": self.intent.platform_run_id,
            "replay_basis": describe_slices(self.intent),
            "label_basis": dict(self.intent.document["label_basis"]),
            "plan_id": self.plan_id,
            "basis_hash": self.basis_hash,
            "basis": [one.to_document() for one in self.sources],
            "provenance": {
                "ofs_code_release_id": self.intent.code_release,
                "config_revision": self.intent.config_revision,
                "run_config_digest": self.policy.run_config_digest,
            },
            "feature_profile": self.profile.to_document(),
            "contexts": [context.to_document() for context in self.run_facts.contexts],
            "policy": self._describe_policy(),
            "pins": self.pins,
            "code_release": self._release(),
            "differences": list(self.differences),
            "archive": {
                "index_ref": self.archive.index_ref,
                "index_digest": self.archive.index_digest,
                "slice_digest": self.archive.slice_digest,
            },
            "run_facts": {"ref": self.run_facts.ref, "digest": self.run_facts.digest},
        }

    def _release(self) -> dict[str, str]:
        return {"requested": self.intent.code_release, "running": self.release}

    def _describe_policy(self) -> dict[str, Any]:
        return {
            "revision": self.policy.policy_revision,
            "run_config_digest": self.policy.run_config_digest,
            "files": dict(self.policy.file_digests),
        }


def describe_correction(intent: Intent) -> dict[str, Any]:
    """What a plan, and its manifest, say of a dataset that corrects another; nothing of any other one."""
    superseded = {"supersedes": sorted(intent.supersedes)} if intent.supersedes else {}
    stamp = {} if intent.correction_stamp is None else {"correction_stamp": intent.correction_stamp}
    return superseded | stamp


def compose_pins(stated: Mapping[str, Any]) -> dict[str, Any]:
    """The value whose `H` is plan_id, from what a plan states, or a manifest (all members but these are ignored)."""
    extract = stated["labels"]["extract"]
    return {
        "recipe": "ofs.plan.v1",
        "dataset_fingerprint": stated["dataset_fingerprint"],
        "basis_hash": stated["basis_hash"],
        "feature_set_digest": stated["feature_profile"]["feature_set_digest"],
        "run_facts_digest": stated["run_facts"]["digest"],
        "archive_slice_digest": stated["archive"]["slice_digest"],
        "label_rule": stated["labels"]["rule"],
        "label_store": {name: extract[name] for name in ("label_store_id", "marker", "committed_up_to_utc", "digest")},
        "contexts": stated["contexts"],
        "run_config_digest": stated["policy"]["run_config_digest"],
        "code_release": stated["code_release"]["running"],
    }


def find_differences(
    intent: Intent, policy: Policy, release: str, kind: Literal["local", "dev", "prod"]
) -> tuple[str, ...]:
    """Where the intent names another release or revision than the one loaded; a prod wiring refuses the first."""
    named = (
        ("CODE_RELEASE_MISMATCH", "/ofs_code_release_id", intent.code_release, release),
        ("POLICY_REVISION_MISMATCH", "/policy_revision", intent.policy_revision, policy.policy_revision),
        ("CONFIG_REVISION_MISMATCH", "/config_revision", intent.config_revision, policy.config_revision),
    )
    found = [
        {"code": code, "pointer": at, "message": f"{at} is {asked}; running is {own}", "intent": asked, "running": own}
        for code, at, asked, own in named
        if asked != own
    ]
    if found and kind == "prod":
        first = found[0]
        raise refuse(first["code"], first["message"], pointer=first["pointer"], faults=found)
    return tuple(describe_difference(one["pointer"][1:], one["intent"], one["running"]) for one in found)


def require_platform(origins: Mapping[str, str | None], kind: Literal["local", "dev", "prod"]) -> None:
    """ORIGIN_NOT_ADMISSIBLE where a prod wiring leads to own data. origins: by ref, what each pinned document states."""
    own = [ref for ref, origin in sorted(origins.items()) if origin == OWN_DATA]
    if kind == "prod" and own:
        message = f"{own[0]} states origin {OWN_DATA}: it was written from own data, which a prod wiring does not admit"
        faults = [{"ref": ref, "pointer": "/origin", "message": f"{ref} states origin {OWN_DATA}"} for ref in own]
        raise refuse("ORIGIN_NOT_ADMISSIBLE", message, ref=own[0], faults=faults)


def describe_difference(name: str, asked: str, own: str) -> str:
    """What a plan, and its manifest, say where the intent names another release or revision than the one that ran."""
    return f"{name} is {shorten(asked)} in the intent, {shorten(own)} here"
