"""The answer of `ofs explain` as a document: values as JSON holds them, positions, bounded lists with whole counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from ofs_spark.features.explain_terms import Considered, Story
from ofs_spark.foundation.clock import format_datetime, format_instant
from ofs_spark.foundation.errors import show_text
from ofs_spark.labels.explain import LabelStory
from ofs_spark.replay import rows as r
from ofs_spark.replay.selection import Archive
from ofs_spark.workflow.explain_anchor import OwnEvent
from ofs_spark.workflow.explain_features import GroupStories, locate_rows

CONTRACT = "explain_answer"
MOST_LISTED = 1_000
"""Events or assertions that are listed of one column; the counts are whole."""
_SAID = ("name", "type", "role", "meaning", "unit", "window", "source")
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Explained:
    """One column of the row: its entry in the manifest, its value and the stored one, and where it comes from.

    counts: by reason, of what counts and of what does not; about: key and window, where the column has one.
    """

    column: Document
    value: Any
    stored: Any
    arithmetic: str
    contributing: Sequence[Document]
    counted: Mapping[str, int]
    not_counted: Mapping[str, int]
    about: Document


def explain_feature(archive: Archive, group: GroupStories, column: Document, story: Story, stored: Any) -> Explained:
    """A feature column: what counts first, each part in total order."""
    ordered = sorted(story.considered, key=lambda event: not event.counted)
    listed = _list_events(archive, group.rows, ordered[:MOST_LISTED])
    window = {"after": _show_instant(story.after), "until": _show_instant(story.until)}
    key = None if group.key is None else dict(group.key)
    return Explained(
        column,
        story.value,
        stored,
        story.arithmetic,
        listed,
        _count(event.reason for event in story.considered if event.counted),
        _count(event.reason for event in story.considered if not event.counted),
        {"key": key, "window": window},
    )


def explain_own_column(archive: Archive, event: OwnEvent, column: Document, story: Story, stored: Any) -> Explained:
    """A column that the row's own event gives: no other event was considered."""
    listed = _list_events(archive, event.row, story.considered)
    counted = _count(one.reason for one in story.considered if one.counted)
    return Explained(
        column,
        story.value,
        stored,
        story.arithmetic,
        listed,
        counted,
        _count(one.reason for one in story.considered if not one.counted),
        {},
    )


def explain_label_column(column: Document, story: LabelStory, value: Any, stored: Any) -> Explained:
    """A label column: the assertions of its event and type, the one that counts first."""
    ordered = sorted(story.considered, key=lambda one: (not one.counted, one.file, one.row))
    listed = [
        {
            "position": {"file": one.file, "row": one.row},
            "assertion_id": one.assertion_id,
            "effective_time": format_instant(one.effective),
            "observed_time": format_instant(one.observed),
            "value": one.value,
            "counted": one.counted,
            "reason": one.reason,
        }
        for one in ordered[:MOST_LISTED]
    ]
    counted = _count(one.reason for one in story.considered if one.counted)
    return Explained(
        column,
        value,
        stored,
        story.arithmetic,
        listed,
        counted,
        _count(one.reason for one in story.considered if not one.counted),
        {},
    )


def compose_column_answer(about: Document, one: Explained) -> dict[str, Any]:
    """The answer of one column."""
    return {
        **_describe_event(about),
        "column": {name: one.column[name] for name in _SAID if name in one.column},
        "value": show_value(one.value),
        "stored": show_value(one.stored),
        "arithmetic": one.arithmetic,
        **one.about,
        "contributing": [dict(entry) for entry in one.contributing],
        "counted": sum(one.counted.values()),
        "reasons": {"counted": dict(one.counted), "not_counted": dict(one.not_counted)},
        "not_listed": sum(one.counted.values()) + sum(one.not_counted.values()) - len(one.contributing),
    }


def compose_row_answer(about: Document, explained: Sequence[Explained]) -> dict[str, Any]:
    """The answer of a row: every column with its arithmetic, and how many events or assertions count."""
    columns = [
        {
            "name": one.column["name"],
            "role": one.column["role"],
            "value": show_value(one.value),
            "stored": show_value(one.stored),
            "counted": sum(one.counted.values()),
            "not_counted": sum(one.not_counted.values()),
            "arithmetic": one.arithmetic,
        }
        for one in explained
    ]
    return {**_describe_event(about), "columns": columns}


def show_value(value: Any) -> Any:
    """A column's value as JSON holds it: times as RFC 3339 text, decimals as text with all their digits."""
    if isinstance(value, datetime):
        return format_datetime(value)
    return f"{value:f}" if isinstance(value, Decimal) else value


def _describe_event(about: Document) -> dict[str, Any]:
    row = about["row"]
    event = {"event_id": row["event_id"], "event_type": row["event_type"], "ts_utc": format_datetime(row["ts_utc"])}
    return {
        "manifest_ref": about["manifest_ref"],
        "dataset_manifest_id": about["dataset_manifest_id"],
        "event": {**event, "position": about["position"]},
        "segments": about["segments"],
    }


def _list_events(archive: Archive, looked_at: pa.Table, considered: Sequence[Considered]) -> list[dict[str, Any]]:
    rows = looked_at.take(pa.array([event.row for event in considered], pa.int64()))
    positions, ids = locate_rows(archive, rows), rows.column(r.EVENT_ID).to_pylist()
    times = rows.column(r.TS).to_pylist()
    return [
        {
            "position": position,
            "event_id": show_text(event_id),
            "ts_utc": format_instant(ts),
            "value": event.value,
            "counted": event.counted,
            "reason": event.reason,
            **({"operand": event.operand} if event.operand else {}),
        }
        for event, position, event_id, ts in zip(considered, positions, ids, times, strict=True)
    ]


def _show_instant(micros: int | None) -> str | None:
    return None if micros is None else _format_any(micros)


def _format_any(micros: int) -> str | None:
    """An instant of the calendar; None for one before or after it: a window may reach over its ends."""
    try:
        return format_instant(micros)
    except (OverflowError, ValueError):
        return None


def _count(reasons: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(reasons).items()))
