"""What must not change a dataset does not change the oracle's, and its counts close."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.build import Dataset, build
from tests.oracle.compare import differences, same
from tests.oracle.features import column_names, group_features, noting
from tests.oracle.replay import Event
from tests.spec.tables import ALL
from tests.worlds.generate import group_cases, worlds
from tests.worlds.model import World
from tests.worlds.transform import with_labels_after_the_cut_off, with_redeliveries, with_rows_outside_the_basis
from tests.worlds.writer import Layout, write_world

QUICK = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@QUICK
@given(worlds(), st.randoms(use_true_random=False))
def test_order_of_input_changes_nothing(world: World, random: Any) -> None:
    def shuffled(items: Any) -> tuple[Any, ...]:
        return tuple(random.sample(list(items), len(items)))

    segments = shuffled([replace(s, rows=shuffled(s.rows)) for s in world.segments])
    other = replace(world, segments=segments, labels=shuffled(world.labels))
    assert build(other) == build(world)


@QUICK
@given(worlds(), st.sampled_from([with_rows_outside_the_basis, with_labels_after_the_cut_off]))
def test_what_nobody_asked_for_changes_nothing(world: World, change: Callable[[World], World]) -> None:
    assert build(change(world)) == build(world)


@QUICK
@given(worlds())
def test_redeliveries_after_the_winner_change_only_counts(world: World) -> None:
    before, after = build(world), build(with_redeliveries(world))
    assert (after.rows, after.coverage, after.truncated, after.codes) == (
        before.rows,
        before.coverage,
        before.truncated,
        before.codes,
    )


@QUICK
@given(worlds())
def test_counts_close_and_rows_are_in_total_order(world: World) -> None:
    dataset: Dataset = build(world)
    if dataset.refusal:
        assert not dataset.rows
        return
    n = dataset.counts
    assert n["delivered"] == n["positions"] + n["position_duplicates"]
    assert n["positions"] == n["rows"] + n["redeliveries"] + n["conflicts"] + n["invalid"] + n["out_of_scope"]
    order = [(r["ts_utc"], r["_topic"], r["_partition"], int(r["_offset"])) for r in dataset.rows]
    assert order == sorted(order)
    assert len({r["event_id"] for r in dataset.rows}) == len(dataset.rows)


@QUICK
@given(group_cases())
def test_a_group_gives_its_columns_for_every_anchor(case: tuple[dict[str, Any], list[Event], list[Event]]) -> None:
    group, events, anchors = case
    faults: list[str] = []
    rows = noting(faults, group_features, group, events, anchors)
    assert set(faults) <= {"FEATURE_NUMERIC_OVERFLOW"}
    assert faults or [list(row) for row in rows] == [column_names(group)] * len(anchors)


def test_differences_are_seen() -> None:
    rows = build(ALL["windows-boundary"].world).rows
    assert differences(reversed(rows), rows) == []
    assert differences(rows[1:], rows)
    assert differences([{**row, "g__count_1h": float(row["g__count_1h"])} for row in rows], rows)
    assert differences([dict(sorted(row.items())) for row in rows], rows)
    assert not same(0.0, -0.0)
    assert not same(None, 0)


def test_generated_worlds_are_worth_building() -> None:
    """Most are built, the rest are refused for reasons of several rooms."""
    outcomes: Counter[str | None] = Counter()

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(worlds())
    def run(world: World) -> None:
        outcomes[build(world).refusal] += 1

    run()
    assert outcomes[None] >= 40
    assert len(outcomes) >= 3


def test_every_layout_holds_the_same_world(tmp_path: Path) -> None:
    """The writer's choices keep the rows; reading them back is the real pipeline's work."""

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(worlds(), st.integers(1, 3), st.sampled_from(["text", "timestamp"]))
    def run(world: World, size: int, times: str) -> None:
        written = write_world(world, tmp_path / "world", Layout(rows_per_segment=size, shuffled=size, times=times))
        assert written.index.exists()
        assert len(written.segments) >= len(world.segments)

    run()
