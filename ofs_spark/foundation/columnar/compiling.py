"""Compiling loops side by side, before anything imports them: one process loads Numba once and forks one for each module.

A module is compiled after those whose loops it calls, so that each loop is compiled once; a process that fails leaves its
loops to whoever imports them. Nothing here decides what a loop is: importing the modules compiles what is not kept.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import ModuleType
from typing import TypeAlias

from ofs_spark.foundation.code_folder import MADE_OF, find_code_folder, mark_compiled

TellLoops: TypeAlias = Callable[[int, int], None]
"""Told how many modules are compiled, of how many."""
_MARK = "\n@compile_loop("
_PROGRAM = "import sys; sys.path[:] = {path!r}; from ofs_spark.foundation.columnar.compiling import main; main()"


def compile_modules(modules: Sequence[str], tell: TellLoops = lambda _done, _all: None) -> bool:
    """Imports `modules`, which hold every loop between them; whether all that was compiled is kept.

    Where it can be kept, and this machine has more than one processor, processes compile it first.
    """
    if _count_processors() > 1 and _is_writable():
        _compile_first(tell)
    for module in modules:
        import_module(module)
    return mark_compiled()


def _count_processors() -> int:
    """Those that this process may use; one where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _is_writable() -> bool:
    folder = find_code_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _compile_first(tell: TellLoops) -> None:
    command = [sys.executable, "-c", _PROGRAM.format(path=sys.path)]
    # A group of their own, so that a stop ends all of them.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101  # asked for above
        try:
            for line in process.stdout:
                done, _, total = line.partition(b" ")
                tell(int(done), int(total))
        except BaseException:  # a stop: what is compiled by then is kept
            os.killpg(process.pid, signal.SIGKILL)
            raise


def main() -> None:
    """Compiles every loop of OFS and prints, after each module, how many are done of how many."""
    needs = find_loops()
    import_module("numba")
    waiting, running, done = [*needs], dict[int, str](), set[str]()
    while waiting or running:
        ready = [one for one in waiting if needs[one] <= done]
        while ready and len(running) < _count_processors():
            module = ready.pop(0)
            waiting.remove(module)
            running[_fork(module)] = module
        ended, _ = os.wait()
        done.add(running.pop(ended))
        sys.stdout.write(f"{len(done)} {len(needs)}\n")
        sys.stdout.flush()


def _fork(module: str) -> int:
    child = os.fork()
    if child:
        return child
    try:
        _import_alone(module)
    finally:
        os._exit(0)  # what failed here is told where it is imported


def _import_alone(module: str) -> None:
    """Imports a module without what packages import: bare ones stand in for those of the rooms in this process."""
    for name in {one.rpartition(".")[0] for one, _ in _list_sources()} - {*sys.modules}:
        bare = ModuleType(name)
        bare.__path__ = [str(files("ofs_spark").joinpath(*name.split(".")[1:]))]
        sys.modules[name] = bare
    import_module(module)


def find_loops() -> dict[str, frozenset[str]]:
    """Module with loops → the others whose loops it may call. The longest comes first, as a guess at what takes longest."""
    sources = dict(_list_sources())
    imports = {module: _find_imports(source, sources) for module, source in sources.items()}
    loops = sorted((one for one in sources if _MARK in sources[one]), key=lambda one: (-len(sources[one]), one))
    return {module: frozenset(_reach(module, imports).intersection(loops) - {module}) for module in loops}


def _list_sources() -> Iterator[tuple[str, str]]:
    package = files("ofs_spark")
    for room in MADE_OF:
        yield from _list_below(package / room, f"ofs_spark.{room}")


def _list_below(folder: Traversable, name: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _list_below(entry, f"{name}.{entry.name}")
        elif entry.name.endswith(".py") and entry.name != "__init__.py":
            yield f"{name}.{entry.name.removesuffix('.py')}", entry.read_text(encoding="utf-8")


def _find_imports(source: str, sources: Mapping[str, str]) -> set[str]:
    """Modules that a source names in its imports."""
    named = [one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.ImportFrom) and one.module]
    found = {one.module or "" for one in named} | {f"{one.module}.{name.name}" for one in named for name in one.names}
    return {one for one in found if one in sources}


def _reach(module: str, imports: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    following = [module]
    while following:
        one = following.pop()
        if one not in reached:
            reached.add(one)
            following += imports[one]
    return reached
