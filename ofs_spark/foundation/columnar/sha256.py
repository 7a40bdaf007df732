"""SHA-256 of every text of a column, by the libcrypto that Python's own `hashlib` is linked to, called from a compiled loop.

A call from Python costs more than the hash of an envelope. The loop is told the addresses of the three functions and calls
them without the interpreter, so that one compilation serves every process. Where a Python has no such library, or it says
something else than `hashlib` of the known texts, `hashlib` hashes text by text: slower, and the same.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # comes with Numba
from numba import types
from numba.extending import intrinsic

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, I64, LONGS, TEXT, compile_loop, point_to, type_array

DIGEST_BYTES = 32
_STATE_BYTES = 1_024
"""Room for libcrypto's SHA256_CTX, which takes 112 bytes."""
_FUNCTIONS = "SHA256_Init", "SHA256_Update", "SHA256_Final"
_KNOWN = (b"", b"abc", bytes(range(256)) * 3, *(b"x" * length for length in (55, 56, 63, 64, 65, 119, 120)))


def _call(_typing: Any, _function: Any, _first: Any, _second: Any, _third: Any) -> Any:
    word = ir.IntType(64)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        """The call."""
        function = ir.FunctionType(word, [word, word, word]).as_pointer()
        return builder.call(builder.inttoptr(arguments[0], function), arguments[1:])

    return I64(I64, I64, I64, I64), generate


def _number(_typing: Any, _pointer: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        """The same bits."""
        return builder.ptrtoint(arguments[0], ir.IntType(64))

    return I64(TEXT), generate


_call_at: Callable[..., Any] = intrinsic(_call)
"""Inside a compiled loop: calls the C function at an address with three words."""
_to_number: Callable[..., Any] = intrinsic(_number)
"""Inside a compiled loop: the address of a TEXT."""


@compile_loop(types.void(BYTES, LONGS, LONGS, type_array(types.uint8), type_array(types.uint8)))
def _hash_spans(data: Array, offsets: Array, functions: Array, state: Array, out: Array) -> None:
    """Digests of data[offsets[i]:offsets[i + 1]] end to end into `out`; the caller keeps every array."""
    begin, update, finish = functions[0], functions[1], functions[2]
    text, own, to = _to_number(point_to(data)), _to_number(point_to(state)), _to_number(point_to(out))
    for row in range(len(offsets) - 1):
        _call_at(begin, own, 0, 0)
        _call_at(update, own, text + offsets[row], offsets[row + 1] - offsets[row])
        _call_at(finish, to + 32 * row, own, 0)


def hash_spans(data: Array, offsets: Array) -> Array:
    """SHA-256 of data[offsets[i]:offsets[i + 1]], uint8 of shape (rows, 32)."""
    functions = _find_functions()
    return _hash_one_by_one(data, offsets) if functions is None else _hash_at_once(data, offsets, functions)


def _hash_at_once(data: Array, offsets: Array, functions: Array) -> Array:
    digests = np.empty((len(offsets) - 1, DIGEST_BYTES), np.uint8)
    _hash_spans(data, offsets, functions, np.zeros(_STATE_BYTES, np.uint8), digests.reshape(-1))
    return digests


def _hash_one_by_one(data: Array, offsets: Array) -> Array:
    body = memoryview(data.data)
    found = b"".join([hashlib.sha256(body[begin:end]).digest() for begin, end in pairwise(offsets.tolist())])
    return np.frombuffer(found, np.uint8).reshape(-1, DIGEST_BYTES)


@cache
def _find_functions() -> Array | None:
    """The addresses of libcrypto's functions, int64; None where they are not there, or do not hash as `hashlib` does."""
    try:
        library = ctypes.CDLL(import_module("_hashlib").__file__)
        found = [ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in _FUNCTIONS]
    except (ImportError, AttributeError, OSError):
        return None
    functions = np.array(found, np.int64)
    data = np.frombuffer(b"".join(_KNOWN), np.uint8)
    offsets = np.cumsum([0, *map(len, _KNOWN)])
    return functions if (_hash_at_once(data, offsets, functions) == _hash_one_by_one(data, offsets)).all() else None
