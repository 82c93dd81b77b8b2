"""The event-driven simulation of a sweep: jump from decision to decision, visit only the bars a position is held.

Same formulas and same order of operations as ``engine.simulate.account``; its trades are the plain simulation's,
its sums agree to rounding.
"""

import numpy as np

from engine.jit import compiled, inlined
from engine.research.bitmap import bit, next_entry, next_of
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
    protective_exit,
    to_tick,
    unit_return,
)

SPREAD, SCATTER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd, their bits without a pattern


@inlined
def listed(trades, entry, left, side):
    """Return the hash of a list of trades with one more: entered at bar ``entry``, left at bar ``left``, ``side``.

    ``left`` is the number of bars where the trade is still open.  An empty list is 0; see ``sealed``.
    """
    word = (np.uint64(entry) << np.uint64(32)) ^ (np.uint64(left) << np.uint64(1)) ^ np.uint64(side > 0.0)
    word = (word ^ (word >> np.uint64(31))) * SPREAD
    word = (word ^ (word >> np.uint64(29))) * SCATTER
    return trades * SCATTER + (word ^ (word >> np.uint64(32)) | np.uint64(1))


@inlined
def sealed(trades):
    """Return the hash of a whole list, its bits mixed: 0 only for an empty list."""
    word = (trades ^ (trades >> np.uint64(32))) * SPREAD
    return word ^ (word >> np.uint64(29))


@inlined
def settle(sums, block, total, square):
    """Turn sums up to the end of each block into those of the block; blocks from ``block`` on end with the last."""
    for b in range(block, len(sums)):
        sums[b, 0], sums[b, 1] = total, square
    for b in range(len(sums) - 1, 0, -1):
        sums[b, 0] -= sums[b - 1, 0]
        sums[b, 1] -= sums[b - 1, 1]


@inlined
def mark(course, t, now, invested, bounds, sums):
    """Count one close; closes since the last one counted were flat at the same equity.

    ``sums[b]`` is given the sums of returns and squares of all bars before ``bounds[b + 1]``.
    """
    before, peak, at_peak, total, square, downside, held, drawdown, longest, block = course
    while t >= bounds[block + 1]:
        sums[block, 0], sums[block, 1] = total, square
        block += 1
    r = now / before - 1.0 if before > 0.0 else 0.0
    loss = min(r, 0.0)
    # since the last count every close was at `before`
    at_peak = t - 1 if before >= peak else at_peak
    longest = max(longest, t - 1 - at_peak)
    at_peak = t if now >= peak else at_peak
    peak = max(peak, now)
    longest = max(longest, t - at_peak)
    if now < peak * (1.0 + drawdown):  # seldom, so that the division is too
        drawdown = min(drawdown, now / peak - 1.0)
    return (
        now,
        peak,
        at_peak,
        total + r,
        square + r * r,
        downside + loss * loss,
        held + np.int64(invested),
        drawdown,
        longest,
        block,
    )


@inlined
def hold(
    prices, side, start, end, cash, quantity, stop, target, trail, protected, carried, tick, price, course, bounds, sums
):
    """Hold a position from bar ``start`` to the close of ``end``, or until its stop or target fills.

    Returns the course, and (reason, price, bar) of the exit, reason NO_EXIT if it is still held after ``end``.
    """
    open, high, low, close = prices
    held = quantity != 0.0
    if not protected:
        for u in range(start, end + 1):
            now = cash + side * quantity * close[u]
            course = mark(course, u, now, held or (carried and u == start), bounds, sums)
        return course, np.int64(NO_EXIT), np.nan, start
    best, trailing = price, trail == trail
    for u in range(start, end + 1):
        if trailing:
            best = max(best, open[u]) if side > 0.0 else min(best, open[u])
            stop = to_tick(best * (1.0 - side * trail), tick)
        hit, level = protective_exit(side, open[u], high[u], low[u], stop, target)
        if hit != NO_EXIT:
            return course, np.int64(hit), level, u
        best = max(best, high[u]) if side > 0.0 else min(best, low[u])
        now = cash + side * quantity * close[u]
        course = mark(course, u, now, held or (carried and u == start), bounds, sums)
    return course, np.int64(NO_EXIT), np.nan, start


