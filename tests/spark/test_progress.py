"""A build on real Spark says what it waits for, and how long it waited, each thing by its own name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.spark.program import run_program
from tests.spec.tables.windows import world
from tests.worlds.writer import write_world

PROGRAM = """
import sys, time
from ofs_spark.cli import main
from ofs_spark.io import engines
build = engines._Spark.engine
def slow(self, why):
    time.sleep(3)
    return build(self, why)
engines._Spark.engine = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.spark
def test_starting_spark_and_loading_are_named_and_timed_apart(tmp_path: Path) -> None:
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path)
    document = yaml.safe_load(written.wiring.read_text())
    written.wiring.write_text(yaml.safe_dump({**document, "engine": "spark", "spark": {"spark.driver.memory": "1g"}}))
    command = ("--json", "--wiring", str(written.wiring), "build", str(written.intent))
    done = run_program(PROGRAM, command=command)
    spent = json.loads(done.stdout)["timings"]
    assert spent["engine"] > 3
    assert spent["pins"] < spent["engine"]
    assert {"load", "compile"} & set(spent)
    where, *told = done.stderr.splitlines()
    assert where.startswith(f"wiring {written.wiring} ")
    lines = [line[9:].split(maxsplit=1) for line in told]
    rooms = list(dict.fromkeys(room for room, _ in lines if room not in ("load", "compile")))
    assert rooms == ["intent", "pins", "engine", "replay", "features", "publish", "signals"]
    assert ["engine", "starting Spark: the wiring says so"] in lines
    assert ["engine", "stopping Spark"] in lines
    assert "\x1b" not in done.stderr
