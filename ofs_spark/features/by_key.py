"""The step of one entity key: sort once, run the kernels of the key's groups, pass on what later steps need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.features import flow
from ofs_spark.features.group_rows import (
    FeatureFault,
    KeyedTable,
    encode_texts,
    make_fault,
    read_group_rows,
    sort_by_key,
)
from ofs_spark.features.kernel import compute_group
from ofs_spark.features.online_core import compute_online_core
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, encode_chunk, gather_chunks, make_note
from ofs_spark.foundation.columnar.hashing import route_texts
from ofs_spark.foundation.errors import Refusal
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.profile.compile import list_columns
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
        kept = (read_values(table, r.FLAGS) & self.keep_flags) != 0
        chosen = np.flatnonzero(kept) if order is None else order[kept[order]]
        narrow = table.select(list(self.columns))
        yield from split_chunks(
            EVENTS, narrow, route_rows(table, self.key_columns, self.width)[chosen], chosen, self.width
        )


def route_rows(table: pa.Table, key_columns: tuple[str, ...], width: int) -> Array:
    """Target of every row: crc32 of its layout key text modulo `width`."""
    return route_texts(join_layout_key(table, list(key_columns)), width)


def join_layout_key(table: pa.Table, key_columns: list[str]) -> pa.Array:
    """Placement text of every row: key parts joined by U+001F, or the event id where a part is missing."""
    parts = [combine_chunks(table.column(name)) for name in key_columns]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x1f")
    return pc.coalesce(joined, combine_chunks(table.column(r.EVENT_ID)))


def split_chunks(kind: str, table: pa.Table, target: Array, rows: Array, width: int) -> Iterator[Chunk]:
    """`rows` of `table` as one chunk per target; `target` is aligned with `rows`."""
    order = np.argsort(target.astype(np.uint16 if width <= 1 << 16 else np.int64), kind="stable")
    sorted_rows = table.take(pa.array(rows[order]))
    bounds = np.searchsorted(target[order], np.arange(width + 1))
    for index in np.flatnonzero(np.diff(bounds)):
        yield Chunk(int(index), encode_chunk(kind, sorted_rows.slice(bounds[index], bounds[index + 1] - bounds[index])))


def add_features(program: Program, groups: tuple[int, ...], keyed: KeyedTable) -> tuple[pa.Table, list[FeatureFault]]:
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
    return table, faults


def compute_columns(program: Program, index: int, keyed: KeyedTable) -> tuple[list[pa.Array], list[FeatureFault]]:
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


@dataclass(frozen=True)
class ByKey:
    """A middle step: computes one key's groups and routes to the next key."""

    program: Program
    step: flow.KeyStep
    onward: Route

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """Chunks of the next exchange, and a note per fault."""
        keyed = sort_by_key(gather_chunks(chunks)[EVENTS], flow.name_key_columns(self.program, self.step.key))
        table, faults = add_features(self.program, self.step.groups, keyed)
        for found in faults:
            yield make_note("fault", **found.note())
        yield from self.onward.send(table)
