"""Standing manifests: where one is, and what it says, once it is proven to be one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.commands import Next
from ofs_spark.foundation.contracts import recognise_contract
from ofs_spark.foundation.documents import DocumentKind, fetch_document, parse_document, read_document, require_kept
from ofs_spark.foundation.ends import refuse_ambiguous
from ofs_spark.foundation.errors import Refusal, refuse, show_text
from ofs_spark.foundation.refs import name_manifest, name_own_folder
from ofs_spark.intent.run import Published
from ofs_spark.pins.columns import Column
from ofs_spark.workflow.context import RunContext

CONTRACT = "learning.dataset_manifest.v1"
NAMED = DocumentKind(CONTRACT, "DatasetManifest", "REF_ACCESS_DENIED", "SCHEMA_INVALID")
"""A manifest that somebody asks about."""
STANDING = DocumentKind(
    CONTRACT, "DatasetManifest", "MANIFEST_IMMUTABILITY_VIOLATION", "MANIFEST_IMMUTABILITY_VIOLATION"
)
"""What stands where a build would commit: never replaced, whatever it is."""
_BEGINNING = re.compile(r"dm_[0-9a-f]{6,32}")
"""A dataset_manifest_id, or enough of it to be typed for one."""
_TOO_SHORT = re.compile(r"dm_[0-9a-f]{0,5}")
_DATASETS = Next("datasets", do="name a dataset of this ledger, or its manifest by its ref; check the wiring's ledger")
NO_DATASETS = {
    "forensic": "a forensic artifact: it shows one decision, and never trains a model",
    "parity": "a document of a parity run: it compares, and never trains a model",
}
"""Folder below `…/ofs/` → what stands there and is no dataset."""


def find_manifest(manifest: str, context: RunContext) -> str:
    """The ref of a manifest given by ref, or by id as `find_dataset`. RUN_NOT_FOUND for an id that no run published."""
    if "/" in manifest:
        return context.objects.relative(manifest)
    found = find_dataset(manifest, context)
    if found is not None:
        return name_manifest(found.platform_run_id, found.dataset_manifest_id)
    message = f"no run of this ledger published {show_text(manifest)}; name the manifest by its ref"
    if _TOO_SHORT.fullmatch(manifest):
        message = f"{manifest} is too short to be the beginning of an id: dm_ and six digits or more are"
    raise refuse("RUN_NOT_FOUND", message, _DATASETS)


def find_dataset(text: str, context: RunContext) -> Published | None:
    """The published dataset of an id, or of its beginning (`dm_` and six digits or more) where no other id has it.

    None for none, WrongArgument for several.
    """
    found = context.control.ledger.list_datasets(text) if _BEGINNING.fullmatch(text) else []
    if len(found) > 1:
        raise refuse_ambiguous(text, "datasets", sorted(one.dataset_manifest_id for one in found))
    return found[0] if found else None


def read_manifest(ref: str, context: RunContext) -> dict[str, Any]:
    """The manifest at a ref. REF_ACCESS_DENIED where nothing stands, SCHEMA_INVALID for what is none."""
    return read_document(context.objects, NAMED, ref)


def parse_manifest(ref: str, context: RunContext) -> dict[str, Any]:
    """The JSON object at a ref that should be a manifest: for those who judge it themselves. Refuses as the above."""
    document = parse_document(fetch_document(context.objects, NAMED, ref), NAMED, ref)
    if not isinstance(document, dict):
        raise NAMED.refuse(ref, "is no DatasetManifest: it is no JSON object")
    return document


def read_dataset(named: str, context: RunContext) -> tuple[str, dict[str, Any]]:
    """(ref, manifest) of a published dataset that is given by ref or by id.

    SCHEMA_INVALID, saying what it is, for the ref of anything else, and for a manifest that stands where another's would.
    Else refuses as `find_manifest` and `read_manifest`.
    """
    ref = find_manifest(named, context)
    _require_no_evidence(ref)
    document = parse_manifest(ref, context)
    contract = recognise_contract(document)
    if contract not in (None, CONTRACT):
        raise NAMED.refuse(ref, f"is no DatasetManifest: it is a document of contract {contract}")
    require_kept(document, NAMED, ref)
    own = name_manifest(document["platform_run_id"], document["dataset_manifest_id"])
    if ref != own:
        raise NAMED.refuse(ref, f"is no DatasetManifest of this place: it is the manifest of {own}")
    return ref, document


def list_columns(manifest: Mapping[str, Any]) -> list[Column]:
    """The columns that a manifest states, in dataset order."""
    said = ("name", "type", "role", "meaning", "unit", "window", "source")
    return [Column(**{name: one[name] for name in said if name in one}) for one in manifest["columns"]]


def _require_no_evidence(ref: str) -> None:
    run_id, _, below = ref.partition("/")
    folder = below.removeprefix(name_own_folder(run_id).removeprefix(f"{run_id}/") + "/").split("/")[0]
    if folder in NO_DATASETS:
        raise NAMED.refuse(ref, f"is {NO_DATASETS[folder]}")


def read_standing_manifest(ref: str, context: RunContext) -> dict[str, Any]:
    """The manifest that stands at a ref. MANIFEST_IMMUTABILITY_VIOLATION for what is none, or is another dataset's.

    Half an object, from a store that gives one, is read again: only what stays unreadable is no manifest.
    """
    try:
        manifest = read_document(context.objects, STANDING, ref)
    except Refusal:
        manifest = read_document(context.objects, STANDING, ref)
    own = name_manifest(manifest["platform_run_id"], manifest["dataset_manifest_id"])
    if ref != own:
        raise STANDING.refuse(ref, f"is no DatasetManifest of this place: it is the manifest of {own}")
    return manifest
