"""Finding the next bar of a bitmap without visiting its empty words: a summary says which words are not zero.

A combination's four streams are first put together: bars where it may enter, and bars where a long and a short leave.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.cpython.unsafe.numbers import trailing_zeros
from numba.extending import intrinsic
from numpy.typing import NDArray

from engine.jit import inlined_bare
from engine.research.bitmap import ALL, NEVER, words_of

ZERO, ONE, LOW_SIX = np.uint64(0), np.uint64(1), np.uint64(63)


class Bitmap(NamedTuple):
    """A bitmap and its summary: bit j of the summary is set where word j is not zero."""

    words: NDArray[np.uint64]
    summary: NDArray[np.uint64]


class Streams(NamedTuple):
    """Room for the decisions of one combination, one a thread."""

    enter: Bitmap
    long_leave: Bitmap
    short_leave: Bitmap


def new_streams(bars: int) -> Streams:
    """Return room for the streams of a series of ``bars`` bars."""
    words = words_of(bars)

    def empty() -> Bitmap:
        return Bitmap(np.zeros(words, np.uint64), np.zeros((words + 63) // 64, np.uint64))

    return Streams(empty(), empty(), empty())


@intrinsic
def nonzero_words(typing: Any, address: Any) -> Any:
    """Return a word whose bit k says whether word k of the 64 at ``address`` is not zero."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(ir.IntType(64), 64)
        words = builder.load(builder.inttoptr(args[0], kind.as_pointer()), align=8)
        flags = builder.icmp_unsigned("!=", words, ir.Constant(kind, [0] * 64))
        return builder.bitcast(flags, ir.IntType(64))

    return types.uint64(types.intp), code


@intrinsic
def store_but(typing: Any, one: Any, other: Any, out: Any) -> Any:
    """Do as ``nonzero_words`` for the 64 words of ``one`` whose bits are not in ``other``, which go to ``out``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(ir.IntType(64), 64)
        places = [builder.inttoptr(address, kind.as_pointer()) for address in args]
        left, right = (builder.load(place, align=8) for place in places[:2])
        words = builder.and_(left, builder.xor(right, ir.Constant(kind, [-1] * 64)))
        builder.store(words, places[2], align=8)
        flags = builder.icmp_unsigned("!=", words, ir.Constant(kind, [0] * 64))
        return builder.bitcast(flags, ir.IntType(64))

    return types.uint64(types.intp, types.intp, types.intp), code


@inlined_bare
def summarise(bitmap):
    """Fill a bitmap's summary from its words."""
    words, summary = bitmap
    whole = words.size >> 6
    for g in range(whole):
        summary[g] = nonzero_words(words.ctypes.data + 512 * g)
    if whole < summary.size:
        rest = ZERO
        for j in range(64 * whole, words.size):
            if words[j] != ZERO:
                rest |= ONE << np.uint64(j & 63)
        summary[whole] = rest


@inlined_bare
def fill_but(one, other, bitmap):
    """Fill a bitmap with the bits of ``one`` that are not in ``other``."""
    words, summary = bitmap
    whole = words.size >> 6
    for g in range(whole):
        at = 512 * g
        summary[g] = store_but(one.ctypes.data + at, other.ctypes.data + at, words.ctypes.data + at)
    if whole < summary.size:
        rest = ZERO
        for j in range(64 * whole, words.size):
            words[j] = one[j] & ~other[j]
            rest |= (ONE if words[j] != ZERO else ZERO) << np.uint64(j & 63)
        summary[whole] = rest


@inlined_bare
def gather(long_entry, long_exit, short_entry, short_exit, two_sided, streams):
    """Put a combination's four bitmaps together; ``streams.short_leave`` only if ``two_sided``."""
    enter, long_leave, short_leave = streams
    enter_words, long_words, short_words = enter.words, long_leave.words, short_leave.words
    if not two_sided:
        fill_but(long_entry, long_exit, enter)
        for j in range(long_exit.size):
            long_words[j] = long_exit[j]
        summarise(long_leave)
        return
    for j in range(long_entry.size):
        enter_words[j] = (long_entry[j] & ~long_exit[j]) ^ (short_entry[j] & ~short_exit[j])
        long_words[j] = long_exit[j] | short_entry[j]
        short_words[j] = short_exit[j] | long_entry[j]
    summarise(enter)
    summarise(long_leave)
    summarise(short_leave)


@inlined_bare
def next_set(bitmap, start):
    """Return the first bar from ``start`` on whose bit is set, NEVER if none."""
    words, summary = bitmap
    j = np.uint64(start) >> np.uint64(6)
    if j >= np.uint64(words.size):
        return NEVER
    near = words[j] & (ALL << (np.uint64(start) & LOW_SIX))
    group = j >> np.uint64(6)
    later = summary[group] & ((ALL << (j & LOW_SIX)) << ONE)
    if near | later == ZERO:
        group += ONE
        while group < np.uint64(summary.size) and summary[group] == ZERO:
            group += ONE
        if group >= np.uint64(summary.size):
            return NEVER
        later = summary[group]
    # both ways are worked out, so that there is no branch to guess wrong
    far = (group << np.uint64(6)) + np.uint64(trailing_zeros(later))
    j = j if near != ZERO else far
    word = near if near != ZERO else words[j]
    return np.int64((j << np.uint64(6)) + np.uint64(trailing_zeros(word)))
