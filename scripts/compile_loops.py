"""Compiles the inner loops of this checkout into the user's cache, so that its first build does not: a step of `make setup`."""

from __future__ import annotations

import sys
import time

from ofs_spark.foundation.code_folder import find_cache_root, has_compiled_code


def main() -> None:
    """Says what it does only where there is something to do; a cache that cannot be written is told, and no error."""
    if has_compiled_code():
        return
    print("setup: compiling inner loops, once for each release (up to a minute)", flush=True)
    start = time.perf_counter()
    is_kept = _compile()
    print(f"\nsetup: compiled them in {time.perf_counter() - start:.0f} s", flush=True)
    if not is_kept:
        print(f"setup: {find_cache_root()} cannot keep them: set OFS_CACHE_DIR", file=sys.stderr)


def _compile() -> bool:
    from ofs_spark.workflow.loading import compile_loops

    return compile_loops(lambda done, total: print(f"\rsetup: {done} of {total} modules", end="", flush=True))


if __name__ == "__main__":
    main()
