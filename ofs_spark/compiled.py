"""How OFS compiles its inner loops: explicit types, so that nothing compiles at run time, and a cache shared by workers.

The cache stands beside the sources, or under NUMBA_CACHE_DIR where the code travels in an archive. Array arguments are
declared read-only: buffers of Arrow are, and a writable array fits a read-only parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit, types

F = TypeVar("F", bound=Callable[..., Any])

BYTES = types.Array(types.uint8, 1, "C", readonly=True)
WORDS = types.Array(types.uint32, 1, "C", readonly=True)
LONGS = types.Array(types.int64, 1, "C", readonly=True)
DOUBLES = types.Array(types.float64, 1, "C", readonly=True)
FLAGS = types.Array(types.boolean, 1, "C", readonly=True)
I64 = types.int64


def compiled(signature: Any) -> Callable[[F], F]:
    """Compiles a function for one signature, once per machine, without the interpreter lock."""
    decorate: Callable[[F], F] = njit(signature, cache=True, nogil=True)
    return decorate


def array_of(element: Any, dimensions: int = 1) -> Any:
    """A writable C-ordered array of `element`."""
    return types.Array(element, dimensions, "C")


def several(*results: Any) -> Any:
    """A tuple of results."""
    make: Callable[[Any], Any] = types.Tuple
    return make(results)
