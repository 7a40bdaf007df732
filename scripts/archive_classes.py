"""Keeps the classes that Spark's start needs as its JVM has them in memory, so that a start reads them in half the time: a step
of `make setup` (docs/adr/0030).

The JVM writes the archive at its end, of what it has loaded by then: a job of two steps is run. Where that fails, Spark starts
as it does without: it is told, and no error.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyspark import SparkContext

from ofs_spark.foundation.columnar.dataflow import DRIVER, Body, Chunk, Step
from ofs_spark.foundation.errors import EnvironmentUnfit, Refusal
from ofs_spark.io.java import OPTIONS, check_java, find_class_archive
from ofs_spark.io.session import build_session, read_properties
from ofs_spark.io.spark_engine import SparkEngine

ROOT = Path(__file__).resolve().parents[1]
LONGEST_S = 120


def main() -> None:
    """Says what it does only where there is something to do."""
    try:
        archive = find_class_archive(ROOT, check_java())
    except EnvironmentUnfit:  # builds without Spark do without Java; one on Spark says what is missing
        return
    if archive.is_file():
        return
    print("setup: keeping the classes of Spark's JVM for its next starts (some 20 s)", flush=True)
    start = time.perf_counter()
    for outdated in archive.parent.glob("classes-*"):
        outdated.unlink()
    with TemporaryDirectory(prefix=".classes-", dir=archive.parent) as scratch:
        written = Path(scratch, archive.name)
        try:
            is_whole = run_job(written) and written.is_file()
        except (Refusal, OSError) as error:
            print(f"setup: Spark did not run: {error}", file=sys.stderr)
            is_whole = False
        if not is_whole:
            print("setup: none are kept; Spark starts without", file=sys.stderr)
            return
        os.replace(written, archive)  # one that was interrupted half-way has no name
    print(f"setup: kept them in {time.perf_counter() - start:.0f} s", flush=True)


def run_job(archive: Path) -> bool:
    """Runs the job in a JVM that writes the archive, and waits for its end; whether that was in order."""
    settings = read_properties(ROOT / "conf" / "spark" / "local.conf")
    options = f'{settings[OPTIONS]} "-XX:ArchiveClassesAtExit={archive}"'
    session = build_session(
        {**settings, OPTIONS: options},
        "local[2]",
        "ofs setup",
        jvm_log=archive.parent / "jvm.log",
    )
    SparkEngine(session).run([b"1", b"2"], [Step("send", send, 2), Step("tell", tell, 0)])
    session.stop()
    gateway: Any = SparkContext._gateway
    process = gateway.proc
    process.stdin.close()  # whereupon it ends
    try:
        return bool(process.wait(LONGEST_S) == 0)
    except subprocess.TimeoutExpired:
        return False


def send(target: int, bodies: Iterator[Body]) -> Iterator[Chunk]:
    """The first step."""
    for body in bodies:
        yield Chunk(target, body)


def tell(_target: int, bodies: Iterator[Body]) -> Iterator[Chunk]:
    """The second one."""
    for _ in bodies:
        yield Chunk(DRIVER, b"{}")


if __name__ == "__main__":
    main()
