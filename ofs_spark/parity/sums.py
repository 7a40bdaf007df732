"""Sums of float64 amounts as they come out when added one by one, for many changed sequences at once.

Adding is not associative: what a sum would have been without one event, or with two of them in another order, is told only by
adding again. `np.add.accumulate` adds from left to right, one by one, so a prefix of it is what stands after as many events.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from ofs_spark.foundation.columnar.arrays import Array

ROUNDING = 2.0**-53
"""Half a unit in the last place of 1.0: the most that one addition loses, relative to its result."""


def add_up(amounts: Array) -> float:
    """The sum from 0.0, added one by one in this order."""
    if not len(amounts):
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.add.accumulate(amounts)[-1]) + 0.0  # so that -0.0 alone gives what 0.0 + -0.0 does


def list_prefixes(amounts: Array) -> Array:
    """[0.0, a0, a0 + a1, …], n + 1 of them, each added one by one."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate([[0.0], np.add.accumulate(amounts) + 0.0])


def find_slack(amounts: Array) -> float:
    """More than any two ways of adding these amounts, or all but some of them, can differ by."""
    with np.errstate(over="ignore"):
        return float(8 * (len(amounts) + 2) * ROUNDING * np.sum(np.abs(amounts)))


def sum_without_runs(amounts: Array, starts: Array, length: int) -> Array:
    """For each start: the sum without the `length` amounts from there on. Starts ascend. Adds ≤ len(starts) × n times."""
    sums: Array = list_prefixes(amounts)[starts]
    if not len(starts):
        return sums
    rest = np.arange(starts[0] + length, len(amounts))
    reached = np.searchsorted(starts + length, rest, side="right")
    with np.errstate(over="ignore", invalid="ignore"):
        for index, until in zip(rest.tolist(), reached.tolist(), strict=True):
            sums[:until] += amounts[index]
    return sums


def sum_with_doubled(amounts: Array, indices: Array) -> Array:
    """For each index: the sum with that amount added twice in a row. Indices ascend."""
    if not len(indices):
        return np.zeros(0)
    with np.errstate(over="ignore", invalid="ignore"):
        sums: Array = list_prefixes(amounts)[indices + 1] + amounts[indices]
        rest = np.arange(indices[0] + 1, len(amounts))
        for index, until in zip(rest.tolist(), np.searchsorted(indices, rest).tolist(), strict=True):
            sums[:until] += amounts[index]
    return sums


def sum_with_neighbours_swapped(amounts: Array) -> Array:
    """For each i < n - 1: the sum with amounts i and i + 1 in each other's place. Adds n² / 2 times."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums: Array = list_prefixes(amounts)[: max(len(amounts) - 1, 0)] + amounts[1:] + amounts[:-1]
        for index in range(2, len(amounts)):
            sums[: index - 1] += amounts[index]
    return sums


def sum_with_one_moved(amounts: Array, start: int, stop: int) -> Array:
    """[i - start, j]: the sum with amount i, start ≤ i < stop, taken out and put back before place j of the others.

    Adds (stop - start) × n² / 2 times.
    """
    others = np.stack([np.delete(amounts, index) for index in range(start, stop)])
    with np.errstate(over="ignore", invalid="ignore"):
        prefixes = np.stack([list_prefixes(row) for row in others])
        sums: Array = prefixes + amounts[start:stop, None]
        for step in range(others.shape[1]):
            sums[:, : step + 1] += others[:, step : step + 1]
    return sums


def sum_exactly(amounts: Sequence[float]) -> float:
    """The correctly rounded sum of the float64 values; infinite where it is too large."""
    try:
        return math.fsum(amounts) + 0.0
    except OverflowError:
        return math.inf


def sum_compensated(amounts: Sequence[float]) -> float:
    """Neumaier's sum, which newer Pythons' `sum` gives: the lost low parts are kept aside and added at the end."""
    total, lost = 0.0, 0.0
    for amount in amounts:
        after = total + amount
        large, small = (total, amount) if abs(total) >= abs(amount) else (amount, total)
        lost += (large - after) + small
        total = after
    return total + lost if math.isfinite(lost) else total


def sum_decimals(amounts: Sequence[float]) -> float:
    """The sum of the amounts' shortest decimal texts, rounded once."""
    return float(sum((Decimal(repr(amount)) for amount in amounts), Decimal(0)))
