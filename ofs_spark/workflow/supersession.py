"""Whose place a dataset takes: named, judged with the other pins, and the chain it is in, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ofs_spark.foundation.documents import DocumentKind, read_document
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ownership import is_platform_run
from ofs_spark.foundation.refs import name_manifest, name_supersession
from ofs_spark.intent.admission import MANIFEST_ID
from ofs_spark.intent.identity import derive_manifest_id, fingerprint_dataset
from ofs_spark.intent.model import Intent
from ofs_spark.publish.links import find_successor, walk_ancestors, walk_successors
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.manifests import CONTRACT, find_dataset

INVALID = "SUPERSESSION_LINK_INVALID"
SUPERSEDED = DocumentKind(CONTRACT, "DatasetManifest", INVALID, INVALID)
"""A manifest whose dataset is to be superseded."""
MOST_SHOWN = 100
"""Datasets of a chain that are shown before one, and after it."""
AT = "/supersedes"


def name_target(named: str, context: RunContext) -> tuple[str, str | None]:
    """(dataset_manifest_id, its platform run or None) of what --supersedes names: an id or its beginning, or the ref of a
    manifest. An id that the ledger does not know is judged with the other pins.

    REF_SCOPE_INVALID for a ref outside the root, SUPERSESSION_LINK_INVALID for the ref of anything but a manifest.
    """
    if "/" not in named:
        found = None if MANIFEST_ID.fullmatch(named) else find_dataset(named, context)
        return (named, None) if found is None else (found.dataset_manifest_id, found.platform_run_id)
    ref = context.objects.relative(named)
    platform_run_id, dataset = ref.split("/", 1)[0], ref.rsplit("/", 1)[1].removesuffix(".json")
    known = is_platform_run(platform_run_id) and MANIFEST_ID.fullmatch(dataset)
    if not known or ref != name_manifest(platform_run_id, dataset):
        raise refuse(INVALID, f"{ref} is no place of a DatasetManifest", pointer=AT, target=ref)
    return dataset, platform_run_id


def judge_supersession(intent: Intent, context: RunContext) -> list[Refusal]:
    """Why an intent cannot take the place of the datasets it names; none for an intent that names none.

    A dataset takes the place of a published one of its own scope: the same platform run, for a correction is about the
    same facts, and the same feature set in any version, for that is what its readers ask for. What was superseded keeps
    its successor: the newest of the chain is the one to supersede.
    """
    own = derive_manifest_id(fingerprint_dataset(intent)) if intent.supersedes else ""
    return [refusal for target in intent.supersedes for refusal in _judge_target(target, own, intent, context)]


def _judge_target(target: str, own: str, intent: Intent, context: RunContext) -> Iterator[Refusal]:
    if target == own:
        yield _refuse(target, "this dataset would supersede itself")
        return
    try:
        manifest = _read_target(target, intent, context)
    except Refusal as refusal:
        yield refusal
        return
    mine, its = intent.feature_set_id, manifest["feature_definition_set"]["feature_set_id"]
    if mine != its:
        yield _refuse(target, f"{target} is a dataset of feature set {its}, this one of {mine}: another scope")
    ancestors = list(walk_ancestors(context.objects, manifest))
    if own in ancestors:
        yield _refuse(target, f"{own} stands before {target} in its chain: superseding it would make a ring")
        return
    links = list(walk_successors(context.objects, intent.platform_run_id, target))
    if links and links[0]["successor"] != own:
        yield _refuse_successor(target, links, intent.platform_run_id)


def _read_target(target: str, intent: Intent, context: RunContext) -> dict[str, Any]:
    """The published manifest of a target. Refuses what is missing, of another platform run, or no manifest."""
    ref = name_manifest(intent.platform_run_id, target)
    if not context.objects.exists(ref):
        run = context.control.ledger.find_publisher(target)
        elsewhere = str((run.outcome or {}).get("manifest_ref", "")) if run else ""
        if elsewhere and elsewhere != ref:
            raise _refuse(target, f"{target} is published as {elsewhere}, for another platform run")
        raise _refuse(target, f"no manifest stands at {ref}: what is not published cannot be superseded")
    manifest = read_document(context.objects, SUPERSEDED, ref)
    stated = name_manifest(manifest["platform_run_id"], manifest["dataset_manifest_id"])
    if stated != ref:
        raise SUPERSEDED.refuse(ref, f"is no DatasetManifest of this place: it is the manifest of {stated}")
    return manifest


def _refuse(target: str, message: str) -> Refusal:
    return refuse(INVALID, message, pointer=AT, target=target)


def _refuse_successor(target: str, links: list[dict[str, Any]], platform_run_id: str) -> Refusal:
    first, newest = links[0]["successor"], links[-1]["successor"]
    link, ref = name_supersession(platform_run_id, target), name_manifest(platform_run_id, newest)
    rest = "" if newest == first else f"; the newest of the chain is {newest}"
    message = f"{link}: {target} is superseded by {first}, which is published{rest}"
    return refuse(INVALID, message, pointer=AT, target=target, link=link, newest=newest, ref=ref)


def describe_chain(manifest: Mapping[str, Any], context: RunContext) -> list[dict[str, Any]]:
    """The chain of a published dataset, the oldest first; empty where it is alone.

    Each {dataset_manifest_id, manifest_ref, role}, and `reason_code` where it took another's place. The outermost has
    `more` where the chain goes on.
    """
    objects, run_id, own = context.objects, manifest["platform_run_id"], manifest["dataset_manifest_id"]
    before = list(islice(walk_ancestors(objects, manifest), MOST_SHOWN + 1))[::-1]
    after = [link["successor"] for link in islice(walk_successors(objects, run_id, own), MOST_SHOWN + 1)]
    if not before and not after:
        return []
    roles = [*((one, "ancestor") for one in before), (own, "self"), *((one, "successor") for one in after)]
    chain: list[dict[str, Any]] = []
    for place, (dataset, role) in enumerate(roles):
        link = find_successor(objects, run_id, roles[place - 1][0]) if place else None
        said = {"reason_code": link["reason_code"]} if link else {}
        shown = {"dataset_manifest_id": dataset, "manifest_ref": str(name_manifest(run_id, dataset)), "role": role}
        chain.append(shown | said)
    return _cut(chain, len(before), len(after))


def _cut(chain: list[dict[str, Any]], before: int, after: int) -> list[dict[str, Any]]:
    """At most MOST_SHOWN datasets before the one asked about, and after it."""
    first, last = max(0, before - MOST_SHOWN), len(chain) - max(0, after - MOST_SHOWN)
    shown = chain[first:last]
    if first:
        shown[0]["more"] = True
    if last < len(chain):
        shown[-1]["more"] = True
    return shown
