"""The label extract's manifest: read by ref, proven to be what it says it is, pinned by its digest."""

from __future__ import annotations

from typing import Any

from ofs_spark.foundation.canonical import CanonicalError, digest, parse_json
from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects
from ofs_spark.labels.model import ExtractFile, LabelExtract

CONTRACT = "label_store.extract.v0"


def read_extract(objects: Objects, ref: str) -> LabelExtract:
    """The extract at `ref`, its contract, digest and row counts proven. Its files are read by `read_assertions`.

    LABEL_STORE_UNAVAILABLE if the document is missing, malformed, contradicts itself or has another digest.
    """
    document = _document(objects, ref)
    computed = digest({name: value for name, value in document.items() if name != "digest"})
    if computed != document["digest"]:
        raise _unavailable(ref, f"the extract's content has digest {computed}, it states {document['digest']}")
    files = tuple(
        ExtractFile(objects.relative(f["path"]), f["bytes"], f["sha256"], f["row_count"]) for f in document["files"]
    )
    stated = sum(file.row_count for file in files)
    if stated != document["row_count"]:
        raise _unavailable(ref, f"the extract states {document['row_count']} rows, its files {stated}")
    if len({file.ref for file in files}) != len(files):
        raise _unavailable(ref, "the extract lists one file twice")
    named = {
        name: document[name] for name in ("digest", "label_store_id", "marker", "committed_up_to_utc", "row_count")
    }
    return LabelExtract(ref=objects.relative(ref), **named, files=files, origin=document.get("origin"))


def _document(objects: Objects, ref: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = parse_json(objects.read(ref), what="the extract manifest")
    except ObjectMissing:
        raise _unavailable(ref, "there is no label extract at this ref") from None
    except CanonicalError as invalid:
        raise _unavailable(ref, str(invalid)) from None
    wrong = find_faults(document, CONTRACT)
    if wrong:
        message = f"{wrong[0].pointer or '/'} {wrong[0].message}"
        raise _unavailable(ref, message, faults=[fault.document() for fault in wrong])
    return document


def parse_committed(extract: LabelExtract) -> int:
    """The instant up to which the store had committed, in µs: the cut-off of a KNOW_NOW dataset."""
    return parse_instant(extract.committed_up_to_utc)


def require_marker(extract: LabelExtract) -> None:
    """LABEL_STORE_UNAVAILABLE unless the store's state is pinned by its own marker, not by JSON lines of any origin."""
    if extract.marker is None or extract.origin is not None:
        message = "this policy requires an extract taken from the label store with its commit marker"
        raise _unavailable(extract.ref, message, marker=extract.marker, origin=extract.origin)


def _unavailable(ref: str, message: str, **details: Any) -> Refusal:
    return refuse("LABEL_STORE_UNAVAILABLE", message, ref=ref, **details)
