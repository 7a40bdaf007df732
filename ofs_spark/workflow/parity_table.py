"""A sweep's results as a Delta table: one row per anchor."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import Put
from ofs_spark.foundation.refs import OwnedRef, name_parity_table, name_part_file, name_table_file
from ofs_spark.intent.run import Run
from ofs_spark.parity.verdict import Verdict
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.columns import INT64, STRING, Column
from ofs_spark.publish.delta_log import read_log
from ofs_spark.publish.model import FileEntry
from ofs_spark.workflow.context import RunContext

COUNTS = ("seen", "applied", "duplicates", "payload_hash_mismatch")
COLUMNS = (
    Column("anchor_ref", STRING, "identity", "the anchor"),
    Column("kind", STRING, "identity", "snapshot, audit, decision or unknown"),
    Column("outcome", STRING, "feature", "MATCH, MISMATCH or UNCHECKABLE"),
    Column("category", STRING, "feature", "of MISMATCH, which one"),
    Column("expected_hash", STRING, "feature", "the snapshot hash that the anchor states"),
    Column("rebuilt_hash", STRING, "feature", "the snapshot hash that the archive gives"),
    Column("keys", INT64, "feature", "keys of the rebuilt snapshot"),
    *(Column(name, INT64, "feature", "what the online plane counts within the anchor's basis") for name in COUNTS),
    Column("differences", INT64, "feature", "fields of keys that differ, where they were compared"),
    Column("prerequisite", STRING, "feature", "of UNCHECKABLE, what is missing"),
    Column("reason", STRING, "feature", "why, in words"),
)


def write_results(verdicts: Sequence[Verdict], held: Run, platform_run_id: str, context: RunContext) -> dict[str, Any]:
    """Writes and commits the table in a folder of the attempt: {path, rows, delta_log_sha256}."""
    folder = name_parity_table(platform_run_id, held.run_key, held.attempt)
    rows = [_describe_row(one) for one in verdicts]
    schema = pa.schema([(column.name, to_arrow_type(column.type)) for column in COLUMNS])
    entry = _put_file(pa.Table.from_pylist(rows, schema), folder, context)
    context.tables.create(
        context.objects.locate(folder),
        COLUMNS,
        [entry],
        held.run_key,
        "OFS parity sweep: one row per anchor",
        {"ofs.run_key": held.run_key},
        int(context.clock.now().timestamp() * 1000),
    )
    return {"path": folder, "rows": len(rows), "delta_log_sha256": read_log(context.objects, folder).log_sha256}


def _describe_row(verdict: Verdict) -> dict[str, Any]:
    own = {column.name: getattr(verdict, column.name, None) for column in COLUMNS}
    counts = {name: verdict.counts.get(name) for name in COUNTS}
    texts = {name: own[name] or None for name in ("prerequisite", "reason")}
    return {**own, **counts, **texts, "differences": verdict.difference_count}


def _put_file(table: pa.Table, folder: OwnedRef, context: RunContext) -> FileEntry:
    ref = name_table_file(folder, name_part_file(0, 0))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    body = bytes(sink.getvalue())
    if context.objects.put_if_absent(ref, body) is Put.EXISTS:
        raise refuse("MATERIALIZATION_CORRUPT", f"{ref} stands in a folder that is this attempt's own", ref=ref)
    nulls = {name: table.column(name).null_count for name in table.column_names}
    return FileEntry(ref, table.num_rows, len(body), hashlib.sha256(body).hexdigest(), 0, 0, nulls, ())
