"""How many different values a window holds: counts per value, moved along with the window's ends."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.features.kernel.windows import Windows, is_known
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import FLAGS, I64, LONGS, compile_loop, type_array


def count_distinct(w: Windows, data: Array, counted: Array) -> Array:
    """Different values among each window's counted rows, int64."""
    codes, size = _codes(data)
    found: Array = _distinct(
        w.low,
        w.high,
        w.dirty,
        w.except_at,
        w.except_rows,
        w.rank,
        w.anchor,
        np.where(counted, codes, -1),
        size,
        w.include,
    )
    return found


def _codes(data: Array) -> tuple[Array, int]:
    if data.dtype == object:
        _, codes = np.unique(data, return_inverse=True)
        return codes.astype(np.int64), int(codes.max(initial=-1)) + 1
    encoded = pa.array(data).dictionary_encode()
    return np.asarray(encoded.indices).astype(np.int64), len(encoded.dictionary)


@compile_loop(type_array(types.int64)(LONGS, LONGS, FLAGS, LONGS, LONGS, LONGS, FLAGS, LONGS, I64, types.boolean))
def _distinct(
    low: Array,
    high: Array,
    dirty: Array,
    except_at: Array,
    except_rows: Array,
    rank: Array,
    anchor: Array,
    codes: Array,
    size: int,
    include: bool,
) -> Array:
    n = len(codes)
    held, out = np.zeros(size + 1, np.int64), np.zeros(n, np.int64)
    first, last, different = np.int64(0), np.int64(0), 0
    for row in range(n):
        if not anchor[row]:
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
        while first > low[row]:
            first -= 1
            if codes[first] >= 0:
                held[codes[first]] += 1
                different += held[codes[first]] == 1
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
        for i in range(except_at[row], except_at[row + 1]):
            if codes[except_rows[i]] >= 0:
                held[codes[except_rows[i]]] -= 1
                out[row] -= held[codes[except_rows[i]]] == 0
        for i in range(except_at[row], except_at[row + 1]):
            if codes[except_rows[i]] >= 0:
                held[codes[except_rows[i]]] += 1
        if dirty[row]:
            for e in range(low[row], high[row]):
                if codes[e] >= 0 and not is_known(rank, e, row, include):
                    held[codes[e]] -= 1
                    out[row] -= held[codes[e]] == 0
            for e in range(low[row], high[row]):
                if codes[e] >= 0 and not is_known(rank, e, row, include):
                    held[codes[e]] += 1
    return out
