"""The BuildIntent: its documents (v0, v1) as they are written, and the `Intent` the other rooms read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.positions import Range, Slice

V0 = "learning.ofs_build_intent.v0"
V1 = "learning.ofs_build_intent.v1"

Posture = Literal["KNEW_THEN", "KNOW_NOW"]
IntentKind = Literal["dataset_build", "parity_rebuild", "forensic_rebuild", "backfill_rebuild", "plan_check"]
DatasetKind = Literal["per_event", "per_entity", "per_window"]
Scalar = str | bool | int | float


def _checked_instant(text: str) -> str:
    parse_instant(text)
    return text


Text = Annotated[str, StringConstraints(pattern=r"^[^ \t\r\n]([^\r\n]*[^ \t\r\n])?$", max_length=1024)]
Instant = Annotated[str, AfterValidator(_checked_instant)]
Offset = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,128})$")]
Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Percent = Annotated[int, Field(ge=0, le=100)]


class _Document(BaseModel):
    """Closed and strict: a member is of its type or absent, never null, never converted."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, members: Any) -> Any:
        if isinstance(members, dict) and None in members.values():
            raise ValueError("an optional member is left out, never null")
        return members


class SliceDocument(_Document):
    """One entry of replay_basis; both ends inside."""

    topic: Text
    partition: Annotated[int, Field(ge=0, le=2**31 - 1)]
    offset_kind: Literal["kafka_offset", "file_line", "kinesis_sequence"]
    start_offset: Offset
    end_offset: Offset

    def slice(self) -> Slice:
        """The entry as a position type."""
        return Slice(self.topic, self.partition, self.offset_kind, self.start_offset, self.end_offset)


class LabelBasisV0(_Document):
    """Up to when labels are known, and which one counts."""

    label_asof_utc: Instant
    resolution_rule: Text
    maturity_days: Annotated[int, Field(ge=0, le=36_500)] | None = None


class LabelBasisV1(LabelBasisV0):
    """v1 adds the posture."""

    posture: Posture = "KNEW_THEN"


class FeatureSet(_Document):
    """Which features: a set of a versioned profile."""

    feature_set_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
    feature_set_version: Text


class _Intent(_Document):
    """What both versions have in common. join_scope and filters are open: admission reads them."""

    request_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{8,128}$")]
    platform_run_id: Annotated[str, StringConstraints(pattern=r"^platform_[0-9]{8}T[0-9]{6}Z$")]
    feature_definition_set: FeatureSet
    run_facts_ref: Text
    policy_revision: Text
    config_revision: Text
    ofs_code_release_id: Text
    scenario_run_ids: list[Text] | None = None
    join_scope: dict[str, Any] = {}
    filters: dict[str, Any] = {}
    parity_anchor_ref: Text | None = None
    non_training_allowed: bool = False


class IntentV0(_Intent):
    """`learning.ofs_build_intent.v0`."""

    schema_version: Literal["learning.ofs_build_intent.v0"]
    intent_kind: Literal["dataset_build", "parity_rebuild", "forensic_rebuild"]
    replay_basis: Annotated[list[SliceDocument], Field(min_length=1)]
    label_basis: LabelBasisV0


class TimeWindow(_Document):
    """A selector in event time, half-open; an empty topic list means every topic of the run."""

    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    topics: Annotated[list[Text], Field(min_length=1)] | None = None


class Selector(_Document):
    """How v1 names offsets: as they are, or by a time window that is resolved to offsets first."""

    offsets: Annotated[list[SliceDocument], Field(min_length=1)] | None = None
    time_window: TimeWindow | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Selector:
        if (self.offsets is None) == (self.time_window is None):
            raise ValueError("a selector is either offsets or a time_window")
        return self


class AnchorTime(_Document):
    """Which events become rows: from ≤ ts_utc < to, either end open if absent."""

    start: Instant | None = Field(default=None, alias="from")
    end: Instant | None = Field(default=None, alias="to")


class TimeSplit(_Document):
    """Split at two instants: train before the first, validation before the second, test after."""

    by: Literal["time"]
    train_until: Instant
    validation_until: Instant


class HashSplit(_Document):
    """Split by the hash of a group's entity key, in whole percent."""

    by: Literal["entity_hash"]
    group: Text
    train: Percent
    validation: Percent
    test: Percent
    salt: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class Spine(_Document):
    """Rows asked for by ref."""

    ref: Text
    sha256: Hex64


class Sampling(_Document):
    """Down-sampling of negatives by label."""

    label_type: Text
    positive_values: Annotated[list[Text], Field(min_length=1)]
    negative_share: Annotated[int | float, Field(gt=0, le=1)]


class Output(_Document):
    """What rows the dataset has."""

    dataset_kind: DatasetKind = "per_event"
    cut_points: Annotated[list[Instant], Field(min_length=1)] | None = None
    bucket: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}[smhd]$")] | None = None
    anchor_time: AnchorTime | None = None
    splits: Annotated[TimeSplit | HashSplit, Field(discriminator="by")] | None = None
    spine: Spine | None = None
    sampling: Sampling | None = None


class Backfill(_Document):
    """Why a dataset is built again; never part of its identity."""

    reason_code: Text
    reason: Text | None = None
    requested_by: Text | None = None


class IntentV1(_Intent):
    """`learning.ofs_build_intent.v1`: v0 and what widens it."""

    schema_version: Literal["learning.ofs_build_intent.v1"]
    intent_kind: IntentKind
    label_basis: LabelBasisV1
    replay_basis: Annotated[list[SliceDocument], Field(min_length=1)] | None = None
    replay_selector: Selector | None = None
    output: Output = Output()
    supersedes: list[Text] = []
    backfill: Backfill | None = None
    correction_stamp: Text | None = None

    @model_validator(mode="after")
    def _one_basis(self) -> IntentV1:
        if (self.replay_basis is None) == (self.replay_selector is None):
            raise ValueError("exactly one of replay_basis and replay_selector")
        return self


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
    time_window: TimeWindow | None
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
