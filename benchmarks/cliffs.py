"""One key in every order that late data takes, beside the same key in order: kernel CPU, ratio and growth.

    python -m benchmarks.cliffs                      250 k, 500 k and 1 M events, three runs each
    python -m benchmarks.cliffs --events 100000 --runs 1

Events fall evenly over 30 days (about 23 a minute at 1 M). Eleven features, three windows: 33 columns. The exponent is
the slope of log time over log events from the fewest to the most.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.report import describe_machine, write_results
from ofs_spark.features.kernel import GroupRows, Values, compute_group
from ofs_spark.features.kernel.words import as_words
from ofs_spark.features.order import rank_deliveries
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.strict_yaml import parse_yaml
from ofs_spark.pins.profile.compile import compile_profile
from ofs_spark.pins.profile.faults import Digits
from ofs_spark.pins.profile.model import Group

EVENTS = 1_000_000
SECOND = 1_000_000
HOUR, DAY = 3_600 * SECOND, 86_400 * SECOND
SPAN = 30 * DAY
PROFILE = """\
policy_id: bench.cliffs
revision: r1
feature_groups:
  - name: customer
    version: v1
    key: [payload.customer_id]
    values:
      amount: {{path: payload.amount, type: "decimal({precision},2)", missing: fail}}
      terminal: {{path: payload.terminal, type: int, missing: fail}}
    windows:
      - {{window: 1h, duration: 1h, ttl: 1h}}
      - {{window: 24h, duration: 24h, ttl: 24h}}
      - {{window: 7d, duration: 7d, ttl: 7d}}
    features:
      - {{name: count, aggregate: count}}
      - {{name: spend, aggregate: sum, value: amount}}
      - {{name: mean, aggregate: mean, value: amount}}
      - {{name: least, aggregate: min, value: amount}}
      - {{name: largest, aggregate: max, value: amount}}
      - {{name: oldest, aggregate: first, value: amount}}
      - {{name: newest, aggregate: last, value: amount}}
      - {{name: spread, aggregate: stddev_pop, value: {spread}}}
      - {{name: terminals, aggregate: count_distinct, value: terminal}}
      - {{name: approved, aggregate: rate, where: {{path: payload.approved, eq: true}}}}
      - {{name: gap, aggregate: time_since_previous}}
"""


def compiled(precision: int) -> Group:
    """The profile's one group. Squares are defined up to 15 digits: a wider amount's spread is the terminal's."""
    text = PROFILE.format(precision=precision, spread="amount" if precision <= 15 else "terminal")
    document = parse_yaml(text.encode(), what="the benchmark's profile", number=Digits)
    (group,) = compile_profile(document, "customer", "v1").program.groups
    return group


@dataclass(frozen=True)
class Shape:
    """How event times and arrivals lie, and what the amounts are; `beside` names the same amounts in order."""

    name: str
    stamp: Callable[[np.random.Generator, int], tuple[Array, Array]]
    beside: str = "in order"
    precision: int = 12
    outlier: bool = False


def in_order(draw: np.random.Generator, n: int) -> tuple[Array, Array]:
    ts = np.sort(draw.integers(0, SPAN, n))
    return ts, ts.copy()


def late(most: int) -> Callable[[np.random.Generator, int], tuple[Array, Array]]:
    """1 % of the events arrive late, by up to `most`; one clock is a year ahead and its event is delivered first."""

    def stamp(draw: np.random.Generator, n: int) -> tuple[Array, Array]:
        ts, arrival = in_order(draw, n)
        arrival += np.where(draw.random(n) < 0.01, draw.integers(0, most, n), 0)
        ts[-1], arrival[-1] = ts[-1] + 365 * DAY, -1
        return ts, arrival

    return stamp


def ahead(draw: np.random.Generator, n: int) -> tuple[Array, Array]:
    """One event stamped a minute after the last, delivered first."""
    ts, arrival = in_order(draw, n)
    ts[-1], arrival[-1] = ts[-1] + 60 * SECOND, -1
    return ts, arrival


def behind(draw: np.random.Generator, n: int) -> tuple[Array, Array]:
    """One event stamped before all others, delivered last."""
    ts, arrival = in_order(draw, n)
    arrival[0] = SPAN
    return ts, arrival


