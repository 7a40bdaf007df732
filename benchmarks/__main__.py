"""Side by side, in one session: the whole OFS build, the Spark floor and the naive Spark build, on one generated world.

    make bench                      2 M events, dense and sparse keys, three runs each
    python -m benchmarks --events 500000 --runs 3 --shapes dense
    python -m benchmarks --only cliffs               the kernels alone, one key in every order (cliffs.py)
    python -m benchmarks --only protocol             what the driver does beside the engine's jobs
    python -m benchmarks --only parity               online snapshots: one anchor and a sweep beside the raw scan
    python -m benchmarks --only retry                an attempt from staged rows, a publish-only retry, `ofs verify`

Every contender reads the same segments. Wall time is of one warm run; CPU is of the JVM and every Python worker. The
figures are medians; the naive build runs once per shape, for it is slow.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.compute as pc
from pyarrow.dataset import dataset
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from benchmarks import cliffs, floor, naive, parity, retry
from benchmarks.measure import measured
from benchmarks.report import ROOT, describe_machine, write_results
from ofs_spark import pipeline
from ofs_spark.demo.payments import Shape
from ofs_spark.demo.world import DemoWorld, write_demo_world
from ofs_spark.foundation.policy import load_policy, state_releases
from ofs_spark.io.context import open_context
from ofs_spark.io.session import build_session, read_properties
from ofs_spark.io.spark_engine import SparkEngine
from ofs_spark.io.watched import watch
from ofs_spark.workflow.context import RunContext

Answer = TypeVar("Answer")

SHAPES = {
    "dense": lambda events: Shape(events, customers=25_000 * events // 2_000_000, terminals=2_500, days=30, skew=0.829),
    "sparse": lambda events: Shape(
        events, customers=300_000 * events // 2_000_000, terminals=2_500, days=30, skew=0.31
    ),
}
"""At 2 M events: dense has mean frames of about 11, 161 and 1,007 rows for 1 h, 24 h and 7 d; sparse a widest one of about 60."""
PROFILE = """\
policy_id: bench.features
revision: r1
feature_groups:
  - name: customer
    version: v1
    key: [payload.customer_id]
    source: {event_types: [card_payment]}
    values:
      amount: {path: payload.amount, type: "decimal(12,2)", missing: fail}
    windows:
      - {window: 1h, duration: 1h, ttl: 1h}
      - {window: 24h, duration: 24h, ttl: 24h}
      - {window: 7d, duration: 7d, ttl: 7d}
    features:
      - {name: count, aggregate: count}
      - {name: spend, aggregate: sum, value: amount}
      - {name: mean, aggregate: mean, value: amount}
      - {name: largest, aggregate: max, value: amount}
"""
COLUMNS = [
    *[(f"customer__{name}_{w}", "bigint" if name == "count" else "double")
      for name in ("count", "spend", "mean", "largest") for w in ("1h", "24h", "7d")],
    ("label__fraud_disposition", "string"), ("label__fraud_disposition__status", "string"),
    ("label__fraud_disposition__effective_time", "timestamp"), ("label__fraud_disposition__observed_time", "timestamp"),
    ("label__fraud_disposition__assertion_id", "string"),
]  # fmt: skip


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


def whole_build(
    world: DemoWorld, session: SparkSession, number: int, change: Callable[[RunContext], RunContext] = lambda c: c
) -> dict[str, Any]:
    """One `ofs build` of a fresh request and configuration, so that nothing is answered from an earlier run."""
    document = json.loads(world.training.read_bytes())
    document |= {"request_id": f"bench.{number:04d}.{time.time_ns()}", "config_revision": f"bench-{time.time_ns()}"}
    document["feature_definition_set"] = {"feature_set_id": "customer", "feature_set_version": "v1"}
    document["join_scope"].pop("required_output_ids")
    with open_context(world.wiring, None, lambda _room, _doing: None, lambda: SparkEngine(session)) as context:
        answer = pipeline.build_dataset(json.dumps(document).encode(), change(context))
    return {
        name: answer[name] for name in ("table_ref", "rows", "status", "content_digest", "timings", "replay_counts")
    }


def frames(table: Path) -> dict[str, dict[str, float]]:
    """Rows per window, mean and most, as the build counted them."""
    names = [f"customer__count_{window}" for window in ("1h", "24h", "7d")]
    counts = dataset(table, format="parquet").to_table(columns=names)
    return {name: {"mean": pc.mean(counts[name]).as_py(), "most": pc.max(counts[name]).as_py()} for name in names}


def write_world(name: str, events: int, folder: Path) -> tuple[DemoWorld, Shape]:
    """The generated world of a shape, with the profile of the benchmark."""
    releases = state_releases(load_policy(None))
    shape = SHAPES[name](events)
    world = write_demo_world(folder / name, 7, shape, releases, lambda _room, doing: print(f"  {doing}"))
    (world.root / "profiles" / "customer.yaml").write_text(PROFILE)
    return world, shape


def compared(name: str, events: int, runs: int, session: SparkSession, folder: Path) -> dict[str, Any]:
    world, shape = write_world(name, events, folder)
    segments = sorted(map(str, world.objects.glob("*/archive/segments/*/*/*.parquet")))
    labels = str(next(world.objects.glob("*/label_store/extract")) / "*.parquet")
    asof = json.loads(world.training.read_bytes())["label_basis"]["label_asof_utc"]
    table = str(folder / "table")
    contenders: dict[str, Callable[[int], Any]] = {
        "ofs": lambda number: whole_build(world, session, number),
        "floor": lambda _number: floor.run(session, segments, table, COLUMNS),
    }
    windows: dict[str, dict[str, float]] = {}
    found: dict[str, list[dict[str, Any]]] = {contender: [] for contender in (*contenders, "naive")}
    for number in range(runs + 1):  # the first round warms up and is not counted
        for contender, run in contenders.items():
            one = measured(partial(run, number))
            print(
                f"  {name} {contender} {number if number else 'warm-up'}: {one['wall_s']:.1f} s, {one['cpu_s']:.1f} s CPU"
            )
            found[contender] += [one] if number else []
            if contender == "ofs":
                windows = windows if number else frames(world.objects / one["answer"]["table_ref"])
                shutil.rmtree(world.objects / one["answer"]["table_ref"])
    found["naive"].append(measured(lambda: naive.run(session, segments, labels, table + "-naive", asof)))
    shutil.rmtree(folder / name)
    about = {"payments": events, "customers": shape.customers, "days": shape.days, "rows_per_window": windows}
    return {"shape": name, **about, "runs": found}


def summary(result: dict[str, Any]) -> dict[str, float]:
    """Medians, CPU per event, ratios of medians, and the medians of the build's rooms."""
    runs = result["runs"]
    wall = {name: statistics.median(run["wall_s"] for run in own) for name, own in runs.items()}
    cpu = {name: statistics.median(run["cpu_s"] for run in own) for name, own in runs.items()}
    rooms = [run["answer"]["timings"] for run in runs["ofs"]]
    return {
        **{f"{name}_wall_s": value for name, value in wall.items()},
        **{f"{name}_cpu_us_per_event": value / result["payments"] * 1e6 for name, value in cpu.items()},
        **{f"ofs_{room}_s": statistics.median(one[room] for one in rooms) for room in rooms[0]},
        "ofs_over_floor_wall": wall["ofs"] / wall["floor"],
        "ofs_over_floor_cpu": cpu["ofs"] / cpu["floor"],
        "naive_over_ofs_wall": wall["naive"] / wall["ofs"],
        "naive_over_ofs_cpu": cpu["naive"] / cpu["ofs"],
    }


