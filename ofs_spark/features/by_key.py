"""The step of one entity key: sort once, run the kernels of the key's groups, pass the rows on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ofs_spark.features import flow
from ofs_spark.features.faults import make_fault
from ofs_spark.features.group_rows import KeyedTable, encode_texts, read_group_rows, sort_by_key
from ofs_spark.features.kernel import compute_group
from ofs_spark.features.online_core import compute_online_core
from ofs_spark.features.ports import Onward
from ofs_spark.features.routing import EVENTS
from ofs_spark.foundation.columnar.arrays import read_values
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, gather_chunks
from ofs_spark.foundation.columnar.notes import Fault, encode_note
from ofs_spark.foundation.errors import Refusal
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.profile.compiler import list_columns
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r


@dataclass(frozen=True)
class ByKey:
    """Computes one key's groups; `onward` is the route to the next key, or the dataset's writer after the last one."""

    program: Program
    step: flow.KeyStep
    onward: Onward

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """A `fault` note per refused rule, and what `onward` sends: nothing where it takes no refused rows."""
        keyed = sort_by_key(gather_chunks(chunks)[EVENTS], flow.name_key_columns(self.program, self.step.key))
        computed, faults = add_features(self.program, self.step.groups, keyed)
        for fault in faults:
            yield encode_note(fault)
        if self.onward.takes_refused or not faults:
            yield from self.onward.send(target, computed)


def add_features(program: Program, groups: tuple[int, ...], keyed: KeyedTable) -> tuple[KeyedTable, list[Fault]]:
    """The sorted table with the groups' columns appended (null where the key is missing), and what rules refuse."""
    table, faults = keyed.table, []
    for index in groups:
        group = program.groups[index]
        arrays, found = compute_columns(program, index, keyed)
        faults += found
        absent = keyed.table.num_rows - keyed.keyed
        for name, array in zip(list_columns(group), arrays, strict=True):
            padded = pa.concat_arrays([array, pa.nulls(absent, array.type)]) if absent else array
            table = table.append_column(name, padded)
    return replace(keyed, table=table), faults


def compute_columns(program: Program, index: int, keyed: KeyedTable) -> tuple[list[pa.Array], list[Fault]]:
    """Columns of one group over the keyed rows; nothing is computed from rows that a rule refuses."""
    group = program.groups[index]
    rows, faults = read_group_rows(program, index, keyed)
    if faults:
        types = {c.name: c.type for c in program.feature_columns}
        return [pa.nulls(keyed.keyed, to_arrow_type(types[name])) for name in list_columns(group)], faults
    if group.online_core is not None:
        amount = read_values(keyed.table, r.name_core_amount_column(group.online_core))[: keyed.keyed]
        stamp, stamps = encode_texts(keyed.table.column(r.TS_TEXT).slice(0, keyed.keyed))
        return compute_online_core(rows, amount, stamp, stamps), []
    try:
        return compute_group(group, rows), []
    except Refusal as refusal:
        overflow = make_fault(refusal.code, group.name, refusal.message, np.ones(1, np.bool_), keyed.table.slice(0, 1))
        types = {c.name: c.type for c in program.feature_columns}
        return [pa.nulls(keyed.keyed, to_arrow_type(types[name])) for name in list_columns(group)], [overflow]
