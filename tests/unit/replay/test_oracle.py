"""The replay room against the oracle: the same events, arrivals, counts and refusals, in any file layout."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import is_anchor
from ofs_spark.replay.segment_groups import list_partitions
from tests.oracle.build import admit, anchors_of
from tests.oracle.exact import Refused
from tests.oracle.replay import Replay, replay
from tests.unit.replay.room import Replayed, replayed
from tests.worlds.generate import worlds
from tests.worlds.model import World
from tests.worlds.writer import Layout

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
NIGHT = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
COUNTS = (
    "delivered", "position_duplicates", "positions", "rows", "redeliveries", "conflicts", "invalid", "out_of_scope",
)  # fmt: skip

layouts = st.builds(
    Layout, rows_per_segment=st.sampled_from([None, 1, 3]), shuffled=st.sampled_from([None, 1, 2]),
    times=st.sampled_from(["text", "timestamp"]), seed_as_integer=st.booleans(),
)  # fmt: skip


def agree(world: World, layout: Layout) -> None:
    training = admit(world.intent)
    with tempfile.TemporaryDirectory() as folder:
        ours = replayed(world, Path(folder), training, layout)
    theirs = expected(world, training)
    assert ours.codes == (set() if isinstance(theirs, Replay) else theirs)
    if not isinstance(theirs, Replay):
        return
    assert rows_of(ours) == events_of(world, theirs)
    assert ours.facts is not None
    assert {name: ours.facts.counts[name] for name in COUNTS} == theirs.counts
    assert ours.bound == theirs.truncation_bound


def expected(world: World, training: bool) -> Replay | set[str]:
    """What the oracle replays, or the codes with which it refuses."""
    try:
        return replay(world, training)
    except Refused as no:
        return set(no.codes)


def rows_of(ours: Replayed) -> list[dict[str, Any]]:
    places = list_partitions(ours.basis)
    anchors = is_anchor(ours.table).tolist()
    return sorted(
        (
            {
                "place": places[row[r.PARTITION_ORDINAL]], "offset": row[r.OFFSET], "event": row[r.EVENT_ID], "ts": row[r.TS],
                "type": row[r.EVENT_TYPE], "arrival": None if row[r.ARRIVAL] == r.NO_ARRIVAL else row[r.ARRIVAL],
                "anchor": anchor,
            }
            for row, anchor in zip(ours.table.to_pylist(), anchors, strict=True)
        ),
        key=repr,
    )  # fmt: skip


def events_of(world: World, theirs: Replay) -> list[dict[str, Any]]:
    try:
        anchors = set(anchors_of(world.intent, theirs.events))
    except Refused:
        anchors = set()
    return sorted(
        (
            {
                "place": e.place, "offset": str(e.offset), "event": e.event_id, "ts": e.ts, "type": e.event_type,
                "arrival": e.arrival, "anchor": e in anchors,
            }
            for e in theirs.events
        ),
        key=repr,
    )  # fmt: skip


@QUICK
@given(worlds(), layouts)
def test_replays_as_the_oracle_does(world: World, layout: Layout) -> None:
    agree(world, layout)


@pytest.mark.nightly
@NIGHT
@given(worlds(), layouts)
def test_replays_as_the_oracle_does_all_night(world: World, layout: Layout) -> None:
    agree(world, layout)
