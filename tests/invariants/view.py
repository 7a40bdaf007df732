"""One look at an object root and a ledger file, as they are on the disk. Reads only.

    {platform_run_id}/ofs/manifests/{dataset_manifest_id}.json         the dataset; beside it {…}.v0.json, its older view
    {platform_run_id}/ofs/{kind of evidence}/{run_key}[.attempt-N].json
    {platform_run_id}/ofs/datasets/{dataset_manifest_id}/{attempt}/    a Delta table
    {platform_run_id}/ofs/files/{sha256}.parquet                       a list of files
    {platform_run_id}/ofs/publication/{run_key}.json, index/by_plan/{plan_id}.json, governance/{event_id}.json
    {platform_run_id}/ofs/publish_pending/{run_key}.json               a manifest before its commit, and the intent
    {platform_run_id}/ofs/staging/{plan_id}/{sha256}.arrow, scan.json  rows of a scan, and what it found
    {platform_run_id}/ofs/run_receipts/{run_key}.json
    {platform_run_id}/ofs/backfill_intent/{run_key}.json, supersession/{superseded dataset_manifest_id}.json
    {platform_run_id}/ofs/retired/{dataset_manifest_id}.json
    {platform_run_id}/learning/reconciliation/ofs_reconciliation.json

A file whose name begins with `.put-` is a write that a killed process left unfinished: it is no object.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.invariants.history import History, Row

EVIDENCE = ("resolved_build_plan", "replay_completeness", "label_resolution")
UNFINISHED = ".put-"
Stamp = tuple[int, ...]
"""What changes with a file: device, inode, size, times of its content and of its state."""


def encode_canonical(value: Any) -> bytes:
    """The one text of a JSON value."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def hash_value(value: Any) -> str:
    """`H`: SHA-256 of the canonical text."""
    return hashlib.sha256(encode_canonical(value)).hexdigest()


@dataclass(frozen=True)
class View:
    """The objects of OFS and the rows of its ledger at one moment.

    objects: ref → stamp of every finished file; runs: run key → row; events: run key → rows, oldest first.
    """

    root: Path
    history: History
    objects: dict[str, Stamp]
    runs: dict[str, Row] = field(default_factory=dict)
    events: dict[str, list[Row]] = field(default_factory=dict)

    def sha256(self, ref: str) -> str | None:
        """Of the object's bytes; None where nothing stands."""
        return self.history.recall(("sha256", ref, self.objects.get(ref)), lambda: _hash(self.read(ref)))

    def read(self, ref: str) -> bytes | None:
        """The object; None where nothing stands."""
        try:
            return (self.root / ref).read_bytes() if ref in self.objects else None
        except FileNotFoundError:
            return None

    def document(self, ref: str) -> Any:
        """The JSON document; None where nothing stands, or no JSON."""
        return self.history.recall(("document", ref, self.objects.get(ref)), lambda: _parse(self.read(ref)))

    def below(self, *folders: str) -> list[str]:
        """Refs of the objects directly in these folders of every platform run: `ofs/manifests`."""
        return [ref for folder in folders for ref in self._by_folder.get(folder, ())]

    @cached_property
    def _by_folder(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for ref in self.objects:
            found.setdefault(ref.split("/", 1)[1].rsplit("/", 1)[0], []).append(ref)
        return found

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """Ref → manifest, of those that are JSON objects."""
        named = [ref for ref in self.below("ofs/manifests") if not ref.endswith(".v0.json")]
        return {ref: document for ref in named if isinstance(document := self.document(ref), dict)}

    @cached_property
    def own_manifests(self) -> dict[str, list[str]]:
        """Run key → refs of the manifests that name this run's plan as their evidence."""
        found: dict[str, list[str]] = {}
        for ref, manifest in self.manifests.items():
            found.setdefault(find_maker(manifest), []).append(ref)
        return found

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Ref → governance fact."""
        found = {ref: self.document(ref) for ref in self.below("ofs/governance")}
        return {ref: fact for ref, fact in found.items() if isinstance(fact, dict)}


def find_maker(manifest: dict[str, Any]) -> str:
    """The run key of the run that made a manifest; "" where it names no plan."""
    plan = manifest.get("evidence", {}).get("resolved_build_plan", {}).get("ref", "")
    return Path(plan).name.removesuffix(".json")


def find_attempt(manifest: dict[str, Any]) -> int:
    """The token of the claim under which a manifest was made: N of `attempt-N-…`."""
    return int(manifest["materialization"]["attempt"].split("-")[1])


def look(root: Path, ledger: Path, history: History) -> View:
    """The root and the ledger as they are now."""
    objects = {file[len(str(root)) + 1 :]: stamp for file, stamp in _walk(root)}
    runs, events = _read_ledger(ledger)
    return View(root, history, objects, runs, events)


def _walk(root: Path) -> Iterator[tuple[str, Stamp]]:
    for platform in sorted(os.scandir(root), key=lambda one: one.name):
        for owned in ("ofs", "learning/reconciliation"):
            yield from _walk_folder(f"{platform.path}/{owned}")


def _walk_folder(folder: str) -> Iterator[tuple[str, Stamp]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda one: one.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk_folder(entry.path)
        elif not entry.name.startswith(UNFINISHED):
            try:
                of = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # gone since the folder was read
                continue
            yield entry.path, (of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns)


def _read_ledger(ledger: Path) -> tuple[dict[str, Row], dict[str, list[Row]]]:
    """Runs and events. Nothing is written: no log is folded into the file, and none is made where none lies beside it."""
    if not ledger.exists():
        return {}, {}
    mode = "mode=ro" if Path(f"{ledger}-wal").exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)) as opened:
        opened.row_factory = sqlite3.Row
        opened.execute("BEGIN")
        runs = {row["run_key"]: dict(row) for row in opened.execute("SELECT * FROM ofs_run ORDER BY ordinal")}
        events: dict[str, list[Row]] = {}
        for row in opened.execute("SELECT * FROM ofs_run_event ORDER BY ordinal"):
            events.setdefault(row["run_key"], []).append({**row, "detail": json.loads(row["detail"])})
    return {key: {**row, "outcome": row["outcome"] and json.loads(row["outcome"])} for key, row in runs.items()}, events


def _hash(body: bytes | None) -> str | None:
    return None if body is None else hashlib.sha256(body).hexdigest()


def _parse(body: bytes | None) -> Any:
    try:
        return None if body is None else json.loads(body)
    except ValueError:
        return None
