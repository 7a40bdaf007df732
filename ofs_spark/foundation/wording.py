"""Counts in words: one row, two rows."""

from __future__ import annotations


def write_count(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `2 rows`, `1,204 rows`. plural: where it is not the noun and an s; it may hold the verb too."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
