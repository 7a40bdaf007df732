"""The Spark floor: everything a build must at least do on Spark, computing nothing.

Spark's own scan of the same segments, `from_json` of the same declared fields, one exchange by the first entity key, a
sort, and a Delta write of as many columns of the same types as the build writes.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

PAYLOAD = "payload struct<customer_id: string, terminal_id: string, merchant_id: string, amount: decimal(12,2), result: string>"


def parsed(session: SparkSession, segments: Sequence[str]) -> DataFrame:
    """The declared fields of every archived row, by Spark's JSON reader."""
    return (
        session.read.parquet(*segments)
        .select(
            "event_id",
            "event_type",
            "ts_utc",
            "platform_run_id",
            "origin_offset",
            F.from_json("envelope", PAYLOAD).alias("e"),
        )
        .select(
            "event_id",
            "event_type",
            "ts_utc",
            "platform_run_id",
            F.col("origin_offset.topic").alias("_topic"),
            F.col("origin_offset.partition").alias("_partition"),
            F.col("origin_offset.offset").alias("_offset"),
            "e.payload.*",
        )
    )


def run(session: SparkSession, segments: Sequence[str], table: str, columns: Sequence[tuple[str, str]]) -> None:
    """Writes the floor's table: `columns` are (name, Spark type) of the build's features and labels, filled from what was read."""
    fill = {
        "bigint": F.unix_micros("ts_utc"),
        "double": F.col("amount").cast("double"),
        "string": F.col("customer_id"),
        "timestamp": F.col("ts_utc"),
        "int": F.col("_partition"),
    }
    (
        parsed(session, segments)
        .repartition("customer_id")
        .sortWithinPartitions("customer_id", "ts_utc", "_topic", "_partition", "_offset")
        .select(
            "platform_run_id",
            "event_id",
            "event_type",
            "ts_utc",
            *[fill[spark_type].alias(name) for name, spark_type in columns],
            "_topic",
            "_partition",
            "_offset",
        )
        .write.format("delta")
        .mode("overwrite")
        .save(table)
    )
