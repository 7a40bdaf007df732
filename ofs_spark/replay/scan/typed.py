"""One batch of records to typed rows: values, conditions, core laws, flags; `replay/rows.py` names the columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.dataflow import CODED
from ofs_spark.hashing import fixed_bytes
from ofs_spark.pins.profile.model import Program, ValueType
from ofs_spark.replay import rows as r
from ofs_spark.replay.scan import archive as a
from ofs_spark.replay.scan import conditions, core
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.hashes import Hashes
from ofs_spark.replay.scan.spec import ScanSpec
from ofs_spark.replay.scan.values import read_values

Array = np.ndarray[Any, np.dtype[Any]]
PAYLOAD = ("payload",)

_TEXT, _LONG = pa.string(), pa.int64()
_BASE = [
    (r.EVENT_ID, _TEXT), (r.EVENT_TYPE, CODED), (r.TS, _LONG), (r.PART, pa.int32()), (r.SEQ, _LONG), (r.OFFSET, _TEXT),
    (r.ARRIVAL, _LONG), (r.PAYLOAD_HASH, pa.binary(32)), (r.HASH_OK, pa.bool_()), (r.FLAGS, _LONG),
]  # fmt: skip
_TYPES = {"decimal": _LONG, "int": _LONG, "double": pa.float64(), "string": _TEXT, "key": _TEXT, "bool": pa.bool_()}


def typed_schema(spec: ScanSpec) -> pa.Schema:
    """Columns and types of the typed rows, in order."""
    program = spec.program
    fields = [*_BASE, *([(r.TS_TEXT, _TEXT)] if program.core_laws else [])]
    for index, read in enumerate(program.reads):
        fields += [(r.read_column(index), _stored(read.type)), (r.status_column(index), pa.uint8())]
    fields += [(r.where_column(index), pa.bool_()) for index in range(len(program.wheres))]
    for law in range(len(program.core_laws)):
        fields += [(r.core_key_column(law), _TEXT), (r.core_amount_column(law), pa.float64())]
    return pa.schema(fields)


def _stored(type_: ValueType) -> pa.DataType:
    return _TEXT if type_.wide else _TYPES[type_.kind]


def paths_of(spec: ScanSpec) -> list[t.Path]:
    """Every path that a scan under `spec` looks for, each once."""
    wheres = [*spec.program.wheres, *(one.where for one in spec.row_filters)]
    found = [PAYLOAD, *(read.path for read in spec.program.reads)]
    found += [path for where in wheres for path in conditions.paths_of(where)]
    found += [path for law in spec.program.core_laws for path in core.paths_of(law)]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Placed:
    """Where the records of a batch stand: part and cluster of the task, order number and running arrival per record."""

    topic: str
    part: int
    seq: Array
    arrival: Array


def typed_batch(
    spec: ScanSpec, columns: pa.RecordBatch, tokens: t.Tokens, hashes: Hashes, placed: Placed
) -> pa.RecordBatch:
    """Typed rows of `columns`, whose envelopes are `tokens`; one row per record, in the same order."""
    kinds = columns.column(a.EVENT_TYPE).dictionary_encode()
    ts = np.asarray(columns.column(r.TS))
    base = {
        r.EVENT_ID: columns.column(a.EVENT_ID), r.EVENT_TYPE: kinds, r.TS: ts,
        r.PART: np.full(len(ts), placed.part, np.int32), r.SEQ: placed.seq, r.OFFSET: columns.column(a.OFFSET),
        r.ARRIVAL: placed.arrival, r.PAYLOAD_HASH: fixed_bytes(hashes.stated), r.HASH_OK: hashes.hold,
        r.FLAGS: _flags(spec, tokens, kinds, ts),
    }  # fmt: skip
    if spec.program.core_laws:
        base[r.TS_TEXT] = columns.column(r.TS_TEXT)
    declared = dict(_declared(spec, columns, tokens, kinds, placed.topic))
    schema = typed_schema(spec)
    named = {**base, **declared}
    return pa.record_batch([_fitted(named[field.name], field.type) for field in schema], schema=schema)


def _fitted(values: Any, type_: pa.DataType) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return array if array.type == type_ else array.cast(type_)


def _declared(
    spec: ScanSpec, columns: pa.RecordBatch, tokens: t.Tokens, kinds: pa.DictionaryArray, topic: str
) -> Iterator[tuple[str, Any]]:
    program = spec.program
    for index, read in enumerate(program.reads):
        values, status = read_values(tokens, read)
        yield r.read_column(index), values
        yield r.status_column(index), status
    for index, where in enumerate(program.wheres):
        yield r.where_column(index), conditions.holds(tokens, where)
    if program.core_laws:
        take = core.applied(tokens, kinds, topic, spec.platform_run_id)
    for index, law in enumerate(program.core_laws):
        yield r.core_key_column(index), core.core_keys(tokens, law, columns.column(a.EVENT_ID), take)
        yield r.core_amount_column(index), core.core_amounts(tokens, law)


def _flags(spec: ScanSpec, tokens: t.Tokens, kinds: pa.DictionaryArray, ts: Array) -> Array:
    """Flags that the event type gives, and ANCHOR taken back where time or a row filter says so."""
    by_type = np.array([type_flags(spec, name) for name in kinds.dictionary.to_pylist()], np.int64)
    flags: Array = by_type[np.asarray(kinds.indices)]
    anchor = np.ones(len(ts), np.bool_)
    if spec.anchor_from is not None:
        anchor &= ts >= spec.anchor_from
    if spec.anchor_to is not None:
        anchor &= ts < spec.anchor_to
    for one in spec.row_filters:
        anchor &= conditions.holds(tokens, one.where)
    return np.where(anchor, flags, flags & ~r.ANCHOR)


def type_flags(spec: ScanSpec, event_type: str) -> int:
    """IN_SCOPE, ANCHOR and the groups' source flags that an event of this type can have."""
    if spec.event_types is not None and event_type not in spec.event_types:
        return 0
    anchor = r.ANCHOR if spec.anchor_event_types is None or event_type in spec.anchor_event_types else 0
    return r.IN_SCOPE | anchor | source_flags(spec.program, event_type)


def source_flags(program: Program, event_type: str) -> int:
    """Flags of the groups of which an in-scope event of this type is a source."""
    chosen = (i for i, g in enumerate(program.groups) if g.event_types is None or event_type in g.event_types)
    return sum(r.source_flag(index) for index in chosen)
