"""Sweeping with a memory: what a trade does to an account of 1 is computed once and recalled across combinations.

Exact wherever a trade scales with the equity it begins with and nothing else of the past: sizes that are a fraction
of equity, no quantity steps, no minimum notional, no reversals, costs above 0 (without costs equal equities tie, and
ties would hang on rounding).  Elsewhere the sweep runs ``engine.research.events``.

Combinations that leave alike (one exit stream, the same distances, rules and size) are a group: there a trade is
known by the bar it enters at alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import compiled_bare, inlined_bare
from engine.research.course import (
    Course,
    Trades,
    extremes,
    joined,
    sealed,
    settle,
    trade_hash,
    walk,
    write_row,
)
from engine.research.exits import resting_exit
from engine.research.private import distance, fill_private
from engine.research.scan import ZERO, gather, next_set
from engine.simulate.formulas import NO_EXIT, affordable_quantity, fill_price, order_quantity

ROOM, BITS = 1 << 15, 17
GROWTH, SUM, SQUARE, DOWN, HIGHEST, LOWEST, DRAWDOWN, FEES, PROFIT, RATIO, CASH, QUANTITY, FIGURES = range(13)
LEFT, AT_PEAK, LONGEST, NAME, FACTS = range(5)  # LEFT: the exit's bar, the number of bars where it is still open
USED, STAMP = range(2)


class Memory(NamedTuple):
    """The trades remembered, one a thread.

    Attributes
    ----------
    slots : ndarray of int64, shape (bars,)
        For each bar the row of the trade that enters there, below the stamp of its group.
    index : ndarray of int64, shape (2**BITS,)
        The row of a key, -1: none.
    keys : ndarray of int64, shape (ROOM,)
    facts : ndarray of int64, shape (ROOM, FACTS)
    figures : ndarray of float64, shape (ROOM, FIGURES)
    state : ndarray of int64, shape (2,)
        Rows used, the stamp of the group at hand.
    """

    slots: NDArray[np.int64]
    index: NDArray[np.int64]
    keys: NDArray[np.int64]
    facts: NDArray[np.int64]
    figures: NDArray[np.float64]
    state: NDArray[np.int64]
    whole: NDArray[np.int64]
    nowhere: NDArray[np.float64]


def new_memory(bars: int) -> Memory:
    """Return an empty memory for a series of ``bars`` bars."""
    return Memory(
        np.zeros(bars, np.int64),
        np.full(1 << BITS, -1, np.int64),
        np.empty(ROOM, np.int64),
        np.empty((ROOM, FACTS), np.int64),
        np.empty((ROOM, FIGURES)),
        np.zeros(2, np.int64),
        np.array([0, bars]),
        np.empty((1, 2)),
    )


@inlined_bare
def remember(market, entry, price, quantity, left, sold, costs, whole, nowhere, figures, facts):
    """Fill a row with what a long trade of an account of 1 comes to; left at bar ``left``, sold at ``sold``."""
    n = market.close.size
    fee = costs.fee * (quantity * price)
    cash = 1.0 - (quantity * price + fee)
    course = Course(1.0, 1.0, entry - 1, 0.0, 0.0, 0.0, np.int64(0), 0.0, np.int64(0), np.int64(0))
    course = walk(course, market.close, entry, left - 1, cash, quantity, False, whole, nowhere)
    lowest = cash + quantity * extremes(market.close, entry, left - 1)[0] if left > entry else 1.0
    profit = paid = 0.0
    if left < n:
        paid = costs.fee * (quantity * sold)
        after = cash + (quantity * sold - paid)
        course = walk(course, market.close, left, left, after, 0.0, True, whole, nowhere)
        lowest = min(lowest, after)
        profit = quantity * (sold - price) - (fee + paid)
    figures[GROWTH], figures[HIGHEST], figures[LOWEST] = course.equity, course.peak, lowest
    figures[SUM], figures[SQUARE], figures[DOWN] = course.total, course.square, course.downside
    figures[DRAWDOWN], figures[FEES] = course.drawdown, fee + paid
    figures[PROFIT], figures[RATIO] = profit, profit / (quantity * price)
    figures[CASH], figures[QUANTITY] = cash, quantity
    facts[LEFT], facts[AT_PEAK], facts[LONGEST] = left, course.at_peak, course.longest
    facts[NAME] = np.int64(trade_hash(entry, left, 1.0))


@inlined_bare
def recall(market, asked, i, config, decided, leave, costs, whole, nowhere, memory):
    """Return the row of the long trade decided at a bar, computed if it is not known; -1: there is no entry."""
    n, entry = market.close.size, decided + 1
    has_stop, has_target = asked.distances[i, 0] >= 0, asked.distances[i, 1] >= 0
    stop_d, target_d = distance(i, 0, asked, decided), distance(i, 1, asked, decided)
    if (has_stop and not stop_d > 0.0) or (has_target and not target_d > 0.0):
        return np.int64(-1)
    last = next_set(leave, entry)
    if asked.rules[i, 1] > 0:
        last = min(last, entry + asked.rules[i, 1] - 1)
    price = fill_price(market.open[entry], 1.0, costs.slippage)
    left, level, rested = min(last + 1, np.int64(n)), np.nan, np.int64(0)
    if has_stop or has_target:
        reason, level, bar = resting_exit(
            market, 1.0, price, stop_d, target_d, asked.rules[i, 0] != 0, entry, left - 1, costs.price_tick
        )
        if reason != NO_EXIT:
            left, rested = bar, np.int64(1)
    key = ((config * np.int64(n) + entry) * np.int64(n + 1) + left) * 2 + rested
    place = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - BITS))
    row = memory.index[place]
    if row >= 0 and memory.keys[row] == key:
        return row
    if memory.state[USED] == ROOM:  # begin again
        memory.index[:] = -1
        memory.state[USED] = 0
        memory.state[STAMP] += 1
    row = memory.state[USED]
    memory.state[USED] += 1
    memory.index[place], memory.keys[row] = row, key
    reference = price if costs.at_fill != 0.0 else fill_price(market.close[decided], 1.0, costs.slippage)
    quantity = order_quantity(
        asked.kind, asked.sizings[i, 0], asked.sizings[i, 1], 1.0, reference, stop_d, 0.0, 0.0, costs
    )
    quantity = affordable_quantity(quantity, price, 1.0, costs)
    if rested == 0 and left < n:
        level = market.open[left]
    sold = fill_price(level, -1.0, costs.slippage)
    remember(market, entry, price, quantity, left, sold, costs, whole, nowhere, memory.figures[row], memory.facts[row])
    return row


@inlined_bare
def split(close, entry, figures, left, bounds, block, total, square, sums):
    """Return the block a trade ends in, having told ``sums`` of each block that ends before; see ``walk``."""
    end = min(left, close.size - 1)
    before = 1.0
    for u in range(entry, end + 1):
        while u >= bounds[block + 1]:
            sums[block, 0], sums[block, 1] = total, square
            block += 1
        if end < bounds[block + 1]:
            break
        now = figures[CASH] + figures[QUANTITY] * close[u]
        r = now / before - 1.0
        before = now
        total += r
        square += r * r
    return block


@inlined_bare
def recovery(close, entry, figures, left, equity, peak, at_peak, longest):
    """Return (at_peak, longest) after a trade that begins under water and climbs above the old peak."""
    end = min(left, close.size - 1)
    for u in range(entry, end + 1):
        now = equity * (figures[GROWTH] if u == left else figures[CASH] + figures[QUANTITY] * close[u])
        if now >= peak:
            longest = max(longest, u - 1 - at_peak)
            peak, at_peak = now, u
    return at_peak, max(longest, end - at_peak)


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
    whole, nowhere = memory.whole, memory.nowhere
    shared, roots = len(asked.bitmaps), asked.recipe.roots
    slots, facts, figures, state = memory.slots, memory.facts, memory.figures, memory.state
    group = np.int64(-1)
    for at in range(start, stop):
        i = asked.order[at]
        fill_private(i, asked, scratch)
        a, b = asked.streams[i, 0], asked.streams[i, 1]
        long_entry = asked.bitmaps[a] if a < shared else scratch.words[roots[0]]
        long_exit = asked.bitmaps[b] if b < shared else scratch.words[roots[1]]
        if groups[i] != group:
            group = groups[i]
            state[STAMP] += 1
        gather(long_entry, long_exit, long_entry, long_entry, False, streams)
        sums = answers.sums[i]
        equity = peak = initial
        at_peak, longest = np.int64(-1), np.int64(0)
        total = square = downside = drawdown = 0.0
        gains = losses = ratio = fees = wins = closed = is_open = 0.0
        invested = block = t = np.int64(0)
        name = ZERO
        edge = bounds[1]
        while t < n:
            decided = next_set(streams.enter, t)
            if decided + 1 >= n:
                break
            entry = decided + 1
            slot = slots[entry]
            row = slot & np.int64(0xFFFFFFFF)
            if slot >> 32 != state[STAMP]:
                row = recall(market, asked, i, configs[i], decided, streams.long_leave, costs, whole, nowhere, memory)
                if row < 0:
                    t = entry
                    continue
                slots[entry] = state[STAMP] << 32 | row
            trade, fact = figures[row], facts[row]
            t = fact[LEFT]
            end = min(t, n - 1)
            growth, highest = trade[GROWTH], trade[HIGHEST]
            if end >= edge:
                block = split(close, entry, trade, t, bounds, block, total, square, sums)
                edge = bounds[block + 1]
            if equity >= peak:
                longest = max(longest, fact[LONGEST])
                at_peak = fact[AT_PEAK]
                drawdown = min(drawdown, trade[DRAWDOWN])
            elif equity * highest >= peak:
                at_peak, longest = recovery(close, entry, trade, t, equity, peak, at_peak, longest)
                drawdown = min(drawdown, trade[DRAWDOWN])
            else:
                longest = max(longest, end - at_peak)
            deep = equity * trade[LOWEST] / peak - 1.0
            drawdown = deep if deep < drawdown else drawdown
            high = equity * highest
            peak = high if high > peak else peak
            name = joined(name, np.uint64(fact[NAME]))
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
