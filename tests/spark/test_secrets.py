"""A secret of a real session: nowhere in any command line, in the log of the JVM, nor in a file of the world."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.spark.program import run_program
from tests.spec.tables.windows import world
from tests.worlds.writer import write_world

SECRET = "hunter2-Zq9-planted"
PROGRAM = """
import sys
from contextlib import suppress
from pathlib import Path
from ofs_spark.cli import main
from ofs_spark.io import spark_engine
run = spark_engine.SparkEngine.run
def spy(self, tasks, steps):
    with Path(sys.argv[1]).open("wb") as seen:
        for one in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # a process that has ended meanwhile
                seen.write(one.read_bytes())
    given = self.session.sparkContext._jsc.hadoopConfiguration().get("fs.s3a.secret.key")
    assert given is not None and len(given) == 19
    return run(self, tasks, steps)
spark_engine.SparkEngine.run = spy
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.spark
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc on this system")
def test_a_secret_of_a_session_is_on_no_command_line_and_in_no_file(tmp_path: Path) -> None:
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "world")
    document = yaml.safe_load(written.wiring.read_text())
    document["engine"], document["spark"] = (
        "spark",
        {"spark.hadoop.fs.s3a.secret.key": "${PLANTED}", "spark.driver.memory": "1g"},
    )
    written.wiring.write_text(yaml.safe_dump(document))
    seen = tmp_path / "seen"
    command = ("--json", "--wiring", str(written.wiring), "build", str(written.intent))
    done = run_program(PROGRAM, str(seen), command=command, environment={"PLANTED": SECRET})
    assert json.loads(done.stdout)["outcome"] == "COMMITTED", done.stderr[-2000:]
    assert b"org.apache.spark" in seen.read_bytes()
    assert SECRET.encode() not in seen.read_bytes()
    assert SECRET not in done.stdout + done.stderr
    files = [path for path in (tmp_path / "world").rglob("*") if path.is_file()]
    assert any(path.name == "jvm.log" for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
