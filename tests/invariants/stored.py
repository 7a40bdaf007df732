"""Rules about what stands in the object root: manifests, the bytes that they name, and what those bytes say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as _dataset  # noqa: F401  # seconds to load: here, and not in the first look
import pyarrow.parquet as pq
from deltalake import DeltaTable

from tests.invariants.content import digest_buckets, digest_content, digest_leaf
from tests.invariants.view import EVIDENCE, UNFINISHED, View, encode_canonical, find_maker, hash_value

Manifest = dict[str, Any]


def judge_manifests(view: View) -> Iterator[str]:
    """I1."""
    for ref in view.below("ofs/manifests"):
        document, name = view.document(ref), Path(ref).name
        if not isinstance(document, dict):
            yield f"{ref} is no whole JSON object"
            continue
        if view.read(ref) != encode_canonical(document):
            yield f"{ref} is not canonical"
        kind = "v0" if name.endswith(".v0.json") else "v1"
        if document["schema_version"] != f"learning.dataset_manifest.{kind}":
            yield f"{ref} says it is a {document['schema_version']}"
        named = {"recipe": "ofs.dataset_manifest_id.v1"}
        own = hash_value({**named, "payload": {"dataset_fingerprint": document["dataset_fingerprint"]}})[:32]
        suffix = ".v0.json" if kind == "v0" else ".json"
        if (document["dataset_manifest_id"], name) != (f"dm_{own}", f"dm_{own}{suffix}"):
            yield f"{ref} holds {document['dataset_manifest_id']}, whose fingerprint names dm_{own}"
        if not ref.startswith(f"{document['platform_run_id']}/ofs/manifests/"):
            yield f"{ref} is of {document['platform_run_id']}"
        if kind == "v1" and document["plan_id"] != hash_value(document["pins"]):
            yield f"{ref} has plan_id {document['plan_id']}, its pins come to {hash_value(document['pins'])}"


def judge_one_each(view: View) -> Iterator[str]:
    """I2."""
    by_plan: dict[str, list[str]] = defaultdict(list)
    for ref, manifest in view.manifests.items():
        by_plan[manifest["plan_id"]].append(ref)
    yield from (f"plan {plan} has {len(refs)} manifests: {sorted(refs)}" for plan, refs in by_plan.items() if refs[1:])
    yield from (f"run {key} made {len(refs)} manifests: {refs}" for key, refs in view.own_manifests.items() if refs[1:])
    for run_key, plans in _list_plans(view).items():
        if len(set(plans.values())) > 1:
            yield f"run {run_key} has several plans: {plans}"
    for run_key, run in view.runs.items():
        own = hash_value({"recipe": "ofs.run_key.v1", "request_id": run["request_id"]})[:32]
        if run_key != own:
            yield f"run {run_key} is of request {run['request_id']}, whose run is {own}"


def _list_plans(view: View) -> dict[str, dict[str, str]]:
    """Run key → ref of what names a plan of it → plan id: its plan, the manifests it made, its receipt of a commit."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for ref in view.below("ofs/resolved_build_plan"):
        found[Path(ref).stem][ref] = view.document(ref)["plan_id"]
    for ref, manifest in view.manifests.items():
        found[find_maker(manifest)][ref] = manifest["plan_id"]
    for ref in view.below("ofs/publication"):
        receipt = view.document(ref)
        if receipt["outcome"] == "COMMITTED":
            found[receipt["run_key"]][ref] = receipt["plan_id"]
    return found


def judge_bytes(view: View) -> Iterator[str]:
    """I3."""
    for ref, manifest in view.manifests.items():
        table = manifest["materialization"]
        stated = {one["ref"]: one["sha256"] for one in manifest["evidence"].values()}
        stated |= {table["files"]["ref"]: table["files"]["sha256"]}
        stated |= {f"{table['path']}/_delta_log/{0:020d}.json": table["delta_log_sha256"]}
        for named, sha256 in stated.items():
            found = view.sha256(named)
            if found != sha256:
                yield f"{ref} names {named} with sha256 {sha256}; there is {found or 'nothing'}"
        if set(EVIDENCE) - set(manifest["evidence"]):
            yield f"{ref} lacks evidence: {sorted(manifest['evidence'])}"
        yield from view.history.recall(_key("bytes", view, ref), partial(_judge_table_bytes, view, ref))


def judge_content(view: View) -> Iterator[str]:
    """I4."""
    for ref in view.manifests:
        yield from view.history.recall(_key("content", view, ref), partial(_judge_content, view, ref))


def name_all(view: View, ref: str) -> set[str]:
    """Refs of everything of OFS that a manifest names, the data files of its list included."""
    return name_all_of(view, view.manifests[ref])


