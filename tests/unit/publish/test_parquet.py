"""Files are written the same way for the same rows, and re-reading finds every change of them."""

from __future__ import annotations

import dataclasses
import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.labels.coverage import TypeCounts
from ofs_spark.publish.digest import LeafDigest, digest_content
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.parquet import encode_parquet, write_files
from ofs_spark.publish.verify import Checks, FileCheck, add_checks, verify_file
from tests.unit.publish.tables import CHECKS, DAY, TYPES, filled, placed, rows, stage


def test_equal_rows_give_equal_bytes_however_they_are_held() -> None:
    table, cut = placed()
    chunked = pa.concat_tables([table.slice(0, 7), table.slice(7)])
    noted = table.replace_schema_metadata({"made": "today"})
    first = [(entry.path, body) for body, entry in write_files(filled(table, cut), 0)]
    for other in (chunked, noted):
        assert [(entry.path, body) for body, entry in write_files(filled(other, cut), 0)] == first


def test_the_digest_does_not_depend_on_files() -> None:
    digests = set()
    for file_rows in (1, 20, 10_000):
        leaves = [leaf for entry in stage(MemoryObjects(), file_rows) for leaf in entry.leaves]
        digests.add(digest_content(list(TYPES.items()), leaves))
    assert len(digests) == 1


def test_files_carry_page_checksums_and_no_engines_schema() -> None:
    body = encode_parquet(rows()[0])
    file = pq.ParquetFile(pa.BufferReader(body))
    assert b"ARROW:schema" not in (file.metadata.metadata or {})
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert str(file.schema_arrow.field("ts_utc").type) == "timestamp[us, tz=UTC]"
    broken = 0
    for at in range(60, 400, 7):
        flipped = body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :]
        try:
            found = pq.ParquetFile(pa.BufferReader(flipped), page_checksum_verification=True).read()
        except (OSError, pa.ArrowException):
            broken += 1
        else:
            assert found.equals(file.read())
    assert broken > 30


def test_only_text_that_repeats_is_dictionary_encoded() -> None:
    table = pa.table({"id": [str(i) for i in range(100)], "kind": ["a", "b"] * 50})
    group = pq.ParquetFile(pa.BufferReader(encode_parquet(table))).metadata.row_group(0)
    assert [group.column(i).has_dictionary_page for i in (0, 1)] == [False, True]


def test_a_good_file_passes_and_its_counts_add_up() -> None:
    objects = MemoryObjects()
    entries = stage(objects)
    assert len(entries) > 1
    found = [verify_file(objects.read(e.path), e, CHECKS) for e in entries]
    table = rows()[0]
    early = sum(ts.value < DAY for ts in table.column("ts_utc"))
    nulls = {name: table.column(name).null_count for name in TYPES}
    assert 0 < early < 40
    leaves = tuple(leaf for entry in entries for leaf in entry.leaves)
    labels = {"x": TypeCounts(40, 20, 0, 20, sum(ts.value <= DAY for ts in table.column("ts_utc")), 0)}
    assert add_checks(found) == FileCheck(40, 0, labels, {"f": early}, nulls, leaves)
    leaking = dataclasses.replace(CHECKS, cutoff_us=2 * DAY - 1)
    assert sum(verify_file(objects.read(e.path), e, leaking).leaks for e in entries) == 20


def test_an_entry_survives_the_way_to_the_driver() -> None:
    for entry in stage(MemoryObjects()):
        assert FileEntry.from_document(entry.to_document()) == entry


def altered(entry: FileEntry, **changes: object) -> FileEntry:
    return dataclasses.replace(entry, **changes)  # type: ignore[arg-type]  # each test names one field


