"""Real Spark that is stopped or dies: one answer, the status of the end, and no JVM left behind."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from ofs_spark.foundation.contracts import find_faults
from tests.spark.program import run_program
from tests.spec.tables.windows import world
from tests.worlds.writer import state_engine, write_world

PROGRAM = """
import os, signal, sys, threading, time
from contextlib import suppress
from pathlib import Path
import psutil
from pyspark import SparkContext
from ofs_spark.cli import main
from ofs_spark.io import spark_engine
signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever started the tests may have ignored
run = spark_engine.SparkEngine.run
def end(jvm):
    time.sleep(0.3)
    if sys.argv[2] == "jvm":
        os.kill(jvm, signal.SIGKILL)
    elif sys.argv[2] == "worker":
        while True:  # one that is killed between two tasks is replaced, and missed by nobody
            with suppress(psutil.Error):
                for worker in [one for daemon in psutil.Process(jvm).children() for one in daemon.children()]:
                    worker.kill()
            time.sleep(0.05)
    else:
        os.kill(os.getpid(), int(sys.argv[2]))
def spy(self, tasks, steps):
    jvm = SparkContext._gateway.proc.pid
    Path(sys.argv[1]).write_text(str(jvm))
    threading.Thread(target=end, args=(jvm,), daemon=True).start()
    while True:  # jobs without end
        run(self, tasks, steps)
spark_engine.SparkEngine.run = spy
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.spark
@pytest.mark.parametrize(
    ("end", "contract", "status"),
    [
        (str(int(signal.SIGTERM)), "failure_answer", 143),
        (str(int(signal.SIGINT)), "failure_answer", 130),
        ("jvm", "refusal_answer", 80),
        ("worker", "refusal_answer", 80),
    ],
    ids=["stopped", "interrupted", "dead JVM", "dead worker"],
)
def test_an_end_of_spark_is_answered_and_leaves_no_jvm(end: str, contract: str, status: int, tmp_path: Path) -> None:
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "world")
    state_engine(written.wiring, "spark")
    place = tmp_path / "jvm"
    command = ("--json", "--wiring", str(written.wiring), "build", str(written.intent))
    done = run_program(PROGRAM, str(place), end, command=command)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    assert find_faults(answer, contract) == [], (answer, done.stderr[-1500:])
    assert done.returncode == status, answer
    line = Path("/proc", place.read_text(), "cmdline")
    until = time.monotonic() + 20
    while line.exists() and line.read_bytes() and time.monotonic() < until:
        time.sleep(0.2)
    assert not line.exists() or not line.read_bytes()
