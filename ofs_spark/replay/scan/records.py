"""From the kept rows of a segment group to typed rows: run scope, validity, declared fields; what is left out is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, find_undecodable
from ofs_spark.foundation.columnar.times import NO_INSTANT
from ofs_spark.replay import rows as r
from ofs_spark.replay.online_law import SKIP_CODES, Skip
from ofs_spark.replay.scan import archive as a
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.field_watch import FieldWatch
from ofs_spark.replay.scan.hashes import check_hashes
from ofs_spark.replay.scan.members import MemberTree
from ofs_spark.replay.scan.offsets import Kept
from ofs_spark.replay.scan.reading import MAX_DEPTH
from ofs_spark.replay.scan.shapes import Shapes
from ofs_spark.replay.scan.spec import ScanSpec, ScanTask
from ofs_spark.replay.scan.typed import (
    PAYLOAD,
    Placed,
    add_record_columns,
    derive_typed_schema,
    list_paths,
    make_online_batch,
    make_typed_batch,
)

BLOCK = 1 << 14
"""Records per batch: their spans stay in the processor's cache while the columns are read."""

SAMPLES = 20
"""Positions named per kind of anomaly; the counts are always whole."""

_REQUIRED = (a.EVENT_ID, a.EVENT_TYPE, a.RUN, a.PAYLOAD_HASH, a.ENVELOPE)
REASONS = (
    "",
    *(f"{name} is null, empty or not UTF-8" for name in _REQUIRED),
    "ts_utc is no UTC instant with at most 6 fractional digits",
    "the arrival time is no UTC instant with at most 6 fractional digits",
    "scenario_run_id or a time is not UTF-8",
    f"the envelope is not JSON, or nested deeper than {MAX_DEPTH} levels",
    "the envelope states a declared member twice",
    "the envelope is no object with an object payload",
    "payload_hash of one of its copies is not the envelope's, of a position stored more than once",
)
_TS, _ARRIVAL, _UNDECODABLE, _BROKEN, _DOUBLED, _NO_PAYLOAD, _HASH = range(len(REASONS) - 7, len(REASONS))


@dataclass(frozen=True)
class Records:
    """Typed rows, positions ascending, and what became of the others: counts, reasons, samples by position.

    watch: what no event of them has, or meets.
    """

    table: pa.Table
    counts: dict[str, int]
    reasons: dict[str, int]
    samples: list[dict[str, Any]]
    watch: FieldWatch


@dataclass(frozen=True)
class _Verdicts:
    """Per stored row: whether it is looked into, why it is invalid (0: nothing known against it), whether a copy is spoiled."""

    judged: Array
    reason: Array
    spoiled: Array


def read_records(
    task: ScanTask,
    spec: ScanSpec,
    table: pa.Table,
    kept: Kept,
    running: Array,
    bad_arrival: Array,
    undecodable: Array,
    wanted: Array | None = None,
) -> Records:
    """The kept rows as records. `running`: their arrival so far; `bad_arrival`: rows of `table` with a garbled one.

    `undecodable`: rows of `table` with a time that is not UTF-8. `wanted`: the rows of it that are looked into; None: all.
    """
    place = np.full(table.num_rows, -1, np.int64)
    place[kept.rows] = np.arange(len(kept.rows))
    mine = judge_run_scope(table, spec)
    judged = (place >= 0) & mine if wanted is None else (place >= 0) & mine & wanted
    reason = np.where(judged, _judge_columns(table, bad_arrival, undecodable), 0).astype(np.uint8)
    spoiled = np.zeros(table.num_rows, np.bool_)
    spoiled[kept.rows[_find_spoiled(table, kept)]] = True
    watch = FieldWatch(spec)
    verdicts = _Verdicts(judged, reason, spoiled)
    blocks = list(_read_blocks(task, spec, table, place, running, verdicts, watch))
    invalid = np.flatnonzero(judged & (reason > 0))
    if len(invalid):
        blocks.append(_keep_sightings(task, spec, table, invalid, place))
    rows = _join_rows(spec, blocks)
    found = Counter(REASONS[code] for code in reason[invalid].tolist())
    counts = {
        "out_of_run_scope": int((~mine[kept.rows]).sum()),
        "invalid": len(invalid),
        "valid": int(judged.sum()) - len(invalid),
    }
    first = invalid[np.argsort(place[invalid])][:SAMPLES]
    samples = [_describe_sample(task, table, place, reason, row) for row in first]
    return Records(rows, counts, dict(sorted(found.items())), samples, watch)


