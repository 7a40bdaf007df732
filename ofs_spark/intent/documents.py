"""The documents of a BuildIntent (v0, v1) as they are written: closed pydantic models, and the `Intent` of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.positions import Slice, resolve_basis
from ofs_spark.intent.model import V1, DatasetKind, Intent, IntentKind, Output, Posture, TimeSpan

DATASET_KINDS = ("dataset_build", "backfill_rebuild")
"""Intent kinds that build a dataset: only these can be training intents."""


def _check_instant(text: str) -> str:
    parse_instant(text)
    return text


Text = Annotated[str, StringConstraints(pattern=r"^[^ \t\r\n]([^\r\n]*[^ \t\r\n])?$", max_length=1024)]


def _check_distinct(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise ValueError("a list of names holds none twice")
    return names


Names = Annotated[list[Text], AfterValidator(_check_distinct)]
Instant = Annotated[str, AfterValidator(_check_instant)]
Offset = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,128})$")]
Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ReasonCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=1024)]
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

    def to_slice(self) -> Slice:
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
    scenario_run_ids: Names | None = None
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


class TimeWindowDocument(_Document):
    """A selector in event time, half-open; an empty topic list means every topic of the run."""

    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    topics: Annotated[Names, Field(min_length=1)] | None = None


class Selector(_Document):
    """How v1 names offsets: as they are, or by a time window that is resolved to offsets first."""

    offsets: Annotated[list[SliceDocument], Field(min_length=1)] | None = None
    time_window: TimeWindowDocument | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Selector:
        if (self.offsets is None) == (self.time_window is None):
            raise ValueError("a selector is either offsets or a time_window")
        return self


class AnchorTimeDocument(_Document):
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
    positive_values: Annotated[Names, Field(min_length=1)]
    negative_share: Annotated[int | float, Field(gt=0, le=1)]


class OutputDocument(_Document):
    """What rows the dataset has."""

    dataset_kind: DatasetKind = "per_event"
    cut_points: Annotated[list[Instant], Field(min_length=1)] | None = None
    bucket: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}[smhd]$")] | None = None
    anchor_time: AnchorTimeDocument | None = None
    splits: Annotated[TimeSplit | HashSplit, Field(discriminator="by")] | None = None
    spine: Spine | None = None
    sampling: Sampling | None = None


class Backfill(_Document):
    """Why a dataset is built again; never part of its identity."""

    reason_code: ReasonCode
    reason: Text | None = None
    requested_by: Text | None = None


class IntentV1(_Intent):
    """`learning.ofs_build_intent.v1`: v0 and what widens it."""

    schema_version: Literal["learning.ofs_build_intent.v1"]
    intent_kind: IntentKind
    label_basis: LabelBasisV1
    replay_basis: Annotated[list[SliceDocument], Field(min_length=1)] | None = None
    replay_selector: Selector | None = None
    output: OutputDocument = OutputDocument()
    supersedes: Names = []
    backfill: Backfill | None = None
    correction_stamp: Text | None = None

    @model_validator(mode="after")
    def _one_basis(self) -> IntentV1:
        if (self.replay_basis is None) == (self.replay_selector is None):
            raise ValueError("exactly one of replay_basis and replay_selector")
        return self


def parse_slice(entry: Any) -> Slice | None:
    """An entry of replay_basis as a position type; None if it is no whole slice."""
    try:
        return SliceDocument.model_validate(entry).to_slice()
    except ValidationError:
        return None


def parse_intent(document: Mapping[str, Any]) -> Intent:
    """The intent of a document without faults; InternalError if the models see one that the schema did not."""
    model = IntentV1 if document["schema_version"] == V1 else IntentV0
    try:
        return _make_intent(model.model_validate(document), document)
    except ValidationError as error:
        raise InternalError(f"the schema of an intent admits what its model does not: {error}") from error


def _make_intent(model: IntentV0 | IntentV1, document: Mapping[str, Any]) -> Intent:
    v1 = model if isinstance(model, IntentV1) else None
    selector = (v1.replay_selector if v1 else None) or Selector(offsets=model.replay_basis)
    slices = tuple(entry.to_slice() for entry in selector.offsets or ())
    labels, window = model.label_basis, selector.time_window
    posture = labels.posture if isinstance(labels, LabelBasisV1) else "KNEW_THEN"
    return Intent(
        document=document,
        request_id=model.request_id,
        intent_kind=model.intent_kind,
        platform_run_id=model.platform_run_id,
        scenario_run_ids=None if model.scenario_run_ids is None else tuple(model.scenario_run_ids),
        slices=slices,
        basis=resolve_basis(slices),
        time_window=None if window is None else TimeSpan(window.start, window.end),
        label_asof_text=labels.label_asof_utc,
        label_asof_us=parse_instant(labels.label_asof_utc),
        resolution_rule=labels.resolution_rule,
        maturity_days=labels.maturity_days,
        posture=posture,
        feature_set_id=model.feature_definition_set.feature_set_id,
        feature_set_version=model.feature_definition_set.feature_set_version,
        run_facts_ref=model.run_facts_ref,
        policy_revision=model.policy_revision,
        config_revision=model.config_revision,
        code_release=model.ofs_code_release_id,
        parity_anchor_ref=model.parity_anchor_ref,
        training=model.intent_kind in DATASET_KINDS and not model.non_training_allowed and posture == "KNEW_THEN",
        join_scope=model.join_scope,
        filters=model.filters,
        output=_make_output(v1.output) if v1 else Output(),
        supersedes=tuple(v1.supersedes) if v1 else (),
        correction_stamp=v1.correction_stamp if v1 else None,
    )


def _make_output(stated: OutputDocument) -> Output:
    span, points = stated.anchor_time, stated.cut_points
    parts = {name: getattr(stated, name) for name in ("splits", "spine", "sampling")}
    return Output(
        dataset_kind=stated.dataset_kind,
        anchor_time=None if span is None else TimeSpan(span.start, span.end),
        cut_points=None if points is None else tuple(points),
        bucket=stated.bucket,
        **{name: None if part is None else part.model_dump() for name, part in parts.items()},
    )
