"""One batch of records to typed rows: values, conditions, core laws, flags; `replay/rows.py` names the columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.dataflow import CODED
from ofs_spark.foundation.columnar.hashing import hash_crc32, to_fixed_binary
from ofs_spark.pins.profile.model import RECORD, Program, ValueType
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import flag_anchors
from ofs_spark.replay.scan import archive as a
from ofs_spark.replay.scan import conditions
from ofs_spark.replay.scan import online_core as core
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.hashes import Hashes
from ofs_spark.replay.scan.members import Path as MemberPath
from ofs_spark.replay.scan.spec import ScanSpec
from ofs_spark.replay.scan.values import read_values

PAYLOAD = ("payload",)

_TEXT, _LONG = pa.string(), pa.int64()
_BASE = [
    (r.EVENT_ID, _TEXT), (r.EVENT_TYPE, CODED), (r.TS, _LONG), (r.PARTITION_ORDINAL, pa.int32()), (r.SEQ, _LONG), (r.OFFSET, _TEXT),
    (r.ARRIVAL, _LONG), (r.PAYLOAD_HASH, pa.binary(32)), (r.HASH_OK, pa.bool_()), (r.FLAGS, _LONG),
]  # fmt: skip
_ONLINE = [
    (r.PARTITION_ORDINAL, pa.int32()), (r.SEQ, _LONG), (r.OFFSET, _TEXT), (r.ARRIVAL, _LONG), (r.SKIP, pa.uint8()),
    (r.EVENT_PRINT, pa.binary(16)), (r.PAYLOAD_PRINT, pa.binary(16)), (r.ROUTE, pa.uint32()), (r.TS_TEXT, _TEXT),
]  # fmt: skip
_TYPES = {"decimal": _LONG, "int": _LONG, "double": pa.float64(), "string": _TEXT, "key": _TEXT, "bool": pa.bool_()}


def derive_typed_schema(spec: ScanSpec) -> pa.Schema:
    """Columns and types of the typed rows, in order."""
    program = spec.program
    if spec.online:
        return pa.schema([*_ONLINE, *_list_core_fields(program)])
    fields = [*_BASE, *([(r.TS_TEXT, _TEXT)] if program.online_core_rules else [])]
    for index, read in enumerate(program.reads):
        fields += [(r.name_read_column(index), _choose_type(read.type)), (r.name_status_column(index), pa.uint8())]
    fields += [(r.name_condition_column(index), pa.bool_()) for index in range(len(program.conditions))]
    return pa.schema([*fields, *_list_core_fields(program)])


def _list_core_fields(program: Program) -> Iterator[tuple[str, pa.DataType]]:
    for rules in range(len(program.online_core_rules)):
        yield from ((r.name_core_key_column(rules), _TEXT), (r.name_core_amount_column(rules), pa.float64()))


def _choose_type(type_: ValueType) -> pa.DataType:
    return _TEXT if type_.wide else _TYPES[type_.kind]


def list_paths(spec: ScanSpec) -> list[MemberPath]:
    """Every path of the envelope that a scan under `spec` looks for, each once."""
    return [path for path in _list_all_paths(spec) if path[0] != RECORD]


def add_record_columns(spec: ScanSpec, tokens: t.Tokens, columns: pa.RecordBatch) -> t.Tokens:
    """The tokens of the envelopes and, under their paths, the columns of the records that the program reads."""
    for path in _list_all_paths(spec):
        if path[0] == RECORD:
            tokens = tokens.add_column(path, columns.column(path[1]))
    return tokens


def _list_all_paths(spec: ScanSpec) -> list[MemberPath]:
    wanted = [*spec.program.conditions, *spec.anchors.conditions]
    found = [PAYLOAD, *(read.path for read in spec.program.reads)]
    found += [path for condition in wanted for path in conditions.list_paths(condition)]
    found += [path for rules in spec.program.online_core_rules for path in core.list_paths(rules)]
    found += [core.SCHEMA_VERSION] if spec.online else []
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Placed:
    """Where the records of a batch stand: partition and segment group of the task, order number and running arrival per record."""

    topic: str
    partition_ordinal: int
    seq: Array
    arrival: Array


def make_typed_batch(
    spec: ScanSpec, columns: pa.RecordBatch, tokens: t.Tokens, hashes: Hashes, placed: Placed
) -> pa.RecordBatch:
    """Typed rows of `columns`, whose envelopes are `tokens`; one row per record, in the same order."""
    kinds = columns.column(a.EVENT_TYPE).dictionary_encode()
    ts = np.asarray(columns.column(r.TS))
    base = {
        r.EVENT_ID: columns.column(a.EVENT_ID), r.EVENT_TYPE: kinds, r.TS: ts,
        r.PARTITION_ORDINAL: np.full(len(ts), placed.partition_ordinal, np.int32), r.SEQ: placed.seq,
        r.OFFSET: columns.column(a.OFFSET),
        r.ARRIVAL: placed.arrival, r.PAYLOAD_HASH: to_fixed_binary(hashes.stated), r.HASH_OK: hashes.hold,
        r.FLAGS: _flag_events(spec, tokens, kinds, ts),
    }  # fmt: skip
    if spec.program.online_core_rules:
        base[r.TS_TEXT] = columns.column(r.TS_TEXT)
    return _compose_batch(spec, base | dict(_read_declared(spec, columns, tokens, kinds, placed.topic)))


def make_online_batch(spec: ScanSpec, columns: pa.RecordBatch, tokens: t.Tokens, placed: Placed) -> pa.RecordBatch:
    """The same for the online plane's law, which asks nothing of the archived payload hash."""
    kinds = columns.column(a.EVENT_TYPE).dictionary_encode()
    judged = core.judge_events(tokens, kinds, placed.topic, spec.platform_run_id)
    event_ids, applied = columns.column(a.EVENT_ID), judged.skip == 0
    prints = core.print_events(judged, event_ids, spec.print_key)
    payloads = core.print_payloads(tokens, kinds, columns.column(a.ENVELOPE), applied, spec.print_key)
    base = {
        r.PARTITION_ORDINAL: np.full(len(applied), placed.partition_ordinal, np.int32), r.SEQ: placed.seq,
        r.OFFSET: columns.column(a.OFFSET), r.ARRIVAL: placed.arrival, r.SKIP: judged.skip,
        r.EVENT_PRINT: to_fixed_binary(prints), r.PAYLOAD_PRINT: to_fixed_binary(payloads),
        r.TS_TEXT: columns.column(r.TS_TEXT),
    }  # fmt: skip
    law = dict(_read_core(spec.program, columns, tokens, applied))
    return _compose_batch(spec, base | law | {r.ROUTE: hash_crc32(law[r.name_core_key_column(0)])})


