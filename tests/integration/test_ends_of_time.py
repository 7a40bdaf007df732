"""The first and the last instant of the calendar are ordinary instants: in windows, statistics, leaves and the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars
import pytest
from deltalake import DeltaTable

from tests.oracle.build import build as oracle
from tests.oracle.compare import differences
from tests.worlds.groups import CORE
from tests.worlds.model import World, intent, label, profile, row, segment, slice_, window
from tests.worlds.running import SMALL, policy_with, run
from tests.worlds.writer import Layout

FIRST, SECOND = "0001-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.000001Z"
BEFORE, LAST = "9999-12-31T23:59:59.999998Z", "9999-12-31T23:59:59.999999Z"
MOMENTS = (FIRST, FIRST, SECOND, "0001-01-02T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z", BEFORE, LAST, LAST)
WINDOWS = [window(name) for name in ("1s", "24h", "36500d", "365000d")]
AGGREGATES = ("time_since_first", "time_since_previous", "count")


def group(name: str, **changes: Any) -> dict[str, Any]:
    values = {"amount": {"path": "payload.amount", "type": "decimal(12,2)"}}
    features = [{"name": a, "aggregate": a} for a in AGGREGATES]
    features += [{"name": a, "aggregate": a, "value": "amount"} for a in ("sum", "stddev_pop", "last")]
    own = {"name": name, "version": "v1", "key": ["payload.card"], "values": values, "windows": WINDOWS}
    return {**own, "features": features, **changes}


def world(moments: tuple[str, ...] = MOMENTS) -> World:
    rows = [
        row(i, f"e{i}", at, {"card": "A", "flow_id": "A", "amount": str(i)}, published_at_utc=at, archived_at_utc=at)
        for i, at in enumerate(moments)
    ]
    labels = [
        label(i, f"e{i}", "FRAUD_CONFIRMED", at, effective_time=FIRST, committed_at_utc=LAST)
        for i, at in enumerate(moments)
    ]
    delayed = group("delayed", delay="365000d", knowledge="event_time", include_anchor=False)
    basis = {"label_asof_utc": LAST, "resolution_rule": "ls.resolved.v0", "maturity_days": 36_500}
    return World(
        (segment(*rows),),
        intent(slice_(0, len(moments) - 1), label_basis=basis),
        profile(group("g"), delayed, group("whole", windows=[]), CORE),
        tuple(labels),
        label_committed_up_to_utc=LAST,
    )


@pytest.mark.parametrize("times", ["text", "timestamp"])
@pytest.mark.parametrize("moments", [MOMENTS, (FIRST,), (LAST,), (FIRST, LAST)], ids=["all", "first", "last", "both"])
def test_a_world_at_both_ends_of_time_is_an_ordinary_one(moments: tuple[str, ...], times: str, tmp_path: Path) -> None:
    drawn = world(moments)
    expected = oracle(drawn)
    assert expected.refusal is None
    for name, changes in (("one", {}), ("small", SMALL)):
        policy = policy_with(tmp_path / name / "policy", changes)
        found = run(drawn, tmp_path / name, Layout(times=times), policy=policy)
        assert found.code is None, str(found.refusal)
        assert differences(found.rows, expected.rows) == []
        truncated = {column["name"]: column["truncated_rows"] for column in found.manifest["columns"]}
        assert {name: truncated[name] for name in expected.truncated} == expected.truncated
        table = found.root / found.published["table_ref"]
        read_as_others_do(table, len(moments))


def read_as_others_do(table: Path, rows: int) -> None:
    """Statistics leave no file out that holds a row asked for."""
    frame = polars.read_delta(str(table))
    assert frame.height == rows
    greatest = frame["ts_utc"].max()
    found = polars.scan_delta(str(table)).filter(polars.col("ts_utc") >= greatest).collect()
    assert found.height == frame.filter(polars.col("ts_utc") == greatest).height
    for line in (table / "_delta_log" / f"{0:020d}.json").read_text().splitlines():
        if "add" in (action := json.loads(line)):
            assert json.loads(action["add"]["stats"])["numRecords"] > 0
    assert DeltaTable(str(table)).version() == 0
