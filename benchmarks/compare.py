"""Contenders side by side on one world after another: in turns within each round, each in a process of its own that is warm."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyspark
from pyarrow.dataset import dataset

from benchmarks.contenders import alone
from benchmarks.contenders.job import Job
from benchmarks.contenders.on_spark import ON_SPARK, Sessions
from benchmarks.report import ROOT, describe_machine, name_results, print_table, write_results
from benchmarks.worlds import WINDOWS, World, open_folder, write_world

WARM_UP_EVENTS = 200_000
FIGURES = ("wall_s", "cpu_s", "peak_mib")
NAMES = ("ofs_spark", *alone.ALONE, "floor", "naive")
QUICK = tuple(name for name in NAMES if name != "naive")
ONCE = {"naive"}
"""One run is enough: seconds are not what it differs by."""

Run = dict[str, Any]
Contender = Callable[[Job], Run]


@dataclass(frozen=True)
class Comparison:
    """A world, who works on it how often, and whether their tables are compared."""

    shape: str
    events: int
    keys: str
    contenders: Sequence[str]
    runs: int
    compares: bool = True


def _cross(shapes: str, events: int, keys: str, contenders: Sequence[str], runs: int, **own: bool) -> list[Comparison]:
    return [Comparison(shape, events, keys, contenders, runs, **own) for shape in shapes.split()]


MILLION = 1_000_000
PLANS: dict[str, list[Comparison]] = {
    "bench": [
        *_cross("sparse", 2 * MILLION, "one", NAMES, 3),
        *_cross("dense", 2 * MILLION, "one", NAMES, 3),
        *_cross("sparse", 8 * MILLION, "one", QUICK, 3, compares=False),
    ],
    "nightly": [
        *_cross("sparse dense", 2 * MILLION, "one", NAMES, 3),
        *_cross("sparse dense", 2 * MILLION, "two", NAMES, 3),
        *_cross("dense10 hot20", 2 * MILLION, "one", QUICK, 3),
        *_cross("one_key", MILLION, "one", QUICK, 3),
        *_cross("one_key", 5 * MILLION, "one", QUICK, 1, compares=False),
        *_cross("sparse dense", 8 * MILLION, "one", QUICK, 1),
        *_cross("sparse", 20 * MILLION, "one", QUICK, 1, compares=False),
    ],
}
"""What `make bench` and `make bench-nightly` compare."""


@contextmanager
def open_contenders(warm_up: World) -> Iterator[dict[str, Contender]]:
    """Every contender by name: what measures one run of it, warmed up, in a process of its own."""
    sessions = Sessions(warm_up)
    try:
        on_spark: dict[str, Contender] = {name: partial(sessions.run, name) for name in ON_SPARK}
        yield {**on_spark, **{name: partial(alone.run_alone, name, warm_up=warm_up) for name in alone.ALONE}}
    finally:
        sessions.stop()


def compare_world(asked: Comparison, job: Job, contenders: Mapping[str, Contender]) -> Run:
    """Every run of every contender, in turns, and where each table differs from the build's.

    A contender whose process ended, as one does for which there is too little memory, is left out from there on: `ended` has how.
    """
    found: dict[str, list[Run]] = {name: [] for name in asked.contenders}
    ended: dict[str, str] = {}
    cells: dict[str, Any] = {}
    compared = _Compared(job)
    _read_through(job.world)
    for number in range(asked.runs):
        for name in asked.contenders:
            if (name in ONCE and number) or name in ended:
                continue
            try:
                one = contenders[name](job)
            except subprocess.CalledProcessError as error:
                ended[name] = f"its process ended with {error.returncode}"
                print(f"  {name}: {ended[name]}", flush=True)
                shutil.rmtree(job.table, ignore_errors=True)
                continue
            table = Path(one["answer"]["table"])
            said = f"{one['wall_s']:.1f} s, {one['cpu_s']:.1f} s CPU, {one['peak_mib']:,.0f} MiB"
            print(f"  {name}: {said}", flush=True)
            found[name].append(one)
            if asked.compares and not number and name not in ("ofs_spark", "floor"):
                cells[name] = compared.compare(table)
            shutil.rmtree(table)
            _empty(job.world)
    compared.remove()
    told = {"keys": job.keys, "rows_per_window": compared.frames, "runs": found, "ended": ended, "cells": cells}
    return {**job.world.about, **told}


def _read_through(world: World) -> None:
    """Reads every file of a world, so that the first contender finds them in memory as the others do."""
    for path in (*world.segments, *world.labels):
        with Path(path).open("rb") as file:
            while file.read(1 << 24):
                pass


def _empty(world: World) -> None:
    """Removes the rows that builds staged."""
    for folder in world.objects.glob("*/ofs/staging"):
        shutil.rmtree(folder)


class _Compared:
    """The build's tables that the others' are compared with: as observed, and with hindsight. Made when first asked for."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._tables: list[Path] = []
        self.frames: dict[str, dict[str, float]] = {}

    def compare(self, table: Path) -> dict[str, Any]:
        """As `cells` says, in a process of its own."""
        if not self._tables:
            for knowledge in ("as_observed", "event_time"):
                self._tables.append(Path(alone.run_embedded(self._job, knowledge)["table"]))
            self.frames = _count_rows(self._tables[0])
        command = [sys.executable, "-m", "benchmarks.cells", *map(str, self._tables), str(table)]
        answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        return dict(json.loads(answer.stdout))

    def remove(self) -> None:
        """Removes the tables."""
        for table in self._tables:
            shutil.rmtree(table)


