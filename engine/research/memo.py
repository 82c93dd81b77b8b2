"""Sweeping with a memory: what a trade does to an account of 1 is computed once and recalled across combinations.

Exact wherever a trade scales with the equity it begins with and nothing else of the past: sizes that are a fraction
of equity, no quantity steps, no minimum notional, no reversals, costs above 0 (without costs equal equities tie, and
ties would hang on rounding).  Elsewhere the sweep runs ``engine.research.events``.
"""

from __future__ import annotations

import numpy as np

from engine.jit import compiled_bare, inlined_bare
from engine.research.course import Course, Trades, climb, listed, returns, sealed, settle, write_row
from engine.research.exits import STEP
from engine.research.private import fill_private
from engine.research.scan import ZERO, Bitmap, fill_but, next_set, summarise
from engine.research.trades import (
    AT_PEAK,
    CASH,
    CONFIG,
    DOWN,
    DRAWDOWN,
    FEES,
    GROWTH,
    HIGHEST,
    LEFT,
    LONGEST,
    LOWEST,
    PROFIT,
    QUANTITY,
    RATIO,
    SLOT,
    SQUARE,
    STAMP,
    SUM,
    UNKNOWN,
    find_peaks,
    recall,
    renew,
)  # fmt: skip


@inlined_bare
def split(close, entry, figures, left, bounds, block, total, square, sums):
    """Return the block a trade ends in, having told ``sums`` of each block that ends before; see ``walk``."""
    end = min(left, close.size - 1)
    before, u = 1.0, entry
    while end >= bounds[block + 1]:
        stop = max(bounds[block + 1], entry)
        before, total, square, _ = returns(
            close, u, stop, figures[CASH], figures[QUANTITY], True, before, total, square, 0.0
        )
        u = stop
        sums[block, 0], sums[block, 1] = total, square
        block += 1
    return block


@inlined_bare
def first_above(market, entry, figures, left, equity, peak):
    """Return the first bar of a trade at whose close the account is at or above its old peak, ``left`` if none is."""
    cash, quantity = figures[CASH], figures[QUANTITY]
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
def longest_below(close, entry, figures, left, equity, peak, at_peak):
    """Return the longest run of closes below the peak, of a trade that begins under water and climbs above it."""
    longest = np.int64(0)
    cash, quantity = figures[CASH], figures[QUANTITY]
    peak, at_peak, _, longest = climb(
        close, entry, left - 1, equity * cash, equity * quantity, peak, at_peak, 0.0, longest
    )
    if left < close.size:
        _, _, _, longest = climb(close, left, left, equity * figures[GROWTH], 0.0, peak, at_peak, 0.0, longest)
    return longest


@compiled_bare
def run_remembered(market, asked, configs, groups, costs, bounds, streams, scratch, memory, start, stop, answers):
    """Run long-only combinations ``start`` to ``stop`` of ``asked.order`` with a memory.

    Parameters
    ----------
    configs : ndarray of int64, shape (m,)
        For each combination the number of its distances, rules and size.
    groups : ndarray of int64, shape (m,)
        For each combination the number of its exit stream and config; equal numbers should be neighbours in the order.
    """
    close = market.close
    n = close.size
    initial = costs.initial_cash
    digits, low = memory.digits, (1 << memory.digits) - 1
    slots, facts, figures, state = memory.slots, memory.facts, memory.figures, memory.state
    enter = streams.enter
    shared, roots = len(asked.bitmaps), asked.recipe.roots
    group = np.int64(-1)
    for at in range(start, stop):
        i = asked.order[at]
        fill_private(i, asked, scratch)
        a, b = asked.streams[i, 0], asked.streams[i, 1]
        long_entry = asked.bitmaps[a] if a < shared else scratch.words[roots[0]]
        long_exit = asked.bitmaps[b] if b < shared else scratch.words[roots[1]]
        leave = Bitmap(long_exit, streams.long_leave.summary)
        if groups[i] != group:
            group = groups[i]
            if configs[i] != state[CONFIG] or state[STAMP] + 1 == 1 << (SLOT - digits):
                state[CONFIG] = configs[i]
                renew(memory)
            else:
                state[STAMP] += 1
            summarise(leave)
        fill_but(long_entry, long_exit, enter)
        sums = answers.sums[i]
        equity = peak = initial
        at_peak, longest = np.int64(-1), np.int64(0)
        total = square = downside = drawdown = 0.0
        gains = losses = ratio = fees = wins = closed = is_open = 0.0
        invested = block = t = np.int64(0)
        name = ZERO
        edge = bounds[1]
        while t < n:
            decided = next_set(enter, t)
            if decided + 1 >= n:
                break
            entry = decided + 1
            slot, left = np.int64(slots[entry, 0]), np.int64(slots[entry, 1])
            row = slot & low
            if slot >> digits != state[STAMP]:
                row = recall(market, asked, i, slot, left, decided, leave, costs, memory)
                if row < 0:
                    t = entry
                    continue
                left = facts[row, LEFT]
                slots[entry, 0], slots[entry, 1] = state[STAMP] << digits | row, left
            trade, fact = figures[row], facts[row]
            t = left >> 1
            end = min(t, n - 1)
            growth, highest = trade[GROWTH], trade[HIGHEST]
            if end >= edge:
                block = split(close, entry, trade, t, bounds, block, total, square, sums)
                edge = bounds[block + 1]
            if equity * highest >= peak:
                if fact[AT_PEAK] == UNKNOWN:
                    find_peaks(close, entry, trade, fact)
                run = fact[LONGEST]
                if equity < peak:  # first it climbs out of the water
                    longest = max(longest, first_above(market, entry, trade, t, equity, peak) - 1 - at_peak)
                    if run > longest:
                        run = longest_below(close, entry, trade, t, equity, peak, at_peak)
                at_peak, longest = fact[AT_PEAK], max(longest, run)
                drawdown = min(drawdown, trade[DRAWDOWN])
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
            profit = equity * trade[PROFIT]
            equity *= growth
            if t == n:
                is_open = 1.0
                break
            won = profit > 0.0
            closed += 1.0
            ratio += trade[RATIO]
            wins += 1.0 if won else 0.0
            gains += profit if won else 0.0
            losses -= 0.0 if won else profit
        if equity >= peak and is_open == 0.0:
            at_peak = np.int64(n - 1)
        longest = max(longest, n - 1 - at_peak)
        course = Course(equity, peak, at_peak, total, square, downside, invested, drawdown, longest, block)
        settle(sums, course)
        write_row(answers.tally[i], course, Trades(closed, wins, gains, losses, ratio, fees, name), is_open, n)
        answers.lists[i] = sealed(name)
