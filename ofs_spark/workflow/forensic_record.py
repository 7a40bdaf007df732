"""A forensic record made: the state at one anchor rebuilt, with its snapshot and contributions as artifacts."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.ports import Put
from ofs_spark.foundation.refs import OwnedRef, name_forensic_artifact
from ofs_spark.intent.run import Run
from ofs_spark.parity.anchors import rebuild_content
from ofs_spark.parity.contributions import list_contributions
from ofs_spark.parity.coverage import unite_coverage
from ofs_spark.parity.states import develop
from ofs_spark.parity.verdict import UNCHECKABLE
from ofs_spark.publish.evidence import Evidence
from ofs_spark.replay.segment_groups import list_partitions
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.forensic import CONTRACT, refuse_verdict
from ofs_spark.workflow.parity_plan import ParityResolution
from ofs_spark.workflow.parity_report import Replayed, judge_anchors, replay_cells, write_receipt

SNAPSHOT = "ofs.forensic_snapshot.v1"
KEYS, OFFSETS = 100, 1_000
"""Keys, and offsets of each, that a record lists; the contributions have them all."""
Document = dict[str, Any]


def compose_record(resolution: ParityResolution, frozen: Evidence, held: Run, context: RunContext) -> Document:
    """The record of a plan's one anchor. frozen: the plan as evidence.

    PARITY_UNCHECKABLE where the state cannot be rebuilt, with what is missing.
    """
    plan, anchor = resolution.plan, resolution.anchors[0]
    evidence = {"resolved_build_plan": frozen}
    replayed = replay_cells(resolution, context)
    evidence["replay_completeness"] = write_receipt(replayed, held, context)
    ((_, verdict),) = judge_anchors(replayed, context)
    if verdict.outcome == UNCHECKABLE or verdict.rebuilt_hash is None:
        raise refuse_verdict(anchor.ref, verdict)
    content = rebuild_content(anchor, plan.profile)
    contributions, keys = _write_contributions(replayed, plan.intent.platform_run_id, context)
    return {
        "schema_version": CONTRACT,
        "run_key": held.run_key,
        "plan_id": plan.plan_id,
        "platform_run_id": plan.intent.platform_run_id,
        "training_dataset": False,
        "anchor": {
            "ref": anchor.ref,
            "sha256": anchor.sha256,
            "kind": anchor.kind,
            "snapshot_hash": anchor.snapshot_hash,
        },
        "outcome": "REBUILT",
        "parity": verdict.to_document(),
        "snapshot": _write_snapshot(replayed, content, verdict.rebuilt_hash, context),
        "contributions": contributions,
        "offsets_consumed": _describe_offsets(replayed),
        "counts": dict(verdict.counts),
        "keys": keys,
        "evidence": {kind: {"ref": one.ref, "sha256": one.sha256} for kind, one in evidence.items()},
        "feature_profile": plan.profile.to_document(),
        "differences": list(plan.differences),
    }


def _write_snapshot(replayed: Replayed, content: Mapping[str, Any], sha256: str, context: RunContext) -> Document:
    """The rebuilt snapshot as an artifact, named by its own digest."""
    table = develop(context.objects, replayed.folded, replayed.resolution.cells.reach[0])
    features = {one.pop("key"): one for one in table.to_pylist()}
    body = encode_canonical(
        {
            "schema_version": SNAPSHOT,
            "training_dataset": False,
            "rebuilt_from": replayed.resolution.plan.plan_id,
            "snapshot": {**content, "features": features, "snapshot_hash": sha256},
        }
    )
    return _put(body, "snapshot.json", replayed, context)


def _put(body: bytes, ending: str, replayed: Replayed, context: RunContext) -> Document:
    sha256 = hashlib.sha256(body).hexdigest()
    ref: OwnedRef = name_forensic_artifact(replayed.resolution.plan.intent.platform_run_id, f"{sha256}.{ending}")
    if context.objects.put_if_absent(ref, body) is Put.EXISTS and context.objects.digest(ref) != sha256:
        context.objects.replace(ref, body)  # its name is its digest: what stands there was damaged
    return {"ref": ref, "sha256": sha256}


def _write_contributions(
    replayed: Replayed, platform_run_id: str, context: RunContext
) -> tuple[Document, list[Document]]:
    """(the file of every delivery of every key, the first keys with their applied offsets)."""
    resolution = replayed.resolution
    reach = resolution.cells.reach[0]
    found = list_contributions(context.objects, replayed.scan.staged, replayed.folded, reach)
    places = list_partitions(resolution.cells.ranges)
    ordinals = found.column("partition_ordinal").to_pylist()
    named = {
        "platform_run_id": pa.array([platform_run_id] * found.num_rows, pa.string()),
        "training_dataset": pa.array([False] * found.num_rows),
        "topic": pa.array([places[one][0] for one in ordinals], pa.string()),
        "partition": pa.array([places[one][1] for one in ordinals], pa.int32()),
    }
    kept = ("offset", "key", "amount", "ts_text", "skip")
    table = pa.table({**named, **{name: found.column(name) for name in kept}}).sort_by(
        [("key", "ascending"), ("topic", "ascending"), ("partition", "ascending")]
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    put = _put(bytes(sink.getvalue()), "contributions.parquet", replayed, context)
    keys = len(pc.unique(table.column("key")))
    return {**put, "rows": table.num_rows, "keys": keys}, _list_keys(table)


def _list_keys(table: pa.Table) -> list[Document]:
    """The first keys by their texts, each with its applied offsets."""
    applied = table.filter(pc.equal(pc.fill_null(table.column("skip"), ""), ""))
    first = pc.unique(applied.column("key")).slice(0, KEYS)
    own = applied.filter(pc.is_in(applied.column("key"), first)).select(["key", "topic", "partition", "offset"])
    by_key: defaultdict[str, list[Document]] = defaultdict(list)
    for one in own.to_pylist():
        by_key[one.pop("key")].append(one)
    return [{"key": key, "event_count": len(one), "offsets": one[:OFFSETS]} for key, one in sorted(by_key.items())]


def _describe_offsets(replayed: Replayed) -> list[Document]:
    united = unite_coverage(replayed.scan.completeness, replayed.resolution.index)
    return [
        {"range": one.range.to_document(), "positions": one.positions, "status": one.status} for one in united.ranges
    ]
