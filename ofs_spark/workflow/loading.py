"""Loading the rooms of a build: their inner loops compile when they are first imported, and people are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from ofs_spark.foundation.code_folder import find_cache_root, has_compiled_code
from ofs_spark.foundation.ports import NOTE
from ofs_spark.foundation.stops import leave_stops
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
    start: called once the loops are compiled. They are loaded meanwhile, by a thread: Spark takes some seconds to start, and the
    embedded engine's processes load them too.
    """
    timings = timings or Timings(context.announce, context.clock)
    if has_compiled_code():
        loading = threading.Thread(target=_try_loading, name="loads rooms", daemon=True)
        loading.start()
        start()
        with timings.measure("load", "loads Arrow and compiled loops"):
            loading.join()
            import_module(BUILD)  # which raises here what the thread met
        return
    with timings.measure("compile", "compiling loops (first run of this release)"):
        is_kept = compile_loops()
    if not is_kept:
        context.announce("compile", f"{NOTE}{find_cache_root()} cannot keep compiled loops: set OFS_CACHE_DIR")
    start()


def _try_loading() -> None:
    leave_stops()
    with suppress(Exception):
        import_module(BUILD)


def load_rebuild_rooms(rows: int, context: RunContext) -> None:
    """As `load_build_rooms`, for a rebuild of `rows` offsets: its engine is started meanwhile; of none, no engine is."""
    load_build_rooms(context, None, lambda: context.engine(rows, BUILD) if rows else None)


def compile_loops(tell: Callable[[int, int], None] = lambda _done, _all: None) -> bool:
    """Imports every module that holds a compiled loop, which compiles it where it was not; whether all of it is kept.

    Processes of their own compile first, side by side. tell: told how many modules are done, of how many.
    """
    from ofs_spark.foundation.columnar.compiling import compile_modules

    return compile_modules(LOOPS, tell)
