"""Exact integers to float64, rounded once: the nearest double of a quotient, and of the root of a quotient."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import DOUBLES, compile_loop, type_array, type_tuple

EXACT = 2**53
"""Integers up to this are doubles, and one IEEE division of two doubles is correctly rounded."""


def round_quotient(numerator: Array, denominator: Array | int, wanted: Array) -> Array:
    """Nearest double of numerator ÷ denominator where `wanted` (0.0 elsewhere); denominators there are not 0."""
    if not isinstance(denominator, np.ndarray):
        denominator = np.full(len(numerator), denominator, object if abs(denominator) >= 2**63 else np.int64)
    simple = wanted & _small(numerator) & _small(denominator)
    out = np.zeros(len(numerator))
    np.divide(
        numerator.astype(np.float64)
        if numerator.dtype != object
        else np.where(simple, numerator, 0).astype(np.float64),
        np.where(simple, denominator, 1).astype(np.float64),
        out=out,
        where=simple,
    )
    for row in np.flatnonzero(wanted & ~simple):
        out[row] = int(numerator[row]) / int(denominator[row])  # Python rounds a quotient of integers correctly
    return out + 0.0


def _small(values: Array) -> Array:
    small: Array = (values <= EXACT) & (values >= -EXACT)
    return small.astype(np.bool_)


def round_root(numerator: Array, denominator: Array, power_of_ten: int, wanted: Array) -> Array:
    """Nearest double of √(numerator ÷ denominator) ÷ 10^power where `wanted`; both are integers, denominators positive.

    Double-double arithmetic decides all but values within 2^-90 of the middle between two doubles; integers decide those.
    """
    out, sure = np.zeros(len(numerator)), np.zeros(len(numerator), np.bool_)
    if numerator.dtype != object and denominator.dtype != object and power_of_ten <= 22:
        high, low = _split(np.where(wanted, numerator, 0))
        below, rest = _split(np.where(wanted, denominator, 1))
        out, sure = _roots(high, low, below, rest, float(10**power_of_ten))
    for row in np.flatnonzero(wanted & ~sure):
        out[row] = _exact_root(int(numerator[row]), int(denominator[row]) * 100**power_of_ten)
    return np.where(wanted, out, 0.0)


def _split(values: Array) -> tuple[Array, Array]:
    """An int64 as the sum of two doubles, exactly."""
    high = (values >> 32).astype(np.float64) * 4294967296.0
    low = (values & 0xFFFFFFFF).astype(np.float64)
    total = high + low
    return total, low - (total - high)


def _exact_root(numerator: int, denominator: int) -> float:
    """Nearest double of √(numerator ÷ denominator), by integer roots."""
    if numerator == 0:
        return 0.0
    shift = max(0, 120 - (numerator.bit_length() - denominator.bit_length()) // 2)
    shift += 2
    scaled, remainder = divmod(numerator << (2 * shift), denominator)
    root = isqrt(scaled)
    # A sticky last bit stands for everything below: rounding to 53 bits then goes the right way.
    root = root * 2 + (1 if root * root != scaled or remainder else 0)
    return float(Fraction(root, 1 << (shift + 1)))


@compile_loop(type_tuple(types.float64, types.float64)(types.float64, types.float64))
def _product(a: float, b: float) -> tuple[float, float]:
    """a × b as high + low, exactly (Dekker)."""
    p = a * b
    x = 134217729.0 * a
    a0 = x - (x - a)
    a1 = a - a0
    y = 134217729.0 * b
    b0 = y - (y - b)
    b1 = b - b0
    return p, ((a0 * b0 - p) + a0 * b1 + a1 * b0) + a1 * b1


@compile_loop(type_tuple(types.float64, types.float64)(types.float64, types.float64, types.float64, types.float64))
def _divide(a0: float, a1: float, b0: float, b1: float) -> tuple[float, float]:
    """(a0 + a1) ÷ (b0 + b1) as high + low, to about 2^-100."""
    q0 = a0 / b0
    p0, p1 = _product(q0, b0)
    q1 = (((a0 - p0) - p1) + a1 - q0 * b1) / b0
    high = q0 + q1
    low = q1 - (high - q0)
    p0, p1 = _product(high, b0)
    q2 = ((((a0 - p0) - p1) + a1) - high * b1) - low * b0
    return high, low + q2 / b0


@compile_loop(
    type_tuple(type_array(types.float64), type_array(types.boolean))(DOUBLES, DOUBLES, DOUBLES, DOUBLES, types.float64)
)
def _roots(high: Array, low: Array, below: Array, rest: Array, ten: float) -> tuple[Array, Array]:
    n = len(high)
    out, sure = np.zeros(n), np.zeros(n, np.bool_)
    for i in range(n):
        if high[i] == 0.0:
            sure[i] = True
            continue
        q0, q1 = _divide(high[i], low[i], below[i], rest[i])
        s0 = np.sqrt(q0)
        p0, p1 = _product(s0, s0)
        s1 = ((q0 - p0) - p1 + q1) / (2.0 * s0)
        t0 = s0 + s1
        r0, r1 = _divide(t0, s1 - (t0 - s0), ten, 0.0)
        result = r0 + r1
        error = r1 - (result - r0)
        spacing = np.abs(np.nextafter(result, np.inf) - result)
        # the middle between two doubles is half a spacing away; at a power of two the spacing below is half
        distance = min(abs(abs(error) - spacing / 2), abs(abs(error) - spacing / 4))
        out[i] = result
        sure[i] = distance > result * 2.0**-90
    return out, sure
