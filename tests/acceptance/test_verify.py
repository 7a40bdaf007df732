"""`ofs verify` trusts nothing that it can recompute: edits that keep every digest right, and single flipped bytes."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation.errors import OfsError
from ofs_spark.foundation.refs import name_fact, name_plan_index, name_publication, name_table_commit
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.signals.governance import compose_dataset_published
from ofs_spark.signals.receipts import compose_plan_index, compose_publication_receipt
from ofs_spark.workflow.context import RunContext
from tests.acceptance.test_closure import TRAINING
from tests.worlds.model import canon, digest
from tests.worlds.running import build
from tests.worlds.sabotage import flip_byte
from tests.worlds.writer import write_world

Document = dict[str, Any]
Edit = Callable[["Documents"], object]
HEX = "ab" * 32


@dataclass
class Documents:
    """A dataset's manifest and evidence, to be edited; `log`: the lines of the Delta commit."""

    manifest: Document
    plan: Document
    replay: Document
    labels: Document
    log: list[Document]

    @property
    def table(self) -> Document:
        table: Document = self.manifest["materialization"]
        return table


@dataclass(frozen=True)
class Published:
    """A published dataset: everything that is stored of it, by ref."""

    ref: str
    bodies: dict[str, bytes]
    context: RunContext

    def verify(self, bodies: dict[str, bytes]) -> Document:
        return pipeline.verify_dataset(self.ref, replace(self.context, objects=MemoryObjects(bodies)))

    def read(self) -> Documents:
        manifest = json.loads(self.bodies[self.ref])
        kinds = ("resolved_build_plan", "replay_completeness", "label_resolution")
        plan, replay, labels = (json.loads(self.bodies[manifest["evidence"][kind]["ref"]]) for kind in kinds)
        log = self.bodies[name_table_commit(manifest["materialization"]["path"], 0)]
        return Documents(manifest, plan, replay, labels, [json.loads(line) for line in log.splitlines()])

    def seal(self, edited: Documents) -> dict[str, bytes]:
        """Everything stored, with every SHA-256 and every derived document made to fit what was edited."""
        bodies, manifest = dict(self.bodies), edited.manifest
        kinds = {
            "resolved_build_plan": edited.plan,
            "replay_completeness": edited.replay,
            "label_resolution": edited.labels,
        }
        for kind, document in kinds.items():
            if kind in manifest["evidence"]:
                body = canon(document)
                bodies[manifest["evidence"][kind]["ref"]] = body
                manifest["evidence"][kind]["sha256"] = hashlib.sha256(body).hexdigest()
        log = b"\n".join(json.dumps(line).encode() for line in edited.log)
        bodies[name_table_commit(edited.table["path"], 0)] = log
        edited.table["delta_log_sha256"] = hashlib.sha256(log).hexdigest()
        bodies[self.ref] = canon(manifest)
        named = {"ref": self.ref, "sha256": hashlib.sha256(bodies[self.ref]).hexdigest()}
        run_id, run_key = manifest["platform_run_id"], edited.replay["run_key"]
        fact = compose_dataset_published(manifest, self.ref, named["sha256"])
        bodies[name_fact(run_id, fact["event_id"])] = canon(fact)
        bodies[name_plan_index(run_id, manifest["plan_id"])] = canon(compose_plan_index(manifest, named))
        receipt = compose_publication_receipt(run_key, TRAINING.intent["request_id"], manifest, named)
        bodies[name_publication(run_id, run_key)] = canon(receipt)
        return bodies


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    with publish(tmp_path_factory.mktemp("published")) as dataset:
        yield dataset


@contextmanager
def publish(root: Path) -> Iterator[Published]:
    written = write_world(TRAINING, root)
    outcome = build(written)
    stored = {path.relative_to(outcome.root).as_posix(): path for path in outcome.root.rglob("*") if path.is_file()}
    bodies = {ref: path.read_bytes() for ref, path in stored.items()}
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        yield Published(outcome.published["manifest_ref"], bodies, context)


