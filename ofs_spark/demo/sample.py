"""A small sample of payments and verdicts as files of one's own have them: CSV, a line each, some delivered late."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ofs_spark.demo.payments import CHANNELS, COUNTRIES, HOUR_US, Payments, Shape, invent_payments
from ofs_spark.foundation.clock import DAY_US, format_instant
from ofs_spark.foundation.columnar.arrays import Array

SHAPE = Shape(payments=3_000, customers=150, terminals=60, merchants=30, days=45)
SEED = 20260210
LATE = 0.03
JUDGED = 0.996
PAYMENTS = (
    "payment_id", "paid_at", "received_at", "customer", "terminal", "merchant", "country", "channel", "amount", "result"
)  # fmt: skip
VERDICTS = ("payment_id", "verdict", "decided_at")


def write_sample() -> tuple[bytes, bytes]:
    """(payments, verdicts) as CSV; the same bytes each time."""
    rng = np.random.default_rng(SEED)
    made = invent_payments(SHAPE, rng)
    count = len(made.ts)
    ids = [hashlib.md5(f"sample-{at}".encode(), usedforsecurity=False).hexdigest()[:12] for at in range(count)]
    late = np.where(rng.random(count) < LATE, rng.integers(HOUR_US // 6, 30 * HOUR_US, count), 0)
    received = made.ts + rng.integers(200_000, 4_000_000, count) + late
    judged = np.flatnonzero(rng.random(count) < JUDGED)
    decided = made.ts[judged] + rng.integers(DAY_US // 12, 7 * DAY_US, len(judged))
    words = np.where(made.fraud[judged], "fraud", "legit").tolist()
    verdicts = sorted(zip(decided.tolist(), judged.tolist(), words, strict=True))
    return (
        _write_csv(PAYMENTS, _list_payments(made, ids, received)),
        _write_csv(VERDICTS, ((ids[at], word, format_instant(when)) for when, at, word in verdicts)),
    )


def _list_payments(made: Payments, ids: Sequence[str], received: Array) -> Iterable[Sequence[Any]]:
    columns = (made.ts, received, made.customer, made.terminal, made.merchant, made.country, made.channel, made.cents)
    places = zip(ids, *(column.tolist() for column in columns), made.declined.tolist(), strict=True)
    for name, paid, got, customer, terminal, merchant, country, channel, cents, declined in places:
        where = f"cust-{customer:04d}", f"term-{terminal:03d}", f"merch-{merchant:03d}", COUNTRIES[country]
        amount = f"{cents // 100}.{cents % 100:02d}"
        result = "declined" if declined else "approved"
        yield name, format_instant(paid), format_instant(got), *where, CHANNELS[channel], amount, result


def _write_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
