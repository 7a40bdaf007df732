"""Generated worlds: every value of every row is explained, equals the stored one, and comes from the oracle's positions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ofs_spark import pipeline
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.explain_answer import show_value
from tests.oracle import labels as label_law
from tests.oracle.contributions import Counted, contributions
from tests.worlds.generate import worlds
from tests.worlds.model import World
from tests.worlds.running import SMALL, Outcome, build, policy_with
from tests.worlds.writer import Layout, write_world

QUIET = list(HealthCheck)
ROLES = ("anchor", "feature", "label")


def explain_all(world: World, whole: bool) -> int:
    """Explains every row of a world that builds and, `whole`, every cell alone; gives the cells that were compared."""
    with tempfile.TemporaryDirectory() as folder:
        policy = policy_with(Path(folder, "policy"), SMALL)
        written = write_world(world, Path(folder), Layout(rows_per_segment=2))
        found = build(written, policy=policy)
        if found.answer is None:
            return 0
        with open_context(written.wiring, policy, lambda _room, _doing: None, EmbeddedEngine) as context:
            expected = contributions(world)
            return sum(explain_row(world, found, row, context, expected if whole else {}) for row in found.rows)


def explain_row(
    world: World, found: Outcome, row: dict[str, Any], context: RunContext, expected: dict[str, Counted]
) -> int:
    """Explains one row and, where contributions are expected, every cell of it."""
    columns = [c for c in found.manifest["columns"] if c["role"] in ROLES or c["name"].startswith("key__")]
    ref, event_id = found.published["manifest_ref"], row["event_id"]
    told = pipeline.explain_value(ref, event_id, None, context)
    assert find_faults(told, "explain_answer") == []
    assert {one["name"]: one["value"] for one in told["columns"]} == {
        c["name"]: show_value(row[c["name"]]) for c in columns
    }
    from_events = [c["name"] for c in columns if c["role"] != "label"]
    for name in from_events if expected else ():
        one = pipeline.explain_value(ref, event_id, name, context)
        assert find_faults(one, "explain_answer") == []
        assert one["value"] == one["stored"] == show_value(row[name])
        listed = [entry for entry in one["contributing"] if entry["counted"]]
        positions = {(p["topic"], p["partition"], p["offset"]) for p in (entry["position"] for entry in listed)}
        assert positions == expected[event_id][name], (event_id, name, one)
        assert one["segments"]["read"] <= one["segments"]["of"]
    for label_type in label_law.label_types(world.intent):
        explain_label(
            world, pipeline.explain_value(ref, event_id, f"label__{label_type}", context), event_id, label_type
        )
    return len(columns)


def explain_label(world: World, told: dict[str, Any], event_id: str, label_type: str) -> None:
    """Each assertion about the event is listed once; the one that counts is the oracle's."""
    about = {"event_id": event_id, "label_type": label_type, "platform_run_id": world.intent["platform_run_id"]}
    known = [a for a in world.labels if about.items() <= a.items()]
    assert sorted(one["assertion_id"] for one in told["contributing"]) == sorted(a["label_assertion_id"] for a in known)
    eligible = [a for a in label_law.known(world) if about.items() <= a.items()]
    status, chosen = label_law.resolve(eligible, world.intent["label_basis"]["resolution_rule"])
    counted = [one["assertion_id"] for one in told["contributing"] if one["counted"]]
    if status == "RESOLVED" and chosen is not None:
        assert counted == [chosen["label_assertion_id"]]
    assert (len(counted) > 1) == (status == "CONFLICT")


@settings(max_examples=10, suppress_health_check=QUIET)
@given(worlds())
def test_generated_worlds_are_explained(world: World) -> None:
    explain_all(world, whole=False)


@settings(max_examples=5, suppress_health_check=QUIET)
@given(worlds())
def test_every_cell_of_generated_worlds_is_explained(world: World) -> None:
    explain_all(world, whole=True)


@pytest.mark.nightly
def test_every_cell_of_many_generated_worlds_is_explained() -> None:
    cells = 0

    @settings(max_examples=300, suppress_health_check=QUIET)
    @given(worlds())
    def check(world: World) -> None:
        nonlocal cells
        cells += explain_all(world, whole=True)

    check()
    assert cells > 1_000
