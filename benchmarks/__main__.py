"""Side by side on the same segments: OFS on Spark and embedded, the Spark floor, naive Spark, DuckDB, Polars.

    make bench                       2 M and 8 M events (compare.py has the plan)
    make bench-nightly               two keys, every shape of keys, 20 M events
    python -m benchmarks --shapes dense --events 500000 --contenders ofs_spark duckdb --worlds /tmp/worlds
    python -m benchmarks --only cliffs               the kernels alone, one key in every order (cliffs.py)
    python -m benchmarks --only protocol             what the driver does beside the engine's jobs
    python -m benchmarks --only parity               online snapshots: one anchor and a sweep beside the raw scan
    python -m benchmarks --only retry                an attempt from staged rows, a publish-only retry, `ofs verify`

CPU is of every process that works on a run. Contenders take turns, in processes that are warm; figures are medians.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks import cliffs, compare, parity, protocol, retry
from benchmarks.worlds import SETS, SHAPES


def main() -> None:
    """Reads the arguments and runs what they ask for."""
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("build", "cliffs", "parity", "protocol", "retry"), default="build")
    parser.add_argument("--plan", choices=compare.PLANS, help="of builds; what it says stands instead of the next four")
    parser.add_argument("--events", type=int, nargs="+", help="default: 2 M, 1 M for cliffs")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["sparse", "dense"], help="of builds")
    parser.add_argument("--keys", nargs="+", choices=SETS, default=["one"], help="of builds")
    parser.add_argument("--contenders", nargs="+", choices=compare.NAMES, default=compare.NAMES, help="of builds")
    parser.add_argument(
        "--warm-up", type=int, default=compare.WARM_UP_EVENTS, help="events that builds are warmed up with"
    )
    parser.add_argument("--worlds", type=Path, help="keep worlds in this folder, and use those that are there")
    asked = parser.parse_args()
    events = asked.events or [cliffs.EVENTS if asked.only == "cliffs" else 2_000_000]
    if asked.only == "cliffs":
        cliffs.run(events[0], asked.runs)
    elif asked.only == "build":
        # docs/benchmarks.md shows the newest results of builds, which `make bench` has whole
        kind = "nightly" if asked.plan == "nightly" else "build"
        compare.run(make_plan(asked, events), asked.worlds, asked.warm_up, kind)
    else:
        {"protocol": protocol.run, "parity": parity.run, "retry": retry.run}[asked.only](
            events[0], asked.runs, asked.worlds
        )


def make_plan(asked: argparse.Namespace, events: list[int]) -> list[compare.Comparison]:
    """The plan that is named, or every combination of what is asked; with the contenders that are asked."""
    every = [
        compare.Comparison(shape, count, keys, asked.contenders, asked.runs)
        for count in events
        for shape in asked.shapes
        for keys in asked.keys
    ]
    plan = compare.PLANS.get(asked.plan, every)
    return [replace(one, contenders=[name for name in one.contenders if name in asked.contenders]) for one in plan]


if __name__ == "__main__":
    main()
