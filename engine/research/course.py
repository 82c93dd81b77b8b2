"""The course of an account as the sweep counts it: returns, peaks and blocks of bars while it runs, its row at the end.

Flat bars are not visited: what they add follows from the bars around them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.jit import inlined_bare

SPREAD, SCATTER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd, their bits without a pattern


class Course(NamedTuple):
    """What has been counted up to the last close looked at."""

    equity: float
    peak: float
    at_peak: int  # the bar of the peak's last close, -1 before the first bar
    total: float  # of the returns
    square: float
    downside: float
    invested: int
    drawdown: float
    longest: int  # bars below the peak
    block: int  # of bars, for the sums


class Trades(NamedTuple):
    """What has been counted of the trades."""

    closed: float
    wins: float
    gains: float
    losses: float
    ratio: float
    fees: float
    hash: int  # of the list so far


@inlined_bare
def new_course(cash):
    """Return the course of an account before the first bar."""
    return Course(cash, cash, np.int64(-1), 0.0, 0.0, 0.0, np.int64(0), 0.0, np.int64(0), np.int64(0))


@inlined_bare
def new_trades():
    """Return the count of no trades."""
    return Trades(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.uint64(0))


@inlined_bare
def listed(trades, entry, left, side):
    """Return the hash of a list of trades with one more: entered at bar ``entry``, left at bar ``left``, ``side``.

    ``left`` is the number of bars where the trade is still open.  An empty list is 0; see ``sealed``.
    """
    return joined(trades, trade_hash(entry, left, side))


@inlined_bare
def trade_hash(entry, left, side):
    """Return the hash of one trade, never 0."""
    word = (np.uint64(entry) << np.uint64(32)) ^ (np.uint64(left) << np.uint64(1)) ^ np.uint64(side > 0.0)
    word = (word ^ (word >> np.uint64(31))) * SPREAD
    word = (word ^ (word >> np.uint64(29))) * SCATTER
    return word ^ (word >> np.uint64(32)) | np.uint64(1)


@inlined_bare
def joined(trades, trade):
    """Return the hash of a list with one more trade, whose own hash is ``trade``."""
    return trades * SCATTER + trade


@inlined_bare
def sealed(trades):
    """Return the hash of a whole list, its bits mixed: 0 only for an empty list."""
    word = (trades ^ (trades >> np.uint64(32))) * SPREAD
    return word ^ (word >> np.uint64(29))


@inlined_bare
def walk(course, close, start, end, cash, held, carried, bounds, sums):
    """Count the closes of bars ``start`` to ``end`` of an account that holds ``held`` (negative: short) and ``cash``.

    Closes since the last one counted were flat at the same equity.  ``carried``: bar ``start`` opened with another
    position.  ``sums[b]`` is given the sums of returns and squares of all bars before ``bounds[b + 1]``.
    """
    before, peak, at_peak, total, square, downside, invested, drawdown, longest, block = course
    if end < start:
        return course
    if before >= peak:
        at_peak = max(at_peak, start - 1)
    else:
        longest = max(longest, start - 1 - at_peak)
    invested += end + 1 - start if held != 0.0 else np.int64(carried)
    low, high = extremes(close, start, end)
    lowest, highest = (
        (cash + held * low, cash + held * high) if held >= 0.0 else (cash + held * high, cash + held * low)
    )
    solvent = lowest > 0.0 and before > 0.0
    u = start
    while u <= end:
        while u >= bounds[block + 1]:
            sums[block, 0], sums[block, 1] = total, square
            block += 1
        stop = min(end + 1, bounds[block + 1])
        before, total, square, downside = returns(close, u, stop, cash, held, solvent, before, total, square, downside)
        u = stop
    if highest < peak:
        drawdown = min(drawdown, lowest / peak - 1.0)
        longest = max(longest, end - at_peak)
    else:
        peak, at_peak, drawdown, longest = climb(close, start, end, cash, held, peak, at_peak, drawdown, longest)
    return Course(before, peak, at_peak, total, square, downside, invested, drawdown, longest, block)


@inlined_bare
def extremes(values, start, end):
    """Return the least and the greatest of values ``start`` to ``end``; there is at least one."""
    a = b = c = d = values[start]
    e = f = g = h = values[start]
    k = start + 1
    while k + 3 <= end:  # four at a time, which do not wait for each other
        w, x, y, z = values[k], values[k + 1], values[k + 2], values[k + 3]
        a, b, c, d = w if w < a else a, x if x < b else b, y if y < c else c, z if z < d else d
        e, f, g, h = w if w > e else e, x if x > f else f, y if y > g else g, z if z > h else h
        k += 4
    while k <= end:
        a, e = values[k] if values[k] < a else a, values[k] if values[k] > e else e
        k += 1
    return min(min(a, b), min(c, d)), max(max(e, f), max(g, h))


@inlined_bare
def returns(close, start, stop, cash, held, solvent, before, total, square, downside):
    """Return (equity, sums of returns, their squares, those of the negative ones) after bars up to ``stop`` - 1."""
    if solvent:
        for t in range(start, stop):
            now = cash + held * close[t]
            r = now / before - 1.0
            before = now
            loss = 0.5 * (r - abs(r))  # min(r, 0), without a branch to guess wrong
            total += r
            square += r * r
            downside += loss * loss
    else:
        for t in range(start, stop):
            now = cash + held * close[t]
            r = now / before - 1.0 if before > 0.0 else 0.0
            before = now
            total += r
            square += r * r
            downside += r * r if r < 0.0 else 0.0
    return before, total, square, downside


@inlined_bare
def climb(close, start, end, cash, held, peak, at_peak, drawdown, longest):
    """Return (peak, at_peak, drawdown, longest) after the closes of bars ``start`` to ``end``."""
    deepest = 1.0 + drawdown
    for t in range(start, end + 1):
        now = cash + held * close[t]
        at_peak = t if now >= peak else at_peak
        peak = now if now >= peak else peak
        deepest = min(deepest, now / peak)
        longest = max(longest, t - at_peak)
    return peak, at_peak, min(drawdown, deepest - 1.0), longest


@inlined_bare
def mark(course, close, t, cash, carried, bounds, sums):
    """Count the close of bar ``t``, at which the account is flat; ``carried``: it held a position within the bar."""
    return walk(course, close, t, t, cash, 0.0, carried, bounds, sums)


@inlined_bare
def settle(sums, course):
    """Turn sums up to the end of each block into those of the block itself."""
    for b in range(course.block, len(sums)):
        sums[b, 0], sums[b, 1] = course.total, course.square
    for b in range(len(sums) - 1, 0, -1):
        sums[b, 0] -= sums[b - 1, 0]
        sums[b, 1] -= sums[b - 1, 1]


@inlined_bare
def write_row(tally, course, trades, is_open, bars):
    """Write a row in the order of ``engine.simulate.tally.TALLY``; the bars after the last close counted are flat."""
    longest = course.longest
    if course.equity < course.peak:
        longest = max(longest, bars - 1 - course.at_peak)
    row = (
        course.equity, course.total, course.square, course.downside, float(course.invested), course.drawdown,
        float(longest), trades.closed, trades.wins, trades.gains, trades.losses, trades.ratio, trades.fees, is_open,
    )  # fmt: skip
    for k in range(len(row)):
        tally[k] = row[k]
