"""The one Delta commit: what delta-rs writes, what its log says, who can read it."""

from __future__ import annotations

import json
from pathlib import Path

import polars
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.refs import name_table_commit
from ofs_spark.io.delta import DeltaTables
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.publish.delta_log import read_log, verify_log
from ofs_spark.publish.model import FileEntry
from tests.unit.publish.tables import COLUMNS, TABLE, rows, stage


def create(objects: LocalObjects, entries: list[FileEntry]) -> None:
    about = {"plan_id": "ab" * 32, "dataset_manifest_id": "dm_1"}
    DeltaTables().create(
        objects.locate(TABLE), COLUMNS, entries, "card_fraud_v3", "a dataset", about, 1_700_000_000_000
    )


@pytest.fixture
def published(tmp_path: Path) -> tuple[LocalObjects, list[FileEntry]]:
    objects = LocalObjects.at(tmp_path)
    entries = stage(objects)
    create(objects, entries)
    return objects, entries


def test_the_log_says_exactly_what_was_written(published: tuple[LocalObjects, list[FileEntry]]) -> None:
    objects, entries = published
    log = read_log(objects, TABLE)
    verify_log(log, TABLE, COLUMNS, entries)
    assert log.commit["plan_id"] == "ab" * 32
    assert log.table["configuration"]["delta.deletedFileRetentionDuration"] == "interval 36500 days"
    assert len(log.log_sha256) == 64


def test_readers_without_a_jvm_see_the_rows(published: tuple[LocalObjects, list[FileEntry]]) -> None:
    objects, _ = published
    expected = rows()[0].sort_by("event_id").to_pylist()
    frame = polars.read_delta(objects.locate(TABLE)).sort("event_id")
    assert [{**row, "p": int(row["p"])} for row in frame.to_dicts()] == expected
    table = DeltaTable(objects.locate(TABLE))
    assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == (1, 2)
    assert table.metadata().name == "card_fraud_v3"
    comments = {field.name: field.metadata["comment"] for field in table.schema().fields}
    assert comments["d"] == "what d means [EUR]"


def test_statistics_skip_only_files_that_hold_nothing(published: tuple[LocalObjects, list[FileEntry]]) -> None:
    objects, entries = published
    when = polars.col("ts_utc")
    for bound in [at + late for entry in entries for at in (entry.ts_min, entry.ts_max) for late in (0, 1)]:
        instant = polars.lit(bound).cast(polars.Datetime("us", "UTC"))
        found = polars.scan_delta(objects.locate(TABLE)).filter(when >= instant).collect()
        assert found.height == sum(ts.value >= bound for ts in rows()[0].column("ts_utc"))


def test_an_attempts_folder_is_committed_once(published: tuple[LocalObjects, list[FileEntry]]) -> None:
    objects, entries = published
    with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
        create(objects, entries)


def test_rows_are_not_deleted_or_replaced_by_delta(published: tuple[LocalObjects, list[FileEntry]]) -> None:
    objects, _ = published
    with pytest.raises(DeltaError):
        DeltaTable(objects.locate(TABLE)).delete()
    with pytest.raises(DeltaError):
        write_deltalake(objects.locate(TABLE), rows()[0], mode="overwrite")


