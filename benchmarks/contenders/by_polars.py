"""The same dataset by Polars, as its own users would write it: a lazy query up to one row per event with
its label, then `rolling` by key, a frame per window.

The first delivered copy of an event by a sort and `unique`, amounts as floats, the newest label by a sort and `unique`. What
was slower when measured: `json_path_match`, `rolling_sum_by(…).over(key)`, the streaming engine (all of two cores).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.contenders.job import LABEL_COLUMNS, ROW, Job
from benchmarks.worlds import LABEL, WINDOWS

ZSTD_LEVEL = 1
"""As the build writes."""
PAYLOAD = pl.Struct({"payload": pl.Struct({"customer_id": pl.String, "terminal_id": pl.String, "amount": pl.Float64})})
DELIVERY = ("published_at_utc", "_topic", "_partition")


def run(job: Job) -> Path:
    """Writes the table as one Parquet file."""
    rows = read_events(job).join(choose_labels(job), on="event_id", how="left").collect()
    for group, key in job.groups.items():
        rows = add_features(rows, group, key)
    status = pl.when(pl.col(LABEL_COLUMNS[0]).is_null()).then(pl.lit("NOT_FOUND")).otherwise(pl.lit("RESOLVED"))
    job.table.mkdir(parents=True)
    rows.with_columns(status.alias(LABEL_COLUMNS[1])).select(job.columns).write_parquet(
        job.table / "rows.parquet", compression="zstd", compression_level=ZSTD_LEVEL
    )
    return job.table


def read_events(job: Job) -> pl.LazyFrame:
    """The payments, one copy each."""
    origin = pl.col("origin_offset").struct
    return (
        pl.scan_parquet(job.world.segments)
        .filter(pl.col("event_type") == "card_payment")
        .with_columns(pl.col("envelope").str.json_decode(PAYLOAD).struct.field("payload"))
        .select(
            *ROW,
            "published_at_utc",
            *(pl.col("payload").struct.field(name) for name in (*job.groups.values(), "amount")),
            *(origin.field(name).alias(f"_{name}") for name in ("topic", "partition", "offset")),
        )
        .sort(*DELIVERY, pl.col("_offset").cast(pl.Int64))
        .unique("event_id", keep="first")
    )


def choose_labels(job: Job) -> pl.LazyFrame:
    """The newest label of every event, as it was known."""
    value, _, effective, observed, assertion = LABEL_COLUMNS
    asof = pl.lit(job.world.asof).str.to_datetime(time_unit="us", time_zone="UTC")
    return (
        pl.scan_parquet(job.world.labels)
        .filter(pl.col("label_type") == LABEL, pl.col("observed_time") <= asof)
        .sort("effective_time", "observed_time", "label_assertion_id")
        .unique("event_id", keep="last")
        .select(
            "event_id",
            pl.col("label_value").alias(value),
            pl.col("effective_time").alias(effective),
            pl.col("observed_time").alias(observed),
            pl.col("label_assertion_id").alias(assertion),
        )
    )


def add_features(rows: pl.DataFrame, group: str, key: str) -> pl.DataFrame:
    """The rows by key and time with the features of a group. `rolling` gives its rows in the order of those it is given."""
    rows = rows.sort(key, "ts_utc")
    amount = pl.col("amount")
    computed = [
        rows.rolling("ts_utc", period=window, closed="right", group_by=key).agg(
            pl.len().cast(pl.Int64).alias(f"{group}__count_{window}"),
            amount.sum().alias(f"{group}__spend_{window}"),
            amount.mean().alias(f"{group}__mean_{window}"),
            amount.max().alias(f"{group}__largest_{window}"),
        )
        for window in WINDOWS
    ]
    return pl.concat([rows, *(one.drop(key, "ts_utc") for one in computed)], how="horizontal")
