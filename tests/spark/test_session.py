from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from ofs_spark.io.context import open_context
from ofs_spark.io.java import check_java, find_class_archive
from ofs_spark.io.session import build_session, read_properties
from tests.spec.tables.windows import world
from tests.worlds.writer import write_world

ROOT = Path(__file__).resolve().parents[2]


def test_delta_tables_are_written_and_read(spark: SparkSession, tmp_path: Path) -> None:
    table = str(tmp_path / "table")
    spark.range(10).write.format("delta").save(table)
    assert spark.read.format("delta").load(table).where("id >= 7").count() == 3
    assert spark.sql(f"DESCRIBE HISTORY delta.`{table}`").count() == 1


def test_the_session_means_utc_and_strict_casts(spark: SparkSession) -> None:
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    [zone] = spark.sql("SELECT java_method('java.util.TimeZone', 'getDefault') AS zone").collect()
    assert 'id="UTC"' in zone.zone


def test_the_jvm_of_one_machine_starts_and_compiles_quickly(spark: SparkSession) -> None:
    """It computes nothing that its second compiler's work would pay for; what `make setup` kept of classes is in use."""
    jvm: Any = spark.sparkContext._jvm
    started_with = set(jvm.java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments())
    archive = find_class_archive(ROOT, check_java())
    assert {"-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC", f"-XX:SharedArchiveFile={archive}"} <= started_with
    maps = Path(f"/proc/{jvm.java.lang.ProcessHandle.current().pid()}/maps").read_text(encoding="utf-8")
    assert str(archive) in maps


def test_page_checksums_are_verified(spark: SparkSession) -> None:
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    assert hadoop.get("parquet.page.verify-checksum.enabled") == "true"


def test_workers_run_this_python(spark: SparkSession) -> None:
    def which(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for _ in batches:
            yield pa.RecordBatch.from_pydict({"python": [sys.executable]})

    assert [row.python for row in spark.range(1).mapInArrow(which, "python string").collect()] == [sys.executable]


def test_on_a_cluster_a_batch_holds_at_most_four_chunks(spark: SparkSession) -> None:
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before, own = spark.conf.get(name), read_properties(ROOT / "conf" / "spark" / "cluster.conf")[name]

    def sizes(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_pydict({"rows": pa.array([batch.num_rows], pa.int64())})

    spark.conf.set(name, own)
    try:
        found = [row.rows for row in spark.range(0, 50, 1, 1).mapInArrow(sizes, "rows bigint").collect()]
    finally:
        spark.conf.set(name, before or "")
    assert found == [*[4] * 12, 2]


def test_a_context_leaves_running_the_session_that_it_found(spark: SparkSession, tmp_path: Path) -> None:
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path)
    with open_context(written.wiring, None, lambda _room, _doing: None) as context:
        assert context.engine(1, "").describe_versions()["spark"] == spark.version
    assert spark.range(3).count() == 3
    assert not (written.root / ".spark").exists()


def test_a_second_call_gives_the_session_that_runs(spark: SparkSession) -> None:
    again = build_session({"spark.sql.shuffle.partitions": "3"}, "local[1]", "another name")
    assert again.sparkContext is spark.sparkContext
    assert again.conf.get("spark.sql.shuffle.partitions") == "3"
    again.conf.set("spark.sql.shuffle.partitions", "4")
