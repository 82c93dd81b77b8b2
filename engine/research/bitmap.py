"""Conditions as bitmaps: 64 bars a word, bar 0 in the lowest bit, unknown is false."""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from engine.jit import compiled, inlined, inlined_bare

LESS, LESS_EQUAL, EQUAL, NOT_EQUAL, NONZERO, BOTH, EITHER, CONSTANT = range(8)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
NEVER = np.int64(1 << 62)


def words_of(bars: int) -> int:
    """Return how many words ``bars`` bars take."""
    return (bars + 63) // 64


@inlined
def pack_bytes(flags):
    """Return 64 bytes of 0 and 1 as the bits of a word."""
    word = np.uint64(0)
    for k in range(8):
        eight = np.uint64(0)
        for j in range(8):
            eight |= np.uint64(flags[8 * k + j]) << np.uint64(j)
        word |= eight << np.uint64(8 * k)
    return word


@inlined
def compare(op, a, b):
    if op == LESS:
        return a < b
    if op == LESS_EQUAL:
        return a <= b
    if op == EQUAL:
        return a == b
    return a < b or a > b


@inlined
def pack_columns(op, left, right, out):
    n = left.size
    flags = np.zeros(64, np.uint8)
    for j in range(out.size):
        base, count = 64 * j, min(64, n - 64 * j)
        for k in range(count):
            flags[k] = compare(op, left[base + k], right[base + k])
        for k in range(count, 64):
            flags[k] = 0
        out[j] = pack_bytes(flags)


@inlined
def pack_level(op, left, level, swapped, out):
    n = left.size
    flags = np.zeros(64, np.uint8)
    for j in range(out.size):
        base, count = 64 * j, min(64, n - 64 * j)
        for k in range(count):
            x = left[base + k]
            flags[k] = compare(op, level, x) if swapped else compare(op, x, level)
        for k in range(count, 64):
            flags[k] = 0
        out[j] = pack_bytes(flags)


@compiled
def fill_bitmaps(tasks, levels, values, bitmaps, start, stop):
    """Compute rows ``start`` to ``stop`` of ``tasks``.

    Parameters
    ----------
    tasks : ndarray of int64, shape (rows, 4)
        (operation, left, right, row of the bitmap): columns of ``values`` for comparisons, -1 for the level at hand;
        rows of ``bitmaps`` for BOTH and EITHER.
    levels : ndarray of float64, shape (rows, 2)
        The level of the left and of the right side where it is no column.
    values : ndarray of float64, shape (columns, bars)
    bitmaps : ndarray of uint64, shape (rows, words)
    """
    bars = values.shape[1]
    for i in range(start, stop):
        op, left, right, row = tasks[i]
        out = bitmaps[row]
        if op == BOTH:
            for j in range(out.size):
                out[j] = bitmaps[left, j] & bitmaps[right, j]
        elif op == EITHER:
            for j in range(out.size):
                out[j] = bitmaps[left, j] | bitmaps[right, j]
        elif op == NONZERO:
            pack_level(NOT_EQUAL, values[left], 0.0, False, out)
        elif op == CONSTANT or (left < 0 and right < 0):
            a, b = levels[i]
            truth = a != 0.0 if op == CONSTANT else compare(op, a, b)
            out[:] = ALL if truth else np.uint64(0)
            if truth and bars % 64:
                out[out.size - 1] = ALL >> np.uint64(64 - bars % 64)
        elif right < 0:
            pack_level(op, values[left], levels[i, 1], False, out)
        elif left < 0:
            pack_level(op, values[right], levels[i, 0], True, out)
        else:
            pack_columns(op, values[left], values[right], out)


@inlined
def next_of(a, b, start):
    """Return the first bar from ``start`` on whose bit is set in ``a`` or in ``b``, NEVER if none."""
    j = start >> 6
    if j >= a.size:
        return NEVER
    word = (a[j] | b[j]) & (ALL << np.uint64(start & 63))
    while word == np.uint64(0):
        j += 1
        if j >= a.size:
            return NEVER
        word = a[j] | b[j]
    return np.int64(j * 64) + np.int64(trailing_zeros(word))


@inlined
def next_entry(long_entry, long_exit, short_entry, short_exit, start):
    """Return the first bar from ``start`` on where exactly one side may enter, NEVER if none."""
    j = start >> 6
    if j >= long_entry.size:
        return NEVER
    word = (long_entry[j] & ~long_exit[j]) ^ (short_entry[j] & ~short_exit[j])
    word &= ALL << np.uint64(start & 63)
    while word == np.uint64(0):
        j += 1
        if j >= long_entry.size:
            return NEVER
        word = (long_entry[j] & ~long_exit[j]) ^ (short_entry[j] & ~short_exit[j])
    return np.int64(j * 64) + np.int64(trailing_zeros(word))


@inlined_bare
def bit(a, i):
    """Return whether bar ``i``'s bit is set."""
    return (a[i >> 6] >> np.uint64(i & 63)) & np.uint64(1) != np.uint64(0)
