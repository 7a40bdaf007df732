"""Exact integers to float64, rounded once: the nearest double of a quotient, and of the root of a quotient."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
from numba import types

from ofs_spark.features.kernel.words import HALF, LOW_HALF, U64, WORDS, as_words, read_integer, read_magnitude
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import FLAGS, LONGS, compile_loop, type_array, type_tuple

EXACT = 2**53
"""Integers up to this are doubles, and one IEEE division of two doubles is correctly rounded."""


def round_quotient(numerator: Array, denominator: Array, wanted: Array) -> Array:
    """Nearest double of numerator ÷ denominator where `wanted` (0.0 elsewhere); denominators there are not 0.

    Both are int64 or words. Double-double arithmetic decides all but quotients within 2^-90 of the middle between two
    doubles; Python, whose division of integers is rounded once, decides those.
    """
    if numerator.ndim == denominator.ndim == 1:
        out, sure = _short_quotients(numerator, denominator, wanted)
    else:
        out, sure = np.zeros(len(wanted)), ~wanted
    rest = np.flatnonzero(~sure)
    if len(rest):
        out[rest], sure[rest] = _divide_all(as_words(numerator[rest]), as_words(denominator[rest]))
    for row in rest[~sure[rest]].tolist():
        out[row] = read_integer(numerator, row) / read_integer(denominator, row)
    rounded: Array = out + 0.0
    return rounded


def round_root(numerator: Array, denominator: Array, power_of_ten: int, wanted: Array) -> Array:
    """Nearest double of √(numerator ÷ denominator) ÷ 10^power where `wanted`; both are integers, denominators positive.

    Both are int64 or words, the power at most 22 (its power of ten is then a double). Double-double arithmetic decides
    all but values within 2^-90 of the middle between two doubles; integers decide those.
    """
    out, sure = _take_roots(as_words(numerator), as_words(denominator), float(10**power_of_ten), wanted)
    for row in np.flatnonzero(wanted & ~sure).tolist():
        out[row] = _exact_root(read_integer(numerator, row), read_integer(denominator, row) * 100**power_of_ten)
    rounded: Array = out
    return rounded


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
def _multiply(a: float, b: float) -> tuple[float, float]:
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
    p0, p1 = _multiply(q0, b0)
    q1 = (((a0 - p0) - p1) + a1 - q0 * b1) / b0
    high = q0 + q1
    low = q1 - (high - q0)
    p0, p1 = _multiply(high, b0)
    q2 = ((((a0 - p0) - p1) + a1) - high * b1) - low * b0
    return high, low + q2 / b0


@compile_loop(type_tuple(types.float64, types.float64)(type_array(U64)))
def _sum_words(magnitude: Array) -> tuple[float, float]:
    """An unsigned integer as high + low, to about 2^-104 of it: half a word at a time, most significant first."""
    high, low = 0.0, 0.0
    for j in range(2 * len(magnitude) - 1, -1, -1):
        half = magnitude[j >> 1] >> HALF if j & 1 else magnitude[j >> 1] & LOW_HALF
        high, low, x = high * 4294967296.0, low * 4294967296.0, np.float64(half)
        total = high + x
        part = total - high
        low += (high - (total - part)) + (x - part)
        high = total + low
        low -= high - total
    return high, low


@compile_loop(type_tuple(types.float64, types.boolean)(types.float64, types.float64))
def _settle(high: float, low: float) -> tuple[float, bool]:
    """The double nearest to high + low > 0, and whether that is certain although high + low is inexact."""
    result = high + low
    error = low - (result - high)
    spacing = np.abs(np.nextafter(result, np.inf) - result)
    # the middle between two doubles is half a spacing away; at a power of two the spacing below is half
    distance = min(abs(abs(error) - spacing / 2), abs(abs(error) - spacing / 4))
    return result, distance > result * 2.0**-90


_ROUNDED = type_tuple(type_array(types.float64), type_array(types.boolean))


@compile_loop(_ROUNDED(LONGS, LONGS, FLAGS))
def _short_quotients(numerator: Array, denominator: Array, wanted: Array) -> tuple[Array, Array]:
    """Quotients of doubles, and of integers by 1; unwanted rows are sure, and 0."""
    n = len(wanted)
    out, sure = np.zeros(n), np.ones(n, np.bool_)
    for row in range(n):
        a, b = numerator[row], denominator[row]
        sure[row] = not wanted[row] or b == 1 or (-EXACT <= a <= EXACT and -EXACT <= b <= EXACT)
        if wanted[row] and sure[row]:
            out[row] = np.float64(a) / np.float64(b)
    return out, sure


@compile_loop(_ROUNDED(WORDS, WORDS))
def _divide_all(numerator: Array, denominator: Array) -> tuple[Array, Array]:
    n = len(numerator)
    out, sure = np.zeros(n), np.zeros(n, np.bool_)
    above, below = np.zeros(numerator.shape[1], np.uint64), np.zeros(denominator.shape[1], np.uint64)
    for row in range(n):
        negative = read_magnitude(numerator, row, above) != read_magnitude(denominator, row, below)
        n0, n1 = _sum_words(above)
        d0, d1 = _sum_words(below)
        exact = n0 <= EXACT and n1 == 0.0 and d0 <= EXACT and d1 == 0.0
        if exact or (d0 == 1.0 and d1 == 0.0 and n0 < 2.0**100):  # n0 is the nearest double, n1 the exact rest
            out[row], sure[row] = n0 / d0, True
        else:
            q0, q1 = _divide(n0, n1, d0, d1)
            out[row], sure[row] = _settle(q0, q1)
        if negative:
            out[row] = -out[row]
    return out, sure


@compile_loop(_ROUNDED(WORDS, WORDS, types.float64, FLAGS))
def _take_roots(numerator: Array, denominator: Array, ten: float, wanted: Array) -> tuple[Array, Array]:
    n = len(wanted)
    out, sure = np.zeros(n), np.zeros(n, np.bool_)
    above, below = np.zeros(numerator.shape[1], np.uint64), np.zeros(denominator.shape[1], np.uint64)
    for row in range(n):
        if not wanted[row]:
            continue
        read_magnitude(numerator, row, above)
        read_magnitude(denominator, row, below)
        n0, n1 = _sum_words(above)
        if n0 == 0.0:
            sure[row] = True
            continue
        d0, d1 = _sum_words(below)
        q0, q1 = _divide(n0, n1, d0, d1)
        s0 = np.sqrt(q0)
        p0, p1 = _multiply(s0, s0)
        s1 = ((q0 - p0) - p1 + q1) / (2.0 * s0)
        t0 = s0 + s1
        r0, r1 = _divide(t0, s1 - (t0 - s0), ten, 0.0)
        out[row], sure[row] = _settle(r0, r1)
    return out, sure