@compiled
def run_combination(
    prices,
    signals,
    stop_distance,
    target_distance,
    trailing,
    max_hold,
    sizing,
    costs,
    bounds,
    returns,
    tally,
    sums,
    trades,
):
    """Run one combination.

    Parameters
    ----------
    prices : tuple of 4 ndarray of float64, shape (bars,)
        Open, high, low, close.
    signals : tuple of 4 ndarray of uint64, shape (words,)
        Bitmaps: long entry, long exit, short entry, short exit.
    stop_distance, target_distance : ndarray of float64
        Shape (bars,), or (0,) for none.
    bounds : ndarray of int64, shape (blocks + 1,)
        Bars at which blocks begin, then the number of bars: 0 <= ... <= bars.
    returns : ndarray of float64, shape (50,)
        Room for Kelly's ring.
    tally : ndarray of float64, shape (len(TALLY),)
        Filled.
    sums : ndarray of float64, shape (blocks, 2)
        Filled: sum of the returns of each block's bars, and of their squares.
    trades : ndarray of ``TRADE``
        Filled as far as it reaches; empty: trades are only counted.

    Returns
    -------
    int, uint64
        Closed trades; the hash of the list of trades, the open one too, 0 if there is none.
    """
    open, _high, _low, close = prices
    long_entry, long_exit, short_entry, short_exit = signals
    n = close.size
    has_stop, has_target = stop_distance.size > 0, target_distance.size > 0
    protected = has_stop or has_target
    cash = costs.initial_cash
    course = (cash, cash, np.int64(-1), 0.0, 0.0, 0.0, np.int64(0), 0.0, np.int64(0), np.int64(0))
    made = np.uint64(0)
    closed = count = wins = np.int64(0)
    gains = losses = ratio = fees = profit_sum = open_fee = 0.0
    is_open = False
    t = np.int64(0)
    while True:
        decided = next_entry(long_entry, long_exit, short_entry, short_exit, t)
        if decided + 1 >= n:
            break
        side = 1.0 if bit(long_entry, decided) and not bit(long_exit, decided) else -1.0
        t = decided + 1
        # what the decision knew: equity, closed profit, Kelly's bet
        equity, known_profit = cash, profit_sum
        bet = kelly_fraction(returns, count, sizing.first, sizing.second) if sizing.kind == KELLY else 0.0
        carried = False
        while side != 0.0:
            # an entry of `side` decided at the close of bar t - 1, due at the open of t
            stop_d = stop_distance[t - 1] if has_stop else np.nan
            target_d = target_distance[t - 1] if has_target else np.nan
            wanted = not (has_stop and not stop_d > 0.0) and not (has_target and not target_d > 0.0)
            quantity, price = 0.0, fill_price(open[t], side, costs.slippage)
            if wanted:
                reference = fill_price(close[t - 1], side, costs.slippage)
                if costs.at_fill != 0.0:
                    equity, known_profit, reference = cash, profit_sum, price
                    bet = kelly_fraction(returns, count, sizing.first, sizing.second) if sizing.kind == KELLY else 0.0
                quantity = order_quantity(
                    sizing.kind, sizing.first, sizing.second, equity, reference, stop_d, known_profit, bet, costs
                )
                quantity = affordable_quantity(quantity, price, cash, costs)
            if not wanted or (quantity == 0.0 and sizing.kind != KELLY):
                side = 0.0
                if carried:
                    course = mark(course, t, cash, True, bounds, sums)
                break
            entry_bar, entry_price, entry_fee = t, price, costs.fee * (quantity * price)
            cash -= side * quantity * price + entry_fee
            stop = to_tick(price - side * stop_d, costs.price_tick)
            target = to_tick(price + side * target_d, costs.price_tick)
            trail = stop_d / price if trailing else np.nan
            last = next_of(long_exit, short_entry, t) if side > 0.0 else next_of(short_exit, long_entry, t)
            by_signal = True
            if max_hold > 0 and t + max_hold - 1 < last:
                last, by_signal = t + max_hold - 1, False
            end = min(last, np.int64(n - 1))
            held = quantity != 0.0
            course, reason, exit_price, exit_bar = hold(
                prices,
                side,
                t,
                end,
                cash,
                quantity,
                stop,
                target,
                trail,
                protected,
                carried,
                costs.price_tick,
                entry_price,
                course,
                bounds,
                sums,
            )
            turned = 0.0
            if reason == NO_EXIT:
                if last + 1 >= n:
                    is_open = held
                    open_fee = entry_fee
                    made = listed(made, entry_bar, n, side) if held else made
                    t = np.int64(n)
                    break
                reason, exit_bar = np.int64(SIGNAL if by_signal else MAX_HOLD), last + 1
                exit_price = open[exit_bar]
                if side > 0.0:
                    turned = -1.0 if bit(short_entry, last) and not bit(short_exit, last) else 0.0
                else:
                    turned = 1.0 if bit(long_entry, last) and not bit(long_exit, last) else 0.0
                equity, known_profit = course[0] - quantity * close[last] * (costs.slippage + costs.fee), profit_sum
                if turned != 0.0 and sizing.kind == KELLY:
                    bet = kelly_fraction(returns, count, sizing.first, sizing.second)
            price = fill_price(exit_price, -side, costs.slippage)
            returns[count % KELLY_WINDOW] = unit_return(side, entry_price, price, costs.fee)
            count += 1
            if held:
                fee = costs.fee * (quantity * price)
                cash += side * quantity * price - fee
                paid = entry_fee + fee
                profit = side * quantity * (price - entry_price) - paid
                if closed < trades.size:
                    trade = trades[closed]
                    trade.entry_bar, trade.exit_bar, trade.side = entry_bar, exit_bar, np.int64(side)
                    trade.reason, trade.quantity, trade.fees = reason, quantity, paid
                    trade.entry_price, trade.exit_price, trade.profit = entry_price, price, profit
                closed += 1
                made = listed(made, entry_bar, exit_bar, side)
                profit_sum += profit
                fees += paid
                if profit > 0.0:
                    wins += 1
                    gains += profit
                else:
                    losses -= profit
                ratio += profit / (quantity * entry_price)
            t = exit_bar
            if turned == 0.0:
                course = mark(course, t, cash, held or (carried and t == entry_bar), bounds, sums)
            carried = held
            side = turned
        if t >= n:
            break
    before, peak, at_peak, total, square, downside, invested, drawdown, longest, block = course
    settle(sums, block, total, square)
    if before < peak:
        longest = max(longest, n - 1 - at_peak)
    row = (
        before, total, square, downside, float(invested), drawdown, float(longest), float(closed), float(wins),
        gains, losses, ratio, fees + (open_fee if is_open else 0.0), 1.0 if is_open else 0.0,
    )  # fmt: skip
    for k in range(len(row)):
        tally[k] = row[k]
    return closed, sealed(made)


