"""Who pays where, when and how much: customers and terminals with habits, and the fraud among their payments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

DAY_US = 86_400_000_000
HOUR_US = DAY_US // 24
START_US = 1_764_547_200_000_000  # 2025-12-01T00:00:00Z
COUNTRIES = ("GB", "DE", "FR", "ES", "NL", "PL")
CHANNELS = ("chip", "contactless", "online")
RHYTHM = np.array([1, 1, 1, 1, 1, 2, 4, 8, 10, 11, 12, 14, 16, 14, 12, 11, 12, 14, 15, 12, 9, 6, 4, 2], np.float64)


@dataclass(frozen=True)
class Shape:
    """How large and how dense a world is. `skew` 0 spreads payments evenly over customers, 1 follows a power law."""

    payments: int = 350_000
    customers: int = 9_000
    terminals: int = 2_500
    merchants: int = 700
    days: int = 60
    skew: float = 0.6


@dataclass(frozen=True)
class Payments:
    """Card payments in event-time order, one entry per payment; times in µs, amounts in cents."""

    ts: Array
    customer: Array
    terminal: Array
    merchant: Array
    cents: Array
    country: Array
    channel: Array
    declined: Array
    fraud: Array


def payments(shape: Shape, rng: np.random.Generator) -> Payments:
    """The world's payments. About 0.7 % are fraud: compromised terminals, stolen cards, amount spikes."""
    n = shape.payments
    weight = (1.0 + np.arange(shape.customers)) ** -shape.skew
    customer = rng.permutation(shape.customers)[rng.choice(shape.customers, n, p=weight / weight.sum())]
    ts = _times(shape, rng)
    home = rng.integers(0, shape.terminals, (shape.customers, 6))
    usual = rng.random(n) < 0.85
    terminal = np.where(
        usual,
        home[customer, rng.choice(6, n, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04])],
        rng.integers(0, shape.terminals, n),
    )
    level = rng.lognormal(3.2, 0.6, shape.customers)
    cents = np.maximum(50, np.round(100 * level[customer] * rng.lognormal(0.0, 0.55, n))).astype(np.int64)
    fraud = _compromised(ts, terminal, shape, rng) | _stolen(ts, customer, shape, rng)
    spiked = fraud & (rng.random(n) < 0.6)
    cents = np.where(spiked, cents * rng.integers(3, 9, n), cents)
    country_of = rng.choice(len(COUNTRIES), shape.terminals, p=[0.42, 0.18, 0.14, 0.1, 0.09, 0.07])
    declined = rng.random(n) < np.where(fraud, 0.12, 0.015)
    channel = rng.choice(len(CHANNELS), n, p=[0.35, 0.4, 0.25])
    merchant_of = rng.integers(0, shape.merchants, shape.terminals)
    return Payments(
        ts, customer, terminal, merchant_of[terminal], cents, country_of[terminal], channel, declined, fraud
    )


def _times(shape: Shape, rng: np.random.Generator) -> Array:
    day = rng.integers(0, shape.days, shape.payments)
    hour = rng.choice(24, shape.payments, p=RHYTHM / RHYTHM.sum())
    return np.sort(START_US + day * DAY_US + hour * HOUR_US + rng.integers(0, HOUR_US, shape.payments))


def _compromised(ts: Array, terminal: Array, shape: Shape, rng: np.random.Generator) -> Array:
    """Payments at terminals while a skimmer sits in them: some terminals, four to nine days each."""
    found = np.zeros(len(ts), np.bool_)
    for one in rng.choice(shape.terminals, max(1, shape.terminals // 50), replace=False):
        begin = START_US + rng.integers(0, max(1, shape.days - 9)) * DAY_US
        found |= (terminal == one) & (ts >= begin) & (ts < begin + rng.integers(4, 10) * DAY_US)
    return found & (rng.random(len(ts)) < 0.55)


def _stolen(ts: Array, customer: Array, shape: Shape, rng: np.random.Generator) -> Array:
    """A day of payments on cards that were stolen, a few cards."""
    begin = np.full(shape.customers, np.iinfo(np.int64).max)
    stolen = rng.choice(shape.customers, max(1, shape.customers // 12), replace=False)
    begin[stolen] = START_US + rng.integers(0, shape.days, len(stolen)) * DAY_US
    since = ts - np.where(begin[customer] == np.iinfo(np.int64).max, ts + 1, begin[customer])
    return (since >= 0) & (since < 2 * DAY_US) & (rng.random(len(ts)) < 0.7)
