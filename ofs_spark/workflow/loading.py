"""Loading the rooms of a build: their inner loops compile when they are first imported, and people are told."""

from __future__ import annotations

from importlib import import_module

from ofs_spark.foundation.code_folder import find_cache_root, has_compiled_code, mark_compiled
from ofs_spark.foundation.ports import Announce

BUILD = "ofs_spark.workflow.materialize"
LOOPS = (BUILD, "ofs_spark.workflow.forensic")
"""Import every module that holds a compiled loop: those of a build, and those of parity and forensics."""


def load_build_rooms(announce: Announce) -> None:
    """Imports the rooms of a build; says so before and after where that compiles, which takes 10 to 30 s."""
    if has_compiled_code():
        import_module(BUILD)
        return
    announce("engine", "compiles inner loops: the first run of this release does, later ones find them")
    for module in LOOPS:
        import_module(module)
    if mark_compiled():
        announce("engine", "inner loops are compiled")
    else:
        announce("engine", f"inner loops are compiled; {find_cache_root()} cannot keep them: set OFS_CACHE_DIR")