def test_a_log_that_differs_from_what_was_written_is_corrupt(published: tuple[LocalObjects, list[FileEntry]]) -> None:
    objects, entries = published
    log = read_log(objects, TABLE)
    resized = [FileEntry(**{**entries[0].__dict__, "bytes": 1}), *entries[1:]]
    for columns, files in ((COLUMNS, entries[1:]), (COLUMNS, resized), (COLUMNS[::-1], entries)):
        with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
            verify_log(log, TABLE, columns, files)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (rb"numRecords\": ", rb"numRecords\": 1"),
        (rb"1970-01-01T00:00", rb"1970-01-01T00:01"),
        (rb"nullCount\": {\"event_id\": 0", rb"nullCount\": {\"event_id\": 1"),
        (b'"partitionValues":{}', b'"partitionValues":{"n":"1"}'),
        (b'"partitionColumns":[],"createdTime"', b'"partitionColumns":["n"],"createdTime"'),
        (b'"minReaderVersion":1,"minWriterVersion":2}}', b'"minReaderVersion":3,"minWriterVersion":7}}'),
        (b'"delta.appendOnly":"true"', b'"delta.appendOnly":"false"'),
        (b'"format":{"provider":"parquet"', b'"format":{"provider":"orc"'),
        (rb"\"type\":\"long\"", rb"\"type\":\"double\""),
        (rb"what d means", rb"what e means"),
        (b'"tags":null', b'"deletionVector":{"storageType":"u"}'),
    ],
)
def test_whatever_changes_what_a_reader_sees_is_named(
    was: bytes, becomes: bytes, published: tuple[LocalObjects, list[FileEntry]]
) -> None:
    objects, entries = published
    good = objects.read(name_table_commit(TABLE, 0))
    assert was in good
    log = read_log(MemoryObjects({name_table_commit(TABLE, 0): good.replace(was, becomes)}), TABLE)
    with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
        verify_log(log, TABLE, COLUMNS, entries)


@pytest.mark.parametrize(
    "beside", ["00000000000000000000.checkpoint.parquet", "_last_checkpoint", "00000000000000000007.json"]
)
def test_nothing_stands_beside_the_one_commit(beside: str, published: tuple[LocalObjects, list[FileEntry]]) -> None:
    objects, _ = published
    objects.put_if_absent(f"{TABLE}/_delta_log/{beside}", b"{}")
    with pytest.raises(Refusal, match="1 more entry"):
        read_log(objects, TABLE)


def test_a_table_without_its_one_commit_is_corrupt(published: tuple[LocalObjects, list[FileEntry]]) -> None:
    objects, _ = published
    good = objects.read(name_table_commit(TABLE, 0))
    add = next(line for line in good.splitlines() if b'"add"' in line)
    removed = json.dumps({"remove": {"path": "x"}}).encode()
    bodies = [b"", b"{", good + b"\n" + add, good + b"\n" + removed, good.replace(b"schemaString", b"schema")]
    for body in bodies:
        with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
            read_log(MemoryObjects({name_table_commit(TABLE, 0): body}), TABLE)
    with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
        read_log(MemoryObjects(), TABLE)
    with pytest.raises(Refusal, match="1 more entry"):
        read_log(MemoryObjects({name_table_commit(TABLE, 0): good, name_table_commit(TABLE, 1): b"{}"}), TABLE)


def test_statistics_have_milliseconds_and_enclose_the_rows(published: tuple[LocalObjects, list[FileEntry]]) -> None:
    objects, entries = published
    lines = [json.loads(line) for line in objects.read(name_table_commit(TABLE, 0)).splitlines()]
    stated = {line["add"]["path"]: json.loads(line["add"]["stats"]) for line in lines if "add" in line}
    for entry in entries:
        stats = stated[entry.name]
        least, greatest = (parse_instant(stats[side]["ts_utc"]) for side in ("minValues", "maxValues"))
        assert least == entry.ts_min - 1
        assert greatest == entry.ts_max + 999
        assert stats["nullCount"] == {name: nulls for name, nulls in entry.null_counts.items() if name != "l"}


@pytest.mark.parametrize("name", ["a%2Fb", "%2e%2e", "q?x=1#f", "wörld", "a b", "a%20b", "100%", "{a}*[b]"])
def test_a_table_may_stand_in_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path / name)
    entries = stage(objects)
    create(objects, entries)
    verify_log(read_log(objects, TABLE), TABLE, COLUMNS, entries)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
        create(objects, entries)


def test_a_log_that_cannot_be_written_is_the_machines(tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path)
    entries = stage(objects)
    Path(objects.locate(TABLE), "_delta_log").write_bytes(b"a file where a folder must be")
    with pytest.raises(Refusal, match="ENVIRONMENT_UNFIT"):
        create(objects, entries)
