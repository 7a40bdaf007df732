"""How OFS compiles its inner loops: explicit types, so that nothing compiles at run time, and a cache shared by workers.

`code_cache.py` says where the cache is. Array arguments are declared read-only: buffers of Arrow are, and a writable
array fits a read-only parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import njit, types
from numba.core.caching import CacheImpl
from numba.extending import intrinsic

from ofs_spark.foundation.columnar.code_cache import CodeCacheLocator, forget_code

F = TypeVar("F", bound=Callable[..., Any])

BYTES = types.Array(types.uint8, 1, "C", readonly=True)
WORDS = types.Array(types.uint32, 1, "C", readonly=True)
LONGS = types.Array(types.int64, 1, "C", readonly=True)
DOUBLES = types.Array(types.float64, 1, "C", readonly=True)
FLAGS = types.Array(types.boolean, 1, "C", readonly=True)
I64 = types.int64
TEXT = types.CPointer(types.uint8)  # type: ignore[no-untyped-call]
"""Bytes by their address: what a loop hands to another one in place of their array, which is counted in and out by locked
instructions at every call. Whoever has the array keeps it, and says where its bytes end."""


_OURS = f"{CodeCacheLocator.__module__}.{CodeCacheLocator.__name__}"
_THEIRS = (one.__name__ for one in CacheImpl._locator_classes)  # other packages of the process keep what they had
numba.config.CACHE_LOCATOR_CLASSES = ",".join([_OURS, *_THEIRS])  # type: ignore[attr-defined]  # made by Numba on import


def _point_to(_typing: Any, _array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """The field of the array."""
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return TEXT(BYTES), generate


point_to: Callable[..., Any] = intrinsic(_point_to)
"""Inside a compiled loop: the address of an array of bytes, as a TEXT."""


def compile_loop(signature: Any, inline: bool = False) -> Callable[[F], F]:
    """Compiles a function for one signature, once per machine and user, without the interpreter lock.

    inline: into every loop that calls it, whatever Numba's compiler makes of its length.
    """

    def decorate(function: F) -> F:
        """The function compiled, and kept where that can be."""
        kept = CodeCacheLocator.from_function(function, "") is not None
        try:
            return _compile(function, signature, kept, inline)
        except Exception:
            if not kept:
                raise
        forget_code(function)  # what was kept cannot be read
        return _compile(function, signature, kept, inline)

    return decorate


def _compile(function: F, signature: Any, kept: bool, inline: bool) -> F:
    made: F = njit(signature, cache=kept, nogil=True, forceinline=inline)(function)
    return made


def type_array(element: Any, dimensions: int = 1) -> Any:
    """A writable C-ordered array of `element`."""
    return types.Array(element, dimensions, "C")


def type_tuple(*results: Any) -> Any:
    """A tuple of results."""
    make: Callable[[Any], Any] = types.Tuple
    return make(results)
