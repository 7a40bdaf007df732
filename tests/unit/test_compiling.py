"""Loops are compiled side by side: every module that has some, after those it calls, alone, and into the cache that is read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ofs_spark.foundation.columnar import compiling
from ofs_spark.foundation.columnar.compiling import find_loops
from ofs_spark.foundation.ends import Stopped
from tests.worlds.waiting import is_alive, wait_until

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ALONE = """
import os, sys
from ofs_spark.foundation.columnar.compiling import _import_alone, find_loops
import numba, pyarrow.compute, pyarrow.parquet
failed, loops = [], find_loops()
for module in loops:
    child = os.fork()
    if not child:
        try:
            _import_alone(module)
            loaded = {one for one in sys.modules if one in loops}
            os._exit(0 if loaded <= loops[module] | {module} else 2)
        except BaseException as error:
            print(module, repr(error), flush=True)
            os._exit(1)
    failed += [module] if os.waitpid(child, 0)[1] else []
sys.exit(f"not alone: {failed}" if failed else 0)
"""
COUNTED = """
import importlib
from ofs_spark.foundation.columnar import compiled
made, compile_one = [], compiled._compile
compiled._compile = lambda *asked: made.append(compile_one(*asked)) or made[-1]
from ofs_spark.workflow.loading import LOOPS
for module in LOOPS:
    importlib.import_module(module)
print(len(made), sum(sum(one.stats.cache_misses.values()) for one in made))
"""


def test_every_module_with_a_loop_is_found_and_none_waits_for_itself() -> None:
    loops = find_loops()
    stated = (file for file in (ROOT / "ofs_spark").rglob("*.py") if "\n@compile_loop(" in file.read_text())
    assert set(loops) == {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in stated}
    assert "ofs_spark.replay.scan.lexemes" in loops["ofs_spark.replay.scan.tokens"]
    done: set[str] = set()
    while ready := {module for module, needs in loops.items() if module not in done and needs <= done}:
        done |= ready
    assert done == set(loops)


def test_a_module_is_imported_with_no_loops_but_those_that_it_waits_for() -> None:
    """Else two processes would compile the same."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        env={**ENVIRONMENT, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


HANGING = """
import os, time
ids = os.getpid(), os.fork()
if ids[1]:
    print(*ids, flush=True)
time.sleep(120)
"""


def test_a_stop_ends_every_process_that_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def stop(*told: int) -> None:
        begun.extend(told)
        raise Stopped

    monkeypatch.setattr(compiling, "_PROGRAM", HANGING)
    with pytest.raises(Stopped):
        compiling._compile_first(stop)
    assert len(begun) == 2
    assert wait_until(lambda: not any(map(is_alive, begun)))


@pytest.mark.nightly
def test_the_step_of_the_setup_leaves_nothing_to_compile(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "OFS_CACHE_DIR": str(tmp_path)}
    step = [sys.executable, str(ROOT / "scripts" / "compile_loops.py")]
    said = subprocess.run(step, env=environment, capture_output=True, text=True, check=True).stdout
    assert "compiling inner loops" in said
    assert subprocess.run(step, env=environment, capture_output=True, text=True, check=True).stdout == ""
    done = subprocess.run([sys.executable, "-c", COUNTED], env=environment, capture_output=True, text=True, check=True)
    loops, compiled = map(int, done.stdout.split())
    assert loops > 50
    assert compiled == 0
