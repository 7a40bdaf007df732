"""Evidence documents: each is written once, and what it says never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.documents import describe_other
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import Objects, Put
from ofs_spark.foundation.refs import OwnedRef

IMMUTABLE = "EVIDENCE_IMMUTABILITY_VIOLATION"


@dataclass(frozen=True)
class Evidence:
    """A written document: its ref and the SHA-256 of its bytes."""

    ref: str
    sha256: str


def write_once(objects: Objects, ref: OwnedRef, document: Mapping[str, Any], code: str = IMMUTABLE) -> Evidence:
    """Writes `document` as canonical JSON if nothing stands at `ref`; an equal one is accepted, another is `code`."""
    body = encode_canonical(dict(document))
    sha256 = hashlib.sha256(body).hexdigest()
    if objects.put_if_absent(ref, body) is Put.EXISTS and (other := describe_other(objects, ref, body)):
        raise refuse(code, f"{ref} already exists with {other}; this run would write sha256 {sha256}", ref=ref)
    return Evidence(ref, sha256)
