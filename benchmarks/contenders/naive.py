"""The naive Spark build: what a careful engineer writes with Spark's own functions.

`from_json`, `dropDuplicates` by event id, one RANGE window per length and key, a label join by the greatest assertion, Delta.
"""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from benchmarks.contenders.floor import parsed
from benchmarks.contenders.job import LABEL_COLUMNS, Job
from benchmarks.worlds import LABEL, WINDOWS


def run(session: SparkSession, job: Job) -> Path:
    """Writes the features of every key (three windows × count, sum, mean, max) and one label."""
    events = parsed(session, job).where("event_type = 'card_payment'").dropDuplicates(["event_id"])
    events = events.withColumn("at", F.unix_micros("ts_utc"))
    features = []
    for group, key in job.groups.items():
        for name, seconds in WINDOWS.items():
            window = Window.partitionBy(key).orderBy("at").rangeBetween(1 - seconds * 1_000_000, 0)
            features += [
                F.count("*").over(window).alias(f"{group}__count_{name}"),
                F.sum("amount").over(window).cast("double").alias(f"{group}__spend_{name}"),
                F.avg(F.col("amount").cast("double")).over(window).alias(f"{group}__mean_{name}"),
                F.max("amount").over(window).cast("double").alias(f"{group}__largest_{name}"),
            ]
    known = session.read.parquet(*job.world.labels).where(
        (F.col("label_type") == LABEL) & (F.col("observed_time") <= F.lit(job.world.asof))
    )
    newest = known.groupBy("event_id").agg(
        F.max_by(
            F.struct("label_value", "effective_time", "observed_time", "label_assertion_id"),
            F.struct("effective_time", "observed_time", "label_assertion_id"),
        ).alias("label")
    )
    value, status, effective, observed, assertion = LABEL_COLUMNS
    rows = events.select("*", *features).join(newest, "event_id", "left")
    labelled = rows.select(
        "*",
        F.col("label.label_value").alias(value),
        F.when(F.col("label").isNull(), "NOT_FOUND").otherwise("RESOLVED").alias(status),
        F.col("label.effective_time").alias(effective),
        F.col("label.observed_time").alias(observed),
        F.col("label.label_assertion_id").alias(assertion),
    )
    labelled.select(*job.columns).write.format("delta").mode("overwrite").save(str(job.table))
    return job.table