def two_partitions(draw: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Every other event, by chance, is of a partition that is a day late."""
    ts, arrival = in_order(draw, n)
    return ts, arrival + np.where(draw.random(n) < 0.5, DAY, 0)


def newest_first(draw: np.random.Generator, n: int) -> tuple[Array, Array]:
    ts, _ = in_order(draw, n)
    return ts, -np.arange(n)


def ties(size: int) -> Callable[[np.random.Generator, int], tuple[Array, Array]]:
    """Each instant has `size` events, delivered in any order."""

    def stamp(draw: np.random.Generator, n: int) -> tuple[Array, Array]:
        instant = np.arange(n) // size
        return instant * (SPAN * size // n), instant * n + draw.permutation(n)

    return stamp


def shuffled(draw: np.random.Generator, n: int) -> tuple[Array, Array]:
    return in_order(draw, n)[0], draw.permutation(n)


SHAPES = [
    Shape("in order", in_order),
    Shape("1 % late by up to 1 h, one clock a year ahead", late(HOUR)),
    Shape("1 % late by up to 1 d, one clock a year ahead", late(DAY)),
    Shape("one clock ahead, delivered first", ahead),
    Shape("one clock behind, delivered last", behind),
    Shape("two partitions, one a day late", two_partitions),
    Shape("newest first", newest_first),
    Shape("ties of 1,000, any order", ties(1_000)),
    Shape("any order", shuffled),
    Shape("in order, decimal(38,2)", in_order, precision=38),
    Shape("1 % late by up to 1 h, decimal(38,2)", late(HOUR), "in order, decimal(38,2)", 38),
    Shape("in order, one amount of 9,999,999,999.99", in_order, outlier=True),
    Shape("1 % late by up to 1 h, one amount of 9,999,999,999.99", late(HOUR), outlier=True),
]


def make_rows(shape: Shape, group: Group, n: int) -> GroupRows:
    """One key's rows in total order: amounts of up to 10,000.00 (wide ones of 28 digits more), 5,000 terminals."""
    draw = np.random.default_rng(7)
    ts, arrival = shape.stamp(draw, n)
    order = np.argsort(ts, kind="stable")
    ts, arrival, zero, every = ts[order], arrival[order], np.zeros(n, np.int64), np.ones(n, np.bool_)
    amount: Array = draw.integers(1, 1_000_000, n)
    if shape.outlier:
        amount[n // 2] = 999_999_999_999
    if shape.precision > 18:
        amount = as_words(amount, 2).copy()
        amount[:, 1] = draw.integers(0, 10**9, n)
    values = (
        Values(amount, every, 2, "decimal"),
        Values(draw.integers(0, 5_000, n), every, 0, "int"),
    )
    conditions = {f.where: draw.random(n) < 0.9 for f in group.features if f.where is not None}
    return GroupRows(zero, ts, rank_deliveries(zero, zero, np.arange(n), arrival), every, every, values, conditions)


def measure(shape: Shape, n: int) -> float:
    """CPU seconds of one run over n events."""
    group = compiled(shape.precision)
    rows = make_rows(shape, group, n)
    start = time.process_time()
    compute_group(group, rows)
    return time.process_time() - start


def summarize(results: dict[str, dict[int, list[float]]]) -> list[dict[str, Any]]:
    """Medians, the ratio to the same key in order at each size, and the exponent of each shape."""
    out = []
    for shape in SHAPES:
        median = {n: statistics.median(runs) for n, runs in results[shape.name].items()}
        ordered = {n: statistics.median(runs) for n, runs in results[shape.beside].items()}
        fewest, most = min(median), max(median)
        growth = math.log(median[most] / median[fewest]) / math.log(most / fewest)
        ratios = {n: median[n] / ordered[n] for n in median}
        out.append({"shape": shape.name, "cpu_s": median, "ratio": ratios, "exponent": growth})
    return out


def run(events: int, runs: int) -> None:
    """Measures every shape at a quarter, half and all of `events`; prints the table and writes the results."""
    sizes = [events // 4, events // 2, events]
    results: dict[str, dict[int, list[float]]] = {shape.name: {n: [] for n in sizes} for shape in SHAPES}
    for shape in SHAPES:
        measure(shape, 1_000)  # warms up
    for number in range(runs):  # shapes take turns, so that a busy machine is so for all of them
        for n in sizes:
            for shape in SHAPES:
                results[shape.name][n].append(measure(shape, n))
            print(f"  run {number + 1}, {n:,} events")
    summary = summarize(results)
    versions = {"numba": numba.__version__, "numpy": np.__version__, "pyarrow": pa.__version__}
    data = {"events": sizes, "span_days": 30, "columns": 33, "runs": runs}
    target = write_results(
        "cliffs", {"machine": describe_machine(**versions), "data": data, "runs": results, "summary": summary}
    )
    table = Table(title="One key, 33 window columns: kernel CPU seconds")
    for heading in ("order of delivery", *(f"{n:,}" for n in sizes), "ratio to in order", "exponent"):
        table.add_column(heading)
    for one in summary:
        seconds = [f"{s:.2f}" for s in one["cpu_s"].values()]
        table.add_row(one["shape"], *seconds, f"{one['ratio'][events]:.2f}", f"{one['exponent']:.2f}")
    Console().print(table)
    print(target)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks.cliffs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    run(asked.events, asked.runs)


if __name__ == "__main__":
    main()
