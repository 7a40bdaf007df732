"""Parity anchors: what the online plane, or who relied on it, said of its state at some offsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ofs_spark.foundation.audit import Audit, audit_resolution
from ofs_spark.foundation.contracts import DocumentFault
from ofs_spark.foundation.documents import DocumentKind, fetch_document, parse_document, require_kept
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.positions import parse_offset
from ofs_spark.parity.anchor_bodies import Seen, Sight, see_anchors
from ofs_spark.parity.cells import AnchorEnd
from ofs_spark.parity.snapshot import FRESH, HASHED, describe_version, digest_basis, hash_snapshot
from ofs_spark.pins.profile.compile import Profile

MOST_BYTES = 256 * 1024 * 1024
KIND_OF_ANCHOR = DocumentKind(
    "online_anchor", "parity anchor", "REF_ACCESS_DENIED", "PARITY_ANCHOR_INVALID", "/parity_anchor_ref", MOST_BYTES
)
Kind = Literal["snapshot", "audit", "decision"]
Document = Mapping[str, Any]
_MARKS: Mapping[str, Kind] = {"features": "snapshot", "audit_id": "audit", "decision_id": "decision"}
"""The member that tells what kind of anchor a document is."""
_EXCLUSIVE = "file_line"
"""The offset kind whose basis names the next offset; the others name the last one that was applied."""


@dataclass(frozen=True)
class Anchor:
    """One anchor as it stands.

    content: the members that its snapshot hash is of, but for `features`; from the anchor, then from its snapshot's body.
    body_ref: where the snapshot with its states stands, "" where none can be read: `bodiless` says why. The states are not
    held: a sweep has thousands of anchors (`read_features`). ends: how far it reaches. body_config: the run config digest of
    that body. warnings: what contradicts itself in it without deciding anything.
    """

    ref: str
    sha256: str
    kind: Kind
    snapshot_hash: str
    content: Document
    body_ref: str
    bodiless: str
    ends: tuple[AnchorEnd, ...]
    body_config: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def basis(self) -> Document:
        """Its offset basis, as stated."""
        basis: Document = self.content["eb_offset_basis"]
        return basis


def read_anchors(
    objects: Objects, refs: Sequence[str], platform_run_id: str, audit: Audit
) -> Iterator[Anchor | Refusal]:
    """The anchor at each ref, in their order, or why it is none.

    REF_ACCESS_DENIED where nothing stands; PARITY_ANCHOR_INVALID for a document of no kind or of several, with a fault, or
    of another platform run. Each look at one, and at its snapshot, is a look at a protected ref.
    """
    for sight in see_anchors(objects, KIND_OF_ANCHOR, refs):
        try:
            yield _read_anchor(sight, platform_run_id, audit)
        except Refusal as refusal:
            yield refusal


def _read_anchor(sight: Sight, platform_run_id: str, audit: Audit) -> Anchor:
    """An anchor, with the body of its snapshot where it names one that can be read."""
    ref = sight.anchor.ref
    with audit_resolution(audit, ref, "parity_anchor"):
        document = sight.anchor.open()
        kind = _find_kind(document, ref)
        require_kept(document, KIND_OF_ANCHOR, ref)
        named = document["pins"]["platform_run_id"]
        if named != platform_run_id:
            raise KIND_OF_ANCHOR.refuse(
                ref, f"is of platform run {named}; the intent is of {platform_run_id}", found=named
            )
        ends = tuple(_read_ends(document["eb_offset_basis"], ref))
    body, bodiless = (document, "") if kind == "snapshot" else _read_body(sight.body, document, audit)
    members = {name: document.get(name, (body or {}).get(name)) for name in HASHED if name != "features"}
    warnings = tuple(_find_contradictions(document, body)) if body is not None and body is not document else ()
    return Anchor(
        ref=ref,
        sha256=sight.anchor.sha256,
        kind=kind,
        snapshot_hash=document["snapshot_hash"],
        content=members,
        body_ref="" if body is None else ref if kind == "snapshot" else document["snapshot_ref"],
        bodiless=bodiless,
        ends=ends,
        body_config=None if body is None else body["run_config_digest"],
        warnings=warnings,
    )


def read_features(objects: Objects, anchor: Anchor) -> Mapping[str, Document]:
    """The states of the anchor's snapshot by key: what was read before, or PARITY_ANCHOR_INVALID."""
    found = parse_document(fetch_document(objects, KIND_OF_ANCHOR, anchor.body_ref), KIND_OF_ANCHOR, anchor.body_ref)
    require_kept(found, KIND_OF_ANCHOR, anchor.body_ref)
    if found.get("snapshot_hash") != anchor.snapshot_hash or "features" not in found:
        raise KIND_OF_ANCHOR.refuse(anchor.body_ref, "is not the snapshot that it was")
    features: Mapping[str, Document] = found["features"]
    return features


def find_anchor_faults(document: Document) -> Iterator[DocumentFault]:
    """Why a document that keeps its contract is no anchor, and where a digest that it states is not its content's."""
    code = KIND_OF_ANCHOR.invalid
    try:
        kind = _find_kind(document, "the anchor")
        list(_read_ends(document["eb_offset_basis"], "the anchor"))
    except Refusal as refusal:
        yield DocumentFault(code, "/eb_offset_basis" if "its basis" in refusal.message else "", refusal.message)
        return
    stated, own = document["eb_offset_basis"].get("basis_digest"), digest_basis(document["eb_offset_basis"])
    if stated not in (None, own):
        yield DocumentFault(code, "/eb_offset_basis/basis_digest", f"states {stated}; the basis has {own}")
    if kind == "snapshot" and document["snapshot_hash"] != (own := hash_snapshot(document)):
        message = f"states {document['snapshot_hash']}; the content's is {own}"
        yield DocumentFault(code, "/snapshot_hash", message)


