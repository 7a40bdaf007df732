"""What a row keeps of its own event, as Spark reads it from the Delta table: every type as it is declared."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from tests.spec.tables import ALL
from tests.worlds.running import run

CASE = ALL["own-every_type"]
TYPES = {
    "anchor__d": "decimal(12,2)",
    "anchor__w": "decimal(38,10)",
    "anchor__i": "bigint",
    "anchor__x": "double",
    "anchor__s": "string",
    "anchor__b": "boolean",
}


def test_spark_reads_the_declared_types_and_values(spark: SparkSession, tmp_path: Path) -> None:
    found = run(CASE.world, tmp_path)
    table = spark.read.format("delta").load(str(found.root / found.published["table_ref"]))
    assert {name: type_ for name, type_ in table.dtypes if name in TYPES} == TYPES
    assert CASE.shown(row.asDict() for row in table.collect()) == CASE.rows
    assert CASE.shown(found.rows) == CASE.rows