def _join_rows(spec: ScanSpec, batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Typed rows, positions ascending."""
    rows = pa.Table.from_batches(batches, derive_typed_schema(spec))
    if spec.online:
        rows = rows.combine_chunks()  # one batch: every task of a fold reads it
    seq = rows.column(r.SEQ).to_numpy()
    return rows.take(pa.array(np.argsort(seq, kind="stable"))) if (np.diff(seq) < 0).any() else rows


def _find_spoiled(table: pa.Table, kept: Kept) -> Array:
    """Positions stored more than once, one of whose copies has another hash than its envelope's: indexes of `kept.rows`.

    Every copy is hashed: which one stays is chosen by what the copies state.
    """
    if not len(kept.copy_rows):
        return kept.copy_places
    copies = table.select([a.ENVELOPE, a.PAYLOAD_HASH]).take(pa.array(kept.copy_rows))
    envelopes, stated = combine_chunks(copies.column(0)), combine_chunks(copies.column(1))
    hashes = check_hashes(envelopes, stated, t.scan_tokens(envelopes, ()).canonical)
    spoiled: Array = np.unique(kept.copy_places[~hashes.hold])
    return spoiled


def _describe_sample(task: ScanTask, table: pa.Table, place: Array, reason: Array, row: int) -> dict[str, Any]:
    seq = int(place[row]) | task.segment_group << 32
    return {"seq": seq, "offset": table.column(a.OFFSET)[int(row)].as_py(), "reason": REASONS[reason[row]]}


def judge_run_scope(table: pa.Table, spec: ScanSpec) -> Array:
    """Which rows are of the intent's runs. A row whose runs nobody can read is judged here, and found invalid.

    The online plane judges runs itself, by the envelope: to its scan every row is in scope.
    """
    if spec.online:
        return np.ones(table.num_rows, np.bool_)
    named, scenario = table.column(a.RUN), table.column(a.SCENARIO)
    run = _read_mask(pc.equal(named, spec.platform_run_id), False) | _find_blank(named) | find_undecodable(named)
    if spec.scenario_run_ids:
        scenarios = pa.array(spec.scenario_run_ids, pa.large_string())
        run &= _read_mask(pc.is_in(scenario, scenarios), False) | find_undecodable(scenario)
    return run


def _read_mask(flags: pa.ChunkedArray, of_null: bool) -> Array:
    truth: Array = pc.fill_null(flags, of_null).to_numpy().astype(np.bool_)
    return truth


def _find_blank(column: pa.ChunkedArray) -> Array:
    return _read_mask(pc.equal(pc.binary_length(column), 0), True)


def _judge_columns(table: pa.Table, bad_arrival: Array, undecodable: Array) -> Array:
    """Reason per row that the columns alone give, 0 where they give none; the first in the order of REASONS."""
    reason = np.zeros(table.num_rows, np.uint8)
    reason[undecodable | find_undecodable(table.column(a.SCENARIO))] = _UNDECODABLE
    reason[bad_arrival] = _ARRIVAL
    reason[table.column(r.TS).to_numpy() == NO_INSTANT] = _TS
    for code, name in reversed(list(enumerate(_REQUIRED, start=1))):
        column = table.column(name)
        reason[_find_blank(column) | find_undecodable(column)] = code
    return reason


def _read_blocks(
    task: ScanTask,
    spec: ScanSpec,
    table: pa.Table,
    place: Array,
    running: Array,
    verdicts: _Verdicts,
    watch: FieldWatch,
) -> Iterator[pa.RecordBatch]:
    """Typed rows of the valid records, block by block; the verdicts' reasons are completed on the way."""
    begin, paths, reason = 0, list_paths(spec), verdicts.reason
    shapes = Shapes(MemberTree.of(paths))
    for block in table.to_batches(max_chunksize=BLOCK):
        rows = begin + np.flatnonzero((verdicts.judged & (reason == 0))[begin : begin + block.num_rows])
        begin += block.num_rows
        if not len(rows):
            continue
        chosen = block if len(rows) == block.num_rows else block.take(pa.array(rows - (begin - block.num_rows)))
        tokens = add_record_columns(spec, t.scan_tokens(chosen.column(a.ENVELOPE), paths, shapes), chosen)
        reason[rows] = _judge_envelopes(tokens, verdicts.spoiled[rows])
        placed = Placed(
            task.topic, task.partition_ordinal, place[rows] | task.segment_group << 32, running[place[rows]]
        )
        if spec.online:
            typed = make_online_batch(spec, chosen, tokens, placed)
        else:
            hashes = check_hashes(chosen.column(a.ENVELOPE), chosen.column(a.PAYLOAD_HASH), tokens.canonical)
            typed = make_typed_batch(spec, chosen, tokens, hashes, placed)
        good = reason[rows] == 0
        watch.look(tokens, typed, good, chosen.column(a.ENVELOPE))
        yield typed if good.all() else typed.filter(pa.array(good))


def _judge_envelopes(tokens: t.Tokens, wrong_hash: Array) -> Array:
    conditions = [tokens.state == t.BROKEN, tokens.state == t.DOUBLED, tokens.kind[PAYLOAD] != t.OBJECT, wrong_hash]
    return np.select(conditions, [_BROKEN, _DOUBLED, _NO_PAYLOAD, _HASH], 0).astype(np.uint8)


def _keep_sightings(task: ScanTask, spec: ScanSpec, table: pa.Table, invalid: Array, place: Array) -> pa.RecordBatch:
    """Invalid records that name an event: an event id seen again is seen again, whatever the record is worth.

    The online plane skips and counts every one.
    """
    ids = table.column(a.EVENT_ID)
    named = invalid if spec.online else invalid[~(_find_blank(ids) | find_undecodable(ids))[invalid]]
    columns = {
        r.SKIP: pa.array(np.full(len(named), SKIP_CODES[Skip.UNREADABLE], np.uint8)),
        **({} if spec.online else {r.EVENT_ID: combine_chunks(ids.take(pa.array(named))).cast(pa.string())}),
        r.SEQ: pa.array(place[named] | task.segment_group << 32),
        r.FLAGS: pa.array(np.full(len(named), r.UNREADABLE, np.int64)),
        r.PARTITION_ORDINAL: pa.array(np.full(len(named), task.partition_ordinal, np.int32)),
    }
    schema = derive_typed_schema(spec)
    arrays = [columns.get(f.name, _make_zeros(f.type, len(named))) for f in schema]
    return pa.record_batch([array.cast(f.type) for array, f in zip(arrays, schema, strict=True)], schema=schema)


def _make_zeros(type_: pa.DataType, count: int) -> pa.Array:
    whole = pa.types.is_primitive(type_)
    return pa.array(np.zeros(count, np.int8)).cast(type_) if whole else pa.nulls(count, type_)
