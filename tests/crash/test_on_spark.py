"""Real Spark builds that are killed or stopped at a named point, in the driver or in a worker, and the build after that."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.stops import STATUSES
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.failpoints import POINTS, VARIABLE
from ofs_spark.io.spark_engine import SparkEngine
from tests.crash.drill import Drill, Place, Watcher, require_whole
from tests.worlds.writer import state_engine

ROOT = Path(__file__).resolve().parents[2]
KILLS = (
    "plan.put.after",
    "staged_rows.put.after",
    "table_file.put.before",
    "manifest.put.before",
    "manifest.put.after",
)
STOPS = {
    "engine.scan.before": "group-term",
    "table_file.put.before": "int+int",
    "manifest.put.before": "hup+term",
    "manifest.put.after": "group-hup",
}
"""By day these; by night every point. A Spark process costs half a minute of a busy machine before its first job."""
ACTIONS = ("term", "group-term+group-term", "int", "group-int", "int+int", "hup", "group-hup+term", "term+int")
AT_ONCE = 2


@cache
def list_points() -> list[str]:
    """The points that the first build of a dataset comes by, whatever its engine."""
    with Place() as drill:
        drill.drive(watcher := Watcher())
    return sorted(point for point in POINTS if point.rsplit(".", 1)[0] in watcher.seen)


def check_two_at_a_time(check: Callable[[Any], None], cases: Iterable[Any]) -> None:
    """Checks every case, and tells of all that fail: a Spark process waits more than it works."""
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(check, case) for case in cases]:
            error = done.exception()
            if error is not None:
                failed.append(f"{type(error).__name__}: {error}"[:3_000])
    assert failed == [], "\n\n".join(failed)


def build_with(drill: Drill, point: str, actions: str, engine: str = "spark") -> subprocess.CompletedProcess[str]:
    """The command on real Spark, or on processes of the embedded engine, in a session of its own, with a failpoint armed;
    returns once all of it is gone."""
    state_engine(drill.written.wiring, engine)
    command = [sys.executable, "-c", ON_PROCESSES, "--json", "--wiring", str(drill.written.wiring), "build"]
    program = f"import os, signal, sys; {RESET}; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: f"{point}={actions}"}
    with subprocess.Popen(
        [sys.executable, "-c", program, *command[1:], str(drill.written.intent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        out, err = process.communicate(timeout=300)
    until = time.monotonic() + 120  # a JVM whose driver is gone stops in order, which takes its time on a busy machine
    while (left := find_session(process.pid)) and time.monotonic() < until:
        time.sleep(0.2)
    assert left == [], f"{point}={actions}: the driver is gone, and these are not: {left}"
    return subprocess.CompletedProcess(command, process.returncode, out, err)


ON_PROCESSES = """
import sys
from ofs_spark.io import engines
from ofs_spark.cli import main
engines.FEWEST_OFFSETS = 0
sys.exit(main(sys.argv[1:]))
"""
"""The command, which starts processes even for a world as small as a drill's, where its wiring asks for no Spark."""
RESET = "[signal.signal(one, signal.SIG_DFL) for one in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)]"
"""Whoever started the tests may have signals ignored; a user's shell does not."""


def find_session(leader: int) -> list[str]:
    """The command lines of the processes of a session that are not buried yet."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(stat.with_name("cmdline").read_text().replace("\0", " ")[:120])
        except OSError:
            continue
    return found


def kill(point: str, spark: SparkSession) -> None:
    kill_driver(point, "spark", lambda: SparkEngine(spark))


def kill_driver(point: str, engine: str, other: Callable[[], Engine]) -> None:
    """A build that is killed at a point, and the one after it, on an engine of this process."""
    with Place() as drill:
        ended = build_with(drill, point, "kill", engine)
        assert ended.returncode == -signal.SIGKILL, f"{point}: {ended.returncode} {ended.stdout} {ended.stderr[-2000:]}"
        assert drill.find_violations(settled=False) == [], point
        require_whole(drill, point, engine=other)


def stop(case: tuple[str, str], spark: SparkSession) -> None:
    stop_driver(*case, "spark", lambda: SparkEngine(spark))


def stop_driver(point: str, actions: str, engine: str, other: Callable[[], Engine]) -> None:
    """A build that is stopped at a point: the status of its first signal, no traceback, and the build after it."""
    with Place() as drill:
        ended = build_with(drill, point, actions, engine)
        what = f"{point}={actions}: {ended.returncode} {ended.stdout} {ended.stderr[-2000:]}"
        first = signal.Signals["SIG" + actions.split("+")[0].removeprefix("group-").upper()]
        assert ended.returncode == STATUSES[first], what
        assert "Traceback" not in ended.stderr, what
        answer = json.loads(ended.stdout)
        assert find_faults(answer, "failure_answer") == [], what
        assert answer["exit_status"] == STATUSES[first], what
        _judge_ledger(drill, point, answer, what)
        assert drill.find_violations(settled=False) == [], what
        require_whole(drill, what, engine=other)


def _judge_ledger(drill: Drill, point: str, answer: dict[str, Any], what: str) -> None:
    """The ledger says what the answer says."""
    with open_context(drill.written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        (run,) = context.control.ledger.list_runs() or (None,)
        events = context.control.ledger.list_events(run.run_key) if run else []
    if "manifest_ref" in answer:
        assert (drill.written.root / answer["manifest_ref"]).is_file(), what
        assert events[-1].reason == "COMMITTED", what
    elif not re.match(r"ledger\.register|manifest\.look|ledger\.claim\.before|ledger\.find", point):
        assert events[-1].reason == answer["reason"], what


@pytest.mark.timeout(1_800)
def test_some_kills(spark: SparkSession) -> None:
    check_two_at_a_time(lambda point: kill(point, spark), KILLS)


@pytest.mark.timeout(1_800)
def test_some_stops(spark: SparkSession) -> None:
    check_two_at_a_time(lambda case: stop(case, spark), STOPS.items())


@pytest.mark.nightly
def test_a_kill_at_every_point(spark: SparkSession) -> None:
    check_two_at_a_time(lambda point: kill(point, spark), list_points())


@pytest.mark.nightly
def test_a_stop_at_every_point(spark: SparkSession) -> None:
    check_two_at_a_time(lambda case: stop(case, spark), zip(list_points(), cycle(ACTIONS), strict=False))
