"""`ofs retire`: says beside a published dataset that it should no longer be used. Nothing of it is changed or removed."""

from __future__ import annotations

import hashlib
from typing import Any

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.clock import format_datetime
from ofs_spark.foundation.collect import refuse_all
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.documents import fetch_document
from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.ports import Put
from ofs_spark.foundation.refs import name_retirement
from ofs_spark.intent.run import name_owner
from ofs_spark.publish.retirement import SCHEMA_VERSION, compose_retirement, find_retirement
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.manifests import NAMED, read_dataset


def retire_dataset(named: str, reason: str, context: RunContext) -> dict[str, Any]:
    """{outcome, dataset_manifest_id, manifest_ref, retirement_ref, reason, retired_at_utc, by} of a dataset by ref or id.

    Outcome: RETIRED, or ALREADY_RETIRED where it was before: the reason and time are those that stand. SCHEMA_INVALID for
    a reason that is no line of text; refuses as `read_dataset`. OSError where the store did not answer: run it again.
    """
    ref, manifest = read_dataset(named, context)
    sha256 = hashlib.sha256(fetch_document(context.objects, NAMED, ref)).hexdigest()
    said = {
        "retired_at_utc": format_datetime(context.clock.now()),
        "by": name_owner(context.control.owner),
        "code_release": context.release,
    }
    document = compose_retirement(manifest, {"ref": ref, "sha256": sha256}, reason, said)
    faults = find_faults(document, SCHEMA_VERSION)
    if faults:
        raise refuse_all(faults)
    standing, is_own = _put(document, context)
    return {
        "outcome": "RETIRED" if is_own else "ALREADY_RETIRED",
        "dataset_manifest_id": manifest["dataset_manifest_id"],
        "manifest_ref": ref,
        "retirement_ref": name_retirement(manifest["platform_run_id"], manifest["dataset_manifest_id"]),
        **{name: standing[name] for name in ("reason", "retired_at_utc", "by")},
    }


def _put(document: dict[str, Any], context: RunContext) -> tuple[dict[str, Any], bool]:
    """(the retirement that stands, whether it is this one). A put without an answer may have landed: it is read back."""
    ref = name_retirement(document["platform_run_id"], document["dataset_manifest_id"])
    try:
        if context.objects.put_if_absent(ref, encode_canonical(document)) is Put.CREATED:
            return document, True
    except OSError:
        standing = find_retirement(document, context.objects)
        if standing is None:
            raise
        return standing, standing == document
    standing = find_retirement(document, context.objects)
    if standing is None:
        raise InternalError(f"{ref} stood, and is gone")
    return standing, False
