"""The column catalogue: every dataset column with its type, role, and what it means in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from ofs_spark.foundation.errors import refuse
from ofs_spark.pins.profile.model import Column, Feature, Group, Program, Read

CORE_FEATURES = ("event_count", "amount_sum", "last_event_ts_utc")
TIMESTAMP = "timestamp[us, tz=UTC]"
_MEANINGS = {
    "count": "Number of {events}",
    "count_distinct": "Number of different {value} among {events}",
    "sum": "Sum of {value} over {events}",
    "mean": "Mean {value} of {events}",
    "min": "Smallest {value} of {events}",
    "max": "Largest {value} of {events}",
    "stddev_pop": "Population standard deviation of {value} over {events}",
    "stddev_samp": "Sample standard deviation of {value} over {events}",
    "first": "{value} of the oldest of {events}",
    "last": "{value} of the newest of {events}",
    "rate": "Share of {all} that meet the condition",
    "time_since_first": "Seconds from the oldest of {events} to the anchor",
    "time_since_previous": "Seconds from the newest other of {events} to the anchor",
}


def describe_group(group: Group, reads: Sequence[Read], key: Sequence[str]) -> list[Column]:
    """The columns of one group: features, then derived."""
    if group.online_core is not None:
        return _core(group)
    return [_feature(group, f, reads, key) for f in group.features] + [
        Column(
            d.column,
            "double",
            "feature",
            f"{d.op.capitalize()} of two operands of {group.name}, exact, rounded once",
            source=f"{group.name}@{group.version}",
        )
        for d in group.derived
    ]


def derive_feature_type(group: Group, feature: Feature, reads: Sequence[Read]) -> str:
    """The Arrow type of a feature's column."""
    if feature.aggregate in ("count", "count_distinct"):
        return "int64"
    type_ = reads[group.values[feature.value].read].type if feature.value is not None else None
    if type_ is not None and feature.aggregate in ("min", "max", "first", "last") and type_.kind in ("string", "bool"):
        return type_.kind
    return f"decimal128(38, {type_.scale})" if feature.exact and type_ is not None else "double"


def describe_dataset(program: Program, label_types: Sequence[str], split: bool = False) -> tuple[Column, ...]:
    """The dataset's columns in their order: identity and time, features, labels, split, lineage."""
    identity = (
        Column("platform_run_id", "string", "identity", "The platform run the event belongs to"),
        Column("event_id", "string", "identity", "The event this row is about: the anchor"),
        Column("event_type", "string", "identity", "The anchor's type"),
        Column("ts_utc", TIMESTAMP, "identity", "The anchor's event time"),
    )
    labels = tuple(column for name in sorted(label_types) for column in _label(name))
    splits = (Column("split", "string", "split", "train, validation or test"),) if split else ()
    lineage = (
        Column("_topic", "string", "lineage", "Topic the anchor was read from; never a feature"),
        Column("_partition", "int32", "lineage", "Partition the anchor was read from; never a feature"),
        Column("_offset", "string", "lineage", "Offset the anchor was read from; never a feature"),
    )
    columns = (*identity, *program.feature_columns, *labels, *splits, *lineage)
    names = [column.name.lower() for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise refuse("FEATURE_PROFILE_UNRESOLVED", f"{twice[0]} would be two columns of the dataset", columns=twice)
    return columns


def _feature(group: Group, feature: Feature, reads: Sequence[Read], key: Sequence[str]) -> Column:
    value = group.values[feature.value] if feature.value is not None else None
    span = f"in the {feature.window} up to the anchor" if feature.window else "up to the anchor"
    if feature.delay_us:
        span = f"{span}, shifted back by {feature.delay_us // 1_000_000} s"
    of_key = f"of the same {', '.join(key)}"
    condition = " that meet the condition" if feature.where is not None else ""
    words = {
        "value": value.name if value else "",
        "events": f"events{condition} {of_key} {span}",
        "all": f"events {of_key} {span}",
    }
    meaning = _MEANINGS[feature.aggregate].format(**words)
    unit = (
        "s"
        if feature.aggregate.startswith("time_since")
        else value.unit
        if value and feature.aggregate not in ("count", "count_distinct")
        else ""
    )
    source = f"{group.name}@{group.version}"
    return Column(
        feature.column,
        derive_feature_type(group, feature, reads),
        "feature",
        meaning[0].upper() + meaning[1:],
        unit,
        feature.window,
        source,
    )


def _core(group: Group) -> list[Column]:
    source = f"{group.name}@{group.version}"
    return [
        Column(
            f"{group.name}__event_count",
            "int64",
            "feature",
            "Events of the key the online plane had applied, this one included",
            source=source,
        ),
        Column(
            f"{group.name}__amount_sum",
            "double",
            "feature",
            "Their amounts, added one by one as the online plane does",
            source=source,
        ),
        Column(
            f"{group.name}__last_event_ts_utc",
            "string",
            "feature",
            "The greatest event time text among them",
            source=source,
        ),
    ]


def _label(name: str) -> tuple[Column, ...]:
    said = f"the {name} label known by the cut-off"
    return (
        Column(f"label__{name}", "string", "label", f"Value of {said}; null unless RESOLVED"),
        Column(f"label__{name}__status", "string", "label", f"RESOLVED, CONFLICT or NOT_FOUND, of {said}"),
        Column(f"label__{name}__effective_time", TIMESTAMP, "label", f"When {said} became true"),
        Column(f"label__{name}__observed_time", TIMESTAMP, "label", f"When {said} became known"),
        Column(f"label__{name}__assertion_id", "string", "label", f"The assertion that is {said}"),
    )
