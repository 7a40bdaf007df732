"""The same dataset by DuckDB, as its own users would write it: one query from Parquet to Parquet, on all cores.

The first delivered copy of an event by QUALIFY, amounts as decimals, one named RANGE window per length and key, the newest
label by `arg_max`. One call with all paths was the quickest way to read JSON when measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from benchmarks.contenders.job import LABEL_COLUMNS, ROW, Job
from benchmarks.worlds import LABEL, WINDOWS

ZSTD_LEVEL = 1
"""As the build writes."""


def run(job: Job) -> Path:
    """Writes the table as one Parquet file per thread."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        connection.execute(compose(job))
    return job.table


def compose(job: Job) -> str:
    """The query."""
    value, status, effective, observed, assertion = LABEL_COLUMNS
    fields = [*job.groups.values(), "amount"]
    paths = [f"$.payload.{field}" for field in fields]
    values = [
        f"payload[{at}]::{'DECIMAL(12,2)' if field == 'amount' else 'VARCHAR'} AS {field}"
        for at, field in enumerate(fields, 1)
    ]
    windows = ",\n  ".join(_name_windows(job))
    return f"""
COPY (
  WITH archived AS (
    SELECT {", ".join(ROW)}, origin_offset AS origin,
      json_extract_string(envelope, {paths}) AS payload
    FROM read_parquet({job.world.segments})
    WHERE event_type = 'card_payment'
    QUALIFY row_number() OVER (
      PARTITION BY event_id
      ORDER BY published_at_utc, origin_offset.topic, origin_offset.partition, origin_offset.offset::BIGINT
    ) = 1
  ),
  events AS (
    SELECT {", ".join(ROW)}, origin, epoch_us(ts_utc) AS instant, {", ".join(values)} FROM archived
  ),
  newest AS (
    SELECT event_id, arg_max(
      struct_pack(value := label_value, effective := effective_time, observed := observed_time, id := label_assertion_id),
      (effective_time, observed_time, label_assertion_id)
    ) AS label
    FROM read_parquet({job.world.labels})
    WHERE label_type = '{LABEL}' AND observed_time <= TIMESTAMPTZ '{job.world.asof}'
    GROUP BY event_id
  )
  SELECT {", ".join(ROW)},
    {", ".join(_compute_features(job))},
    label.value AS {value},
    CASE WHEN label IS NULL THEN 'NOT_FOUND' ELSE 'RESOLVED' END AS {status},
    label.effective AS {effective}, label.observed AS {observed}, label.id AS {assertion},
    origin.topic AS _topic, origin.partition AS _partition, origin.offset AS _offset
  FROM events LEFT JOIN newest USING (event_id)
  WINDOW {windows}
) TO '{job.table}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {ZSTD_LEVEL}, PER_THREAD_OUTPUT true)
"""


def _name_windows(job: Job) -> Iterable[str]:
    for group, key in job.groups.items():
        for name, seconds in WINDOWS.items():
            frame = f"RANGE BETWEEN {seconds * 1_000_000 - 1} PRECEDING AND CURRENT ROW"
            yield f"{group}_{name} AS (PARTITION BY {key} ORDER BY instant {frame})"


def _compute_features(job: Job) -> Iterable[str]:
    for group in job.groups:
        for column, form in (
            ("count", "count(*) OVER {0}"),
            ("spend", "CAST(sum(amount) OVER {0} AS DOUBLE)"),
            ("mean", "avg(amount) OVER {0}"),
            ("largest", "CAST(max(amount) OVER {0} AS DOUBLE)"),
        ):
            yield from (f"{form.format(f'{group}_{name}')} AS {group}__{column}_{name}" for name in WINDOWS)
