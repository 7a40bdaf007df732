"""Where a build on Spark spends CPU and bytes: per process, step and function; bytes per event at exchanges and on disk.

    make profile
    python -m benchmarks.profiles --events 500000 --shape dense

Two builds of one warm session: one as it is, whose CPU, stages and bytes count; one that py-spy and the JVM's flight
recorder (JDK 17, `jcmd`) look into, whose shares count.

A step's chunks are weighed where they are sent (`weighing.py`). Spark's shuffle has them on a cluster, and on one machine
their places alone: they stand in files, whose bytes Spark does not count (docs/adr/0029).
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyspark.sql import SparkSession

from benchmarks.contenders import ofs
from benchmarks.contenders.job import Job
from benchmarks.measure import split_measured
from benchmarks.profile_jvm import Stage, list_stages, record_while
from benchmarks.profile_workers import look_while, split_samples
from benchmarks.report import describe_machine, print_table, write_results
from benchmarks.sessions import open_session
from benchmarks.weighing import WeighingEngine
from benchmarks.worlds import SETS, SHAPES, World, open_folder, write_world
from ofs_spark.io.spark_engine import SparkEngine

MOST = 12
"""Functions that are told of each step."""
FOLDERS = ("archive/segments", "label_store/extract", "ofs/staging", "ofs/datasets")


def profile_build(session: SparkSession, job: Job) -> dict[str, Any]:
    """A build as it is: CPU µs per event by process, seconds by room, every stage, bytes per event on disk."""
    first = max((stage.number for stage in list_stages(session)), default=-1)
    engine = WeighingEngine(SparkEngine(session))
    found = split_measured(lambda: ofs.run(lambda: engine, job))
    answer = found["answer"]
    events = job.world.about["events"]
    return {
        "content_digest": answer["content_digest"],
        "cpu_us_per_event": {name: seconds / events * 1e6 for name, seconds in found["cpu_s"].items()},
        "rooms_s": answer["timings"],
        "steps": name_steps(list_stages(session, first), engine, events),
        "disk_bytes_per_event": {folder: _measure_folder(job.world, folder) / events for folder in FOLDERS},
    }


def name_steps(stages: list[Stage], engine: WeighingEngine, events: int) -> list[dict[str, Any]]:
    """The stages as steps: those of one job are its steps, in order. engine: has weighed what they sent."""
    jobs: dict[str, list[Stage]] = {}
    for stage in stages:
        jobs.setdefault(stage.job, []).append(stage)
    told: list[dict[str, Any]] = []
    for job, own in jobs.items():
        told += [
            {
                "job": job,
                "step": name,
                "tasks": stage.tasks,
                "task_s": stage.run_s,
                "jvm_thread_cpu_s": stage.cpu_s,
                "gc_s": stage.gc_s,
                "chunks": engine.chunks[name],
                "chunk_bytes_per_event": engine.bytes[name] / events,
                "shuffle_read_bytes_per_event": stage.read / events,
                "shuffle_written_bytes_per_event": stage.written / events,
            }
            for name, stage in zip(job.split(" → "), own, strict=True)
        ]
    return told


def _measure_folder(world: World, folder: str) -> int:
    return sum(file.stat().st_size for file in world.objects.glob(f"*/{folder}/**/*") if file.is_file())


def look_into(session: SparkSession, job: Job) -> dict[str, Any]:
    """A build that is looked into: shares of workers' samples by step and function, of the JVM's by thread and function."""
    build: Callable[[], dict[str, Any]] = partial(ofs.run, lambda: SparkEngine(session), job)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (_, jvm), stacks = look_while(lambda: record_while(build, folder), folder)
    return {"workers": split_samples(stacks, MOST), "worker_samples": stacks.total(), "jvm": jvm}


def empty(world: World) -> None:
    """Removes what builds left."""
    for part in ("datasets", "staging"):
        for folder in world.objects.glob(f"*/ofs/{part}"):
            shutil.rmtree(folder)


def profile(shape: str, events: int, keys: str, kept: Path | None) -> dict[str, Any]:
    """The document that is written."""
    with open_folder(kept) as folder, open_session() as session:
        job = Job(write_world(shape, events, folder), keys, folder / "table")
        ofs.run(lambda: SparkEngine(session), job)  # warms up
        empty(job.world)
        measured = profile_build(session, job)
        empty(job.world)
        found = {**job.world.about, "keys": keys, **measured, **look_into(session, job)}
        empty(job.world)
        return {"machine": describe_machine(spark=session.version), **found}


def show(document: dict[str, Any]) -> None:
    """The tables that a person reads."""
    print_table("CPU µs per event", {"build": document["cpu_us_per_event"]})
    told = (
        "tasks",
        "task_s",
        "jvm_thread_cpu_s",
        "gc_s",
        "chunks",
        "chunk_bytes_per_event",
        "shuffle_read_bytes_per_event",
        "shuffle_written_bytes_per_event",
    )
    print_table(
        "Steps", {f"{one['job']}: {one['step']}": {name: one[name] for name in told} for one in document["steps"]}
    )
    print_table("Bytes per event on disk", {"": document["disk_bytes_per_event"]})
    for one in document["workers"]:
        functions = {name: {"share of all samples": share} for name, share in one["functions"].items()}
        print_table(f"Workers, {one['work']}: {one['share']:.0%} of all samples", functions)
    for kind in ("threads", "callers"):
        shares = {name: {"share of all samples": share} for name, share in document["jvm"][kind].items()}
        print_table(f"JVM, {kind}", shares)


def main() -> None:
    """Profiles one build and writes benchmarks/results/*-profile.json."""
    parser = argparse.ArgumentParser(prog="benchmarks.profiles", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--shape", choices=SHAPES, default="sparse")
    parser.add_argument("--keys", choices=SETS, default="one")
    parser.add_argument("--worlds", type=Path, help="keep worlds in this folder, and use those that are there")
    asked = parser.parse_args()
    document = profile(asked.shape, asked.events, asked.keys, asked.worlds)
    target = write_results("profile", document)
    show(document)
    print(target)


if __name__ == "__main__":
    main()