def find_failed(answer: Document) -> set[str]:
    failed = {check["name"] for check in answer["checks"] if not check["ok"]}
    assert answer["verified"] == (not failed)
    return failed


def put(value: Any, *path: str | int, of: str = "manifest") -> Edit:
    """An edit that sets one member."""

    def edit(documents: Documents) -> None:
        holder = getattr(documents, of)
        for name in path[:-1]:
            holder = holder[name]
        assert holder[path[-1]] != value
        holder[path[-1]] = value

    return edit


def both(*edits: Edit) -> Edit:
    return lambda documents: [edit(documents) for edit in edits]


def drop(*path: str, of: str = "manifest") -> Edit:
    def edit(documents: Documents) -> None:
        holder = getattr(documents, of)
        for name in path[:-1]:
            holder = holder[name]
        del holder[path[-1]]

    return edit


def repin(documents: Documents) -> None:
    """Other pins with the plan_id that they have, in manifest and plan alone."""
    documents.manifest["pins"]["code_release"] = "another"
    documents.manifest["code_release"]["running"] = "another"
    documents.plan["pins"] = documents.manifest["pins"]
    documents.plan["code_release"] = documents.manifest["code_release"]
    documents.manifest["plan_id"] = documents.plan["plan_id"] = digest(documents.manifest["pins"])


def recount(name: str, by: int) -> Edit:
    """Another label count, in receipt and manifest alike."""

    def edit(documents: Documents) -> None:
        for holder in (documents.labels["types"], documents.manifest["labels"]["coverage"]):
            holder["fraud_disposition"]["counts"][name] += by

    return edit


def add_action(action: Document) -> Edit:
    return lambda documents: documents.log.append(action)


def edit_add(name: str, value: Any) -> Edit:
    def edit(documents: Documents) -> None:
        (add,) = (line["add"] for line in documents.log if "add" in line)
        add[name] = value

    return edit


