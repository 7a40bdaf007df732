"""The DatasetManifest v1: everything a reader needs to trust, load and rebuild the dataset, in at most 8 MiB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.canonical import MAX_BYTES, digest, encode_canonical
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.errors import InternalError, refuse
from ofs_spark.foundation.wording import write_count
from ofs_spark.pins.columns import Column
from ofs_spark.publish.digest import LeafDigest
from ofs_spark.publish.evidence import Evidence
from ofs_spark.publish.file_list import FileList
from ofs_spark.publish.gate import Gate, derive_status
from ofs_spark.publish.layout import parse_bucket

SCHEMA_VERSION = "learning.dataset_manifest.v1"
BUCKETS_LISTED = 4096
"""Beyond this many buckets, or where a manifest has no room, their digests follow from the file list alone."""

_COLUMN_BYTES = MAX_BYTES // 2
"""What the columns may take of a manifest."""
_RESERVED_BYTES = 1 << 16
"""Kept for what only the build knows: coverage, gates, evidence, versions."""
_DIGEST_BYTES = 67
"""A bucket's digest in a list."""
_MOST_ROWS = 10**18

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
    ("backfill",),
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
        "columns": [_compose_column(column, table.null_counts, table.truncated) for column in table.columns],
        "materialization": _compose_materialization(table, _find_room(pinned, table.columns)),
        "evidence": {kind: {"ref": e.ref, "sha256": e.sha256} for kind, e in evidence.items()},
        "build_environment": dict(environment),
    }
    require_valid(document, SCHEMA_VERSION)
    if len(encode_canonical(document)) > MAX_BYTES:
        raise InternalError(f"a manifest has at most {MAX_BYTES} bytes")
    return document


def require_room(pinned: Mapping[str, Any], columns: Sequence[Column]) -> None:
    """Refuses, before any work, a plan whose manifest could not be read again; `pinned` as in `compose_manifest`.

    FEATURE_PROFILE_UNRESOLVED for more columns than half of it holds, BASIS_UNRESOLVED for more slices than the rest.
    """
    described = _measure_columns(columns)
    if described > _COLUMN_BYTES:
        found = f"{write_count(len(columns), 'column')}, {write_count(described, 'byte')} in a manifest"
        message = f"the set has {found}, which has {_COLUMN_BYTES:,} for them"
        raise refuse("FEATURE_PROFILE_UNRESOLVED", message, pointer="/feature_definition_set")
    room = _find_room(pinned, columns)
    if room < 0:
        slices = len(pinned["replay_basis"])
        over = write_count(-room, "byte")
        message = f"the basis of {slices} slices makes a manifest {over} larger than the {MAX_BYTES:,} it may have"
        raise refuse("BASIS_UNRESOLVED", message, pointer="/replay_basis", slices=slices)


def has_no_room(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest without bucket digests may be without them because it is large already."""
    counts = 3 * len(str(_MOST_ROWS)) * len(manifest["columns"])
    least = _DIGEST_BYTES * BUCKETS_LISTED + _RESERVED_BYTES + counts
    return len(encode_canonical(dict(manifest))) + least > MAX_BYTES


def _find_room(pinned: Mapping[str, Any], columns: Sequence[Column]) -> int:
    """Bytes that a manifest has left beside what plan and columns take, at their greatest counts; negative for too few."""
    return MAX_BYTES - _RESERVED_BYTES - _measure_columns(columns) - len(encode_canonical(dict(pinned)))


def _measure_columns(columns: Sequence[Column]) -> int:
    most = dict.fromkeys((column.name for column in columns), _MOST_ROWS)
    counted = [_compose_column(column, most, most) for column in columns]
    return len(encode_canonical(counted)) + len(encode_canonical(most))


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


def summarise_replay(
    counts: Mapping[str, int], truncated: Mapping[str, int], unseen: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What a manifest says of the replay: its closing counts, rows with a truncated window by column, what was tolerated.

    unseen: declared fields that no in-scope event has, with the columns that read them.
    """
    return {
        "counts": {name: counts[name] for name in _COUNTS},
        "truncated": {name: rows for name, rows in truncated.items() if rows},
        "anomalies": {name: counts[name] for name in _ANOMALIES if counts[name]},
        **({"unseen_fields": [dict(one) for one in unseen]} if unseen else {}),
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


def _compose_column(column: Column, nulls: Mapping[str, int], truncated: Mapping[str, int]) -> dict[str, Any]:
    said = {"window": column.window, "source": column.source, "unit": column.unit}
    counts = {"nulls": nulls[column.name], "truncated_rows": truncated.get(column.name, 0)}
    named = {"name": column.name, "type": column.type, "role": column.role, "meaning": column.meaning}
    return {**named, **{name: text for name, text in said.items() if text}, **counts}


def _compose_materialization(table: Materialization, room: int) -> dict[str, Any]:
    files = table.files
    fitting = table.buckets <= min(BUCKETS_LISTED, room // _DIGEST_BYTES)
    listed = {"bucket_digests": digest_buckets(table.leaves, table.buckets)} if fitting else {}
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
