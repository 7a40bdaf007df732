"""Retirement: a document beside a dataset that says that it should no longer be used, and why. What stands, stays.

One document per dataset, written once: the first reason is the one that counts. Light: no Arrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.documents import DocumentKind, read_document
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import name_retirement

Document = dict[str, Any]

SCHEMA_VERSION = "ofs.retirement.v1"
ABSENT = "REF_ACCESS_DENIED"
STANDING = DocumentKind(SCHEMA_VERSION, "retirement", ABSENT, "SCHEMA_INVALID")


def compose_retirement(
    manifest: Mapping[str, Any], named: Mapping[str, str], reason: str, said: Mapping[str, str]
) -> Document:
    """The retirement of a manifest, `named` by ref and sha256. said: retired_at_utc, by and code_release."""
    about = {name: manifest[name] for name in ("platform_run_id", "dataset_manifest_id", "plan_id")}
    return {"schema_version": SCHEMA_VERSION, **about, "manifest": dict(named), "reason": reason, **said}


def find_retirement(manifest: Mapping[str, Any], objects: Objects) -> Document | None:
    """The retirement of a manifest's dataset; None where it is not retired.

    SCHEMA_INVALID where something stands in its place that is no retirement of this dataset: nobody knows then.
    """
    run_id, dataset = manifest["platform_run_id"], manifest["dataset_manifest_id"]
    ref = name_retirement(run_id, dataset)
    if not objects.exists(ref):
        return None
    found = read_document(objects, STANDING, ref)
    if (found["platform_run_id"], found["dataset_manifest_id"]) != (run_id, dataset):
        raise STANDING.refuse(ref, f"is the retirement of {found['dataset_manifest_id']}, not of {dataset}")
    return found


def describe_retirement(found: Mapping[str, Any]) -> str:
    """A retirement in one line."""
    return f"retired at {found['retired_at_utc']}: {found['reason']}"


def list_warnings(manifest: Mapping[str, Any], objects: Objects) -> list[str]:
    """What whoever asks for a published dataset is warned of: that it is retired, or that this could not be told.

    The dataset stands whatever becomes of the look, so that nothing is raised.
    """
    try:
        found = find_retirement(manifest, objects)
    except (Refusal, OSError) as unknown:
        return [f"whether this dataset is retired could not be told: {unknown}"]
    return [f"this dataset is {describe_retirement(found)}"] if found else []
