"""What investigators and card schemes say about the payments, and when: the label extract."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from ofs_spark.demo.archive import MADE, RUN
from ofs_spark.demo.payments import Payments
from ofs_spark.foundation.clock import DAY_US
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.intake.world import MICROS, write_extract, write_parquet


def write_labels(root: Path, made: Payments, ids: list[str], asof_us: int, rng: np.random.Generator) -> int:
    """Writes the assertions and returns their number.

    A disposition within a week for 99.6 % of payments, 3 % of them suspected first and corrected later, a handful
    contradicting each other at one instant; chargebacks two to seven weeks later, the all-clear for a fifth of the
    rest; some after the cut-off.
    """
    n = len(ids)
    judged = np.flatnonzero(rng.random(n) < 0.996)
    value = np.where(made.fraud[judged], "FRAUD_CONFIRMED", "LEGIT_CONFIRMED")
    observed = made.ts[judged] + rng.integers(DAY_US // 12, 7 * DAY_US, len(judged))
    suspected = judged[rng.random(len(judged)) < 0.03]
    doubtful = rng.choice(len(judged), max(1, n // 20_000), replace=False)
    other = np.where(made.fraud[judged[doubtful]], "LEGIT_CONFIRMED", "FRAUD_CONFIRMED")
    back = np.flatnonzero(made.fraud & (rng.random(n) < 0.8))
    charged = made.ts[back] + rng.integers(14 * DAY_US, 49 * DAY_US, len(back))
    fine = np.flatnonzero(~made.fraud & (rng.random(n) < 0.2))
    events = np.concatenate([suspected, judged, judged[doubtful], back, fine])
    values = np.concatenate(
        [
            np.repeat("FRAUD_SUSPECTED", len(suspected)),
            value,
            other,
            np.repeat("CHARGEBACK", len(back)),
            np.repeat("NO_CHARGEBACK", len(fine)),
        ]
    )
    times = np.concatenate(
        [made.ts[suspected] + DAY_US // 24, observed, observed[doubtful], charged, made.ts[fine] + 45 * DAY_US]
    )
    types = np.repeat(
        ["fraud_disposition", "chargeback_status"],
        [len(suspected) + len(judged) + len(doubtful), len(back) + len(fine)],
    )
    return _write(root, ids, events, values, times, types, asof_us)


def _write(root: Path, ids: list[str], events: Array, values: Array, times: Array, types: Array, asof_us: int) -> int:
    table = _invent_assertions(ids, events, values, times, types)
    files = []
    for number, begin in enumerate(range(0, table.num_rows, 250_000)):
        part = table.slice(begin, 250_000)
        stored = write_parquet(root, f"{MADE.extract_folder}/part-{number:04d}.parquet", part)
        files.append({**stored, "row_count": part.num_rows})
    write_extract(root, MADE, "demo-label-store", f"demo-{table.num_rows}", asof_us + 40 * DAY_US, files)
    return int(table.num_rows)


def _invent_assertions(ids: list[str], events: Array, values: Array, times: Array, types: Array) -> pa.Table:
    """The rows of the label timeline."""
    n = len(events)
    assertion = [hashlib.md5(f"assertion-{i}".encode(), usedforsecurity=False).hexdigest() for i in range(n)]
    human = types == "fraud_disposition"
    stamps = pa.array(times).cast(MICROS)
    return pa.table(
        {
            "label_assertion_id": assertion,
            "platform_run_id": pa.repeat(RUN, n),
            "event_id": [ids[i] for i in events.tolist()],
            "label_type": types,
            "label_value": values,
            "effective_time": stamps,
            "observed_time": stamps,
            "source_type": np.where(human, "HUMAN", "EXTERNAL"),
            "actor_id": pa.array(np.where(human, "analyst-7", ""), mask=~human),
            "payload_hash": assertion,
            "evidence_refs_json": pa.repeat("[]", n),
            "assertion_ref": assertion,
            "committed_at_utc": pa.array(times + 30_000_000).cast(MICROS),
        }
    )
