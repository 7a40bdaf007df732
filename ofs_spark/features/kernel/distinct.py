"""How many different values a window holds.

Where a window's whole range was known, counts per value move along with the window's ends. A late-bound anchor knows
some rows of its range: their number less the *pairs* among them, two neighbouring deliveries of one value (pairs.py).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.features.kernel.pairs import count_pairs
from ofs_spark.features.kernel.windows import Windows
from ofs_spark.features.kernel.words import rank_words
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import FLAGS, LONGS, compile_loop, type_array


def encode_values(data: Array) -> Array:
    """A dense code per different value, int64; codes of words order as they do."""
    if data.ndim == 2:
        return rank_words(data)
    return np.asarray(pa.array(data).dictionary_encode().indices).astype(np.int64)


def count_distinct(w: Windows, codes: Array, counted: Array, counts: Array) -> Array:
    """Different codes among each window's counted rows, int64; `counts`: how many those rows are."""
    size, codes = int(codes.max(initial=-1)) + 1, np.where(counted, codes, -1)
    found: Array = _count_distinct(w.low, w.high, w.deliveries.anchor & ~w.late, codes, np.zeros(size, np.int64))
    if len(w.starts):
        late = w.late
        found[late] = counts[late] - count_pairs(w, codes, size)[late]
    return found


@compile_loop(type_array(types.int64)(LONGS, LONGS, FLAGS, LONGS, type_array(types.int64)))
def _count_distinct(low: Array, high: Array, wanted: Array, codes: Array, held: Array) -> Array:
    out = np.zeros(len(codes), np.int64)
    first, last, different = np.int64(0), np.int64(0), 0
    for row in range(len(codes)):
        if not wanted[row]:
            continue
        if low[row] >= last:  # nothing in common: start over, forgetting the old window
            for e in range(first, last):
                if codes[e] >= 0:
                    held[codes[e]] = 0
            first, last, different = low[row], low[row], 0
        while last < high[row]:
            if codes[last] >= 0:
                held[codes[last]] += 1
                different += held[codes[last]] == 1
            last += 1
        while last > high[row]:
            last -= 1
            if codes[last] >= 0:
                held[codes[last]] -= 1
                different -= held[codes[last]] == 0
        while first < low[row]:
            if codes[first] >= 0:
                held[codes[first]] -= 1
                different -= held[codes[first]] == 0
            first += 1
        out[row] = different
    return out