@compiled
def run_combinations(
    prices,
    bitmaps,
    streams,
    values,
    distances,
    rules,
    kind,
    sizings,
    costs,
    bounds,
    none,
    start,
    stop,
    tally,
    sums,
    lists,
):
    """Run combinations ``start`` to ``stop``.

    Parameters
    ----------
    streams : ndarray of int64, shape (m, 4)
        Rows of ``bitmaps`` for long entry, long exit, short entry, short exit.
    values : ndarray of float64, shape (columns, bars)
    distances : ndarray of int64, shape (m, 2)
        Columns of ``values`` for stop and target, -1: none.
    rules : ndarray of int64, shape (m, 2)
        Trailing, max_hold.
    sizings : ndarray of float64, shape (m, 2)
        The two numbers of the size rule ``kind``.
    none : ndarray of ``TRADE``, shape (0,)
    tally : ndarray of float64, shape (m, len(TALLY))
    sums : ndarray of float64, shape (m, blocks, 2)
    lists : ndarray of uint64, shape (m,)
    """
    returns = np.empty(KELLY_WINDOW)
    for i in range(start, stop):
        signals = (bitmaps[streams[i, 0]], bitmaps[streams[i, 1]], bitmaps[streams[i, 2]], bitmaps[streams[i, 3]])
        stop_distance = values[distances[i, 0]] if distances[i, 0] >= 0 else returns[:0]
        target_distance = values[distances[i, 1]] if distances[i, 1] >= 0 else returns[:0]
        sizing = SizingNumbers(kind, sizings[i, 0], sizings[i, 1])
        _, lists[i] = run_combination(
            prices,
            signals,
            stop_distance,
            target_distance,
            rules[i, 0] != 0,
            rules[i, 1],
            sizing,
            costs,
            bounds,
            returns,
            tally[i],
            sums[i],
            none,
        )
