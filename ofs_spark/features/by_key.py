"""The step of one entity key: sort once, run the kernels of the key's groups piece by piece, pass the rows on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ofs_spark.features import flow
from ofs_spark.features.faults import make_fault
from ofs_spark.features.found import Found
from ofs_spark.features.group_rows import KeyedTable, encode_texts, read_group_rows
from ofs_spark.features.kernel import compute_group
from ofs_spark.features.online_core import compute_online_core
from ofs_spark.features.pieces import PIECE_ROWS, Pieces, TargetRows, keep_before
from ofs_spark.features.ports import Onward
from ofs_spark.features.routing import EVENTS
from ofs_spark.features.runs import RUN_BYTES, gather_runs
from ofs_spark.features.split_keys import SplitKeys
from ofs_spark.foundation.columnar.arrays import read_values
from ofs_spark.foundation.columnar.dataflow import Body, Chunk
from ofs_spark.foundation.columnar.notes import Fault, encode_note
from ofs_spark.foundation.errors import Refusal
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.profile.compiler import list_columns
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r


class _RowsRefused(Exception):
    """Ends a dataset's writer in the middle of a target whose rows a rule refuses."""


@dataclass(frozen=True)
class ByKey:
    """Computes one key's groups; `onward` is the route to the next key, or the dataset's writer after the last one.

    run_bytes, piece_rows: how much is gathered, and computed, at once; no value depends on them.
    """

    program: Program
    step: flow.KeyStep
    onward: Onward
    run_bytes: int = RUN_BYTES
    piece_rows: int = PIECE_ROWS

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """A note per refused rule or split key, and what `onward` sends: nothing that counts where it takes no refused rows."""
        key_columns = tuple(flow.name_key_columns(self.program, self.step.key))
        found, splits = Found(self.program, self.step.groups), SplitKeys(self.program.keys[self.step.key].names)
        with gather_runs(chunks, EVENTS, key_columns, self.run_bytes) as runs:
            rows = TargetRows(runs, key_columns)
            anchors = rows.count([run.anchors for run in runs])
            loose = int(anchors[rows.first_loose :].sum())
            pieces = Pieces(anchors[: rows.first_loose], loose, self._compute_pieces(rows, found, splits))
            with suppress(_RowsRefused):
                yield from self.onward.send(target, pieces)
        for note in (*found.list_faults(), *splits.list_notes()):
            yield encode_note(note)

    def _compute_pieces(self, rows: TargetRows, found: Found, splits: SplitKeys) -> Iterator[KeyedTable]:
        """The pieces with their features, as long as what is found may go on."""
        names = flow.list_kernel_inputs(self.program, self.step.groups)
        cuts = rows.cut(flow.measure_reach(self.program, self.step.groups), self.piece_rows)
        before: pa.Table | None = None
        for cut, following in zip(cuts, [*cuts[1:], None], strict=True):
            keyed = replace(rows.read(cut), before=before)
            splits.add(cut, keyed)
            is_continued = following is not None and following.first == cut.first
            before = keep_before(keyed, names, following.looks) if following is not None and is_continued else None
            computed, faults = add_features(self.program, self.step.groups, keyed)
            found.add(keyed, faults, is_continued)
            made = [computed]
            del keyed, computed  # held by nobody but who takes it
            if self.onward.takes_refused or not found.is_refused:
                yield made.pop()
            if len(cuts) > 1:
                pa.default_memory_pool().release_unused()
        if found.is_refused and not self.onward.takes_refused:
            raise _RowsRefused


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
    return replace(keyed, table=table, before=None), faults


def compute_columns(program: Program, index: int, keyed: KeyedTable) -> tuple[list[pa.Array], list[Fault]]:
    """Columns of one group over the keyed rows; nothing is computed from rows that a rule refuses."""
    group = program.groups[index]
    rows, faults = read_group_rows(program, index, keyed)
    if faults:
        return _make_nothing(program, index, keyed), faults
    if group.online_core is not None:
        amount = read_values(keyed.table, r.name_core_amount_column(group.online_core))[: keyed.keyed]
        stamp, stamps = encode_texts(keyed.table.column(r.TS_TEXT).slice(0, keyed.keyed))
        return compute_online_core(rows, amount, stamp, stamps), []
    try:
        return compute_group(group, rows, skip=len(rows.key) - keyed.keyed), []
    except Refusal as refusal:
        overflow = make_fault(refusal.code, group.name, refusal.message, np.ones(1, np.bool_), keyed.table.slice(0, 1))
        return _make_nothing(program, index, keyed), [replace(overflow, details=dict(refusal.details))]


def _make_nothing(program: Program, index: int, keyed: KeyedTable) -> list[pa.Array]:
    """Nulls of every column of a group."""
    types = {c.name: c.type for c in program.feature_columns}
    return [pa.nulls(keyed.keyed, to_arrow_type(types[name])) for name in list_columns(program.groups[index])]
