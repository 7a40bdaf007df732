"""Which events count for one anchor and one column, and why the others do not: read off the kernel's own windows.

The kernel computes the column over the rows of the anchor's key, of which the anchor is the only one. What it counts is
told, not decided here; only the reasons of what it leaves out are found by looking at each event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.features import explain_terms as x
from ofs_spark.features.by_key import compute_columns
from ofs_spark.features.explain_arithmetic import Terms, require_agreement, tell_aggregate, tell_derived
from ofs_spark.features.group_rows import KeyedTable, encode_texts, read_group_rows
from ofs_spark.features.kernel.group_windows import GroupWindows
from ofs_spark.features.kernel.model import GroupRows
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.wording import write_count
from ofs_spark.pins.profile.catalogue import CORE_FEATURES
from ofs_spark.pins.profile.compiler import list_columns
from ofs_spark.pins.profile.model import Derived, Feature, Group, Operand, Program
from ofs_spark.replay import rows as r

ROW = "explain:row"
"""Column of the keyed table: an event's row among all rows looked at."""
PREVIOUS = "time_since_previous"


@dataclass(frozen=True)
class Subject:
    """One anchor and one group: the rows of the anchor's key in layout order, as the kernel reads them."""

    program: Program
    index: int
    keyed: KeyedTable
    rows: GroupRows
    anchor: int

    @property
    def group(self) -> Group:
        """The group."""
        return self.program.groups[self.index]

    @property
    def windows(self) -> GroupWindows:
        """What the kernel asks of its features."""
        return GroupWindows(self.group, self.rows)


def explain_group(program: Program, index: int, keyed: KeyedTable) -> dict[str, x.Story]:
    """Every column of group `index` for the one anchor among the rows, which all have its key; column ROW is theirs.

    Refuses where a rule refuses the rows: they are not those of a published dataset then.
    """
    rows, faults = read_group_rows(program, index, keyed)
    columns, more = compute_columns(program, index, keyed)
    for fault in (*faults, *more):
        raise fault.make_refusal()
    (anchor,) = np.flatnonzero(rows.anchor).tolist()
    subject = Subject(program, index, keyed, rows, anchor)
    values = {name: column[anchor].as_py() for name, column in zip(list_columns(subject.group), columns, strict=True)}
    return _tell_core(subject, values) if subject.group.online_core is not None else _tell_features(subject, values)


def explain_missing_key(program: Program, index: int) -> dict[str, x.Story]:
    """Every column of a group for an anchor that has no key: null."""
    group = program.groups[index]
    if group.online_core is not None:
        reason = "the online plane skips this event: null"
    else:
        reason = f"the anchor has no {', '.join(program.keys[group.key].names)}: every column of {group.name} is null"
    return {name: x.Story(name, None, reason) for name in list_columns(group)}


def _tell_features(subject: Subject, values: Mapping[str, Any]) -> dict[str, x.Story]:
    windows, told, stories = subject.windows, list[x.Told](), dict[str, x.Story]()
    for feature in subject.group.features:
        considered = _consider(subject, windows, feature)
        one = tell_aggregate(feature.aggregate, _gather_terms(subject, feature, considered))
        value = values[feature.column]
        require_agreement(feature.column, one, value)
        told.append(x.Told(one.text, float(value)) if isinstance(one.exact, x.Root) else one)
        until = int(subject.rows.ts[subject.anchor]) - feature.delay_us
        after = None if feature.window_us is None else until - feature.window_us
        shown = f"{one.text} = {value!r}" if isinstance(one.exact, x.Root) else one.text
        rows = tuple(replace(event, row=_find_row(subject, event.row)) for event in considered)
        stories[feature.column] = x.Story(feature.column, value, shown, rows, after, until)
    for derived in subject.group.derived:
        stories[derived.column] = _tell_derived(subject, derived, told, stories, values[derived.column])
    return stories


