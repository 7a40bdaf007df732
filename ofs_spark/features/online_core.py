"""The online plane's core features: a key's state just after each event, as the online plane would have held it.

A snapshot needs the state after some positions only. `advance_tracks` gives it at the end of each cell of the basis: the
stretch of one partition between two positions that anyone asks about. A key's track in one partition is its states there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.features.kernel.model import GroupRows
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, DOUBLES, I64, LONGS, compile_loop, type_array, type_tuple
from ofs_spark.replay.scan.canonical_text import precedes

ANY_BIT = 1 << 20
"""The lowest bit of a sum of nothing but zeros: they are multiples of everything."""
_GREATEST = 1023 - 53
"""Amounts whose bits are all beyond this one add exactly up to the end of float64."""


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


@dataclass(frozen=True)
class Tracks:
    """States, one per row: that of `key` in the cell's partition after `cell`, in which an event changed it; cells ascend.

    last: number of the applied event whose time is the greatest text. low, absolute: exponent of the lowest bit of all
    amounts so far, and the sum of their absolute values: what tells whether they add exactly (`adds_exactly`).
    """

    key: Array
    cell: Array
    count: Array
    total: Array
    last: Array
    low: Array
    absolute: Array


def advance_tracks(
    key: Array, partition: Array, cell: Array, amount: Array, texts: tuple[Array, Array], several: Array
) -> Tracks:
    """The tracks of some keys under applied events in (partition, position) order; cells ascend with positions.

    several: which keys have events in several partitions, bool of shape (keys,); no other key's `low` is looked for.

    texts: bytes and offsets of the events' time texts. Amounts are added one by one within a partition.
    """
    data, offsets = texts
    lowest, looked = np.zeros(len(key), np.int64), np.flatnonzero(several[key])
    lowest[looked] = find_lowest_bits(amount[looked])
    columns, made = _advance_tracks(key, partition, cell, amount, lowest, data, offsets, len(several))
    return Tracks(*(column[:made].copy() for column in columns))


def find_lowest_bits(amount: Array) -> Array:
    """Per finite float64 the exponent of its lowest bit that is set, int64; ANY_BIT for zero."""
    mantissa, exponent = np.frexp(amount)
    whole = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
    low = exponent.astype(np.int64) - 54 + np.frexp((whole & -whole).astype(np.float64))[1]
    return np.where(whole == 0, ANY_BIT, low)


def adds_exactly(low: int, absolute: float) -> bool:
    """Whether amounts add without rounding in every order: all are multiples of 2^low, and no sum needs a 54th bit."""
    return low > _GREATEST or absolute < 2.0 ** (low + 53)


_TRACKS = type_tuple(
    *(type_array(one) for one in (types.int64, types.int64, types.int64, types.float64, types.int64, types.int64)),
    type_array(types.float64),
)


@compile_loop(type_tuple(_TRACKS, I64)(LONGS, LONGS, LONGS, DOUBLES, LONGS, BYTES, LONGS, I64))
def _advance_tracks(
    key: Array, partition: Array, cell: Array, amount: Array, lowest: Array, data: Array, offsets: Array, keys: int
) -> tuple[tuple[Array, Array, Array, Array, Array, Array, Array], int]:
    n, made, touched = len(key), 0, 0
    out_key, out_cell, out_count = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    out_total, out_last, out_low = np.empty(n, np.float64), np.empty(n, np.int64), np.empty(n, np.int64)
    out_absolute = np.empty(n, np.float64)
    where, seen = np.full(keys, -1, np.int64), np.full(keys, -1, np.int64)
    count, last, low = np.zeros(keys, np.int64), np.zeros(keys, np.int64), np.zeros(keys, np.int64)
    total, absolute, waiting = np.zeros(keys, np.float64), np.zeros(keys, np.float64), np.empty(keys, np.int64)
    for row in range(n + 1):
        if row == n or (row > 0 and cell[row] != cell[row - 1]):
            for i in range(touched):
                k = waiting[i]
                out_key[made], out_cell[made], out_count[made] = k, cell[row - 1], count[k]
                out_total[made], out_last[made], out_low[made] = total[k], last[k], low[k]
                out_absolute[made] = absolute[k]
                made += 1
            touched = 0
        if row == n:
            break
        k = key[row]
        if where[k] != partition[row]:
            where[k], count[k], total[k], last[k], low[k], absolute[k] = partition[row], 0, 0.0, row, ANY_BIT, 0.0
        if seen[k] != cell[row]:
            seen[k] = cell[row]
            waiting[touched] = k
            touched += 1
        count[k] += 1
        total[k] += amount[row]
        low[k] = min(low[k], lowest[row])
        absolute[k] += abs(amount[row])
        held = last[k]
        if precedes(data, offsets[held], offsets[held + 1], offsets[row], offsets[row + 1]):
            last[k] = row
    return (out_key, out_cell, out_count, out_total, out_last, out_low, out_absolute), made
