"""What a run costs: wall time, and the CPU of every process that works on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psutil


def cpu_by_process() -> dict[int, float]:
    """CPU seconds of this process, the JVM and every worker, by process id."""
    mine = psutil.Process()
    times = {process.pid: process.cpu_times() for process in (mine, *mine.children(recursive=True))}
    return {pid: float(t.user + t.system) for pid, t in times.items()}


def measured(run: Callable[[], Any]) -> dict[str, Any]:
    """Wall and CPU of one run; a worker that ended during the run is not counted, one that started is."""
    before, start = cpu_by_process(), time.perf_counter()
    answer = run()
    wall = time.perf_counter() - start
    spent = sum(seconds - before.get(pid, 0.0) for pid, seconds in cpu_by_process().items())
    return {"wall_s": wall, "cpu_s": spent, "answer": answer}
