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
    SPREAD,
    Course,
    Trades,
    climb,
    extremes,
    listed,
    returns,
    sealed,
    settle,
    write_row,
)
from engine.research.exits import STEP, resting_exit
from engine.research.scan import ZERO, Bitmap, fill_but, next_set, summarise
from engine.simulate.formulas import NO_EXIT, affordable_quantity, fill_price, order_quantity

DIGITS, BITS = 15, 16
ROOM = 1 << DIGITS
LINE = 64  # bytes
(
    GROWTH, SUM, SQUARE, DOWN, HIGHEST, LOWEST, FEES, LEFT,  # LEFT: twice the bar, plus 1 if by stop or target
    PROFIT, RATIO, KEY, AT_PEAK, DRAWDOWN, LONGEST, CASH, QUANTITY, WIDTH,
) = range(17)  # fmt: skip
USED, STAMP, CONFIG, SINCE = range(4)
MOST = 1 << 16  # stamps, so that slots are 31 bits
UNKNOWN = -2  # at AT_PEAK: what is counted from the peak has not been asked for yet


class Memory(NamedTuple):
    """The trades remembered, one a thread.

    Attributes
    ----------
    slots : ndarray of int32, shape (bars,)
        For each bar the row of the trade that enters there, and above it the stamp of its group.
    index : ndarray of int32, shape (2**BITS,)
        For the hash of a key the row that holds it, -1: none.
    figures : ndarray of float64, shape (ROOM, WIDTH)
    facts : ndarray of int64, shape (ROOM, WIDTH)
        The same memory seen as whole numbers: LEFT, KEY, AT_PEAK and LONGEST are such.
    state : ndarray of int64, shape (4,)
        Rows used, the stamp of the group at hand, its config, the config's first stamp.
    """

    slots: NDArray[np.int32]
    index: NDArray[np.int32]
    figures: NDArray[np.float64]
    facts: NDArray[np.int64]
    state: NDArray[np.int64]


