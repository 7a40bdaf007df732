"""The `Intent` the other rooms read, and its scope. `documents.py` has the documents it is made of, as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ofs_spark.foundation.positions import Range, Slice

V0 = "learning.ofs_build_intent.v0"
V1 = "learning.ofs_build_intent.v1"

Posture = Literal["KNEW_THEN", "KNOW_NOW"]
DatasetKind = Literal["per_event", "per_entity", "per_window"]
IntentKind = Literal["dataset_build", "parity_rebuild", "forensic_rebuild", "backfill_rebuild", "plan_check"]
Scalar = str | bool | int | float


@dataclass(frozen=True)
class TimeSpan:
    """Instants from `start` (inside) to `end` (outside), as written; None where an end is open."""

    start: str | None
    end: str | None


@dataclass(frozen=True)
class Output:
    """What rows the dataset has. `anchor_time`: which events become rows; members that are not built here as written."""

    dataset_kind: DatasetKind = "per_event"
    anchor_time: TimeSpan | None = None
    cut_points: tuple[str, ...] | None = None
    bucket: str | None = None
    splits: Mapping[str, Any] | None = None
    spine: Mapping[str, Any] | None = None
    sampling: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Intent:
    """A validated intent, normalised. Field values are as written unless said otherwise.

    `slices`: what the intent names, in its order. `basis`: the same united and half-open, in total order; both are
    empty while a `time_window` selector is unresolved. `document`: the intent itself, never to be changed.
    """

    document: Mapping[str, Any]
    request_id: str
    intent_kind: IntentKind
    platform_run_id: str
    scenario_run_ids: tuple[str, ...] | None
    slices: tuple[Slice, ...]
    basis: tuple[Range, ...]
    time_window: TimeSpan | None
    label_asof_text: str
    label_asof_us: int
    resolution_rule: str
    maturity_days: int | None
    posture: Posture
    feature_set_id: str
    feature_set_version: str
    run_facts_ref: str
    policy_revision: str
    config_revision: str
    code_release: str
    parity_anchor_ref: str | None
    training: bool
    join_scope: Mapping[str, Any]
    filters: Mapping[str, Any]
    output: Output
    supersedes: tuple[str, ...]
    correction_stamp: str | None

    @property
    def reason_code(self) -> str | None:
        """Why a dataset is built again; never part of an identity. None where it is not."""
        code: str | None = self.document.get("backfill", {}).get("reason_code")
        return code

    @property
    def v1(self) -> bool:
        """Whether the intent is of version 1."""
        return bool(self.document["schema_version"] == V1)


@dataclass(frozen=True)
class Scope:
    """join_scope and filters, read: which outputs, labels and events the dataset is about.

    `scope_label_types` and `filter_label_types` are the two lists as given, None when absent; `min_coverage_types` are
    the types the intent states a minimum for. `label_coverage_policy` is the raw member: the labels room judges it.
    `row_filters`: payload field → the values that keep an anchor. `event_types` narrows every input, None narrows
    nothing; `anchor_event_types` narrows the anchors alone.
    """

    required_output_ids: tuple[str, ...]
    scope_label_types: tuple[str, ...] | None
    filter_label_types: tuple[str, ...] | None
    min_coverage_types: tuple[str, ...]
    label_coverage_policy: Any
    event_types: tuple[str, ...] | None
    anchor_event_types: tuple[str, ...] | None
    row_filters: Mapping[str, tuple[Scalar, ...]]
