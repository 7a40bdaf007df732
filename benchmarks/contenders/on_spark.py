"""Contenders on Spark: each in a process beside this one, whose session is warm and stays for the next run.

    python -m benchmarks.contenders.on_spark OWN-OR-PEERS WARM-UP-WORLD

Reads what is asked from its input, a line each, and answers each with a line. A build's session has the settings that users
get; the other contenders share one that has what is best for them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from benchmarks.contenders import floor, naive, ofs
from benchmarks.contenders.job import Job
from benchmarks.measure import ask_to_end_first, measured
from benchmarks.report import ROOT
from benchmarks.sessions import PEERS, open_session
from benchmarks.worlds import World
from ofs_spark.io.spark_engine import SparkEngine

WARM_UPS = 2
SETTINGS: dict[str, Mapping[str, str]] = {"own": {}, "peers": PEERS}
"""By session what its settings are beside those of conf/spark/local.conf."""


@dataclass(frozen=True)
class OnSpark:
    """A contender: whose session it has, and what makes its table."""

    session: str
    run: Callable[[SparkSession, Job], dict[str, Any]]


ON_SPARK = {
    "ofs_spark": OnSpark("own", lambda session, job: ofs.run(lambda: SparkEngine(session), job)),
    "floor": OnSpark("peers", lambda session, job: {"table": str(floor.run(session, job))}),
    "naive": OnSpark("peers", lambda session, job: {"table": str(naive.run(session, job))}),
}


class Sessions:
    """The processes. One begins with the first run that is asked of it, and another one with the first after its end."""

    def __init__(self, warm_up: World) -> None:
        self._warm_up = warm_up
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def run(self, name: str, job: Job) -> dict[str, Any]:
        """What `measured` gives of a contender that is warm; CalledProcessError where its process ended instead."""
        session = ON_SPARK[name].session
        if session not in self._processes:
            command = [sys.executable, "-m", "benchmarks.contenders.on_spark", session, str(self._warm_up.root)]
            self._processes[session] = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        process = self._processes[session]
        assert process.stdin and process.stdout  # noqa: PT018, S101  # asked for above
        with suppress(BrokenPipeError):  # it has ended: there is no answer
            process.stdin.write(json.dumps([name, job.keys, str(job.world.root), str(job.table)]) + "\n")
            process.stdin.flush()
        answered = process.stdout.readline()
        if not answered:
            raise subprocess.CalledProcessError(self._processes.pop(session).wait(), process.args)
        return dict(json.loads(answered))

    def stop(self) -> None:
        """Ends the processes."""
        for process in self._processes.values():
            process.communicate()


def answer(session: SparkSession, warm_up: World, warm: set[str], asked: str) -> str:
    """The line that answers one, which works on a small world first: Spark ends workers that are idle for a minute.

    warm: contenders that have worked in this session, so that its JVM knows them.
    """
    name, keys, world, table = json.loads(asked)
    run = ON_SPARK[name].run
    for _ in range(1 if name in warm else WARM_UPS):
        shutil.rmtree(run(session, Job(warm_up, "one", Path(table)))["table"])
    warm.add(name)
    return json.dumps(measured(lambda: run(session, Job(World(Path(world)), keys, Path(table)))))


def main() -> None:
    """Answers until there is no more input."""
    ask_to_end_first()
    settings, warm_up, warm = SETTINGS[sys.argv[1]], World(Path(sys.argv[2])), set[str]()
    with open_session(settings) as session:
        for asked in sys.stdin:
            print(answer(session, warm_up, warm, asked), flush=True)


if __name__ == "__main__":
    main()