def new_memory(bars: int) -> Memory:
    """Return an empty memory for a series of ``bars`` bars."""
    room = np.empty(ROOM * WIDTH + LINE // 8)
    figures = room[-room.ctypes.data % LINE // 8 :][: ROOM * WIDTH].reshape(ROOM, WIDTH)  # a row is two cache lines
    return Memory(
        np.zeros(bars, np.int32),
        np.full(1 << BITS, -1, np.int32),
        figures,
        figures.view(np.int64),
        np.array([0, 0, -1, 0]),
    )


@inlined_bare
def remember(close, entry, price, quantity, left, rested, sold, costs, figures, facts):
    """Fill a row with what a long trade of an account of 1 comes to; left at bar ``left``, sold at ``sold``."""
    fee = costs.fee * (quantity * price)
    cash = 1.0 - (quantity * price + fee)
    equity, highest, lowest, total, square, downside, profit, paid = 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if left > entry:
        low, high = extremes(close, entry, left - 1)
        lowest, highest = min(1.0, cash + quantity * low), max(1.0, cash + quantity * high)
        equity, total, square, downside = returns(close, entry, left, cash, quantity, True, 1.0, 0.0, 0.0, 0.0)
    if left < close.size:
        paid = costs.fee * (quantity * sold)
        after = cash + (quantity * sold - paid)
        r = after / equity - 1.0
        total, square, downside = total + r, square + r * r, downside + (r * r if r < 0.0 else 0.0)
        equity, highest, lowest = after, max(highest, after), min(lowest, after)
        profit = quantity * (sold - price) - (fee + paid)
    figures[GROWTH], figures[HIGHEST], figures[LOWEST] = equity, highest, lowest
    figures[SUM], figures[SQUARE], figures[DOWN] = total, square, downside
    figures[FEES], figures[PROFIT], figures[RATIO] = fee + paid, profit, profit / (quantity * price)
    figures[CASH], figures[QUANTITY] = cash, quantity
    facts[LEFT], facts[AT_PEAK] = 2 * left + rested, UNKNOWN


@inlined_bare
def find_peaks(close, entry, figures, facts):
    """Fill a row's DRAWDOWN, AT_PEAK and LONGEST: those of an account at its peak when the trade begins."""
    left, cash, quantity = facts[LEFT] >> 1, figures[CASH], figures[QUANTITY]
    peak, at_peak, drawdown, longest = climb(close, entry, left - 1, cash, quantity, 1.0, entry - 1, 0.0, np.int64(0))
    if left < close.size:
        peak, at_peak, drawdown, longest = climb(
            close, left, left, figures[GROWTH], 0.0, peak, at_peak, drawdown, longest
        )
    figures[DRAWDOWN], facts[AT_PEAK], facts[LONGEST] = drawdown, at_peak, longest


@inlined_bare
def forget(memory):
    """Begin again with an empty memory."""
    for k in range(memory.index.size):
        memory.index[k] = -1
    memory.state[USED] = 0
    renew(memory)


@inlined_bare
def renew(memory):
    """Make every slot one of another config, and go on with a new stamp."""
    if memory.state[STAMP] + 1 == MOST:
        for k in range(memory.slots.size):
            memory.slots[k] = 0
        memory.state[STAMP] = 0
    memory.state[STAMP] += 1
    memory.state[SINCE] = memory.state[STAMP]


@inlined_bare
def recall(market, asked, i, slot, decided, leave, costs, memory):
    """Return the row of the long trade decided at a bar, computed if it is not known; -1: there is no entry.

    ``slot`` is what the bar's slot holds: the trade of another group, or nothing.
    """
    n, entry, config = market.close.size, decided + 1, memory.state[CONFIG]
    last = next_set(leave, entry)
    if asked.rules[i, 1] > 0:
        last = min(last, entry + asked.rules[i, 1] - 1)
    if slot >> DIGITS >= memory.state[SINCE]:
        row = slot & (ROOM - 1)
        there = memory.facts[row, LEFT]
        if there == 2 * min(last + 1, n) or (there & 1 != 0 and there >> 1 <= last):
            return row
    has_stop, has_target = asked.distances[i, 0] >= 0, asked.distances[i, 1] >= 0
    stop_d = asked.values[asked.distances[i, 0], decided] if has_stop else np.nan
    target_d = asked.values[asked.distances[i, 1], decided] if has_target else np.nan
    if (has_stop and not stop_d > 0.0) or (has_target and not target_d > 0.0):
        return np.int64(-1)
    price = fill_price(market.open[entry], 1.0, costs.slippage)
    left, level, rested = min(last + 1, np.int64(n)), np.nan, np.int64(0)
    if has_stop or has_target:
        reason, level, bar = resting_exit(
            market, 1.0, price, stop_d, target_d, asked.rules[i, 0] != 0, entry, left - 1, costs.price_tick
        )
        if reason != NO_EXIT:
            left, rested = bar, np.int64(1)
    key = ((config * np.int64(n) + entry) * np.int64(n + 1) + left) * 2 + rested
    place = (np.uint64(key) * SPREAD) >> np.uint64(64 - BITS)
    row = np.int64(memory.index[place])
    if row >= 0 and memory.facts[row, KEY] == key:
        return row
    if memory.state[USED] == ROOM:
        forget(memory)
    row = memory.state[USED]
    memory.state[USED] += 1
    memory.index[place], memory.facts[row, KEY] = row, key
    reference = price if costs.at_fill != 0.0 else fill_price(market.close[decided], 1.0, costs.slippage)
    quantity = order_quantity(
        asked.kind, asked.sizings[i, 0], asked.sizings[i, 1], 1.0, reference, stop_d, 0.0, 0.0, costs
    )
    quantity = affordable_quantity(quantity, price, 1.0, costs)
    if rested == 0 and left < n:
        level = market.open[left]
    sold = fill_price(level, -1.0, costs.slippage)
    remember(market.close, entry, price, quantity, left, rested, sold, costs, memory.figures[row], memory.facts[row])
    return row


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
def run_remembered(market, asked, configs, groups, costs, bounds, streams, memory, start, stop, answers):
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
    slots, facts, figures, state = memory.slots, memory.facts, memory.figures, memory.state
    enter = streams.enter
    group = np.int64(-1)
    for at in range(start, stop):
        i = asked.order[at]
        long_entry, long_exit = asked.bitmaps[asked.streams[i, 0]], asked.bitmaps[asked.streams[i, 1]]
        leave = Bitmap(long_exit, streams.long_leave.summary)
        if groups[i] != group:
            group = groups[i]
            if configs[i] != state[CONFIG] or state[STAMP] + 1 == MOST:
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
            slot = np.int64(slots[entry])
            row = slot & (ROOM - 1)
            if slot >> DIGITS != state[STAMP]:
                row = recall(market, asked, i, slot, decided, leave, costs, memory)
                if row < 0:
                    t = entry
                    continue
                slots[entry] = state[STAMP] << DIGITS | row
            trade, fact = figures[row], facts[row]
            t = fact[LEFT] >> 1
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
