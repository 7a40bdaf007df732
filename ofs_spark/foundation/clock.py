"""Instants: the only file that knows "now", and the only reader and writer of RFC 3339 text.

Inside the rooms an instant is an int, microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
"""A UTC day: no day is longer or shorter, and there are no leap seconds."""
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,32}))?(?:Z|\+00:00)"
)


class Clock(Protocol):
    """What the time is, and how much of it has passed."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean anything."""
        ...


class SystemClock:
    """This machine's clock."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()


@dataclass
class FixedClock:
    """A clock that stands still until told to move."""

    at: datetime = _EPOCH
    elapsed: float = 0.0

    def now(self) -> datetime:
        """The instant it was set to."""
        return self.at

    def monotonic(self) -> float:
        """Seconds it was advanced by."""
        return self.elapsed

    def advance(self, seconds: float) -> None:
        """Moves both hands forward; negative seconds are a ValueError."""
        if seconds < 0:
            raise ValueError("a clock is never advanced backwards")
        self.at += timedelta(seconds=seconds)
        self.elapsed += seconds


def format_datetime(moment: datetime) -> str:
    """An aware datetime as YYYY-MM-DDTHH:MM:SS.ffffffZ; ValueError for a naive one."""
    if moment.utcoffset() is None:
        raise ValueError("a datetime without a zone is no instant")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime; ValueError for a naive one."""
    if moment.utcoffset() is None:
        raise ValueError("a datetime without a zone is no instant")
    return (moment - _EPOCH) // _MICROSECOND


def format_instant(micros: int) -> str:
    """Microseconds since the epoch as YYYY-MM-DDTHH:MM:SS.ffffffZ; the inverse of `parse_instant`."""
    return format_datetime(_EPOCH + timedelta(microseconds=micros))


def parse_instant(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 UTC text.

    `Z` or `+00:00`, capital T, a date that exists, no leap second, at most six fractional digits (more only if zeros).
    Anything else is a ValueError: no time is ever converted, guessed or truncated.
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:64]!r} is not an RFC 3339 UTC instant such as 2026-02-10T10:00:00.000000Z")
    *parts, fraction = found.groups(default="")
    if fraction[6:].strip("0"):
        raise ValueError(f"{text[:64]!r} is finer than a microsecond")
    year, month, day, hour, minute, second = map(int, parts)
    return to_micros(datetime(year, month, day, hour, minute, second, int(fraction[:6].ljust(6, "0")), UTC))
