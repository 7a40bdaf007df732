"""What the benchmarks say a run costs: the CPU of processes that end on the way is neither lost nor taken off."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from benchmarks import measure
from benchmarks.measure import split_measured

BURN = "import sys, time\nwhile time.process_time() < 1.5: pass\nprint(flush=True)\nsys.stdin.read()"


def burn() -> subprocess.Popen[bytes]:
    """A process that has spent 1.5 s, and waits for its end."""
    process = subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.communicate()
    assert process.returncode == 0


def spend(run: Callable[[], None]) -> float:
    """CPU seconds of the workers: the JVM that earlier tests of this process left may do something meanwhile."""
    found: float = split_measured(run)["cpu_s"]["workers"]
    return found


def test_a_process_that_ends_in_the_run_counts() -> None:
    assert spend(lambda: end(burn())) > 0.5


def test_what_looks_spend_is_no_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def look_long() -> float:
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            pass
        looks.append(7.0)
        return 7.0

    monkeypatch.setattr(measure, "add_memory", look_long)
    monkeypatch.setattr(measure, "MOST_LOOKING", 1e9)  # at every look
    found = split_measured(lambda: time.sleep(3))
    assert (len(looks) > 3, found["peak_mib"]) == (True, 7)
    assert -0.1 < found["cpu_s"]["driver"] < 0.3


def test_looks_at_memory_take_a_hundredth_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def look() -> float:
        time.sleep(0.1)
        looks.append(1.0)
        return 1.0

    monkeypatch.setattr(measure, "add_memory", look)
    split_measured(lambda: time.sleep(3))
    assert len(looks) == 1


def test_what_a_process_spent_before_is_not_taken_off_where_it_ends() -> None:
    process = burn()
    assert 0 <= spend(lambda: end(process)) < 1
