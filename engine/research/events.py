"""The event-driven simulation of a sweep: jump from decision to decision, mark only the bars a position is held.

Same formulas as ``engine.simulate.account``; its trades are the plain simulation's, its sums agree to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import compiled_bare, inlined_bare
from engine.research.bitmap import bit
from engine.research.course import Trades, listed, mark, new_course, new_trades, sealed, settle, walk, write_row
from engine.research.exits import resting_exit
from engine.research.private import Recipe, fill_private, scaled
from engine.research.scan import gather, next_set
from engine.simulate.costs import SizingNumbers
from engine.simulate.formulas import (
    KELLY,
    KELLY_WINDOW,
    MAX_HOLD,
    NO_EXIT,
    SIGNAL,
    affordable_quantity,
    fill_price,
    kelly_fraction,
    order_quantity,
    unit_return,
)


class Terms(NamedTuple):
    """On what terms combinations trade: distances, rules and sizes.

    Attributes
    ----------
    values : ndarray of float64, shape (columns, bars)
    distances : ndarray of int64, shape (m, 2)
        Columns of ``values`` for stop and target, -1: none.
    factors : ndarray of float64, shape (m, 2)
        What they are multiplied by.
    rules : ndarray of int64, shape (m, 2)
        Trailing, max_hold.
    sizings : ndarray of float64, shape (m, 2)
        The two numbers of the size rule ``kind``.
    """

    values: NDArray[np.float64]
    distances: NDArray[np.int64]
    factors: NDArray[np.float64]
    rules: NDArray[np.int64]
    kind: float
    sizings: NDArray[np.float64]


class Asked(NamedTuple):
    """What combinations ask for.

    Attributes
    ----------
    bitmaps : ndarray of uint64, shape (rows, words)
    streams : ndarray of int64, shape (m, 4)
        Rows of ``bitmaps`` for long entry, long exit, short entry, short exit.
    terms : Terms
        Apart, so that compiled functions that need no more are not handed the rest.
    order : ndarray of int64, shape (m,)
        In which the combinations are run.
    recipe : Recipe
        How streams that are no rows are made.
    """

    bitmaps: NDArray[np.uint64]
    streams: NDArray[np.int64]
    terms: Terms
    order: NDArray[np.int64]
    recipe: Recipe


class Answers(NamedTuple):
    """Where the rows of combinations go.

    Attributes
    ----------
    tally : ndarray of float64, shape (m, len(TALLY))
    sums : ndarray of float64, shape (m, blocks, 2)
        Sum of the returns of each block of bars, and of their squares.
    lists : ndarray of uint64, shape (m,)
    """

    tally: NDArray[np.float64]
    sums: NDArray[np.float64]
    lists: NDArray[np.uint64]


@inlined_bare
def side_at(long_entry, long_exit, bar):
    """Return the side of an entry decided at a bar where exactly one side may enter."""
    return 1.0 if bit(long_entry, bar) and not bit(long_exit, bar) else -1.0


@inlined_bare
def counted(trades, side, quantity, entry_price, price, paid, entry, left):
    """Return (trades, profit) with one more closed trade."""
    profit = side * quantity * (price - entry_price) - paid
    won = profit > 0.0
    made = Trades(
        trades.closed + 1.0,
        trades.wins + (1.0 if won else 0.0),
        trades.gains + (profit if won else 0.0),
        trades.losses - (0.0 if won else profit),
        trades.ratio + profit / (quantity * entry_price),
        trades.fees + paid,
        listed(trades.hash, entry, left, side),
    )
    return made, profit


@compiled_bare
def run_combination(
    market, signals, two_sided, stop_distance, target_distance, trailing, max_hold, sizing, costs, bounds, room, tally,
    sums, table,
):  # fmt: skip
    """Run one combination.

    Parameters
    ----------
    market : Market
    signals : tuple of 4 ndarray of uint64, shape (words,)
        Bitmaps: long entry, long exit, short entry, short exit.
    two_sided : bool
        False: there is no short entry.
    stop_distance, target_distance : ndarray of float64, float
        A column, shape (bars,), or (0,) for none, and what it is multiplied by.
    bounds : ndarray of int64, shape (blocks + 1,)
        Bars at which blocks begin, then the number of bars: 0 <= ... <= bars.
    room : (Streams, ndarray of float64, shape (50,))
        One a thread.
    tally : ndarray of float64, shape (len(TALLY),)
        Filled.
    sums : ndarray of float64, shape (blocks, 2)
        Filled: sum of the returns of each block's bars, and of their squares.
    table : ndarray of ``TRADE``
        Filled with the closed trades as far as it reaches; empty: they are only counted.

    Returns
    -------
    int, uint64
        Closed trades; the hash of the list of trades, the open one too, 0 if there is none.
    """
    long_entry, long_exit, short_entry, short_exit = signals
    streams, returns = room
    gather(long_entry, long_exit, short_entry, short_exit, two_sided, streams)
    open, close, n = market.open, market.close, market.close.size
    has_stop, has_target = stop_distance[0].size > 0, target_distance[0].size > 0
    cash, profit_sum, count = costs.initial_cash, 0.0, np.int64(0)
    course, trades, is_open = new_course(cash), new_trades(), 0.0
    t = np.int64(0)
    while t < n:
        decided = next_set(streams.enter, t)
        if decided + 1 >= n:
            break
        side = side_at(long_entry, long_exit, decided) if two_sided else 1.0
        t = decided + 1
        # what the decision knew: equity, closed profit
        equity, known_profit, carried = cash, profit_sum, False
        bet = kelly_fraction(returns, count, sizing.first, sizing.second) if sizing.kind == KELLY else 0.0
        while side != 0.0:
            # an entry of `side` decided at the close of bar t - 1, due at the open of t
            stop_d = scaled(stop_distance[0][t - 1], stop_distance[1]) if has_stop else np.nan
            target_d = scaled(target_distance[0][t - 1], target_distance[1]) if has_target else np.nan
            wanted = not (has_stop and not stop_d > 0.0) and not (has_target and not target_d > 0.0)
            quantity, entry_price = 0.0, fill_price(open[t], side, costs.slippage)
            if wanted:
                reference = fill_price(close[t - 1], side, costs.slippage)
                if costs.at_fill != 0.0:
                    equity, known_profit, reference = cash, profit_sum, entry_price
                    if sizing.kind == KELLY:
                        bet = kelly_fraction(returns, count, sizing.first, sizing.second)
                quantity = order_quantity(
                    sizing.kind, sizing.first, sizing.second, equity, reference, stop_d, known_profit, bet, costs
                )
                quantity = affordable_quantity(quantity, entry_price, cash, costs)
            held = quantity != 0.0
            if not wanted or (not held and sizing.kind != KELLY):
                if carried:
                    course = mark(course, close, t, cash, True, bounds, sums)
                break
            entry, entry_fee = t, costs.fee * (quantity * entry_price)
            cash -= side * quantity * entry_price + entry_fee
            last = next_set(streams.long_leave if side > 0.0 else streams.short_leave, t)
            by_signal = True
            if max_hold > 0 and t + max_hold - 1 < last:
                last, by_signal = t + max_hold - 1, False
            end, reason, price = min(last, np.int64(n - 1)), np.int64(NO_EXIT), np.nan
            if has_stop or has_target:
                reason, price, t = resting_exit(
                    market, side, entry_price, stop_d, target_d, trailing, entry, end, costs.price_tick
                )
                end = t - 1 if reason != NO_EXIT else end
            if held:
                course = walk(course, close, entry, end, cash, side * quantity, carried, bounds, sums)
            elif carried:
                course = mark(course, close, entry, cash, True, bounds, sums)
            turned = 0.0
            if reason == NO_EXIT:
                t = last + 1
                if t >= n:
                    if held:
                        is_open, fees, name = 1.0, trades.fees + entry_fee, listed(trades.hash, entry, n, side)
                        trades = Trades(
                            trades.closed, trades.wins, trades.gains, trades.losses, trades.ratio, fees, name
                        )
                    break
                reason, price = np.int64(SIGNAL if by_signal else MAX_HOLD), open[t]
                if two_sided and side > 0.0:
                    turned = -1.0 if bit(short_entry, last) and not bit(short_exit, last) else 0.0
                elif two_sided:
                    turned = 1.0 if bit(long_entry, last) and not bit(long_exit, last) else 0.0
                if turned != 0.0:
                    equity, known_profit = (
                        cash + side * quantity * close[last] - quantity * close[last] * (costs.slippage + costs.fee),
                        profit_sum,
                    )
                    if sizing.kind == KELLY:
                        bet = kelly_fraction(returns, count, sizing.first, sizing.second)
            price = fill_price(price, -side, costs.slippage)
            returns[count % KELLY_WINDOW] = unit_return(side, entry_price, price, costs.fee)
            count += 1
            if held:
                fee = costs.fee * (quantity * price)
                cash += side * quantity * price - fee
                paid = entry_fee + fee
                at = np.int64(trades.closed)
                trades, profit = counted(trades, side, quantity, entry_price, price, paid, entry, t)
                profit_sum += profit
                if at < table.size:
                    trade = table[at]
                    trade.entry_bar, trade.exit_bar, trade.side, trade.reason = entry, t, np.int64(side), reason
                    trade.quantity, trade.fees, trade.profit = quantity, paid, profit
                    trade.entry_price, trade.exit_price = entry_price, price
                if turned == 0.0:
                    course = mark(course, close, t, cash, True, bounds, sums)
            carried, side = held, turned
    settle(sums, course)
    write_row(tally, course, trades, is_open, n)
    return np.int64(trades.closed), sealed(trades.hash)


@compiled_bare
def run_combinations(market, asked, two_sided, costs, bounds, room, scratch, none, start, stop, answers):
    """Run combinations ``start`` to ``stop`` of ``asked.order``; ``none`` is an empty table of trades."""
    nothing = market.close[:0]
    shared, roots, terms = len(asked.bitmaps), asked.recipe.roots, asked.terms
    for at in range(start, stop):
        i = asked.order[at]
        fill_private(i, asked, scratch)
        a, b, c, d = asked.streams[i]
        signals = (
            asked.bitmaps[a] if a < shared else scratch.words[roots[0]],
            asked.bitmaps[b] if b < shared else scratch.words[roots[1]],
            asked.bitmaps[c] if c < shared else scratch.words[roots[2]],
            asked.bitmaps[d] if d < shared else scratch.words[roots[3]],
        )
        stop_distance = terms.values[terms.distances[i, 0]] if terms.distances[i, 0] >= 0 else nothing
        target_distance = terms.values[terms.distances[i, 1]] if terms.distances[i, 1] >= 0 else nothing
        distances = (stop_distance, terms.factors[i, 0]), (target_distance, terms.factors[i, 1])
        sizing = SizingNumbers(terms.kind, terms.sizings[i, 0], terms.sizings[i, 1])
        _, answers.lists[i] = run_combination(
            market, signals, two_sided, distances[0], distances[1], terms.rules[i, 0] != 0, terms.rules[i, 1],
            sizing, costs, bounds, room, answers.tally[i], answers.sums[i], none,
        )  # fmt: skip
