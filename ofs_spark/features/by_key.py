"""The step of one entity key: sort once, run the kernels of the key's groups, pass on what later steps need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.dataflow import Body, Chunk, encode, gather, note
from ofs_spark.errors import Refusal
from ofs_spark.features import flow
from ofs_spark.features.core import core_features
from ofs_spark.features.group_rows import Array, Fault, KeyedTable, column, fault, group_rows, sort_by_key, text_codes
from ofs_spark.features.kernel import compute
from ofs_spark.hashing import route
from ofs_spark.pins.profile.compile import column_names
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r

EVENTS = "event"


@dataclass(frozen=True)
class Route:
    """Where a step sends its rows: to the next key's target, or by event id where that key is missing."""

    key_columns: tuple[str, ...]
    columns: tuple[str, ...]
    keep_flags: int
    width: int

    def send(self, table: pa.Table, order: Array | None = None) -> Iterator[Chunk]:
        """The rows a later step needs, as chunks by target. `order` restricts and permutes the rows first."""
        kept = (column(table, r.FLAGS) & self.keep_flags) != 0
        chosen = np.flatnonzero(kept) if order is None else order[kept[order]]
        narrow = table.select(list(self.columns))
        yield from split(EVENTS, narrow, targets(table, self.key_columns, self.width)[chosen], chosen, self.width)


def targets(table: pa.Table, key_columns: tuple[str, ...], width: int) -> Array:
    """Target of every row: crc32 of its layout key text modulo `width`."""
    return route(layout_texts(table, list(key_columns)), width)


def layout_texts(table: pa.Table, key_columns: list[str]) -> pa.Array:
    """Placement text of every row: key parts joined by U+001F, or the event id where a part is missing."""
    parts = [table.column(name).combine_chunks() for name in key_columns]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x1f")
    return pc.coalesce(joined, table.column(r.EVENT_ID).combine_chunks())


def split(kind: str, table: pa.Table, target: Array, rows: Array, width: int) -> Iterator[Chunk]:
    """`rows` of `table` as one chunk per target; `target` is aligned with `rows`."""
    order = np.argsort(target.astype(np.uint16 if width <= 1 << 16 else np.int64), kind="stable")
    sorted_rows = table.take(pa.array(rows[order]))
    bounds = np.searchsorted(target[order], np.arange(width + 1))
    for index in np.flatnonzero(np.diff(bounds)):
        yield Chunk(int(index), encode(kind, sorted_rows.slice(bounds[index], bounds[index + 1] - bounds[index])))


def add_features(program: Program, groups: tuple[int, ...], keyed: KeyedTable) -> tuple[pa.Table, list[Fault]]:
    """The sorted table with the groups' columns appended (null where the key is missing), and what rules refuse."""
    table, faults = keyed.table, []
    for index in groups:
        group = program.groups[index]
        arrays, found = group_columns(program, index, keyed)
        faults += found
        absent = keyed.table.num_rows - keyed.keyed
        for name, array in zip(column_names(group), arrays, strict=True):
            padded = pa.concat_arrays([array, pa.nulls(absent, array.type)]) if absent else array
            table = table.append_column(name, padded)
    return table, faults


def group_columns(program: Program, index: int, keyed: KeyedTable) -> tuple[list[pa.Array], list[Fault]]:
    """Columns of one group over the keyed rows; nothing is computed from rows that a rule refuses."""
    group = program.groups[index]
    rows, faults = group_rows(program, index, keyed)
    if faults:
        types = {c.name: c.type for c in program.feature_columns}
        return [pa.nulls(keyed.keyed, arrow_type(types[name])) for name in column_names(group)], faults
    if group.core is not None:
        amount = column(keyed.table, r.core_amount_column(group.core))[: keyed.keyed]
        stamp, stamps = text_codes(keyed.table.column(r.TS_TEXT).slice(0, keyed.keyed))
        return core_features(rows, amount, stamp, stamps), []
    try:
        return compute(group, rows), []
    except Refusal as refusal:
        overflow = fault(refusal.code, group.name, refusal.message, np.ones(1, np.bool_), keyed.table.slice(0, 1))
        types = {c.name: c.type for c in program.feature_columns}
        return [pa.nulls(keyed.keyed, arrow_type(types[name])) for name in column_names(group)], [overflow]


def arrow_type(text: str) -> pa.DataType:
    """The Arrow type a catalogue column names."""
    named = {
        "int64": pa.int64(),
        "int32": pa.int32(),
        "double": pa.float64(),
        "string": pa.string(),
        "bool": pa.bool_(),
        "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
    }
    if text in named:
        return named[text]
    precision, scale = text.removeprefix("decimal128(").rstrip(")").split(",")
    return pa.decimal128(int(precision), int(scale))


@dataclass(frozen=True)
class ByKey:
    """A middle step: computes one key's groups and routes to the next key."""

    program: Program
    step: flow.KeyStep
    onward: Route

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """Chunks of the next exchange, and a note per fault."""
        keyed = sort_by_key(gather(chunks)[EVENTS], flow.key_columns(self.program, self.step.key))
        table, faults = add_features(self.program, self.step.groups, keyed)
        for found in faults:
            yield note("fault", **found.note())
        yield from self.onward.send(table)
