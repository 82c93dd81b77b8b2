"""Conditions as bitmaps: 64 bars a word, bar 0 in the lowest bit, unknown is false."""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from engine.jit import compiled_bare, inlined_bare
from engine.research.words import (
    BOTH,
    BYTES,
    CONSTANT,
    EITHER,
    NONZERO,
    NOT_EQUAL,
    compare,
    part_of_columns,
    part_of_level,
    words_of_columns,
    words_of_level,
)

ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
NEVER = np.int64(1 << 62)


def words_of(bars: int) -> int:
    """Return how many words ``bars`` bars take."""
    return (bars + 63) // 64


@inlined_bare
def pack_columns(op, left, right, bars, out, first, last):
    """Write words ``first`` to ``last`` of the comparison of two columns, given by the addresses of their bar 0."""
    whole, shift = min(last, bars >> 6), BYTES * np.uintp(first)
    words_of_columns(op, left + shift, right + shift, np.uintp(out[first:].ctypes.data), whole - first)
    if whole < last:
        shift = BYTES * np.uintp(whole)
        out[whole] = part_of_columns(op, left + shift, right + shift, bars & 63)


@inlined_bare
def pack_level(op, left, level, swapped, bars, out, first, last):
    """Write words ``first`` to ``last`` of the comparison of a column with a level."""
    whole, shift = min(last, bars >> 6), BYTES * np.uintp(first)
    words_of_level(op, left + shift, level, swapped, np.uintp(out[first:].ctypes.data), whole - first)
    if whole < last:
        out[whole] = part_of_level(op, left + BYTES * np.uintp(whole), level, swapped, bars & 63)


@inlined_bare
def pack_truth(truth, bars, out, first, last):
    """Write words ``first`` to ``last`` of what is always true or never."""
    for j in range(first, last):
        out[j] = ALL if truth else np.uint64(0)
    if truth and last > bars >> 6:
        out[last - 1] = ALL >> np.uint64(64 - (bars & 63))


@compiled_bare
def fill_bitmaps(tasks, levels, sources, bars, bitmaps, first, last):
    """Compute words ``first`` to ``last`` of every row that ``tasks`` ask for.

    Parameters
    ----------
    tasks : ndarray of int64, shape (rows, 4)
        (operation, left, right, row of the bitmap): places in ``sources`` for comparisons, -1 for the level at hand;
        rows of ``bitmaps``, filled before, for BOTH and EITHER.
    levels : ndarray of float64, shape (rows, 2)
        The level of the left and of the right side where it is no column.
    sources : ndarray of uint64, shape (columns,)
        For each column the address of its bar 0; no bar outside the words asked for is read.
    bars : int
    bitmaps : ndarray of uint64, shape (rows, words)
    """
    for i in range(tasks.shape[0]):
        op, left, right, row = tasks[i]
        out = bitmaps[row]
        if op == BOTH:
            for j in range(first, last):
                out[j] = bitmaps[left, j] & bitmaps[right, j]
        elif op == EITHER:
            for j in range(first, last):
                out[j] = bitmaps[left, j] | bitmaps[right, j]
        elif op == NONZERO:
            pack_level(NOT_EQUAL, np.uintp(sources[left]), 0.0, False, bars, out, first, last)
        elif op == CONSTANT:
            pack_truth(levels[i, 0] != 0.0, bars, out, first, last)
        elif left < 0 and right < 0:
            pack_truth(compare(op, levels[i, 0], levels[i, 1]), bars, out, first, last)
        elif right < 0:
            pack_level(op, np.uintp(sources[left]), levels[i, 1], False, bars, out, first, last)
        elif left < 0:
            pack_level(op, np.uintp(sources[right]), levels[i, 0], True, bars, out, first, last)
        else:
            pack_columns(op, np.uintp(sources[left]), np.uintp(sources[right]), bars, out, first, last)


@inlined_bare
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


@inlined_bare
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
