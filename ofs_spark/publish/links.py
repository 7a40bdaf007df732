"""Supersession links: which dataset takes the place of another, and the chain that links and manifests make.

One document per superseded dataset names its one successor: reserved before that one's commit, completed after. A dataset
has a successor iff the manifest that its link names stands. Light: a chain is walked without Arrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ofs_spark.foundation.canonical import MAX_BYTES, CanonicalError, parse_json
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge
from ofs_spark.foundation.refs import name_manifest, name_supersession
from ofs_spark.intent.admission import MANIFEST_ID

Document = Mapping[str, Any]

SCHEMA_VERSION = "ofs.supersession_link.v1"
RESERVED, COMPLETED = "RESERVED", "COMPLETED"
MOST_WALKED = 1_000
"""Datasets that a walk visits in one direction: documents of others may make a chain of any length."""


def compose_links(manifest: Document, named: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The link to the manifest's dataset from each that it supersedes: completed where `named` by ref and sha256."""
    plan_ref: str = manifest["evidence"]["resolved_build_plan"]["ref"]
    successor = {
        "schema_version": SCHEMA_VERSION,
        "platform_run_id": manifest["platform_run_id"],
        "successor": manifest["dataset_manifest_id"],
        "plan_id": manifest["plan_id"],
        "run_key": plan_ref.rsplit("/", 1)[-1].removesuffix(".json"),
        "attempt": manifest["materialization"]["attempt"],
        "reason_code": manifest["backfill"]["reason_code"] if "supersedes" in manifest else "",
    }
    state = {"state": RESERVED} if named is None else {"state": COMPLETED, "manifest": dict(named)}
    return [{**successor, **state, "superseded": one} for one in manifest.get("supersedes", ())]


def parse_link(body: bytes, platform_run_id: str, superseded: str) -> dict[str, Any] | None:
    """The link from a dataset that these bytes are; None for what is none, or another's."""
    try:
        document = parse_json(body)
    except CanonicalError:
        return None
    if find_faults(document, SCHEMA_VERSION):
        return None
    own = (document["platform_run_id"], document["superseded"]) == (platform_run_id, superseded)
    return document if own else None


def find_successor(objects: Objects, platform_run_id: str, superseded: str) -> dict[str, Any] | None:
    """The link from a dataset whose successor is published; None without one."""
    ref, link = name_supersession(platform_run_id, superseded), None
    for _ in range(2):  # half an object, from a store that gives one, is read again
        try:
            link = parse_link(objects.read(ref, MAX_BYTES), platform_run_id, superseded)
        except (ObjectMissing, ObjectTooLarge):
            return None
        if link is not None:
            break
    published = link is not None and objects.exists(name_manifest(platform_run_id, link["successor"]))
    return link if published else None


def walk_successors(objects: Objects, platform_run_id: str, dataset: str) -> Iterator[dict[str, Any]]:
    """The links from a dataset to the newest of its chain; ends where a link leads back, and after MOST_WALKED."""
    seen = {dataset}
    while len(seen) <= MOST_WALKED:
        link = find_successor(objects, platform_run_id, dataset)
        if link is None or link["successor"] in seen:
            return
        yield link
        dataset = link["successor"]
        seen.add(dataset)


def walk_ancestors(objects: Objects, manifest: Document) -> Iterator[str]:
    """Ids of the datasets before a manifest's in its chain, the nearest first; ends as `walk_successors`, or where a link
    names another successor. An id that stands nowhere is the last."""
    platform_run_id, dataset = manifest["platform_run_id"], str(manifest["dataset_manifest_id"])
    seen, named = {dataset}, _find_superseded(manifest)
    while named is not None and named not in seen and len(seen) <= MOST_WALKED:
        link = find_successor(objects, platform_run_id, named)
        if link is not None and link["successor"] != dataset:
            return
        yield named
        dataset = named
        seen.add(dataset)
        named = _find_superseded(_read_manifest(objects, platform_run_id, dataset))


def _find_superseded(manifest: Document) -> str | None:
    """The dataset that a manifest's takes the place of; None for none, or for what no release writes."""
    named = manifest.get("supersedes")
    first = named[0] if isinstance(named, list) and len(named) == 1 else None
    return first if isinstance(first, str) and MANIFEST_ID.fullmatch(first) else None


def _read_manifest(objects: Objects, platform_run_id: str, dataset: str) -> Document:
    """What stands as a manifest, whatever it says; nothing where it is no JSON object."""
    try:
        document = parse_json(objects.read(name_manifest(platform_run_id, dataset), MAX_BYTES))
    except (ObjectMissing, ObjectTooLarge, CanonicalError):
        return {}
    return document if isinstance(document, dict) else {}
