"""Anchor documents without their states: looked at side by side, each dropped before its place takes the next one.

A snapshot may hold a million states, and a sweep has thousands of anchors. Nothing of an anchor but its states is large:
they are cut out of its text, which is checked to be JSON, and read again where they are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import find_undecodable
from ofs_spark.foundation.documents import DocumentKind, fetch_document, parse_document
from ofs_spark.foundation.errors import InternalError, Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.replay.scan import tokens as t

WORKERS = 4
"""Documents that are looked at side by side: so many bodies are held."""
STATES = "features"
"""The member that holds the states."""


@dataclass(frozen=True)
class Seen:
    """What stands at a ref. document: without its states, {} in their place; None where `refusal` says why."""

    ref: str
    sha256: str = ""
    document: Mapping[str, Any] | None = None
    refusal: Refusal | None = None

    def open(self) -> Mapping[str, Any]:
        """The document, or the refusal."""
        if self.document is None:
            raise self.refusal or InternalError(f"{self.ref}: found nothing and refused nothing")
        return self.document


@dataclass(frozen=True)
class Sight:
    """An anchor, and the snapshot that it names where it is none itself."""

    anchor: Seen
    body: Seen | None = None


def see_anchors(objects: Objects, kind: DocumentKind, refs: Sequence[str], workers: int = WORKERS) -> Iterator[Sight]:
    """What stands at each ref, in their order. Memory: the bodies of `workers` documents."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(partial(_see, objects, kind), refs)


def _see(objects: Objects, kind: DocumentKind, ref: str) -> Sight:
    anchor = see_document(objects, kind, ref)
    named = (anchor.document or {}).get("snapshot_ref")
    if STATES in (anchor.document or {}) or not isinstance(named, str) or not named:
        return Sight(anchor)
    return Sight(anchor, see_document(objects, kind, named))


def see_document(objects: Objects, kind: DocumentKind, ref: str) -> Seen:
    """What stands at one ref."""
    try:
        raw = fetch_document(objects, kind, ref)
        document = parse_document(cut_states(raw), kind, ref)
        if not isinstance(document, dict):
            raise kind.refuse(ref, "is no JSON object")
    except Refusal as refusal:
        return Seen(ref, refusal=refusal)
    return Seen(ref, hashlib.sha256(raw).hexdigest(), document)


def cut_states(raw: bytes) -> bytes:
    """A document's text with {} for its states; as it is where it has none, or is no text of a JSON object with one."""
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, _make_offsets(len(raw)), pa.py_buffer(raw)])
    if find_undecodable(text).any():
        return raw
    path = (STATES,)
    tokens = t.scan_tokens(text, [path])
    if tokens.state[0] != t.VALID or tokens.kind[path][0] != t.OBJECT:
        return raw
    start, end = int(tokens.start[path][0]), int(tokens.end[path][0])
    return raw[:start] + b"{}" + raw[end:]


def _make_offsets(length: int) -> pa.Buffer:
    return pa.array([0, length], pa.int64()).buffers()[1]
