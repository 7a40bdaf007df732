"""Evidence documents: each is written once, and what it says never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.documents import describe_other
from ofs_spark.foundation.errors import Refusal, refuse
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
        raise refuse_other(code, ref, other, sha256)
    return Evidence(ref, sha256)


def refuse_other(code: str, ref: str, other: str, sha256: str) -> Refusal:
    """The refusal where another document than the one of `sha256` stands at `ref`; `other`: as `describe_other`."""
    return refuse(code, f"{ref} already exists with {other}; this run would write sha256 {sha256}", ref=ref)
