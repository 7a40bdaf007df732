"""A manifest and its evidence, read together: what `ofs verify` judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.documents import DocumentKind, read_document
from ofs_spark.foundation.ports import Objects

Document = Mapping[str, Any]

EVIDENCE = {
    "resolved_build_plan": "ofs.build_plan.v1",
    "replay_completeness": "ofs.replay_completeness.v1",
    "label_resolution": "ofs.label_resolution.v1",
}
"""Every kind of evidence of a dataset, and its contract."""
BACKFILL_INTENT = "backfill_intent"
"""What a dataset that supersedes another has beside them: the lifted intent."""


@dataclass(frozen=True)
class Claims:
    """A manifest at its ref, and its evidence."""

    ref: str
    manifest: Document
    plan: Document
    replay: Document
    labels: Document


def read_claims(ref: str, manifest: Document, objects: Objects) -> Claims:
    """The manifest with its evidence; REF_ACCESS_DENIED or SCHEMA_INVALID where a document is missing or is none."""
    found = [
        read_document(
            objects,
            DocumentKind(contract, kind, "REF_ACCESS_DENIED", "SCHEMA_INVALID"),
            manifest["evidence"][kind]["ref"],
        )
        for kind, contract in EVIDENCE.items()
    ]
    return Claims(ref, manifest, *found)
