"""The as-of choice: which assertion of a subject and label type counts, given what was known.

Rule `ls.resolved.v0`: the greatest (effective, observed) counts; if the assertions tied on both carry different values
the subject is in CONFLICT, else the greatest assertion id stands for them. Rule `ls.latest_observed.v0`: the greatest
(observed, assertion id). Times are instants in µs; ids order as their text does. Work is linear in the assertions:
scatter-maxima per (subject, type), no sort.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.hashing import format_hex
from ofs_spark.foundation.columnar.ids import find_ids
from ofs_spark.labels import model as m
from ofs_spark.labels.fingerprint import find_first_copies
from ofs_spark.labels.terms import RESOLVED_RULE

_STATUSES = [m.Status.RESOLVED.value, m.Status.CONFLICT.value, m.Status.NOT_FOUND.value]
_RESOLVED, _CONFLICT, _NOT_FOUND = range(3)


def keep_one_per_id(assertions: pa.Table) -> pa.Table:
    """The assertions, equal copies under one assertion id kept once (which copy does not matter: they are equal)."""
    ids = combine_chunks(assertions.column(m.ASSERTION_ID))
    first = find_first_copies(ids)
    return assertions if len(first) == len(ids) else assertions.take(pa.array(first))


def resolve_labels(
    assertions: pa.Table, subjects: pa.Array, types: Sequence[str], rule: str, asof_us: int | None
) -> pa.Table:
    """The label of every subject and type under `rule`: one `CHOICE` struct column per type, aligned with `subjects`.

    `assertions` has the columns of `ASSERTIONS` and one platform run; `subjects` are distinct event ids. Assertions of
    other events and types are left out. `asof_us` is the last instant at which an assertion may have been observed
    (KNEW_THEN), None makes every one eligible (KNOW_NOW).
    """
    cell, observed = _number_cells(assertions, subjects, types), read_values(assertions, m.OBSERVED)
    count = len(subjects) * len(types)
    status = np.full(count, _NOT_FOUND, np.int8)
    rows = np.flatnonzero(cell >= 0 if asof_us is None else (cell >= 0) & (observed <= asof_us))
    for time in (read_values(assertions, m.EFFECTIVE), observed) if rule == RESOLVED_RULE else (observed,):
        rows = rows[_mark_greatest(cell[rows], time[rows], count)]
    status[cell[rows]] = _RESOLVED
    if rule == RESOLVED_RULE:
        status[_find_contradicted(cell[rows], _encode_values(assertions.column(m.LABEL_VALUE))[rows], count)] = (
            _CONFLICT
        )
    high, low = _split_ids(combine_chunks(assertions.column(m.ASSERTION_ID).take(pa.array(rows))))
    last = _mark_greatest(cell[rows], high, count)
    rows, low = rows[last], low[last]
    rows = rows[_mark_greatest(cell[rows], low, count)]
    chosen = np.full(count, -1, np.int64)
    chosen[cell[rows]] = rows
    chosen[status == _CONFLICT] = -1
    return _make_columns(assertions, chosen, status, types)


def _number_cells(assertions: pa.Table, subjects: pa.Array, types: Sequence[str]) -> Array:
    """Number of each assertion's (type, subject) pair, type-major; -1 for pairs that are not asked for."""
    subject = find_ids(assertions.column(m.EVENT_ID), subjects)
    known = pc.index_in(assertions.column(m.LABEL_TYPE), value_set=pa.array(types, pa.string()))
    kind = known.fill_null(-1).to_numpy().astype(np.int64)
    return np.where((subject < 0) | (kind < 0), -1, kind * len(subjects) + subject)


def _mark_greatest(cell: Array, value: Array, count: int) -> Array:
    """Mask of the rows whose value is the greatest of their cell."""
    best = np.full(count, np.iinfo(value.dtype).min, value.dtype)
    np.maximum.at(best, cell, value)
    mask: Array = value == best[cell]
    return mask


def _find_contradicted(cell: Array, value: Array, count: int) -> Array:
    """Cells among whose rows there are two different values."""
    one = np.zeros(count, value.dtype)
    one[cell] = value
    cells: Array = cell[value != one[cell]]
    return cells


def _split_ids(ids: pa.Array) -> tuple[Array, Array]:
    """Ids of 16 bytes as two big-endian halves, which order as their hex text does."""
    held = np.frombuffer(ids.buffers()[1], ">u8")[2 * ids.offset : 2 * (ids.offset + len(ids))]
    halves = held.astype(np.uint64).reshape(-1, 2)
    return halves[:, 0], halves[:, 1]


def _make_columns(assertions: pa.Table, chosen: Array, status: Array, types: Sequence[str]) -> pa.Table:
    """The chosen assertion of every cell (-1: none) and its status as one struct column per type."""
    rows = pa.array(chosen, mask=chosen < 0)
    value, effective, observed, identity = (
        combine_chunks(assertions.column(name)).take(rows)
        for name in (m.LABEL_VALUE, m.EFFECTIVE, m.OBSERVED, m.ASSERTION_ID)
    )
    statuses = pa.DictionaryArray.from_arrays(pa.array(status, pa.int32()), pa.array(_STATUSES, pa.string()))
    instant = m.CHOICE.field("observed_time").type
    fields = [value, statuses, effective.cast(instant), observed.cast(instant), identity]
    choices = pa.StructArray.from_arrays(fields, fields=list(m.CHOICE))
    each = len(chosen) // max(len(types), 1)
    return pa.table({name: choices.slice(i * each, each) for i, name in enumerate(types)})


def unpack_choices(choices: pa.Array) -> tuple[pa.Array, ...]:
    """The five dataset columns of a column of choices, in the order of `name_label_columns`; value and status as codes."""
    value, status, effective, observed, identity = choices.flatten()
    return value, status, effective, observed, format_hex(identity)


def _encode_values(values: pa.ChunkedArray) -> Array:
    return np.asarray(combine_chunks(values).dictionary_encode().indices)
