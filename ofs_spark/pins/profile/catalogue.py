"""The column catalogue: every dataset column with its type, role, and what it means in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ofs_spark.foundation.clock import SECOND_US
from ofs_spark.foundation.errors import refuse
from ofs_spark.pins.columns import DOUBLE, INT32, INT64, STRING, TIMESTAMP, Column
from ofs_spark.pins.profile.aggregates import AGGREGATES, Aggregate, derive_result_type
from ofs_spark.pins.profile.model import Derived, Feature, Group, Program, Read, Value

CORE_FEATURES = ("event_count", "amount_sum", "last_event_ts_utc")


def describe_group(group: Group, reads: Sequence[Read], key: Sequence[str]) -> list[Column]:
    """The columns of one group: features, then derived."""
    if group.online_core is not None:
        return _describe_core(group)
    features = [_describe_feature(group, feature, reads, key) for feature in group.features]
    return features + [_describe_derived(group, derived) for derived in group.derived]


def describe_dataset(program: Program, label_types: Sequence[str], split: bool = False) -> tuple[Column, ...]:
    """The dataset's columns in their order: identity and time, what a row keeps of its own event, features, labels, …"""
    identity = (
        Column("platform_run_id", STRING, "identity", "The platform run the event belongs to"),
        Column("event_id", STRING, "identity", "The event this row is about: the anchor"),
        Column("event_type", STRING, "identity", "The anchor's type"),
        Column("ts_utc", TIMESTAMP, "identity", "The anchor's event time"),
    )
    labels = tuple(column for name in sorted(label_types) for column in _describe_label(name))
    splits = (Column("split", STRING, "split", "train, validation or test"),) if split else ()
    lineage = (
        Column("_topic", STRING, "lineage", "Topic the anchor was read from; never a feature"),
        Column("_partition", INT32, "lineage", "Partition the anchor was read from; never a feature"),
        Column("_offset", STRING, "lineage", "Offset the anchor was read from; never a feature"),
    )
    own = (one.column for one in program.own)
    columns = (*identity, *own, *program.feature_columns, *labels, *splits, *lineage)
    named = Counter(column.name.lower() for column in columns)
    twice = sorted(name for name, times in named.items() if times > 1)
    if twice:
        raise refuse("FEATURE_PROFILE_UNRESOLVED", f"{twice[0]} would be two columns of the dataset", columns=twice)
    return columns


def _describe_feature(group: Group, feature: Feature, reads: Sequence[Read], key: Sequence[str]) -> Column:
    aggregate = AGGREGATES[feature.aggregate]
    value = group.values[feature.value] if feature.value is not None else None
    type_ = derive_result_type(aggregate, reads[value.read].type if value else None, feature.exact)
    unit = (value.unit if value else "") if aggregate.unit == "value" else aggregate.unit
    meaning = _write_meaning(aggregate, value, feature, key)
    return Column(feature.column, type_, "feature", meaning, unit, feature.window, _name_source(group))


def _write_meaning(aggregate: Aggregate, value: Value | None, feature: Feature, key: Sequence[str]) -> str:
    span = f"in the {feature.window} up to the anchor" if feature.window else "up to the anchor"
    if feature.delay_us:
        span = f"{span}, shifted back by {feature.delay_us // SECOND_US} s"
    of_key = f"of the same {', '.join(key)}"
    condition = " that meet the condition" if feature.where is not None else ""
    words = {
        "value": value.name if value else "",
        "events": f"events{condition} {of_key} {span}",
        "all": f"events {of_key} {span}",
    }
    meaning = aggregate.meaning.format(**words)
    return meaning[0].upper() + meaning[1:]


def _describe_derived(group: Group, derived: Derived) -> Column:
    meaning = f"{derived.op.capitalize()} of two operands of {group.name}, exact, rounded once"
    return Column(derived.column, DOUBLE, "feature", meaning, source=_name_source(group))


def _describe_core(group: Group) -> list[Column]:
    described = (
        (INT64, "Events of the key the online plane had applied, this one included"),
        (DOUBLE, "Their amounts, added one by one as the online plane does"),
        (STRING, "The greatest event time text among them"),
    )
    return [
        Column(f"{group.name}__{name}", type_, "feature", meaning, source=_name_source(group))
        for name, (type_, meaning) in zip(CORE_FEATURES, described, strict=True)
    ]


def _name_source(group: Group) -> str:
    return f"{group.name}@{group.version}"


def _describe_label(name: str) -> tuple[Column, ...]:
    said = f"the {name} label known by the cut-off"
    return (
        Column(f"label__{name}", STRING, "label", f"Value of {said}; null unless RESOLVED"),
        Column(f"label__{name}__status", STRING, "label", f"RESOLVED, CONFLICT or NOT_FOUND, of {said}"),
        Column(f"label__{name}__effective_time", TIMESTAMP, "label", f"When {said} became true"),
        Column(f"label__{name}__observed_time", TIMESTAMP, "label", f"When {said} became known"),
        Column(f"label__{name}__assertion_id", STRING, "label", f"The assertion that is {said}"),
    )
