"""What a run costs: wall time, the CPU of every process that works on it, and the most memory that they held together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

SAMPLED_S = 0.5
"""Between two looks: one takes some milliseconds."""


def list_processes() -> list[psutil.Process]:
    """This process and all below it: the JVM, the workers."""
    mine = psutil.Process()
    return [mine, *mine.children(recursive=True)]


class Meter:
    """CPU seconds of this process and all below it: of each as it was last seen, so that an end takes nothing away.

    What a process does after the last look at it is not counted, and one that comes and goes between two looks is not seen.
    """

    def __init__(self) -> None:
        self._seen: dict[psutil.Process, tuple[str, float]] = {}  # equal by id and start: an id may come again

    def look(self) -> None:
        """Notes what each process has spent by now."""
        mine, *others = list_processes()
        self._note(mine, "driver")
        for process in others:
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                self._note(process, "jvm" if process.name() == "java" else "workers")

    def _note(self, process: psutil.Process, kind: str) -> None:
        spent = process.cpu_times()
        self._seen[process] = kind, spent.user + spent.system

    def split(self) -> dict[str, float]:
        """What was spent by the last look, of the `driver`, of `jvm` and of `workers`."""
        spent = {"driver": 0.0, "jvm": 0.0, "workers": 0.0}
        for kind, seconds in self._seen.values():
            spent[kind] += seconds
        return spent


def add_memory() -> float:
    """MiB that the processes hold now; pages that several share are counted once."""
    total = 0
    for process in list_processes():
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 2**20


@contextmanager
def keep_looking(look: Callable[[], None]) -> Iterator[None]:
    """Looks before, after and all along the block."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(SAMPLED_S):
            look()

    look()
    looking = threading.Thread(target=go_on, daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
        look()


def split_measured(run: Callable[[], Any]) -> dict[str, Any]:
    """`wall_s`, `cpu_s` by process as `Meter.split`, `peak_mib` and the `answer` of one run."""
    meter, samples = Meter(), list[float]()

    def look() -> None:
        meter.look()
        samples.append(add_memory())

    with keep_looking(look):
        before, start = meter.split(), time.perf_counter()
        answer = run()
        wall = time.perf_counter() - start
    spent = {name: seconds - before[name] for name, seconds in meter.split().items()}
    return {"wall_s": wall, "cpu_s": spent, "peak_mib": max(samples), "answer": answer}


def measured(run: Callable[[], Any]) -> dict[str, Any]:
    """As `split_measured`, the CPU of all processes together."""
    found = split_measured(run)
    return {**found, "cpu_s": sum(found["cpu_s"].values())}
