"""What a run costs: wall time, the CPU of every process that works on it, and the most memory that they held together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

SAMPLED_S = 0.5
"""Between two looks at the memory: one takes some milliseconds."""


def list_processes() -> list[psutil.Process]:
    """This process and all below it: the JVM, the workers."""
    mine = psutil.Process()
    return [mine, *mine.children(recursive=True)]


def split_cpu() -> dict[str, float]:
    """CPU seconds so far of the `driver`, of `jvm` and of `workers`, of those that ended too: their parents have them."""
    spent = {"driver": 0.0, "jvm": 0.0, "workers": 0.0}
    mine, *others = list_processes()
    spent["driver"] = sum(mine.cpu_times()[:4])  # user, system, and both of children that were waited for
    for process in others:
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            spent["jvm" if process.name() == "java" else "workers"] += sum(process.cpu_times()[:4])
    return spent


def add_cpu() -> float:
    """CPU seconds of all of them."""
    return sum(split_cpu().values())


def add_memory() -> float:
    """MiB that the processes hold now; pages that several share are counted once."""
    total = 0
    for process in list_processes():
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 2**20


@contextmanager
def watch_memory() -> Iterator[Callable[[], float]]:
    """Samples the memory while the block runs; gives what tells the largest sample, in MiB."""
    samples, over = [add_memory()], threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLED_S):
            samples.append(add_memory())

    watching = threading.Thread(target=sample, daemon=True)
    watching.start()
    try:
        yield lambda: max(samples)
    finally:
        over.set()
        watching.join()


def measured(run: Callable[[], Any]) -> dict[str, Any]:
    """`wall_s`, `cpu_s`, `peak_mib` and the `answer` of one run."""
    with watch_memory() as find_peak:
        before, start = add_cpu(), time.perf_counter()
        answer = run()
        wall, spent = time.perf_counter() - start, add_cpu() - before
    return {"wall_s": wall, "cpu_s": spent, "peak_mib": find_peak(), "answer": answer}
