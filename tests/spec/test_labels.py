"""The label store's own answers and the readable label tables, judged against the labels room."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.foundation.clock import DAY_US, parse_instant
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.labels import asof, coverage
from ofs_spark.labels.assertions import find_conflicts, select_relevant
from ofs_spark.labels.coverage_policy import choose_policy
from ofs_spark.labels.model import ASSERTIONS, name_label_columns
from ofs_spark.labels.terms import resolve_rule
from tests.oracle.labels import label_types
from tests.spec.tables.labels import CASES
from tests.unit.labels.extracts import read_rows
from tests.worlds.model import RUN
from tests.worlds.tables import Case

GOLDEN = Path(__file__).parents[1] / "golden" / "labels"
FRAUD = "fraud_disposition"


def timeline() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((GOLDEN / "timeline.json").read_text())
    return [{**row, "evidence_refs_json": json.dumps(row["evidence_refs"])} for row in rows]


@pytest.mark.parametrize("cutoff", json.loads((GOLDEN / "asof.json").read_text()), ids=lambda c: c["asof"])
def test_every_row_of_the_stores_answer_is_reproduced(cutoff: dict[str, Any]) -> None:
    rows = cutoff["rows"]
    subjects = sorted({row["event_id"] for row in rows})
    types = sorted({row["label_type"] for row in rows})
    known = select_relevant(read_rows(*timeline()), rows[0]["platform_run_id"], tuple(types))
    found = asof.resolve_labels(known, pa.array(subjects), types, "ls.resolved.v0", parse_instant(cutoff["asof"]))
    for row in rows:
        value, status, _, _, identity = shown(found, row["label_type"], subjects.index(row["event_id"]))
        told = (row["status"], row["selected_label_value"], row["selected_assertion_id"])
        assert (status, value, identity) == told


def shown(choices: pa.Table, label_type: str, row: int) -> list[Any]:
    """A subject's label columns, as a dataset shows them."""
    return [column[row].as_py() for column in asof.unpack_choices(choices.column(label_type).combine_chunks())]


MINE = ("LABEL_SCOPE_INVALID", "LABEL_RULE_UNSUPPORTED", "LABEL_POLICY_INVALID", "COVERAGE_POLICY_VIOLATION", None)
JUDGED = {name: case for name, case in CASES.items() if case.code in MINE}


@pytest.mark.parametrize("case", JUDGED.values(), ids=JUDGED.keys())
def test_the_room_gives_what_the_table_says(case: Case) -> None:
    if case.code:
        with pytest.raises(Refusal, match=case.code):
            resolved(case)
        return
    choices, counts = resolved(case)
    for event, row in (case.rows or {}).items() if FRAUD in choices.column_names else ():
        told = dict(zip(name_label_columns(FRAUD), shown(choices, FRAUD, ("e0", "e1").index(event)), strict=True))
        assert {name: value for name, value in told.items() if name in row} == row
    for name, ratios in case.coverage.items():
        assert {ratio: counts[name].ratios[ratio] for ratio in ratios} == ratios


def resolved(case: Case) -> tuple[pa.Table, dict[str, coverage.TypeCounts]]:
    """The choices and counts of a table's world; a training world passes the gate too."""
    world = case.world
    filters = world.intent.get("filters") or {}
    policy = choose_policy(filters.get("label_coverage_policy"), {}, world.policy.get("min_mature_anchor_ratio", 0))
    known = read_rows(*world.labels) if world.labels else ASSERTIONS.empty_table()
    if find_conflicts(known):
        raise refuse("LABEL_SCOPE_INVALID", "one id, two contents")
    basis = world.intent["label_basis"]
    cutoff = parse_instant(basis["label_asof_utc"])
    types = tuple(label_types(world.intent))
    assertions = asof.keep_one_per_id(select_relevant(known, RUN, types))
    eligible = None if basis.get("posture") == "KNOW_NOW" else cutoff
    choices = asof.resolve_labels(
        assertions, pa.array(["e0", "e1"]), types, resolve_rule(basis["resolution_rule"]), eligible
    )
    anchors = np.array([parse_instant(row.ts_utc or "") for seg in world.segments for row in seg.rows])
    mature = cutoff - basis.get("maturity_days", 0) * DAY_US
    counts = coverage.count_labels(choices, assertions, anchors, mature)
    if not world.intent["non_training_allowed"]:
        for refusal in coverage.refuse_shortfalls(coverage.find_shortfalls(counts, policy)):
            raise refusal
    return choices, counts


def test_the_tables_hold_a_ratio_that_is_not_zero() -> None:
    assert any(r.get("coverage") == Fraction(1, 2) for case in CASES.values() for r in case.coverage.values())
