"""Contenders that are no part of this process: each runs in a fresh one, so that its CPU and its memory are its own.

    python -m benchmarks.contenders.alone NAME KEYS WORLD TABLE WARM-UP-WORLD

Start-up is left out: a small world is worked on first, and what is measured comes after. Prints one JSON document.
"""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.contenders.job import Job
from benchmarks.measure import ask_to_end_first, measured
from benchmarks.report import ROOT
from benchmarks.worlds import World
from ofs_spark.foundation.columnar.ports import Engine


def run_duckdb(job: Job) -> dict[str, Any]:
    """See by_duckdb."""
    from benchmarks.contenders import by_duckdb

    return {"table": str(by_duckdb.run(job))}


def run_polars(job: Job) -> dict[str, Any]:
    """See by_polars."""
    from benchmarks.contenders import by_polars

    return {"table": str(by_polars.run(job))}


@cache
def open_embedded() -> Engine:
    """The engine without Spark: the same one for the warm-up and for what is measured."""
    from ofs_spark.io.embedded_engine import EmbeddedEngine, count_workers

    engine = EmbeddedEngine(count_workers())
    atexit.register(engine.stop)
    return engine


def run_embedded(job: Job, knowledge: str = "as_observed") -> dict[str, Any]:
    """OFS without Spark."""
    from benchmarks.contenders import ofs

    return ofs.run(open_embedded, job, knowledge)


ALONE: dict[str, Callable[[Job], dict[str, Any]]] = {
    "ofs_embedded": run_embedded,
    "duckdb": run_duckdb,
    "polars": run_polars,
}


def run_alone(name: str, job: Job, warm_up: World) -> dict[str, Any]:
    """What `measured` gives of a contender in a process of its own."""
    asked = [name, job.keys, str(job.world.root), str(job.table), str(warm_up.root)]
    command = [sys.executable, "-m", "benchmarks.contenders.alone", *asked]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def main() -> None:
    """Warms up, then measures."""
    name, keys, world, table, warm_up = sys.argv[1:]
    ask_to_end_first()
    shutil.rmtree(ALONE[name](Job(World(Path(warm_up)), keys, Path(table)))["table"])
    print(json.dumps(measured(lambda: ALONE[name](Job(World(Path(world)), keys, Path(table))))))


if __name__ == "__main__":
    main()
