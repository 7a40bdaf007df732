"""Columns of exact integers wider than 64 bits: uint64 arrays of shape (rows, words), two's complement, least word first.

A plain int64 array is the same with one word. Every result has as many words as its operands can need, so nothing wraps.
"""

from __future__ import annotations

import numpy as np
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import I64, compile_loop, type_array, type_tuple

U64 = types.uint64
WORDS = types.Array(U64, 2, "C", readonly=True)
NEW_WORDS = type_array(U64, 2)

ZERO, ONE, HALF, LOW_HALF = np.uint64(0), np.uint64(1), np.uint64(32), np.uint64(0xFFFFFFFF)


def as_words(values: Array, width: int = 1) -> Array:
    """An int64 or words column as words, at least `width` of them: sign-extended, not copied where wide enough."""
    words = values if values.ndim == 2 else np.ascontiguousarray(values).view(np.uint64).reshape(-1, 1)
    missing = width - words.shape[1]
    if missing <= 0:
        return words
    sign = (words[:, -1].view(np.int64) >> 63).view(np.uint64)
    return np.concatenate([words, np.repeat(sign[:, None], missing, axis=1)], axis=1)


def repeat_integer(value: int, rows: int) -> Array:
    """One integer in every row: int64 where it fits, else words."""
    if -(2**63) <= value < 2**63:
        return np.full(rows, value, np.int64)
    width = max(value, ~value).bit_length() // 64 + 1
    one = np.frombuffer(value.to_bytes(8 * width, "little", signed=True), np.uint64)
    return np.tile(one, (rows, 1))


def read_integer(values: Array, row: int) -> int:
    """One row of an int64 or words column."""
    if values.ndim == 1:
        return int(values[row])
    return int.from_bytes(values[row].tobytes(), "little", signed=True)


def find_greatest(values: Array) -> int:
    """A bound of the column's magnitudes: the greatest itself in one word, at most twice that (or 2^64) in more."""
    top = values if values.ndim == 1 else values[:, -1].view(np.int64)
    greatest = max(abs(int(top.min(initial=0))), abs(int(top.max(initial=0))))
    return greatest if values.ndim == 1 else (greatest + 1) << (64 * (values.shape[1] - 1))


def choose(condition: Array, values: Array, otherwise: int = 0) -> Array:
    """The column where `condition` holds, `otherwise` (64 bits, not negative) elsewhere."""
    if values.ndim == 1:
        return np.where(condition, values, otherwise)
    chosen: Array = np.where(condition[:, None], values, ZERO)
    chosen[~condition, 0] = otherwise
    return chosen