def measure_protocol(events: int, runs: int) -> None:
    """What a build costs outside the engine: ledger, lease, plan, evidence, commit, documents, and whatever is beside them.

    Wall seconds of the driver while no job of the engine runs, so that nothing of the protocol is left out; and the calls
    of the ports among them.
    """
    settings = read_properties(ROOT / "conf" / "spark" / "local.conf") | {"spark.driver.memory": "8g"}
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        session = build_session(settings, "local[*]", "ofs bench", jvm_log=Path(scratch) / "jvm.log")
        world, _ = write_world("dense", events, Path(scratch))
        for number in range(runs + 1):  # the first one warms up
            timer = Timer()
            start = time.perf_counter()
            answer = whole_build(world, session, number, partial(watch, around=timer))
            wall = time.perf_counter() - start
            jobs = sum(seconds for effect, seconds in timer.spent.items() if effect.startswith("engine."))
            found += [{"wall_s": wall, "jobs_s": jobs, "calls_s": timer.spent}] if number else []
            shutil.rmtree(world.objects / answer["table_ref"])
        session.stop()
    beside = [(one["wall_s"] - one["jobs_s"]) / one["wall_s"] for one in found]
    document = {"machine": describe_machine(spark=session.version), "payments": events, "runs": found}
    target = write_results("protocol", {**document, "share": beside, "median_share": statistics.median(beside)})
    print(f"beside the jobs: {statistics.median(beside):.2%} of the wall time\n{target}")


def compare_builds(events: int, runs: int, shapes: list[str]) -> None:
    """Measures the shapes in one Spark session, writes the results and prints the table."""
    settings = read_properties(ROOT / "conf" / "spark" / "local.conf") | {"spark.driver.memory": "8g"}
    with tempfile.TemporaryDirectory() as scratch:
        session = build_session(settings, "local[*]", "ofs bench", jvm_log=Path(scratch) / "jvm.log")
        results = [compared(shape, events, runs, session, Path(scratch)) for shape in shapes]
        session.stop()
    target = write_results(
        "build",
        {
            "machine": describe_machine(spark=session.version),
            "results": [{**result, "summary": summary(result)} for result in results],
        },
    )
    table = Table(title="Whole build, Spark floor, naive Spark")
    for heading in ("figure", *(result["shape"] for result in results)):
        table.add_column(heading)
    for figure in summary(results[0]):
        table.add_row(figure, *(f"{summary(result)[figure]:.2f}" for result in results))
    Console().print(table)
    print(target)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("build", "cliffs", "parity", "protocol", "retry"), default="build")
    parser.add_argument("--events", type=int, help="default: 2 M for builds, 1 M for cliffs")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help="of builds")
    asked = parser.parse_args()
    if asked.only == "cliffs":
        cliffs.run(asked.events or cliffs.EVENTS, asked.runs)
    elif asked.only == "protocol":
        measure_protocol(asked.events or 2_000_000, asked.runs)
    elif asked.only == "retry":
        events = asked.events or 2_000_000
        retry.run(lambda folder: write_world("dense", events, folder)[0], events, asked.runs)
    elif asked.only == "parity":
        events = asked.events or 2_000_000
        parity.run(lambda folder: write_world("dense", events, folder)[0], events, asked.runs)
    else:
        compare_builds(asked.events or 2_000_000, asked.runs, asked.shapes)


if __name__ == "__main__":
    main()
