"""The naive Spark build: what a careful engineer writes with Spark's own functions.

`from_json`, `dropDuplicates` by event id, one RANGE window per length, a label join by the greatest assertion, Delta.
It is not exact (ties see the future, arrival is ignored, sums are Spark's) and is here only for its time.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from benchmarks.floor import parsed

WINDOWS = {"1h": 3_600, "24h": 86_400, "7d": 604_800}


def run(session: SparkSession, segments: Sequence[str], labels: str, table: str, asof: str) -> None:
    """Writes twelve features over customers (three windows × count, sum, mean, max) and one label."""
    events = parsed(session, segments).where("event_type = 'card_payment'").dropDuplicates(["event_id"])
    events = events.withColumn("at", F.unix_seconds("ts_utc"))
    features = []
    for name, seconds in WINDOWS.items():
        window = Window.partitionBy("customer_id").orderBy("at").rangeBetween(-seconds + 1, 0)
        features += [
            F.count("*").over(window).alias(f"customer__count_{name}"),
            F.sum("amount").over(window).cast("double").alias(f"customer__spend_{name}"),
            F.avg("amount").over(window).cast("double").alias(f"customer__mean_{name}"),
            F.max("amount").over(window).cast("double").alias(f"customer__largest_{name}"),
        ]
    known = session.read.parquet(labels).where(
        (F.col("label_type") == "fraud_disposition") & (F.col("observed_time") <= F.lit(asof))
    )
    newest = known.groupBy("event_id").agg(
        F.max_by(
            F.struct("label_value", "observed_time", "label_assertion_id"),
            F.struct("effective_time", "observed_time", "label_assertion_id"),
        ).alias("label")
    )
    rows = events.select("*", *features).join(newest, "event_id", "left")
    rows.select(
        "platform_run_id",
        "event_id",
        "event_type",
        "ts_utc",
        *[c for c in rows.columns if c.startswith("customer__")],
        F.col("label.label_value").alias("label__fraud_disposition"),
        F.col("label.observed_time").alias("label__observed"),
        "_topic",
        "_partition",
        "_offset",
    ).write.format("delta").mode("overwrite").save(table)
