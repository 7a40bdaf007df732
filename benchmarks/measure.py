"""What a run costs: wall time, the CPU of every process that works on it, and the most memory that they held together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

SAMPLED_S = 0.5
"""Between two looks at the processes."""
MOST_LOOKING = 0.01
"""Of the time may be spent on looks at memory: the kernel goes through every page that a process has, and holds it up."""


def ask_to_end_first() -> None:
    """Where memory runs out, this process ends, or what it starts, and no other; Linux alone is told so."""
    with suppress(FileNotFoundError):
        Path("/proc/self/oom_score_adj").write_text("1000")


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
        self._looks, self._due = 0.0, 0.0
        self.peak_mib = 0.0

    def look(self) -> None:
        """Notes what each process has spent by now, and how much memory all of them hold, where it is time for that.

        What the looks before this one spent is left out: this process spent it, and no run.
        """
        begun = time.thread_time()
        self._note_all()
        if time.monotonic() >= self._due:
            start = time.monotonic()
            self.peak_mib = max(self.peak_mib, add_memory())
            end = time.monotonic()
            self._due = end + (end - start) / MOST_LOOKING
        self._looks += time.thread_time() - begun

    def _note_all(self) -> None:
        mine, *others = list_processes()
        self._seen[mine] = "driver", _read_cpu(mine) - self._looks
        for process in others:
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                self._seen[process] = "jvm" if process.name() == "java" else "workers", _read_cpu(process)

    def split(self) -> dict[str, float]:
        """What was spent by the last look, of the `driver`, of `jvm` and of `workers`."""
        spent = {"driver": 0.0, "jvm": 0.0, "workers": 0.0}
        for kind, seconds in self._seen.values():
            spent[kind] += seconds
        return spent


def _read_cpu(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


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
    meter = Meter()
    with keep_looking(meter.look):
        before, start = meter.split(), time.perf_counter()
        answer = run()
        wall = time.perf_counter() - start
    spent = {name: seconds - before[name] for name, seconds in meter.split().items()}
    return {"wall_s": wall, "cpu_s": spent, "peak_mib": meter.peak_mib, "answer": answer}


def measured(run: Callable[[], Any]) -> dict[str, Any]:
    """As `split_measured`, the CPU of all processes together."""
    found = split_measured(run)
    return {**found, "cpu_s": sum(found["cpu_s"].values())}
