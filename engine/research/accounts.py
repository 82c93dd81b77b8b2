"""Accounts side by side: what a thread holds of the few combinations it runs at a time.

Looking up a trade waits for memory, so the searches of several combinations take turns: while one waits the others
go on.  What their trades come to is added up afterwards, some hundred trades of one account at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import compiled_bare, inlined_bare
from engine.research.bitmap import words_of
from engine.research.course import Course, Trades, climb, listed, sealed, settle, write_row
from engine.research.exits import STEP
from engine.research.trades import (
    AT_PEAK,
    CASH,
    DOWN,
    DRAWDOWN,
    FEES,
    GROWTH,
    HIGHEST,
    LONGEST,
    LOWEST,
    QUANTITY,
    RATIO,
    SQUARE,
    SUM,
    UNKNOWN,
    find_peaks,
    held_sums,
)  # fmt: skip

SIDE_BY_SIDE = 4
SEGMENT = 256  # trades looked up before they are added up
ACCOUNT = np.dtype(
    [(name, np.float64) for name in ("equity", "peak", "total", "square", "downside", "drawdown", "gains", "losses",
                                     "ratio", "fees", "wins", "closed", "is_open")]
    + [(name, np.int64) for name in ("at_peak", "longest", "invested", "block", "next", "found")]
    + [("name", np.uint64)],
    align=True,
)  # fmt: skip


class Accounts(NamedTuple):
    """Room for the combinations a thread runs side by side.

    Attributes
    ----------
    each : ndarray of ``ACCOUNT``, shape (k,)
        ``next``: the bar of the next entry, the number of bars or more if there is none; ``found``: trades looked up
        and not yet added.
    words : ndarray of uint64, shape (k, words)
        Bars at which each may enter.
    summaries : ndarray of uint64, shape (k + 1, groups)
        Which words are not zero; the last row is that of the exits.
    entries, lefts, rows : ndarray of int64, shape (k, SEGMENT)
        Trades found: the bar of entry, the bar of exit (the number of bars while open), the row of the memory.
    missing : ndarray of int64, shape (SEGMENT,)
        The places, among one account's trades, of those whose row the bar's slot does not tell.
    """

    each: NDArray[np.void]
    words: NDArray[np.uint64]
    summaries: NDArray[np.uint64]
    entries: NDArray[np.int64]
    lefts: NDArray[np.int64]
    rows: NDArray[np.int64]
    missing: NDArray[np.int64]


def new_accounts(bars: int) -> Accounts:
    """Return room for combinations over a series of ``bars`` bars."""
    words = words_of(bars)
    return Accounts(
        np.zeros(SIDE_BY_SIDE, ACCOUNT),
        np.zeros((SIDE_BY_SIDE, words), np.uint64),
        np.zeros((SIDE_BY_SIDE + 1, (words + 63) // 64), np.uint64),
        np.zeros((SIDE_BY_SIDE, SEGMENT), np.int64),
        np.zeros((SIDE_BY_SIDE, SEGMENT), np.int64),
        np.zeros((SIDE_BY_SIDE, SEGMENT), np.int64),
        np.zeros(SEGMENT, np.int64),
    )


@inlined_bare
def open_account(account, cash):
    """Begin an account with some cash."""
    account.equity = account.peak = cash
    account.total = account.square = account.downside = account.drawdown = 0.0
    account.gains = account.losses = account.ratio = account.fees = 0.0
    account.wins = account.closed = account.is_open = 0.0
    account.at_peak = -1
    account.longest = account.invested = account.block = account.found = 0
    account.name = np.uint64(0)


@inlined_bare
def split(market, entry, numbers, left, bounds, block, total, square, sums):
    """Return the block a trade ends in, having told ``sums`` of each block that ends before; see ``walk``."""
    end = min(left, market.close.size - 1)
    while end >= bounds[block + 1]:
        more = more_square = 0.0
        if bounds[block + 1] > entry:
            more, more_square, _ = held_sums(market, entry, bounds[block + 1], numbers[CASH], numbers[QUANTITY])
        sums[block, 0], sums[block, 1] = total + more, square + more_square
        block += 1
    return block


@inlined_bare
def first_above(market, entry, numbers, left, equity, peak):
    """Return the first bar of a trade at whose close the account is at or above its old peak, ``left`` if none is."""
    cash, quantity = numbers[CASH], numbers[QUANTITY]
    level = (peak / equity - cash) / quantity * (1.0 - 1e-12)  # may be low by rounding, never high
    u = entry
    while u < left:
        while u < left and market.ceilings[u // STEP] < level:
            u = (u // STEP + 1) * STEP
        for v in range(u, min(left, (u // STEP + 1) * STEP)):
            if market.close[v] >= level and equity * (cash + quantity * market.close[v]) >= peak:
                return v
        u = (u // STEP + 1) * STEP
    return left


@inlined_bare
def longest_below(close, entry, growth, numbers, left, equity, peak, at_peak):
    """Return the longest run of closes below the peak, of a trade that begins under water and climbs above it."""
    longest = np.int64(0)
    cash, quantity = numbers[CASH], numbers[QUANTITY]
    peak, at_peak, _, longest = climb(
        close, entry, left - 1, equity * cash, equity * quantity, peak, at_peak, 0.0, longest
    )
    if left < close.size:
        _, _, _, longest = climb(close, left, left, equity * growth, 0.0, peak, at_peak, 0.0, longest)
    return longest


@compiled_bare
def add_trades(account, entries, lefts, rows, market, memory, bounds, sums):
    """Add the trades found to an account: each scales with the equity it begins with."""
    close = market.close
    n = close.size
    equity, peak, total, square, downside = (
        account.equity, account.peak, account.total, account.square, account.downside,
    )  # fmt: skip
    drawdown, gains, losses, ratio, fees = (
        account.drawdown, account.gains, account.losses, account.ratio, account.fees,
    )  # fmt: skip
    wins, closed, is_open, name = account.wins, account.closed, account.is_open, account.name
    at_peak, longest, invested, block = account.at_peak, account.longest, account.invested, account.block
    edge = bounds[block + 1]
    for k in range(account.found):
        entry, t, trade = entries[k], lefts[k], memory.figures[rows[k]]
        end = min(t, n - 1)
        growth, highest = trade[GROWTH], trade[HIGHEST]
        if end >= edge:
            block = split(market, entry, memory.numbers[rows[k]], t, bounds, block, total, square, sums)
            edge = bounds[block + 1]
        if equity * highest >= peak:
            fact, numbers = memory.facts[rows[k]], memory.numbers[rows[k]]
            if fact[AT_PEAK] == UNKNOWN:
                find_peaks(close, entry, growth, fact, numbers)
            run = fact[LONGEST]
            if equity < peak:  # first it climbs out of the water
                longest = max(longest, first_above(market, entry, numbers, t, equity, peak) - 1 - at_peak)
                if run > longest:
                    run = longest_below(close, entry, growth, numbers, t, equity, peak, at_peak)
            at_peak, longest = fact[AT_PEAK], max(longest, run)
            drawdown = min(drawdown, numbers[DRAWDOWN])
        else:
            longest = max(longest, end - at_peak)
        deep = equity * trade[LOWEST] / peak - 1.0
        drawdown = deep if deep < drawdown else drawdown
        high = equity * highest
        peak = high if high > peak else peak
        name = listed(name, entry, t, 1.0)
        fees += equity * trade[FEES]
        total += trade[SUM]
        square += trade[SQUARE]
        downside += trade[DOWN]
        invested += end + 1 - entry
        profit = equity * (growth - 1.0)
        equity *= growth
        if t == n:
            is_open = 1.0
            break
        won = trade[RATIO] > 0.0  # the profit's own sign
        closed += 1.0
        ratio += trade[RATIO]
        wins += 1.0 if won else 0.0
        gains += profit if won else 0.0
        losses -= 0.0 if won else profit
    account.equity, account.peak, account.total, account.square, account.downside = (
        equity, peak, total, square, downside,
    )  # fmt: skip
    account.drawdown, account.gains, account.losses, account.ratio, account.fees = (
        drawdown, gains, losses, ratio, fees,
    )  # fmt: skip
    account.wins, account.closed, account.is_open, account.name = wins, closed, is_open, name
    account.at_peak, account.longest, account.invested, account.block = at_peak, longest, invested, block
    account.found = 0


@inlined_bare
def close_account(account, bars, sums, tally):
    """Write an account's row and settle its sums; return the hash of its trades."""
    at_peak = account.at_peak
    if account.equity >= account.peak and account.is_open == 0.0:
        at_peak = np.int64(bars - 1)
    longest = max(account.longest, bars - 1 - at_peak)
    course = Course(
        account.equity, account.peak, at_peak, account.total, account.square, account.downside, account.invested,
        account.drawdown, longest, account.block,
    )  # fmt: skip
    settle(sums, course)
    trades = Trades(
        account.closed, account.wins, account.gains, account.losses, account.ratio, account.fees, account.name
    )
    write_row(tally, course, trades, account.is_open, bars)
    return sealed(account.name)
