"""Who pays where, when and how much: customers and terminals with habits, and the fraud among their payments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ofs_spark.foundation.clock import DAY_US
from ofs_spark.foundation.columnar.arrays import Array

HOUR_US = DAY_US // 24
START_US = 1_764_547_200_000_000  # 2025-12-01T00:00:00Z
COUNTRIES = ("GB", "DE", "FR", "ES", "NL", "PL")
SHARES = (0.42, 0.18, 0.14, 0.1, 0.09, 0.07)
"""Share of each country in terminals and customers."""
DEARNESS = (0.7, 1.2, 4.0, 0.5)
"""How dear a purchase is by merchant category: grocery, fuel, travel, games."""
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


@dataclass(frozen=True)
class _Places:
    """Terminals and merchants: a terminal's country and merchant, and how dear a merchant's category is."""

    country: Array
    merchant: Array
    dearness: Array

    @classmethod
    def made(cls, shape: Shape, rng: np.random.Generator) -> _Places:
        """The places of a world, terminals by country."""
        country = np.sort(rng.choice(len(COUNTRIES), shape.terminals, p=SHARES))
        category = np.arange(shape.merchants) % len(DEARNESS)
        return cls(country, rng.integers(0, shape.merchants, shape.terminals), np.array(DEARNESS)[category])

    def near(self, country: Array, rng: np.random.Generator) -> Array:
        """A terminal in each of the countries; any terminal where a country has none."""
        first, after = (np.searchsorted(self.country, country, side) for side in ("left", "right"))
        spread = np.where(after > first, after - first, len(self.country))
        picked: Array = np.where(after > first, first, 0) + (rng.random(country.shape) * spread).astype(np.int64)
        return picked


def invent_payments(shape: Shape, rng: np.random.Generator) -> Payments:
    """The world's payments. About 0.8 % are fraud: stolen cards, compromised terminals and what follows, amount spikes."""
    places = _Places.made(shape, rng)
    stolen_ts, stolen = _steal_cards(shape, rng)
    n = shape.payments - len(stolen)
    weight = (1.0 + np.arange(shape.customers)) ** -shape.skew
    customer = rng.permutation(shape.customers)[rng.choice(shape.customers, n, p=weight / weight.sum())]
    home = places.near(np.repeat(rng.choice(len(COUNTRIES), shape.customers, p=SHARES), 6).reshape(-1, 6), rng)
    usual = home[customer, rng.choice(6, n, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04])]
    terminal = np.where(rng.random(n) < 0.88, usual, rng.integers(0, shape.terminals, n))
    ts = _invent_times(shape, n, rng)
    fraud = _compromise_terminals(ts, customer, terminal, shape, rng) | (rng.random(n) < 0.0015)
    everything = _Drawn(
        np.concatenate([ts, stolen_ts]),
        np.concatenate([customer, stolen]),
        np.concatenate([terminal, rng.integers(0, shape.terminals, len(stolen))]),
        np.concatenate([fraud, np.ones(len(stolen), np.bool_)]),
    )
    return _invent_amounts(everything, places, shape, rng)


@dataclass(frozen=True)
class _Drawn:
    """Who pays where and when, in no order yet, and whether it is fraud."""

    ts: Array
    customer: Array
    terminal: Array
    fraud: Array


def _invent_amounts(drawn: _Drawn, places: _Places, shape: Shape, rng: np.random.Generator) -> Payments:
    """The drawn payments in event-time order with amount, channel and result: fraudsters spend more and are declined more."""
    order = np.argsort(drawn.ts, kind="stable")
    ts, customer, terminal, fraud = (x[order] for x in (drawn.ts, drawn.customer, drawn.terminal, drawn.fraud))
    n, merchant = len(ts), places.merchant[terminal]
    level = rng.lognormal(3.1, 0.6, shape.customers)[customer] * places.dearness[merchant]
    spike = np.where(fraud & (rng.random(n) < 0.6), rng.integers(3, 9, n), 1)
    cents = np.maximum(50, np.round(100 * level * rng.lognormal(0.0, 0.55, n))).astype(np.int64) * spike
    declined = rng.random(n) < np.where(fraud, 0.12, 0.015)
    channel = rng.choice(len(CHANNELS), n, p=[0.35, 0.4, 0.25])
    channel = np.where(fraud & (rng.random(n) < 0.6), CHANNELS.index("online"), channel)
    return Payments(ts, customer, terminal, merchant, cents, places.country[terminal], channel, declined, fraud)


def _invent_times(shape: Shape, n: int, rng: np.random.Generator) -> Array:
    day = rng.integers(0, shape.days, n)
    hour = rng.choice(24, n, p=RHYTHM / RHYTHM.sum())
    times: Array = START_US + day * DAY_US + hour * HOUR_US + rng.integers(0, HOUR_US, n)
    return times


def _steal_cards(shape: Shape, rng: np.random.Generator) -> tuple[Array, Array]:
    """(times, customers) of bursts: three to eleven payments within hours of a theft, anywhere, beside the owner's own."""
    cards = max(1, min(shape.customers // 30, shape.payments // 1_200))
    each = rng.integers(3, 12, cards)
    card = np.repeat(np.arange(cards), each)
    begin = START_US + (rng.random(cards) * max(shape.days - 2, 1) * DAY_US).astype(np.int64)
    ts = begin[card] + rng.exponential(5 * HOUR_US, len(card)).astype(np.int64)
    last = START_US + shape.days * DAY_US - 1
    return np.minimum(ts, last), rng.choice(shape.customers, cards, replace=False)[card]


def _compromise_terminals(ts: Array, customer: Array, terminal: Array, shape: Shape, rng: np.random.Generator) -> Array:
    """Fraud at terminals while a skimmer sits in them, and on the cards read there in the three weeks that follow."""
    chosen = rng.choice(shape.terminals, max(1, shape.terminals // 50), replace=False)
    begin = np.full(shape.terminals, np.iinfo(np.int64).max)
    begin[chosen] = START_US + rng.integers(0, max(1, shape.days - 9), len(chosen)) * DAY_US
    until = np.full(shape.terminals, np.iinfo(np.int64).min)
    until[chosen] = begin[chosen] + rng.integers(4, 10, len(chosen)) * DAY_US
    skimmed = (ts >= begin[terminal]) & (ts < until[terminal])
    read_at = np.full(shape.customers, np.iinfo(np.int64).max)
    np.minimum.at(read_at, customer[skimmed], ts[skimmed])
    known = read_at[customer] < ts
    since = ts - np.where(known, read_at[customer], ts)
    later = known & (since > 3 * DAY_US) & (since < 24 * DAY_US)
    found: Array = (skimmed & (rng.random(len(ts)) < 0.3)) | (later & (rng.random(len(ts)) < 0.02))
    return found
