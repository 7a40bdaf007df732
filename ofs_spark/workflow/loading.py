"""Loading the rooms of a build: their inner loops compile when they are first imported, and people are told."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ofs_spark.foundation.code_folder import find_cache_root, has_compiled_code
from ofs_spark.foundation.ports import NOTE
from ofs_spark.workflow.attempt import Timings
from ofs_spark.workflow.context import RunContext

BUILD = "ofs_spark.workflow.materialize"
LOOPS = (BUILD, "ofs_spark.workflow.forensic_record")
"""Import every module that holds a compiled loop: those of a build, and those of parity and forensics."""


def load_build_rooms(
    context: RunContext, timings: Timings | None = None, start: Callable[[], object] = lambda: None
) -> None:
    """Imports the rooms of a build, and adds what that took to the timings of an attempt.

    `load` where the loops were compiled before, and are found; `compile` where this is the first run of the release, which
    takes 10 to 70 s.
    start: called once the loops are compiled, and before they are loaded here: what loads them too does so meanwhile.
    """
    timings = timings or Timings(context.announce, context.clock)
    if has_compiled_code():
        start()
        with timings.measure("load", "loads Arrow and compiled loops"):
            import_module(BUILD)
        return
    with timings.measure("compile", "compiling loops (first run of this release)"):
        is_kept = compile_loops()
    if not is_kept:
        context.announce("compile", f"{NOTE}{find_cache_root()} cannot keep compiled loops: set OFS_CACHE_DIR")
    start()


def load_rebuild_rooms(rows: int, context: RunContext) -> None:
    """As `load_build_rooms`, for a rebuild of `rows` offsets: its engine is started meanwhile; of none, no engine is."""
    load_build_rooms(context, None, lambda: context.engine(rows, BUILD) if rows else None)


def compile_loops(tell: Callable[[int, int], None] = lambda _done, _all: None) -> bool:
    """Imports every module that holds a compiled loop, which compiles it where it was not; whether all of it is kept.

    Processes of their own compile first, side by side. tell: told how many modules are done, of how many.
    """
    from ofs_spark.foundation.columnar.compiling import compile_modules

    return compile_modules(LOOPS, tell)
