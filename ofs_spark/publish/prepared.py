"""The prepared manifest: everything that a commit puts, written before it, so that a retry has nothing left to compute.

It is derived, and a later attempt of the run may write its own. Whoever reads it trusts nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.canonical import MAX_BYTES, encode_canonical
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.documents import DocumentKind, fetch_document, parse_document, require_kept
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import name_manifest, name_prepared
from ofs_spark.intent.model import Intent
from ofs_spark.publish.evidence import Evidence

SCHEMA_VERSION = "ofs.prepared_manifest.v1"
INVALID = "PREPARED_MANIFEST_INVALID"
KIND = DocumentKind(SCHEMA_VERSION, "prepared manifest", INVALID, INVALID, max_bytes=5 * MAX_BYTES)
"""It holds a manifest, which has at most MAX_BYTES, and an intent: in ASCII at most three times as long as it was given."""


@dataclass(frozen=True)
class Prepared:
    """A prepared manifest as it stands: where, under which SHA-256, of which run, and the two documents it holds."""

    evidence: Evidence
    run_key: str
    manifest: dict[str, Any]
    intent: dict[str, Any]

    def describe(self) -> dict[str, str]:
        """What the ledger keeps of it: ref and sha256, and the ref of the manifest that it would become."""
        manifest_ref = name_manifest(self.manifest["platform_run_id"], self.manifest["dataset_manifest_id"])
        return {"ref": self.evidence.ref, "sha256": self.evidence.sha256, "manifest_ref": manifest_ref}


def put_prepared(objects: Objects, run_key: str, intent: Intent, manifest: Mapping[str, Any]) -> Prepared:
    """Writes the prepared manifest of a run, in the place of an earlier attempt's."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run_key": run_key,
        "intent": dict(intent.document),
        "manifest": dict(manifest),
    }
    require_valid(document, SCHEMA_VERSION)
    body, ref = encode_canonical(document), name_prepared(intent.platform_run_id, run_key)
    objects.replace(ref, body)
    return Prepared(Evidence(ref, hashlib.sha256(body).hexdigest()), run_key, document["manifest"], document["intent"])


def read_prepared(objects: Objects, ref: str, sha256: str = "") -> Prepared:
    """The prepared manifest at a ref, with the SHA-256 that is stated where one is.

    PREPARED_MANIFEST_INVALID where none stands, or another one. Half an object, from a store that gives one, is read
    again: only what stays another is another.
    """
    try:
        return _read(objects, ref, sha256)
    except Refusal as refusal:
        if refusal.code != INVALID:
            raise
        return _read(objects, ref, sha256)


def _read(objects: Objects, ref: str, sha256: str) -> Prepared:
    body = fetch_document(objects, KIND, ref)
    found = hashlib.sha256(body).hexdigest()
    if sha256 and found != sha256:
        raise KIND.refuse(ref, f"has sha256 {found}; the ledger says that {sha256} was written")
    document = parse_document(body, KIND, ref)
    require_kept(document, KIND, ref)
    return Prepared(Evidence(ref, found), document["run_key"], document["manifest"], document["intent"])
