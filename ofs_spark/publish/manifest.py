"""The DatasetManifest v1: everything a reader needs to trust, load and rebuild the dataset, in under 1 MiB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.canonical import digest, encode_canonical
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.errors import InternalError
from ofs_spark.pins.columns import Column
from ofs_spark.publish.digest import LeafDigest
from ofs_spark.publish.evidence import Evidence
from ofs_spark.publish.file_list import FileList
from ofs_spark.publish.gate import Gate, derive_status
from ofs_spark.publish.layout import parse_bucket

SCHEMA_VERSION = "learning.dataset_manifest.v1"
MAX_BYTES = 1 << 20
BUCKETS_LISTED = 4096
"""Beyond this many buckets their digests follow from the file list alone; the manifest stays small."""

_COUNTS = (
    "delivered",
    "position_duplicates",
    "positions",
    "rows",
    "redeliveries",
    "conflicts",
    "out_of_scope",
    "invalid",
)
_ANOMALIES = ("mismatches", "conflicts", "invalid")

_NOT_COMPARED = (
    ("materialization", "attempt"),
    ("materialization", "path"),
    ("materialization", "delta_log_sha256"),
    ("materialization", "files"),
    ("build_environment",),
    ("timings",),
    ("evidence",),
)


@dataclass(frozen=True)
class Materialization:
    """The staged and verified table.

    path: ref of the table's folder; layout: the plan's, as a document; buckets: their number B; null_counts and
    truncated: rows by column.
    """

    attempt: str
    path: str
    delta_log_sha256: str
    columns: Sequence[Column]
    rows: int
    layout: Mapping[str, Any]
    buckets: int
    leaves: Sequence[LeafDigest]
    content_digest: str
    files: FileList
    null_counts: Mapping[str, int]
    truncated: Mapping[str, int]


def compose_manifest(
    pinned: Mapping[str, Any],
    table: Materialization,
    replay: Mapping[str, Any],
    labels: Mapping[str, Any],
    gates: Sequence[Gate],
    evidence: Mapping[str, Evidence],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The manifest document, valid under its contract (InternalError otherwise).

    pinned: every field that the plan alone decides, `pins` (name of each moving pin → resolved value) among them;
    replay: counts and what was tolerated; labels: the label resolution receipt; evidence: kind → written document;
    environment: code, Spark, Delta and Python versions.
    """
    document = {
        **pinned,
        "schema_version": SCHEMA_VERSION,
        "status": derive_status(gates),
        "gates": [gate.to_document() for gate in gates],
        "replay": dict(replay),
        "labels": summarise_labels(labels),
        "columns": [_compose_column(column, table) for column in table.columns],
        "materialization": _compose_materialization(table),
        "evidence": {kind: {"ref": e.ref, "sha256": e.sha256} for kind, e in evidence.items()},
        "build_environment": dict(environment),
    }
    require_valid(document, SCHEMA_VERSION)
    if len(encode_canonical(document)) > MAX_BYTES:
        raise InternalError("a manifest stays under 1 MiB")
    return document


def is_same_dataset(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two manifests of one id are the same dataset: equal pins, plan and content."""
    return not find_differing_pins(one, other)


def find_differing_pins(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names of what makes two manifests of one id different datasets: `pins/…`, plan_id, content_digest."""
    mine, theirs = _compose_identity(one), _compose_identity(other)
    return sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))


def strip_uncompared(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest without what two builds of one plan may differ in: where, when, by what, under which run."""
    document = deepcopy(dict(manifest))
    for *parents, name in _NOT_COMPARED:
        holder = document
        for parent in parents:
            holder = holder[parent]
        holder.pop(name, None)
    for span in document["basis"]:
        span.pop("source", None)
    return document


def digest_buckets(leaves: Sequence[LeafDigest], buckets: int) -> list[str]:
    """`H` of each bucket's leaves [leaf, rows, column digests] by id; bucket by bucket, an empty one has `H([])`."""
    held: list[list[Any]] = [[] for _ in range(buckets)]
    for leaf in sorted(leaves, key=lambda leaf: leaf.leaf.encode()):
        held[parse_bucket(leaf.leaf)].append([leaf.leaf, leaf.rows, list(leaf.columns)])
    return [digest(bucket) for bucket in held]


def _compose_identity(manifest: Mapping[str, Any]) -> dict[str, Any]:
    pins = {f"pins/{name}": value for name, value in manifest.get("pins", {}).items()}
    table = manifest.get("materialization", {})
    return {**pins, "plan_id": manifest.get("plan_id"), "content_digest": table.get("content_digest")}


def summarise_replay(counts: Mapping[str, int], truncated: Mapping[str, int]) -> dict[str, Any]:
    """What a manifest says of the replay: its closing counts, rows with a truncated window by column, what was tolerated."""
    return {
        "counts": {name: counts[name] for name in _COUNTS},
        "truncated": {name: rows for name, rows in truncated.items() if rows},
        "anomalies": {name: counts[name] for name in _ANOMALIES if counts[name]},
    }


def count_anomalies(counts: Mapping[str, int]) -> int:
    """Position mismatches, conflicts of an event id, and invalid records."""
    return sum(counts[name] for name in _ANOMALIES)


def summarise_labels(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of labels, from the label resolution receipt."""
    basis = receipt["label_basis"]
    types = sorted(receipt["types"])
    known = {"extract": receipt["extract"], "types": types, "coverage": receipt["types"], "ready": receipt["ready"]}
    return {**basis, **known}


def _compose_column(column: Column, table: Materialization) -> dict[str, Any]:
    said = {"window": column.window, "source": column.source, "unit": column.unit}
    counts = {"nulls": table.null_counts[column.name], "truncated_rows": table.truncated.get(column.name, 0)}
    named = {"name": column.name, "type": column.type, "role": column.role, "meaning": column.meaning}
    return {**named, **{name: text for name, text in said.items() if text}, **counts}


def _compose_materialization(table: Materialization) -> dict[str, Any]:
    files = table.files
    listed = {"bucket_digests": digest_buckets(table.leaves, table.buckets)} if table.buckets <= BUCKETS_LISTED else {}
    return {
        "attempt": table.attempt,
        "path": table.path,
        "delta_version": 0,
        "delta_log_sha256": table.delta_log_sha256,
        "row_count": table.rows,
        "layout": dict(table.layout),
        "content_digest": table.content_digest,
        "files": {"ref": files.ref, "sha256": files.sha256, "count": files.files, "bytes": files.bytes},
        **listed,
    }
