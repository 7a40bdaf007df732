"""Who is a row of the dataset: every question about anchors is answered in this file, and the flag is named nowhere else.

A `per_event` dataset has one row per anchor: an in-scope event that the intent asks a row for, once it has won its event
id. The scan flags the events that qualify; later rooms select by the flag. A dataset kind with other rows changes this
file alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.columnar.arrays import Array, read_values
from ofs_spark.foundation.contracts import DocumentFault, describe_more, sort_faults
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.pins.plan import BuildPlan
from ofs_spark.pins.profile.model import Condition
from ofs_spark.replay import rows as r

if TYPE_CHECKING:  # compiles loops, which a scan does and a plan does without
    from ofs_spark.replay.scan.tokens import Tokens

ANCHOR = 2
"""Flag: becomes a dataset row if it wins its event id. `rows.py` leaves the value 2 of FLAGS to it."""


@dataclass(frozen=True)
class RowFilter:
    """Keeps as anchors the events whose top-level payload field is one of the constants, (type, text) as in `Where`."""

    field: str
    constants: tuple[tuple[str, str], ...]

    @property
    def condition(self) -> Condition:
        """The filter as a condition."""
        return Condition("in", ("payload", self.field), self.constants)


@dataclass(frozen=True)
class AnchorRule:
    """Which in-scope events can be anchors: their type is named, their time lies in the span, they meet every filter.

    `event_types` None: any type. The span [start, end) is in µs, half-open; None for no bound.
    """

    event_types: tuple[str, ...] | None = None
    row_filters: tuple[RowFilter, ...] = ()
    start: int | None = None
    end: int | None = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions that the scan has to judge."""
        return tuple(one.condition for one in self.row_filters)

    def has_type(self, event_type: str) -> bool:
        """Whether an event of this type can be an anchor."""
        return self.event_types is None or event_type in self.event_types


EVERY_EVENT = AnchorRule()
"""Every in-scope event can be an anchor."""


def make_anchor_rule(plan: BuildPlan) -> AnchorRule:
    """The rule that a plan's intent states: join_scope's anchor types, output's anchor time, filters over the payload."""
    span = plan.intent.output.anchor_time
    return AnchorRule(
        event_types=plan.scope.anchor_event_types,
        row_filters=tuple(RowFilter(name, spell_constants(values)) for name, values in plan.scope.row_filters.items()),
        start=parse_instant(span.start) if span and span.start else None,
        end=parse_instant(span.end) if span and span.end else None,
    )


def spell_constants(values: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Filter values as (type, text) constants: numbers by the digits that were written."""
    return tuple(map(_spell_constant, values))


def _spell_constant(value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return "bool", "true" if value else "false"
    return ("string", value) if isinstance(value, str) else ("number", repr(value))


def flag_anchors(rule: AnchorRule, flags: Array, kinds: pa.DictionaryArray, ts: Array, tokens: Tokens) -> Array:
    """`flags` with the anchor's flag added where the rule holds; shape (events,), in-scope events already flagged.

    `kinds` are the event types, `ts` the event times in µs, `tokens` the envelopes, all in the order of `flags`.
    """
    from ofs_spark.replay.scan.conditions import judge_condition

    named = np.array([rule.has_type(name) for name in kinds.dictionary.to_pylist()], np.bool_)
    anchor = ((flags & r.IN_SCOPE) != 0) & named[np.asarray(kinds.indices)]
    if rule.start is not None:
        anchor &= ts >= rule.start
    if rule.end is not None:
        anchor &= ts < rule.end
    for condition in rule.conditions:
        anchor &= judge_condition(tokens, condition)
    return np.where(anchor, flags | ANCHOR, flags)


def is_anchor(table: pa.Table) -> Array:
    """Which rows of typed events are anchors; shape (rows,)."""
    mask: Array = (read_values(table, r.FLAGS) & ANCHOR) != 0
    return mask


def select_anchors(table: pa.Table) -> Array:
    """Row numbers of the anchors among typed events, ascending."""
    return np.flatnonzero(is_anchor(table))


def mark_anchor(table: pa.Table, row: int) -> pa.Table:
    """The typed events with one of them, and no other, as an anchor."""
    flags = read_values(table, r.FLAGS) & ~ANCHOR
    flags[row] |= ANCHOR
    return table.set_column(table.schema.get_field_index(r.FLAGS), r.FLAGS, pa.array(flags))


def add_anchor_flag(flags: int) -> int:
    """The flags of rows that an exchange keeps: anchors travel to the last step, besides what `flags` select."""
    return flags | ANCHOR


def refuse_no_anchors(culprits: Sequence[DocumentFault] = ()) -> Refusal:
    """LABEL_SCOPE_EMPTY: the whole build has no anchor. culprits: filters of the intent that leave none on their own."""
    if not culprits:
        return refuse("LABEL_SCOPE_EMPTY", "no in-scope event is an anchor: anchor types, times and filters leave none")
    ordered = sort_faults(culprits)
    first = ordered[0]
    message = f"no in-scope event is an anchor: {first.pointer}: {first.message}{describe_more(len(ordered))}"
    faults = [fault.to_document() for fault in ordered]
    return refuse("LABEL_SCOPE_EMPTY", message, pointer=first.pointer, faults=faults)
