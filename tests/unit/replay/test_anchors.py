"""Who is a row of the dataset: types, a half-open span of time and filters, of events in scope alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.intent.admission import read_scope
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import (
    EVERY_EVENT,
    AnchorRule,
    RowFilter,
    add_anchor_flag,
    flag_anchors,
    is_anchor,
    make_anchor_rule,
    refuse_no_anchors,
    select_anchors,
    spell_constants,
)
from ofs_spark.replay.scan import tokens as t
from tests.spec.intents import BASE_V1, DROP, edited, intent
from tests.unit.pins.test_plan import plan

KINDS = ["payment", "payment", "refund", "payment"]
TS = np.array([10, 20, 20, 30])
COUNTRIES = ["DE", "FR", "DE", "DE"]
FLAGS = np.array([r.IN_SCOPE, r.IN_SCOPE | r.flag_source(0), r.IN_SCOPE, 0])
"""The last event is out of scope."""


def table(rule: AnchorRule) -> pa.Table:
    """The four events, flagged under the rule."""
    envelopes = pa.array([json.dumps({"payload": {"country": c}}).encode() for c in COUNTRIES], pa.large_binary())
    tokens = t.scan_tokens(envelopes, [("payload",), ("payload", "country")])
    flags = flag_anchors(rule, FLAGS, pa.array(KINDS).dictionary_encode(), TS, tokens)
    return pa.table({r.FLAGS: flags})


GERMAN = RowFilter("country", spell_constants(["DE"]))


@pytest.mark.parametrize(
    ("rule", "anchors"),
    [
        (EVERY_EVENT, [0, 1, 2]),
        (AnchorRule(event_types=("payment",)), [0, 1]),
        (AnchorRule(event_types=()), []),
        (AnchorRule(start=20), [1, 2]),
        (AnchorRule(end=20), [0]),
        (AnchorRule(start=10, end=20), [0]),
        (AnchorRule(row_filters=(GERMAN,)), [0, 2]),
        (AnchorRule(("payment",), (GERMAN,), 10, 21), [0]),
    ],
)
def test_an_anchor_meets_every_part_of_the_rule(rule: AnchorRule, anchors: list[int]) -> None:
    found = table(rule)
    assert select_anchors(found).tolist() == anchors
    assert is_anchor(found).tolist() == [row in anchors for row in range(4)]


def test_the_other_flags_stay() -> None:
    flags: Array = table(EVERY_EVENT).column(r.FLAGS).to_numpy()
    assert (flags[:3] & FLAGS[:3]).tolist() == FLAGS[:3].tolist()
    assert flags[3] == 0


def test_an_exchange_keeps_anchors_and_the_sources_it_is_asked_for() -> None:
    keep, source = add_anchor_flag(r.flag_source(1)), r.flag_source(0)
    anchors = table(EVERY_EVENT).column(r.FLAGS).to_numpy()
    assert ((anchors & keep) != 0).tolist() == [True, True, True, False]
    assert [(flags & keep) != 0 for flags in (r.IN_SCOPE, source, r.flag_source(1))] == [False, False, True]


def test_the_rule_is_what_the_plans_intent_asks() -> None:
    document = edited(BASE_V1, "/output/anchor_time", {"from": "1970-01-01T00:00:01Z", "to": "1970-01-01T00:00:02Z"})
    document = edited(document, "/join_scope/anchor_event_types", ["payment"])
    asked = intent(edited(document, "/filters/country", ["DE"]))
    rule = make_anchor_rule(replace(plan(), intent=asked, scope=read_scope(asked)))
    assert (rule.event_types, rule.start, rule.end) == (("payment",), 1_000_000, 2_000_000)
    assert GERMAN in rule.row_filters
    bare = intent(edited(edited(document, "/output/anchor_time", DROP), "/join_scope/anchor_event_types", DROP))
    unfiltered = replace(read_scope(bare), row_filters={})
    assert make_anchor_rule(replace(plan(), intent=bare, scope=unfiltered)) == EVERY_EVENT


def test_constants_keep_the_digits_that_were_written() -> None:
    assert spell_constants([True, "a", 1, 1.50]) == (
        ("bool", "true"),
        ("string", "a"),
        ("number", "1"),
        ("number", "1.5"),
    )


def test_a_build_without_anchors_is_refused() -> None:
    assert refuse_no_anchors().code == "LABEL_SCOPE_EMPTY"
