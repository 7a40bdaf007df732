"""A driver that was killed is replaced at once on its own machine: nobody waits for a lease of the dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation.clock import FixedClock
from ofs_spark.foundation.ends import Stopped
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.spec.tables.windows import world
from tests.worlds.running import build
from tests.worlds.writer import write_world

ROOT = Path(__file__).resolve().parents[2]
HANGING = """
import sys, time
from pathlib import Path
from ofs_spark import pipeline
from ofs_spark.io.context import open_context

def engine():
    print("holds the run", flush=True)
    time.sleep(600)

with open_context(Path(sys.argv[1]), None, lambda room, doing: None, engine) as context:
    pipeline.build_dataset(Path(sys.argv[2]).read_bytes(), context)
"""


def test_a_killed_driver_is_replaced_at_once(tmp_path: Path) -> None:
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path)
    command = [sys.executable, "-c", HANGING, str(written.wiring), str(written.intent)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "holds the run\n"
        assert build(written).code == "LEASE_LOST", "it lives"
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    answer = build(written).published
    assert answer["outcome"] == "COMMITTED"
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        events = pipeline.describe_runs(answer["run_key"], context)["events"]
    assert [event["reason"] for event in events] == ["REQUESTED", "STARTED", "TAKEN_OVER", "COMMITTED"]


def test_what_surrounds_the_basis_may_grow_between_attempts(tmp_path: Path) -> None:
    """A plan pins the slice of the archive that it reads; the platform goes on writing beside it."""
    before = world("event|time|card\ne0|10:00|1")
    written = write_world(before, tmp_path)

    def stop() -> EmbeddedEngine:
        raise Stopped

    with open_context(written.wiring, None, lambda _room, _doing: None, stop) as context, pytest.raises(Stopped):
        pipeline.build_dataset(written.intent.read_bytes(), context)
    index = written.index.read_bytes()
    beside = replace(before.segments[0], partition=before.segments[0].partition + 1)
    grown = write_world(replace(before, segments=(*before.segments, beside)), tmp_path)
    assert grown.index.read_bytes() != index
    assert build(grown).published["outcome"] == "COMMITTED"


def test_an_attempt_that_outlived_the_run_limit_ends_without_a_dataset(tmp_path: Path) -> None:
    """It ends before the commit, and says so in the ledger; the next attempt publishes."""
    written, clock = write_world(world("event|time|card\ne0|10:00|1"), tmp_path), FixedClock(datetime.now(UTC))

    def work_long() -> EmbeddedEngine:
        clock.advance(24 * 3_600 + 1)
        return EmbeddedEngine()

    with open_context(written.wiring, None, lambda _room, _doing: None, work_long) as context:
        control = replace(context.control, clock=clock)
        with pytest.raises(Refusal, match="run_limit_hours is 24") as ended:
            pipeline.build_dataset(written.intent.read_bytes(), replace(context, control=control))
        run_key = ended.value.details["run_key"]
        told = pipeline.describe_runs(run_key, context)
        assert (told["state"], told["events"][-1]["reason"]) == ("FAILED", "LEASE_LOST")
    assert not list(written.root.glob("*/ofs/manifests/*"))
    assert build(written).published["outcome"] == "COMMITTED"