COVERAGE = ("labels", "coverage", "fraud_disposition")
EDITS: dict[str, tuple[Edit, str]] = {
    "another id": (put("dm_" + "ab" * 16, "dataset_manifest_id"), "ids"),
    "another fingerprint": (put(HEX, "dataset_fingerprint"), "ids"),
    "another plan id": (put(HEX, "plan_id"), "ids"),
    "a pin": (put(HEX, "pins", "feature_set_digest"), "ids"),
    "a pin and its field": (
        both(put(HEX, "pins", "feature_set_digest"), put(HEX, "feature_profile", "feature_set_digest")),
        "ids",
    ),
    "pins, plan and plan id": (repin, "replay"),
    "a context": (put([{"name": "c", "output_id": "o", "ref": "r", "sha256": HEX}], "contexts"), "ids"),
    "basis hash": (put(HEX, "basis_hash"), "ids"),
    "the end of the basis": (put("29", "basis", 0, "range", "end_exclusive"), "ids"),
    "the end of a slice": (put("28", "replay_basis", 0, "end_offset"), "ids"),
    "a policy file": (put(HEX, "policy", "files", "labels.yaml"), "ids"),
    "the policy's digest": (put(HEX, "policy", "run_config_digest"), "ids"),
    "the table's attempt": (put("attempt-9-000000000000", "materialization", "attempt"), "ids"),
    "a delta version": (put(1, "materialization", "delta_version"), "ids"),
    "where evidence stands": (
        put(f"{TRAINING.intent['platform_run_id']}/ofs/x.json", "evidence", "label_resolution", "ref"),
        "places",
    ),
    "no label receipt": (drop("evidence", "label_resolution"), "claims"),
    "the rule of the intent": (put("ls.latest_observed.v0", "label_basis", "resolution_rule"), "intent"),
    "the as-of of the intent": (put("2026-07-01T00:00:00Z", "label_basis", "label_asof_utc"), "intent"),
    "the posture of the intent": (lambda d: d.manifest["label_basis"].update(posture="KNOW_NOW"), "intent"),
    "the feature set of the intent": (put("v2", "feature_definition_set", "feature_set_version"), "intent"),
    "the release of the intent": (put("git:1111111", "provenance", "ofs_code_release_id"), "intent"),
    "run facts": (put("elsewhere", "run_facts", "ref"), "plan"),
    "the profile's digest": (put(HEX, "feature_profile", "digest"), "plan"),
    "the index": (put(HEX, "archive", "index_digest"), "plan"),
    "the differences": (put([], "differences"), "plan"),
    "leaf rows": (put(7, "materialization", "layout", "leaf_rows"), "plan"),
    "a segment of the plan": (lambda d: d.plan["archive"]["segments"].pop(), "plan"),
    "the label cut-off": (put("2026-07-01T00:00:00Z", "labels", "label_asof_utc"), "plan"),
    "the label extract": (put(9, "labels", "extract", "row_count"), "plan"),
    "label types": (put([], "labels", "types"), "plan"),
    "a training dataset that is none": (put("NON_TRAINING", "status"), "plan"),
    "an incomplete replay": (put("INCOMPLETE", "status", of="replay"), "replay"),
    "a missing offset": (put(1, "ranges", 0, "missing", "count", of="replay"), "replay"),
    "positions of a range": (put(29, "ranges", 0, "positions", of="replay"), "replay"),
    "a count that does not close": (
        both(put(31, "counts", "delivered", of="replay"), put(31, "replay", "counts", "delivered")),
        "replay",
    ),
    "a count of the manifest": (put(1, "replay", "counts", "conflicts"), "replay"),
    "an anomaly": (put({"conflicts": 1}, "replay", "anomalies"), "replay"),
    "a ratio": (
        both(
            put(0.5, *COVERAGE, "ratios", "coverage"),
            put(0.5, *("types", *COVERAGE[2:], "ratios", "coverage"), of="labels"),
        ),
        "labels",
    ),
    "not ready": (both(put(False, "labels", "ready"), put(False, "ready", of="labels")), "labels"),
    "a ratio of the manifest": (put(0.5, *COVERAGE, "ratios", "coverage"), "labels"),
    "a label count": (recount("resolved", -1), "counts"),
    "mature anchors": (recount("mature_anchors", -1), "counts"),
    "mature labels": (recount("mature_labels", -1), "counts"),
    "rows": (put(31, "materialization", "row_count"), "counts"),
    "nulls of a column": (put(3, "columns", 4, "nulls"), "counts"),
    "truncated rows": (put(3, "columns", 4, "truncated_rows"), "counts"),
    "a column's name": (put("g__count_2h", "columns", 4, "name"), "delta table"),
    "a column's type": (put("double", "columns", 4, "type"), "delta table"),
    "a column's meaning": (put("What it never was", "columns", 4, "meaning"), "delta table"),
    "one column less": (lambda d: d.manifest["columns"].pop(), "file list"),
    "the content digest": (put(HEX, "materialization", "content_digest"), "table"),
    "a bucket's digest": (put([HEX], "materialization", "bucket_digests"), "buckets"),
    "no buckets": (drop("materialization", "bucket_digests"), "buckets"),
    "bytes of files": (put(1, "materialization", "files", "bytes"), "file list"),
    "number of files": (put(2, "materialization", "files", "count"), "file list"),
    "a gate that failed": (put(False, "gates", 5, "passed"), "gates"),
    "what a gate found": (put("KNOW_NOW", "gates", 6, "detail", "found"), "gates"),
    "one gate less": (lambda d: d.manifest["gates"].pop(), "gates"),
    "a removed file": (add_action({"remove": {"path": "x"}}), "delta table"),
    "a deletion vector": (edit_add("deletionVector", {"storageType": "u"}), "delta table"),
    "a file's size": (edit_add("size", 1), "delta table"),
    "a file's statistics": (edit_add("stats", json.dumps({"numRecords": 1})), "delta table"),
    "partition values": (edit_add("partitionValues", {"x": "1"}), "delta table"),
    "whose plan the commit is of": (
        lambda d: next(line for line in d.log if "commitInfo" in line)["commitInfo"].update({"ofs.plan_id": HEX}),
        "delta table",
    ),
}