def _compose_batch(spec: ScanSpec, named: Mapping[str, Any]) -> pa.RecordBatch:
    schema = derive_typed_schema(spec)
    return pa.record_batch([_fit(named[field.name], field.type) for field in schema], schema=schema)


def _fit(values: Any, type_: pa.DataType) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return array if array.type == type_ else array.cast(type_)


def _read_declared(
    spec: ScanSpec, columns: pa.RecordBatch, tokens: t.Tokens, kinds: pa.DictionaryArray, topic: str
) -> Iterator[tuple[str, Any]]:
    program = spec.program
    for index, read in enumerate(program.reads):
        values, status = read_values(tokens, read)
        yield r.name_read_column(index), values
        yield r.name_status_column(index), status
    for index, where in enumerate(program.conditions):
        yield r.name_condition_column(index), conditions.judge_condition(tokens, where)
    if program.online_core_rules:
        take = core.judge_events(tokens, kinds, topic, spec.platform_run_id).skip == 0
        yield from _read_core(program, columns, tokens, take)


def _read_core(
    program: Program, columns: pa.RecordBatch, tokens: t.Tokens, take: Array
) -> Iterator[tuple[str, pa.Array]]:
    for index, rules in enumerate(program.online_core_rules):
        yield r.name_core_key_column(index), core.read_core_keys(tokens, rules, columns.column(a.EVENT_ID), take)
        yield r.name_core_amount_column(index), core.read_core_amounts(tokens, rules)


def _flag_events(spec: ScanSpec, tokens: t.Tokens, kinds: pa.DictionaryArray, ts: Array) -> Array:
    """Flags that the event type gives, and the anchor's where the spec's rule holds."""
    by_type = np.array([derive_type_flags(spec, name) for name in kinds.dictionary.to_pylist()], np.int64)
    return flag_anchors(spec.anchors, by_type[np.asarray(kinds.indices)], kinds, ts, tokens)


def derive_type_flags(spec: ScanSpec, event_type: str) -> int:
    """IN_SCOPE and the groups' source flags that an event of this type has."""
    if spec.event_types is not None and event_type not in spec.event_types:
        return 0
    return r.IN_SCOPE | derive_source_flags(spec.program, event_type)


def derive_source_flags(program: Program, event_type: str) -> int:
    """Flags of the groups of which an in-scope event of this type is a source."""
    chosen = (i for i, g in enumerate(program.groups) if g.event_types is None or event_type in g.event_types)
    return sum(r.flag_source(index) for index in chosen)