def _count_rows(table: Path) -> dict[str, dict[str, float]]:
    """Rows per window, mean and most, as the build counted them."""
    names = [f"customer__count_{window}" for window in WINDOWS]
    counts = dataset(table, format="parquet").to_table(columns=names)
    return {name: {"mean": pc.mean(counts[name]).as_py(), "most": pc.max(counts[name]).as_py()} for name in names}


def summarize(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Contender → medians: seconds, MiB, CPU µs per event, and wall and CPU over those of the build on Spark."""
    medians = {
        name: {figure: statistics.median(run[figure] for run in runs) for figure in FIGURES}
        for name, runs in result["runs"].items()
        if runs
    }
    mine = medians.get("ofs_spark")
    for own in medians.values():
        own["cpu_us_per_event"] = own["cpu_s"] / result["events"] * 1e6
        if mine is not None:
            own["wall_over_ofs"], own["cpu_over_ofs"] = own["wall_s"] / mine["wall_s"], own["cpu_s"] / mine["cpu_s"]
    return medians


def compare(
    plan: Sequence[Comparison],
    kept: Path | None,
    warm_up: int = WARM_UP_EVENTS,
    write: Callable[[dict[str, Any]], object] = lambda _document: None,
) -> dict[str, Any]:
    """Measures every world, once a world of `warm_up` events has warmed the contenders: the document of the results.

    write: takes the document after each world. A run of hours that is stopped leaves what it has measured.
    """
    versions = {"spark": pyspark.__version__, "duckdb": duckdb.__version__, "polars": polars.__version__}
    machine = describe_machine(**versions, pyarrow=pa.__version__)
    document: dict[str, Any] = {"machine": machine, "results": []}
    with open_folder(kept) as folder, open_contenders(write_world("sparse", warm_up, folder)) as contenders:
        for one in plan:
            print(f"{one.shape}, {one.events:,} events, keys: {one.keys}", flush=True)
            world = write_world(one.shape, one.events, folder)
            result = compare_world(one, Job(world, one.keys, folder / "table"), contenders)
            document["results"].append({**result, "summary": summarize(result)})
            write(document)
            if kept is None:
                shutil.rmtree(world.root)
    return document


def run(plan: Sequence[Comparison], kept: Path | None, warm_up: int, kind: str = "build") -> None:
    """Measures, writes the results and prints a table per world. kind: of the results, which ends their file's name."""
    target = name_results(kind)
    document = compare(plan, kept, warm_up, lambda so_far: write_results(kind, so_far, target))
    for result in document["results"]:
        print_table(f"{result['shape']}, {result['events']:,} events, keys: {result['keys']}", result["summary"])
    print(target)
