"""The Spark floor: everything a build must at least do on Spark, computing nothing.

Spark's own scan of the same segments, `from_json` of the same declared fields, one exchange by the first entity key, a
sort, and a Delta write of as many columns of the same types as the build writes.
"""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.contenders.job import LABEL_COLUMNS, POSITION, ROW, Job

PAYLOAD = "payload struct<customer_id: string, terminal_id: string, amount: decimal(12,2)>"


def parsed(session: SparkSession, job: Job) -> DataFrame:
    """The declared fields of every archived row, by Spark's JSON reader."""
    origin = [F.col(f"origin_offset.{name}").alias(f"_{name}") for name in ("topic", "partition", "offset")]
    return (
        session.read.parquet(*job.world.segments)
        .select(*ROW, "published_at_utc", *origin, F.from_json("envelope", PAYLOAD).alias("e"))
        .select(*ROW, "published_at_utc", *POSITION, "e.payload.*")
    )


def run(session: SparkSession, job: Job) -> Path:
    """Writes the floor's table: the build's columns, filled from what was read."""
    types = [*job.features, *((name, "timestamp" if name.endswith("_time") else "string") for name in LABEL_COLUMNS)]
    fill = {
        "bigint": F.unix_micros("ts_utc"),
        "double": F.col("amount").cast("double"),
        "string": F.col("customer_id"),
        "timestamp": F.col("ts_utc"),
    }
    (
        parsed(session, job)
        .repartition("customer_id")
        .sortWithinPartitions("customer_id", "ts_utc", *POSITION)
        .select(*ROW, *(fill[spark_type].alias(name) for name, spark_type in types), *POSITION)
        .write.format("delta")
        .mode("overwrite")
        .save(str(job.table))
    )
    return job.table
