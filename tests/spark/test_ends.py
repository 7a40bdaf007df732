"""Real Spark that is stopped or dies: one answer, the status of the end, and no JVM left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ofs_spark.foundation.contracts import find_faults
from tests.spec.tables.windows import world
from tests.worlds.writer import write_world

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from pyspark import SparkContext
from ofs_spark.cli import main
from ofs_spark.io import spark_engine
signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever started the tests may have ignored
run = spark_engine.SparkEngine.run
def spy(self, tasks, steps):
    jvm = SparkContext._gateway.proc.pid
    Path(sys.argv[1]).write_text(str(jvm))
    victim, number = (jvm, signal.SIGKILL) if sys.argv[2] == "jvm" else (os.getpid(), int(sys.argv[2]))
    threading.Timer(0.3, os.kill, (victim, number)).start()
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
    ],
    ids=["stopped", "interrupted", "dead JVM"],
)
def test_an_end_of_spark_is_answered_and_leaves_no_jvm(end: str, contract: str, status: int, tmp_path: Path) -> None:
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "world")
    place = tmp_path / "jvm"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            str(place),
            end,
            "--json",
            "--wiring",
            str(written.wiring),
            "build",
            str(written.intent),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    assert find_faults(answer, contract) == []
    assert done.returncode == status, answer
    command = Path("/proc", place.read_text(), "cmdline")
    until = time.monotonic() + 20
    while command.exists() and command.read_bytes() and time.monotonic() < until:
        time.sleep(0.2)
    assert not command.exists() or not command.read_bytes()