def split_limbs(values: Array, bits: int, limbs: int) -> Array:
    """Words as `limbs` columns of `bits` < 63 bits each, least first, int64 of shape (limbs, rows); the last is signed.

    The column is Σ limb i · 2^(bits · i); `bits` · `limbs` must hold it with its sign.
    """
    split: Array = _split(as_words(values, bits * limbs // 64 + 2), bits, limbs)  # a word of sign above the last limb
    return split


def join_limbs(limbs: Array, bits: int, width: int) -> Array:
    """Σ limb i · 2^(bits · i) of each row as `width` words, which must hold it; limbs are any int64."""
    joined: Array = _join(limbs, bits, width)
    return joined


def is_zero(values: Array) -> Array:
    """Rows that are 0."""
    if values.ndim == 1:
        return ~values.astype(np.bool_)
    zero: Array = np.logical_not(values.any(axis=1))
    return zero


def exceeds(values: Array, greatest: int) -> Array:
    """Rows with |x| > greatest; none in one word, whose integers are below any bound of 64 bits or more."""
    if values.ndim == 1:
        return np.zeros(len(values), np.bool_)
    beyond: Array = _exceeds(values, as_words(repeat_integer(greatest, 1), values.shape[1])[0].copy())
    return beyond


def multiply(a: Array, b: Array) -> Array:
    """a × b: int64 where the greatest factors prove that enough, else words."""
    if a.ndim == b.ndim == 1 and find_greatest(a) * find_greatest(b) < 2**63:
        product: Array = a * b
        return product
    wide: Array = _multiply_rows(as_words(a), as_words(b))
    return wide


def subtract(a: Array, b: Array) -> Array:
    """a − b: int64 where the greatest operands prove that enough, else words."""
    if a.ndim == b.ndim == 1 and find_greatest(a) + find_greatest(b) < 2**63:
        difference: Array = a - b
        return difference
    width = max(as_words(a).shape[1], as_words(b).shape[1]) + 1
    wide: Array = _subtract_rows(as_words(a, width), as_words(b, width))
    return wide


def rank_words(values: Array) -> Array:
    """Dense codes that order as the rows of a words column do."""
    signed = values[:, -1].view(np.int64)
    order = np.lexsort((*values[:, :-1].T, signed))
    codes = np.zeros(len(values), np.int64)
    ascending = values[order]
    codes[order] = np.cumsum(np.r_[False, (ascending[1:] != ascending[:-1]).any(axis=1)][: len(values)])
    return codes


@compile_loop(type_tuple(U64, U64)(U64, U64))
def _multiply_words(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """High and low word of a × b."""
    a0, a1, b0, b1 = a & LOW_HALF, a >> HALF, b & LOW_HALF, b >> HALF
    low = a0 * b0
    middle = a1 * b0 + (low >> HALF)
    cross = a0 * b1 + (middle & LOW_HALF)
    return a1 * b1 + (middle >> HALF) + (cross >> HALF), (cross << HALF) | (low & LOW_HALF)


@compile_loop(types.boolean(WORDS, types.int64, type_array(U64)))
def read_magnitude(values: Array, row: int, out: Array) -> bool:
    """Puts |values[row]| into `out`, as unsigned words; whether the row is negative."""
    negative = bool(np.int64(values[row, values.shape[1] - 1]) < 0)
    carry = ONE if negative else ZERO
    for j in range(values.shape[1]):
        out[j] = (~values[row, j] if negative else values[row, j]) + carry
        carry = ONE if carry == ONE and out[j] == ZERO else ZERO
    return negative


@compile_loop(type_array(types.boolean)(WORDS, types.Array(U64, 1, "C", readonly=True)))
def _exceeds(values: Array, greatest: Array) -> Array:
    out, magnitude = np.zeros(len(values), np.bool_), np.zeros(values.shape[1], np.uint64)
    for row in range(len(values)):
        read_magnitude(values, row, magnitude)
        for j in range(values.shape[1] - 1, -1, -1):
            if magnitude[j] != greatest[j]:
                out[row] = magnitude[j] > greatest[j]
                break
    return out


@compile_loop(NEW_WORDS(WORDS, WORDS))
def _multiply_rows(a: Array, b: Array) -> Array:
    width_a, width_b = a.shape[1], b.shape[1]
    width = width_a + width_b
    out = np.zeros((len(a), width), np.uint64)
    x, y = np.zeros(width_a, np.uint64), np.zeros(width_b, np.uint64)
    for row in range(len(a)):
        negative = read_magnitude(a, row, x) != read_magnitude(b, row, y)
        for i in range(width_a):
            carry = ZERO
            for j in range(width_b):
                high, low = _multiply_words(x[i], y[j])
                total = out[row, i + j] + low
                high += ONE if total < low else ZERO
                out[row, i + j] = total + carry
                carry = high + (ONE if out[row, i + j] < carry else ZERO)
            out[row, i + width_b] = carry
        if negative:
            carry = ONE
            for j in range(width):
                out[row, j] = ~out[row, j] + carry
                carry = ONE if carry == ONE and out[row, j] == ZERO else ZERO
    return out


@compile_loop(NEW_WORDS(WORDS, WORDS))
def _subtract_rows(a: Array, b: Array) -> Array:
    out = np.empty(a.shape, np.uint64)
    for row in range(len(a)):
        borrow = ZERO
        for j in range(a.shape[1]):
            difference = a[row, j] - b[row, j]
            less = a[row, j] < b[row, j] or difference < borrow
            out[row, j] = difference - borrow
            borrow = ONE if less else ZERO
    return out


@compile_loop(type_array(types.int64, 2)(WORDS, I64, I64))
def _split(values: Array, bits: int, limbs: int) -> Array:
    out = np.empty((limbs, len(values)), np.int64)
    for i in range(limbs):
        word, shift = (i * bits) // 64, np.uint64((i * bits) % 64)
        mask = (ONE << np.uint64(bits)) - ONE
        for row in range(len(values)):
            if i == limbs - 1:
                mask = ~ZERO
            part = values[row, word] >> shift
            if shift > ZERO:
                part |= values[row, word + 1] << (np.uint64(64) - shift)
            out[i, row] = np.int64(part & mask)
    return out


@compile_loop(NEW_WORDS(types.Array(I64, 2, "C", readonly=True), I64, I64))
def _join(limbs: Array, bits: int, width: int) -> Array:
    """From the greatest limb down: what is there moves up by `bits`, then the next limb is added with its sign."""
    out, up, down = np.zeros((limbs.shape[1], width), np.uint64), np.uint64(bits), np.uint64(64 - bits)
    for i in range(len(limbs) - 1, -1, -1):
        for row in range(limbs.shape[1]):
            carry, sign = ZERO, np.uint64(limbs[i, row] >> 63)
            moved, added = ZERO, np.uint64(limbs[i, row])
            for j in range(width):
                word = out[row, j]
                shifted = (word << up) | moved
                moved = word >> down
                total = shifted + added
                over = total < shifted
                out[row, j] = total + carry
                carry = ONE if over or out[row, j] < carry else ZERO
                added = sign
    return out
