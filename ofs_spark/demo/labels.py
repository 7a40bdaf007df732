"""What investigators and card schemes say about the payments, and when: the label extract."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ofs_spark.demo.archive import MADE, RUN, name_events
from ofs_spark.demo.payments import Payments
from ofs_spark.foundation.clock import DAY_US
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.intake.world import MICROS, write_extract, write_parquet

VALUES = ("FRAUD_CONFIRMED", "LEGIT_CONFIRMED", "FRAUD_SUSPECTED", "CHARGEBACK", "NO_CHARGEBACK")
FRAUD, LEGIT, SUSPECTED, CHARGED, FINE = range(len(VALUES))
"""Where a value stands in them."""
ROWS_OF_A_FILE = 250_000


@dataclass(frozen=True)
class _Assertions:
    """Who said what of which payment, and when: payment, value (a place in VALUES) and µs of each assertion.

    human: how many of them, from the first, are dispositions of investigators; the others are of card schemes.
    """

    event: Array
    value: Array
    time: Array
    human: int


def write_labels(root: Path, made: Payments, asof_us: int, rng: np.random.Generator) -> int:
    """Writes the assertions and returns their number.

    A disposition within a week for 99.6 % of payments, 3 % of them suspected first and corrected later, a handful
    contradicting each other at one instant; chargebacks two to seven weeks later, the all-clear for a fifth of the
    rest; some after the cut-off.
    """
    said = _invent_assertions(made, rng)
    count, files = len(said.event), []
    for number, begin in enumerate(range(0, count, ROWS_OF_A_FILE)):
        part = _compose_rows(made, said, np.arange(begin, min(begin + ROWS_OF_A_FILE, count)))
        stored = write_parquet(root, f"{MADE.extract_folder}/part-{number:04d}.parquet", part)
        files.append({**stored, "row_count": part.num_rows})
    write_extract(root, MADE, "demo-label-store", f"demo-{count}", asof_us + 40 * DAY_US, files)
    return count


def _invent_assertions(made: Payments, rng: np.random.Generator) -> _Assertions:
    n = len(made.ts)
    judged = np.flatnonzero(rng.random(n) < 0.996)
    value = np.where(made.fraud[judged], FRAUD, LEGIT)
    observed = made.ts[judged] + rng.integers(DAY_US // 12, 7 * DAY_US, len(judged))
    suspected = judged[rng.random(len(judged)) < 0.03]
    doubtful = rng.choice(len(judged), max(1, n // 20_000), replace=False)
    other = np.where(made.fraud[judged[doubtful]], LEGIT, FRAUD)
    back = np.flatnonzero(made.fraud & (rng.random(n) < 0.8))
    charged = made.ts[back] + rng.integers(14 * DAY_US, 49 * DAY_US, len(back))
    fine = np.flatnonzero(~made.fraud & (rng.random(n) < 0.2))
    suspicion = np.repeat(SUSPECTED, len(suspected))
    schemes = np.repeat([CHARGED, FINE], [len(back), len(fine)])
    first, cleared = made.ts[suspected] + DAY_US // 24, made.ts[fine] + 45 * DAY_US
    return _Assertions(
        event=np.concatenate([suspected, judged, judged[doubtful], back, fine]),
        value=np.concatenate([suspicion, value, other, schemes]),
        time=np.concatenate([first, observed, observed[doubtful], charged, cleared]),
        human=len(suspected) + len(judged) + len(doubtful),
    )


def _compose_rows(made: Payments, said: _Assertions, rows: Array) -> pa.Table:
    """Rows of the label timeline. rows: places in the assertions."""
    n, human = len(rows), rows < said.human
    assertion = [hashlib.md5(f"assertion-{i}".encode(), usedforsecurity=False).hexdigest() for i in rows.tolist()]
    stamps = pa.array(said.time[rows]).cast(MICROS)
    return pa.table(
        {
            "label_assertion_id": assertion,
            "platform_run_id": pa.repeat(RUN, n),
            "event_id": name_events(made, said.event[rows]),
            "label_type": np.where(human, "fraud_disposition", "chargeback_status"),
            "label_value": np.array(VALUES)[said.value[rows]],
            "effective_time": stamps,
            "observed_time": stamps,
            "source_type": np.where(human, "HUMAN", "EXTERNAL"),
            "actor_id": pa.array(np.where(human, "analyst-7", ""), mask=~human),
            "payload_hash": assertion,
            "evidence_refs_json": pa.repeat("[]", n),
            "assertion_ref": assertion,
            "committed_at_utc": pa.array(said.time[rows] + 30_000_000).cast(MICROS),
        }
    )