def _tell_derived(
    subject: Subject, derived: Derived, told: list[x.Told], stories: Mapping[str, x.Story], value: Any
) -> x.Story:
    """A derived column: its operands' events, each named by its operand; the anchor's own value is one of its own."""
    operands = (derived.left, derived.right)
    names = tuple(_name_operand(subject, one) for one in operands)
    left, right = (_read_operand(subject, one, told) for one in operands)
    one = tell_derived(derived.op, (names[0], names[1]), left, right)
    require_agreement(derived.column, one, value)
    considered = [event for operand in operands for event in _list_operand(subject, operand, stories)]
    parts = [
        f"{name}: {told[operand.index].text}"
        for name, operand in zip(names, operands, strict=True)
        if operand.source == "feature"
    ]
    windows = [stories[subject.group.features[one.index].column] for one in operands if one.source == "feature"]
    after = min((w.after for w in windows if w.after is not None), default=None)
    bounded = bool(windows) and all(w.after is not None for w in windows)
    until = max((w.until for w in windows if w.until is not None), default=None)
    text = "; ".join([one.text, *parts])
    return x.Story(derived.column, value, text, tuple(considered), after if bounded else None, until)


def _list_operand(subject: Subject, operand: Operand, stories: Mapping[str, x.Story]) -> list[x.Considered]:
    name = _name_operand(subject, operand)
    if operand.source == "feature":
        story = stories[subject.group.features[operand.index].column]
        return [replace(event, operand=name) for event in story.considered]
    values, anchor = subject.rows.values[operand.index], subject.anchor
    there = bool(values.present[anchor])
    value = x.make_plain(x.read_exact(values, anchor), values.scale) if there else None
    reason = x.OWN if there else x.NO_VALUE if subject.rows.source[anchor] else x.NOT_SOURCE
    return [x.Considered(_find_row(subject, anchor), there, reason, value, name)]


def _name_operand(subject: Subject, operand: Operand) -> str:
    group = subject.group
    return group.values[operand.index].name if operand.source == "value" else group.features[operand.index].operand


def _read_operand(subject: Subject, operand: Operand, told: list[x.Told]) -> x.Exact:
    if operand.source == "feature":
        return told[operand.index].exact
    values = subject.rows.values[operand.index]
    return x.read_exact(values, subject.anchor) if values.present[subject.anchor] else None


def _find_row(subject: Subject, place: int) -> int:
    return int(subject.keyed.table.column(ROW)[place].as_py())


def _consider(subject: Subject, windows: GroupWindows, feature: Feature) -> list[x.Considered]:
    """Every row of the key, in total order: counted where the kernel counts it; `row` is the row of the keyed table."""
    w, rows, anchor = windows.find_windows(feature), subject.rows, subject.anchor
    place = np.arange(len(rows.key))
    horizon = rows.rank[anchor] if feature.aggregate == PREVIOUS else w.horizon[anchor]
    inside = (place >= w.low[anchor]) & (place < w.high[anchor]) & (rows.rank < horizon) & rows.source
    counted = inside if feature.aggregate == "rate" else inside & windows.select_rows(feature)
    met = rows.conditions[feature.where] if feature.where is not None else np.ones(len(place), np.bool_)
    values = _list_values(subject, feature)
    return [
        x.Considered(
            row,
            bool(counted[row]),
            _name_counted(feature, bool(met[row])) if counted[row] else _name_left(subject, feature, row, inside, met),
            bool(met[row]) if feature.aggregate == "rate" and inside[row] else values[row],
        )
        for row in place.tolist()
    ]


def _list_values(subject: Subject, feature: Feature) -> list[x.Plain]:
    if feature.value is None:
        return [None] * len(subject.rows.key)
    values = subject.rows.values[feature.value]
    return [
        x.make_plain(x.read_exact(values, row), values.scale) if values.present[row] else None
        for row in range(len(subject.rows.key))
    ]


