"""What a build costs outside the engine: ledger, lease, plan, evidence, commit, documents, and whatever is beside them.

Wall seconds of the driver while no job of the engine runs, so that nothing of the protocol is left out; and the calls
of the ports among them.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.contenders import ofs
from benchmarks.report import describe_machine, write_results
from benchmarks.sessions import open_session
from benchmarks.worlds import open_folder, write_world
from ofs_spark.io.spark_engine import SparkEngine
from ofs_spark.io.watched import watch

Answer = TypeVar("Answer")


class Timer:
    """Adds up the wall time of calls of the ports by effect. Workers have copies, which nobody asks."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        """What the call answers."""
        start = time.perf_counter()
        try:
            return call()
        finally:
            self.spent[effect] = self.spent.get(effect, 0.0) + time.perf_counter() - start


def run(events: int, runs: int, kept: Path | None) -> None:
    """Measures some rounds after one that warms up, and writes the results."""
    found: list[dict[str, Any]] = []
    with open_folder(kept) as folder, open_session() as session:
        world = write_world("dense", events, folder)
        engine = SparkEngine(session)
        for number in range(runs + 1):
            timer = Timer()
            start = time.perf_counter()
            answer = ofs.build(world, ofs.ask(world, "one"), lambda: engine, partial(watch, around=timer))
            wall = time.perf_counter() - start
            jobs = sum(seconds for effect, seconds in timer.spent.items() if effect.startswith("engine."))
            found += [{"wall_s": wall, "jobs_s": jobs, "calls_s": timer.spent}] if number else []
            shutil.rmtree(world.objects / answer["table_ref"])
        machine = describe_machine(spark=session.version)
    beside = [(one["wall_s"] - one["jobs_s"]) / one["wall_s"] for one in found]
    document = {"machine": machine, "payments": events, "runs": found}
    target = write_results("protocol", {**document, "share": beside, "median_share": statistics.median(beside)})
    print(f"beside the jobs: {statistics.median(beside):.2%} of the wall time\n{target}")