def _find_kind(document: Document, ref: str) -> Kind:
    kinds = [kind for mark, kind in _MARKS.items() if mark in document]
    if len(kinds) != 1:
        found = " and ".join(kinds) if kinds else "none of them"
        required = "a snapshot (features), an audit record (audit_id) or a decision (decision_id) is required"
        raise KIND_OF_ANCHOR.refuse(ref, f"is {found}; {required}", found=kinds)
    return kinds[0]


def _read_ends(basis: Document, ref: str) -> Iterator[AnchorEnd]:
    """How far a basis reaches in each partition that it names."""
    kind, seen = basis["offset_kind"], set()
    for one in basis["offsets"]:
        place = (one.get("topic", basis["stream"]), one["partition"])
        if place in seen:
            raise KIND_OF_ANCHOR.refuse(ref, f"its basis names partition {place[1]} of {place[0]} twice")
        seen.add(place)
        try:
            last = -1 if one["offset"] == "-1" else parse_offset(one["offset"], kind)
        except ValueError as error:
            raise KIND_OF_ANCHOR.refuse(ref, f"its basis: {error}") from None
        yield AnchorEnd(*place, kind, last - 1 if kind == _EXCLUSIVE and last >= 0 else last)


def _read_body(seen: Seen | None, document: Document, audit: Audit) -> tuple[Document | None, str]:
    """(the snapshot that an audit record or a decision names, "") or (None, why it cannot be used)."""
    if seen is None:
        return None, "the anchor names no snapshot_ref"
    ref = seen.ref
    try:
        with audit_resolution(audit, ref, "parity_anchor"):
            found = seen.open()
            if _find_kind(found, ref) != "snapshot":
                raise KIND_OF_ANCHOR.refuse(ref, "is no snapshot")
            require_kept(found, KIND_OF_ANCHOR, ref)
    except Refusal as refusal:
        if refusal.code == "ENVIRONMENT_UNFIT":  # nothing of it is the snapshot's: another attempt may read it
            raise
        return None, f"{refusal.code}: {refusal.message}"
    if found["snapshot_hash"] != document["snapshot_hash"]:
        return None, f"the snapshot at {ref} states another hash, {found['snapshot_hash']}"
    return found, ""


def _find_contradictions(document: Document, body: Document) -> Iterator[str]:
    """Members in which an anchor and its snapshot differ."""
    for name in ("pins", "eb_offset_basis", "graph_version"):
        if name in document and document[name] != body.get(name):
            yield f"{name} of the anchor is not that of its snapshot"


def rebuild_content(anchor: Anchor, profile: Profile) -> dict[str, Any]:
    """The content of the snapshot that is rebuilt: as of time, pins, run config and graph are the anchor's; groups and
    revision are the profile's; the basis states its own digest.

    PARITY_UNCHECKABLE where neither the anchor nor its basis says as of when it is.
    """
    basis = dict(anchor.basis)
    as_of = anchor.content["as_of_time_utc"] or basis.get("window_end_utc")
    if as_of is None:
        message = f"{anchor.ref}: neither as_of_time_utc nor a readable snapshot: {anchor.bodiless}"
        raise refuse("PARITY_UNCHECKABLE", message, ref=anchor.ref, prerequisite="as_of_time_utc")
    if "basis_digest" in basis:
        basis["basis_digest"] = digest_basis(basis)
    return {
        **anchor.content,
        **describe_version(profile),
        "as_of_time_utc": as_of,
        "eb_offset_basis": basis,
        "freshness": anchor.content["freshness"] or dict(FRESH),
    }


def find_version_differences(anchor: Anchor, profile: Profile) -> list[str]:
    """What the anchor says of profile and run config that is not so, each in words."""
    own, said, config = describe_version(profile), anchor.content, anchor.body_config
    found = [
        _describe_groups(said[name], own[name])
        if name == "feature_groups"
        else f"{name} is {said[name]}; the profile's is {own[name]}"
        for name in own
        if said[name] is not None and said[name] != own[name]
    ]
    if config not in (None, said["run_config_digest"]):
        found.append(f"run_config_digest is {said['run_config_digest']}; its snapshot states {config}")
    return found


def _describe_groups(said: Sequence[Document], own: Sequence[Document]) -> str:
    """Which groups of a snapshot the intent's set does not name, and which of its own the snapshot does not have.

    A snapshot's hash is of all its groups' names: a set of other groups is another version, and none is put in its place.
    """
    theirs, ours = ([f"{one['name']}@{one['version']}" for one in groups] for groups in (said, own))
    missing, more = sorted({*theirs} - {*ours}), sorted({*ours} - {*theirs})
    told = [f"the intent's feature set does not name {', '.join(missing)}"] if missing else []
    told += [f"the snapshot has no {', '.join(more)}"] if more else []
    return f"feature_groups: {'; '.join(told) or f'listed as {theirs}, not as {ours}'}"
