"""A label extract is the one its manifest describes, or it is not used."""

from __future__ import annotations

from typing import Any

import pytest

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.labels.extract import read_extract, require_marker
from tests.unit.labels.extracts import EXTRACT, extract_document, stored

FILE = {"path": "labels/0.parquet", "bytes": 3, "sha256": "ab" * 32, "row_count": 7}


def test_a_valid_extract_is_pinned_by_its_digest_and_marker() -> None:
    document = extract_document()
    extract = read_extract(stored(document), EXTRACT)
    assert (extract.digest, extract.marker, extract.row_count) == (document["digest"], "commit-1", 7)
    assert [(f.ref, f.bytes, f.row_count) for f in extract.files] == [("labels/0.parquet", 3, 7)]
    assert parse_instant(extract.committed_up_to_utc) == 1_780_272_000_000_000
    assert extract.content_key == bytes.fromhex(document["digest"])[:16]


@pytest.mark.parametrize(
    "document",
    [
        b"{not json",
        b"[]",
        b'{"a": 1, "a": 2}',
        extract_document(schema_version="label_store.extract.v1"),
        extract_document(digest="00" * 32),
        extract_document(row_count=8),
        extract_document(row_count="7"),
        extract_document(row_count=14, files=[FILE, FILE]),
        extract_document(committed_up_to_utc="2026-06-01T00:00:00"),
        extract_document(files=[{**FILE, "sha256": "AB" * 32}]),
        extract_document(files=[{**FILE, "rows": 1}]),
        extract_document(unknown=1),
    ],
)
def test_any_other_document_is_no_extract(document: Any) -> None:
    with pytest.raises(Refusal) as refused:
        read_extract(stored(document), EXTRACT)
    assert refused.value.code == "LABEL_STORE_UNAVAILABLE"
    assert refused.value.details["ref"] == EXTRACT


def test_a_missing_extract_is_unavailable_and_a_ref_outside_the_root_is_refused_as_such() -> None:
    with pytest.raises(Refusal, match="LABEL_STORE_UNAVAILABLE"):
        read_extract(MemoryObjects(), EXTRACT)
    with pytest.raises(Refusal, match="REF_SCOPE_INVALID"):
        read_extract(stored(extract_document(files=[{**FILE, "path": "../other/0.parquet"}])), EXTRACT)


def test_a_policy_may_require_the_stores_own_marker() -> None:
    require_marker(read_extract(stored(extract_document()), EXTRACT))
    for changes in ({"marker": None}, {"origin": "labels.jsonl"}):
        with pytest.raises(Refusal, match="LABEL_STORE_UNAVAILABLE"):
            require_marker(read_extract(stored(extract_document(**changes)), EXTRACT))