def _name_counted(feature: Feature, met: bool) -> str:
    if feature.aggregate == "rate":
        return x.MEETS if met else x.MEETS_NOT
    return x.IN_WINDOW


def _name_left(subject: Subject, feature: Feature, row: int, inside: Array, met: Array) -> str:
    """Why the kernel does not count a row: the first rule that leaves it out, in the order of the law."""
    rows, anchor, until = subject.rows, subject.anchor, subject.rows.ts[subject.anchor] - feature.delay_us
    if not rows.source[row]:
        return x.NOT_SOURCE
    if inside[row]:
        return x.NO_VALUE if met[row] else x.WHERE_NOT_MET
    if rows.ts[row] > until:
        return x.AFTER
    if feature.window_us is not None and rows.ts[row] <= until - feature.window_us:
        return x.BEFORE
    if row == anchor:
        return x.ANCHOR_ITSELF
    return x.NOT_KNOWN if subject.group.knowledge == "as_observed" else x.LATER_IN_ORDER


def _gather_terms(subject: Subject, feature: Feature, considered: list[x.Considered]) -> Terms:
    counted = [event.row for event in considered if event.counted]
    value = None if feature.value is None else subject.rows.values[feature.value]
    met = sum(1 for event in considered if event.reason == x.MEETS)
    name = "" if feature.value is None else subject.group.values[feature.value].name
    return Terms(
        name=name,
        scale=0 if value is None else value.scale,
        values=[] if value is None else [x.read_exact(value, row) for row in counted],
        times=[int(subject.rows.ts[row]) for row in counted],
        met=met,
        anchor_ts=int(subject.rows.ts[subject.anchor]),
        empty_zero=feature.empty_zero,
    )


def _tell_core(subject: Subject, values: Mapping[str, Any]) -> dict[str, x.Story]:
    """The online plane's state just after the anchor: the events of its key in the order in which they were applied."""
    rows, group, table = subject.rows, subject.group, subject.keyed.table
    if group.online_core is None:
        raise InternalError(f"{group.name} has no core rules")
    order = np.argsort(rows.rank, kind="stable")
    applied = [row for row in order.tolist() if rows.rank[row] <= rows.rank[subject.anchor]]
    amounts = read_values(table, r.name_core_amount_column(group.online_core))
    stamps = combine_chunks(table.column(r.TS_TEXT)).to_pylist()
    total = 0.0
    for row in applied:
        total += float(amounts[row])
    _, distinct = encode_texts(pa.chunked_array([[stamps[row] for row in applied]], pa.string()))
    shown = [repr(float(amounts[row])) for row in applied]
    events = write_count(len(applied), "event of the key was", "events of the key were")
    told = (
        x.Told(f"{events} applied, this one included: {len(applied)}", len(applied)),
        x.Told(f"as float64, one by one in the order of application: {_shorten(['0.0', *shown])} = {total!r}", total),
        x.Told(f"greatest of {write_count(len(applied), 'text')}: {distinct[-1].as_py()}", str(distinct[-1].as_py())),
    )
    columns = (None, amounts.tolist(), stamps)
    stories = {}
    for name, one, own in zip(CORE_FEATURES, told, columns, strict=True):
        column = f"{group.name}__{name}"
        require_agreement(column, one, values[column])
        considered = tuple(
            x.Considered(
                _find_row(subject, row),
                bool(rows.rank[row] <= rows.rank[subject.anchor]),
                x.APPLIED if rows.rank[row] <= rows.rank[subject.anchor] else x.NOT_YET_APPLIED,
                None if own is None else own[row],
            )
            for row in order.tolist()
        )
        stories[column] = x.Story(column, values[column], one.text, considered)
    return stories


def _shorten(terms: list[str]) -> str:
    kept = terms if len(terms) <= MOST_TERMS else [*terms[: MOST_TERMS - 2], "…", *terms[-2:]]
    return " + ".join(kept)


MOST_TERMS = 12
"""Amounts that are written out."""
