"""Bytes of a text as words, inside compiled loops."""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import I64, TEXT, compile_loop


@compile_loop(types.uint64(TEXT, I64), inline=True)
def read_word(data: Array, at: int) -> np.uint64:
    """The eight bytes at `at`, which are there, as a number, the first one least: one load of the processor."""
    word = np.uint64(0)
    for i in range(8):
        word |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return word