def test_every_difference_is_found_and_named() -> None:
    objects = MemoryObjects()
    entry = stage(objects, file_rows=1000)[0]
    body = objects.read(entry.path)
    leaf = entry.leaves[0]
    wrong = LeafDigest(leaf.leaf, leaf.rows, ("00" * 32, *leaf.columns[1:]))
    other = Checks((("event_id", "string"),), (), 0, 0, {})
    cases = [
        (body[:-1], entry, CHECKS, "bytes"),
        (b"", entry, CHECKS, "bytes"),
        (body[:50] + bytes([body[50] ^ 1]) + body[51:], entry, CHECKS, "bytes"),
        (body, altered(entry, sha256="00" * 32), CHECKS, "bytes"),
        (body, altered(entry, rows=entry.rows + 1), CHECKS, "rows"),
        (body, altered(entry, null_counts={**entry.null_counts, "f": 0}), CHECKS, "null counts"),
        (body, altered(entry, leaves=(wrong, *entry.leaves[1:])), CHECKS, f"digests of leaf {leaf.leaf}"),
        (body, altered(entry, leaves=entry.leaves[1:]), CHECKS, "rows of leaves"),
        (body, entry, other, "schema"),
    ]
    for sent, stated, checks, check in cases:
        with pytest.raises(Refusal) as refused:
            verify_file(sent, stated, checks)
        assert (refused.value.code, refused.value.details["check"]) == ("MATERIALIZATION_CORRUPT", check)


def test_a_file_that_is_not_parquet_is_corrupt_even_if_its_hash_was_recorded() -> None:
    entry = stage(MemoryObjects())[0]
    bad = altered(entry, bytes=3, sha256=hashlib.sha256(b"bad").hexdigest())
    with pytest.raises(Refusal, match="Parquet of"):
        verify_file(b"bad", bad, CHECKS)


def test_equal_texts_give_equal_bytes_whatever_dictionary_they_came_in() -> None:
    texts = pa.array(["b", None, "a", "b", "ü"])
    other = pa.DictionaryArray.from_arrays(pa.array([2, None, 0, 4, 1]), pa.array(["a", "ü", "b", "unused", "b"]))
    halves = pa.chunked_array([texts.slice(0, 2).dictionary_encode(), texts.slice(2).dictionary_encode()])
    bodies = {encode_parquet(pa.table({"a": column})) for column in (texts.dictionary_encode(), other, halves)}
    assert len(bodies) == 1
    assert pq.read_table(pa.BufferReader(bodies.pop())).column("a").combine_chunks() == texts
    nulls = pa.nulls(3, pa.dictionary(pa.int32(), pa.string()))
    assert pq.read_table(pa.BufferReader(encode_parquet(pa.table({"a": nulls})))).column("a").null_count == 3


def test_columns_are_encoded_by_what_they_hold() -> None:
    numbers = pa.array(range(-50, 50))
    table = pa.table(
        {
            "id": [f"{i:x}" for i in range(100)],
            "kind": ["a", "b"] * 50,
            "count": numbers,
            "at": numbers.cast(pa.timestamp("us", "UTC")),
            "part": numbers.cast(pa.int32()),
            "mean": numbers.cast(pa.float64()),
            "flag": [True, None] * 50,
            "list": [[i] for i in range(100)],
        }
    )
    body = encode_parquet(table)
    file = pq.ParquetFile(pa.BufferReader(body), page_checksum_verification=True)
    chunks = [file.metadata.row_group(0).column(i) for i in range(8)]
    assert [one.compression for one in chunks] == ["ZSTD"] * 2 + ["UNCOMPRESSED"] * 3 + ["LZ4"] + ["ZSTD"] * 2
    packed = "DELTA_BINARY_PACKED"
    named = ["DELTA_LENGTH_BYTE_ARRAY", "RLE_DICTIONARY", packed, packed, packed, "PLAIN", "PLAIN", "PLAIN"]
    assert [name in one.encodings for name, one in zip(named, chunks, strict=True)] == [True] * 8
    assert [one.is_stats_set for one in chunks] == [False] + [True] * 7
    assert file.read() == table.cast(file.schema_arrow)
