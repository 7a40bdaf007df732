"""The label extract's manifest: read by ref, proven to be what it says it is, pinned by its digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.documents import DocumentKind, digest_content, read_document
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.wording import write_count
from ofs_spark.intent.model import Intent
from ofs_spark.labels.model import ExtractFile, LabelExtract

EXTRACT = DocumentKind("label_store.extract.v0", "label extract", "LABEL_STORE_UNAVAILABLE", "LABEL_STORE_UNAVAILABLE")


def read_extract(objects: Objects, ref: str) -> LabelExtract:
    """The extract at `ref`, its contract, digest and row counts proven. Its files are read by `read_assertions`.

    LABEL_STORE_UNAVAILABLE if the document is missing, malformed, contradicts itself or has another digest.
    """
    document = read_document(objects, EXTRACT, ref)
    files = tuple(
        ExtractFile(objects.relative(f["path"]), f["bytes"], f["sha256"], f["row_count"]) for f in document["files"]
    )
    faults = list(find_extract_faults(document, [file.ref for file in files]))
    if faults:
        raise EXTRACT.refuse_faults(ref, faults)
    named = {
        name: document[name] for name in ("digest", "label_store_id", "marker", "committed_up_to_utc", "row_count")
    }
    return LabelExtract(ref=objects.relative(ref), **named, files=files, origin=document.get("origin"))


def find_extract_faults(document: Mapping[str, Any], paths: Sequence[str]) -> Iterator[dict[str, str]]:
    """Where a manifest that keeps its contract contradicts itself: digest, rows, files. `paths`: of its files."""
    computed = digest_content(document)
    if computed != document["digest"]:
        yield {"pointer": "/digest", "message": f"states {document['digest']}, the content's is {computed}"}
    rows = sum(file["row_count"] for file in document["files"])
    if rows != document["row_count"]:
        yield {
            "pointer": "/row_count",
            "message": f"states {write_count(document['row_count'], 'row')}, its files {rows:,}",
        }
    if len(set(paths)) != len(paths):
        yield {"pointer": "/files", "message": "lists one file twice"}


def require_marker(extract: LabelExtract) -> None:
    """LABEL_STORE_UNAVAILABLE unless the store's state is pinned by its own marker, not by JSON lines of any origin."""
    if extract.marker is None or extract.origin is not None:
        message = "this policy requires an extract taken from the label store with its commit marker"
        raise EXTRACT.refuse(extract.ref, message, marker=extract.marker, origin=extract.origin)


def judge_marker(extract: LabelExtract, intent: Intent) -> tuple[str, ...]:
    """What is said aloud of a marker that lies before the as-of: labels known by then may be absent from the extract.

    LABEL_ASOF_BEYOND_MARKER for a training intent. An extract without a marker is judged by policy (`require_marker`).
    """
    if extract.marker is None or parse_instant(extract.committed_up_to_utc) >= intent.label_asof_us:
        return ()
    message = (
        f"the label extract is committed up to {extract.committed_up_to_utc} (marker {extract.marker}), "
        f"label_asof_utc is {intent.label_asof_text}: labels known by then may be absent"
    )
    if intent.training:
        at = "/label_basis/label_asof_utc"
        raise refuse("LABEL_ASOF_BEYOND_MARKER", message, pointer=at, committed_up_to_utc=extract.committed_up_to_utc)
    return (message,)
