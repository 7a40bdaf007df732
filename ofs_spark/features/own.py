"""What a row keeps of its own event: read off the event that won its id, whatever group it is a source of, or of none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.features.faults import describe_type, make_fault
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.notes import Fault
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.columns import DIGITS
from ofs_spark.pins.profile.model import OwnColumn, Program, format_path
from ofs_spark.replay import rows as r


def list_own_inputs(program: Program) -> list[str]:
    """The scan's columns that own columns are made of; they travel with an event to the dataset."""
    names = [name for own in program.own for name in _list_inputs(own)]
    return list(dict.fromkeys(names))


def _list_inputs(own: OwnColumn) -> list[str]:
    if own.read is not None:
        return [r.name_read_column(own.read), r.name_status_column(own.read)]
    return [] if own.online_core is None else [r.name_core_key_column(own.online_core)]


def find_own_faults(program: Program, table: pa.Table, anchors: Array) -> Iterator[Fault]:
    """FEATURE_VALUE_INVALID: anchors whose own value is not of the declared type.

    anchors: their rows in the table. Of their keys the groups tell, which judge them anyway.
    """
    is_anchor = np.zeros(table.num_rows, np.bool_)
    is_anchor[anchors] = True
    for own in program.own:
        if own.column.role != "anchor" or own.read is None:
            continue
        bad = is_anchor & (read_values(table, r.name_status_column(own.read)) == r.INVALID)
        if bad.any():
            read = program.reads[own.read]
            message = f"{format_path(read.path)} of a row's own event must be {describe_type(read.type)}, or missing"
            yield make_fault("FEATURE_VALUE_INVALID", own.column.name, message, bad, table)


def make_own_columns(program: Program, table: pa.Table) -> dict[str, pa.Array]:
    """Every own column of the rows of a table, by name, in the type of its column; null where the event has no value."""
    return {own.column.name: _make_column(program, own, table) for own in program.own}


def _make_column(program: Program, own: OwnColumn, table: pa.Table) -> pa.Array:
    name, *status = _list_inputs(own)
    stored, type_ = combine_chunks(table.column(name)), to_arrow_type(own.column.type)
    if own.read is None or pa.types.is_string(type_):
        return stored  # a text that is not there is null
    present = pa.array(read_values(table, status[0]) == r.PRESENT)
    if program.reads[own.read].type.kind == "decimal":
        whole = stored.cast(pa.decimal128(DIGITS, 0))  # unscaled: 64 bits, or the text of more
        stored = pa.Array.from_buffers(type_, len(whole), whole.buffers(), offset=whole.offset)
    return pc.if_else(present, stored, pa.scalar(None, type_))
