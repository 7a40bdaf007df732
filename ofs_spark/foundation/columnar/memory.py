"""What a worker's memory does between two tables: it stays the process's, for the next one.

A step makes and drops tables of some megabytes all along. A process that gives each back has the kernel clear as many
pages again: a sixth of a build's CPU, as measured (docs/adr/0028-freed-memory-is-kept.md).
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

import pyarrow as pa

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Names of glibc's settings, of its `malloc.h`."""
_KEPT = 512 * 1024**2
"""Free bytes at the end of the heap that are kept."""
_NO_MAPPINGS = 0
"""Of what is large and asked of the kernel by itself, to be given back at once: a segment's envelopes would be, each time."""


@cache
def keep_freed_memory() -> None:
    """Has this process keep what it frees, once: Arrow's arrays and NumPy's come of one heap, that of the C library.

    For workers, whose process is ours alone. Where the C library is not glibc, Arrow's own allocator stays.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_MMAP_MAX, _NO_MAPPINGS)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
        pa.set_memory_pool(pa.system_memory_pool())