def test_a_published_dataset_verifies(published: Published) -> None:
    assert find_failed(published.verify(published.bodies)) == set()
    assert find_failed(published.verify(published.seal(published.read()))) == set()


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_that_keeps_every_digest_right_is_named(name: str, published: Published) -> None:
    edit, check = EDITS[name]
    documents = published.read()
    edit(documents)
    assert check in find_failed(published.verify(published.seal(documents)))


def test_there_are_enough_edits() -> None:
    assert len(EDITS) >= 40


@pytest.mark.parametrize("beside", ["_delta_log/_last_checkpoint", "_delta_log/00000000000000000003.json"])
def test_whatever_else_a_reader_of_the_log_would_find_is_named(beside: str, published: Published) -> None:
    table = published.read().table["path"]
    assert find_failed(published.verify({**published.bodies, f"{table}/{beside}": b"{}"})) == {"delta table"}


def test_a_file_that_no_reader_sees_is_told_and_harmless(published: Published) -> None:
    table = published.read().table["path"]
    answer = published.verify({**published.bodies, f"{table}/part-0000009-00000.parquet": b"x"})
    assert answer["verified"]
    (told,) = (check for check in answer["checks"] if check["name"] == "unlisted files")
    assert told["found"].startswith("1 file that no reader of the table sees")


@pytest.mark.parametrize("folder", ["publication", "index", "governance", "manifests"])
def test_a_derived_document_that_is_missing_is_named(folder: str, published: Published) -> None:
    kept = {ref: body for ref, body in published.bodies.items() if f"/ofs/{folder}/" not in ref or ref == published.ref}
    assert len(kept) < len(published.bodies)
    assert len(find_failed(published.verify(kept))) == 1


@pytest.mark.parametrize("folder", ["index", "governance", "manifests"])
@pytest.mark.parametrize("damage", [Path.unlink, flip_byte])
@pytest.mark.parametrize("request_id", [TRAINING.intent["request_id"], "world.request.again"])
def test_a_later_run_of_the_request_or_the_dataset_mends_what_is_derived(
    request_id: str, folder: str, damage: Callable[[Path], object], tmp_path: Path
) -> None:
    written = write_world(TRAINING, tmp_path)
    outcome = build(written)
    (broken,) = (
        path
        for path in outcome.root.glob(f"*/ofs/{folder}/**/*.json")
        if path.relative_to(outcome.root).as_posix() != outcome.published["manifest_ref"]
    )
    damage(broken)
    again = json.dumps({**TRAINING.intent, "request_id": request_id}).encode()
    build(written, intent=again)
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        assert find_failed(pipeline.verify_dataset(outcome.published["manifest_ref"], context)) == set()


HARMLESS = ("staging", "publish_pending", "run_receipts", "reconciliation")
"""Folders that a dataset does not rest on: what finished attempts left to later ones, and what is told of runs."""


def flip_somewhere(published: Published, seed: int) -> tuple[str, dict[str, bytes]]:
    """One bit of one byte of one of the dataset's objects flipped, all objects being equally likely."""
    chance = random.Random(seed)  # a choice of bytes, not a secret
    ref = chance.choice(sorted(ref for ref in published.bodies if "/ofs/" in ref))
    body = bytearray(published.bodies[ref])
    body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return ref, {**published.bodies, ref: bytes(body)}


def check_flips(published: Published, seeds: range) -> None:
    for seed in seeds:
        ref, bodies = flip_somewhere(published, seed)
        try:
            verified = published.verify(bodies)["verified"]
        except OfsError:  # the manifest itself is no JSON any more, and the refusal says so
            verified = False
        assert verified == (ref.split("/ofs/")[1].split("/")[0] in HARMLESS), (seed, ref)


def test_a_flipped_byte_is_named_or_harmless(published: Published) -> None:
    check_flips(published, range(200))


@pytest.mark.nightly
def test_two_thousand_flipped_bytes_are_named_or_harmless(published: Published) -> None:
    check_flips(published, range(200, 2200))
