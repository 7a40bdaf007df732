"""Anchor documents without their states: looked at side by side, each dropped before its place takes the next one.

A snapshot may hold a million states, and a sweep has thousands of anchors. Nothing of an anchor but its states is large:
they are cut out of its text, which is checked to be JSON, and read again where they are compared.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from ofs_spark.foundation.canonical import MAX_DEPTH, find_depth
from ofs_spark.foundation.columnar.arrays import find_undecodable
from ofs_spark.foundation.documents import DocumentKind, fetch_document, parse_document
from ofs_spark.foundation.errors import InternalError, Refusal
from ofs_spark.foundation.ports import Objects

WORKERS = 4
"""Documents that are looked at side by side: so many bodies are held."""
SHORT = 1 << 18
"""Bytes of a document that is cut without a compiled loop, in two milliseconds at most: pins are read before loops are compiled."""
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
    return cut_short(raw) if len(raw) <= SHORT else cut_long(raw)


def cut_short(raw: bytes) -> bytes:
    """As `cut_states`, by the standard library: every value is held for a moment."""
    try:
        text = raw.decode()
        members = list(_list_members(text))
    except (ValueError, RecursionError):
        return raw
    found = [(start, end, value) for name, start, end, value in members if name == STATES]
    if len(found) != 1 or type(found[0][2]) is not dict or any(find_depth(one[3]) >= MAX_DEPTH for one in members):
        return raw
    start, end, _ = found[0]
    return f"{text[:start]}{{}}{text[end:]}".encode()


def _list_members(text: str) -> Iterator[tuple[str, int, int, Any]]:
    """(name, start and end of the value, value) of an object's members. ValueError for what is no JSON text of one."""
    at, mark = _skip(text, 0), "{"
    while text[at : at + 1] == mark:
        at = _skip(text, at + 1)
        if mark == "{" and text[at : at + 1] == "}":
            break
        name, end = _DECODER.raw_decode(text, at)
        at = _skip(text, end)
        if type(name) is not str or text[at : at + 1] != ":":
            raise ValueError("no member")
        start = _skip(text, at + 1)
        value, end = _DECODER.raw_decode(text, start)
        yield name, start, end, value
        at, mark = _skip(text, end), ","
    if text[at : at + 1] != "}" or _skip(text, at + 1) != len(text):
        raise ValueError("no object")


def _skip(text: str, at: int) -> int:
    """The place after blanks."""
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_BLANKS = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=_refuse_constant)
"""Reads no number: what a state's are is not asked here."""


def cut_long(raw: bytes) -> bytes:
    """As `cut_states`, by the compiled scanner: nothing is held but the text."""
    from ofs_spark.replay.scan import tokens as t

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
