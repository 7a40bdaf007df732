"""The online plane's core features: a key's state just after each event, as the online plane would have held it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.features.kernel.model import GroupRows
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import DOUBLES, LONGS, compile_loop, type_array, type_tuple


def compute_online_core(rows: GroupRows, amount: Array, stamp: Array, stamps: pa.Array) -> list[pa.Array]:
    """event_count, amount_sum, last_event_ts_utc per row; every row is an event the online plane applies.

    Amounts are added one by one in delivery order, as float64: that is the law, however they round. `stamp` holds each
    event time's code into `stamps`, its texts in code-point order: the greatest text is the last one, not the latest time.
    """
    order = np.lexsort((rows.rank, rows.key))
    count, total, last = _advance_states(rows.key[order], stamp[order], amount[order])
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return [pa.array(count[back]), pa.array(total[back]), stamps.take(pa.array(last[back])).cast(pa.string())]


_STATES = type_tuple(type_array(types.int64), type_array(types.float64), type_array(types.int64))


@compile_loop(_STATES(LONGS, LONGS, DOUBLES))
def _advance_states(key: Array, stamp: Array, amount: Array) -> tuple[Array, Array, Array]:
    n = len(key)
    count, total, last = np.zeros(n, np.int64), np.zeros(n, np.float64), np.zeros(n, np.int64)
    for row in range(n):
        if row and key[row] == key[row - 1]:
            count[row] = count[row - 1] + 1
            total[row] = total[row - 1] + amount[row]
            last[row] = max(last[row - 1], stamp[row])
        else:
            count[row], total[row], last[row] = 1, 0.0 + amount[row], stamp[row]
    return count, total, last