def name_all_of(view: View, manifest: Manifest) -> set[str]:
    """The same of a manifest that need not stand."""
    table = manifest["materialization"]
    named = {one["ref"] for one in manifest["evidence"].values()}
    named |= {table["files"]["ref"], f"{table['path']}/_delta_log/{0:020d}.json"}
    return named | {entry["path"] for entry in _read_list(view, table["files"]["ref"])}


def judge_unfinished(view: View) -> Iterator[str]:
    """I14."""
    for ref in view.manifests:
        yield from (f"{ref} names {one}" for one in name_all(view, ref) if Path(one).name.startswith(UNFINISHED))
    for ref in view.below("ofs/run_receipts", "ofs/reconciliation", "learning/reconciliation"):
        if f"/{UNFINISHED}".encode() in (view.read(ref) or b""):
            yield f"{ref} names an unfinished write"


def _key(what: str, view: View, ref: str) -> tuple[Any, ...]:
    """Everything that a judgement of a manifest's table depends on."""
    table = view.manifests[ref]["materialization"]
    held = tuple((one, stamp) for one, stamp in view.objects.items() if one.startswith(f"{table['path']}/"))
    return (what, ref, view.objects[ref], view.objects.get(table["files"]["ref"]), held)


def _read_list(view: View, ref: str) -> list[dict[str, Any]]:
    """The rows of a file list, one a leaf; none where there is no list."""

    def read() -> list[dict[str, Any]]:
        body = view.read(ref)
        return [] if body is None else pq.read_table(pa.BufferReader(body)).to_pylist()

    return view.history.recall(("list", ref, view.objects.get(ref)), read)


def _judge_table_bytes(view: View, ref: str) -> list[str]:
    table, found = view.manifests[ref]["materialization"], []
    entries = {entry["path"]: entry for entry in _read_list(view, table["files"]["ref"])}
    for path, entry in entries.items():
        body = view.read(path)
        proof = None if body is None else (len(body), view.sha256(path))
        if proof != (entry["bytes"], entry["sha256"]):
            found.append(f"{ref} lists {path} with {entry['bytes']} bytes, {entry['sha256']}; there is {proof}")
    stated = {"count": len(entries), "bytes": sum(entry["bytes"] for entry in entries.values())}
    if stated != {name: table["files"][name] for name in stated}:
        found.append(f"{ref} states {table['files']}; its list has {stated}")
    delta = DeltaTable(str(view.root / table["path"]))
    names, listed = sorted(delta.file_uris()), sorted(str(view.root / path) for path in entries)
    if (delta.version(), names) != (0, listed):
        found.append(f"Delta shows version {delta.version()} with {names} for {ref}, which lists {listed}")
    rows = delta.to_pyarrow_dataset().count_rows()
    if not rows == table["row_count"] == sum(entry["rows"] for entry in entries.values()):
        found.append(f"Delta shows {rows} rows for {ref}, which states {table['row_count']}")
    return found


def _judge_content(view: View, ref: str) -> list[str]:
    manifest, found = view.manifests[ref], []
    table, leaves = manifest["materialization"], []
    columns = [(column["name"], column["type"]) for column in manifest["columns"]]
    nulls = dict.fromkeys((name for name, _ in columns), 0)
    for path, placed in groupby(_read_list(view, table["files"]["ref"]), lambda entry: entry["path"]):
        body = view.read(path)
        rows = pq.read_table(pa.BufferReader(b"" if body is None else body))
        if rows.column_names != [name for name, _ in columns]:
            found.append(f"{path} has columns {rows.column_names}; {ref} states {[name for name, _ in columns]}")
        start = 0
        for entry in placed:
            held = rows.slice(start, entry["leaf_rows"])
            leaves.append(digest_leaf(entry["leaf"], held, [type_ for _, type_ in columns]))
            start += entry["leaf_rows"]
        if start != rows.num_rows:
            found.append(f"{path} has {rows.num_rows} rows, its leaves {start}")
        nulls = {name: count + rows.column(name).null_count for name, count in nulls.items()}
    if len({leaf[0] for leaf in leaves}) != len(leaves):
        found.append(f"{ref}: a leaf stands twice in its list")
    computed = digest_content(columns, leaves)
    if computed != table["content_digest"]:
        found.append(f"{ref} states content digest {table['content_digest']}; its rows come to {computed}")
    if table.get("bucket_digests", []) not in ([], digest_buckets(leaves, table["layout"]["buckets"])):
        found.append(f"{ref} states other bucket digests than its rows come to")
    if nulls != {column["name"]: column["nulls"] for column in manifest["columns"]}:
        found.append(f"{ref} states other nulls than {nulls}")
    return found
