"""What the benchmarks say a run costs: the CPU of processes that end on the way is neither lost nor taken off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

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


def test_what_a_process_spent_before_is_not_taken_off_where_it_ends() -> None:
    process = burn()
    assert 0 <= spend(lambda: end(process)) < 1
