"""Sweeping with a memory: what a trade does to an account of 1 is computed once and recalled across combinations.

Exact wherever a trade scales with the equity it begins with and nothing else of the past: sizes that are a fraction
of equity, no quantity steps, no minimum notional, no reversals, costs above 0 (without costs equal equities tie, and
ties would hang on rounding).  Elsewhere the sweep runs ``engine.research.events``.
"""

import numpy as np

from engine.jit import compiled, inlined
from engine.research.bitmap import next_entry, next_of
from engine.research.events import hold, listed, mark, sealed, settle
from engine.simulate.costs import SizingNumbers
from engine.simulate.formulas import NO_EXIT, affordable_quantity, fill_price, order_quantity, to_tick

BITS = 15
(
    GROWTH, SUM, SQUARE, DOWN, HIGHEST, DRAWDOWN, LOWEST, INVESTED, RATIO, PROFIT, FEES, EXIT, LONGEST, AT_PEAK,
    CASH, QUANTITY, CLOSED, WIDTH,
) = range(18)  # fmt: skip


@inlined
def trade_of(prices, entry, last, stop_d, target_d, trailing, sizing, costs, whole, nowhere, row):
    """Fill ``row`` with what a long trade entered at bar ``entry`` and left after the close of ``last`` does to 1."""
    open, _high, _low, close = prices
    n = close.size
    price = fill_price(open[entry], 1.0, costs.slippage)
    reference = price if costs.at_fill != 0.0 else fill_price(close[entry - 1], 1.0, costs.slippage)
    quantity = order_quantity(sizing.kind, sizing.first, sizing.second, 1.0, reference, stop_d, 0.0, 0.0, costs)
    quantity = affordable_quantity(quantity, price, 1.0, costs)
    fee = costs.fee * (quantity * price)
    cash = 1.0 - (quantity * price + fee)
    protected = stop_d == stop_d or target_d == target_d
    trail = stop_d / price if trailing else np.nan
    course = (1.0, 1.0, entry - 1, 0.0, 0.0, 0.0, np.int64(0), 0.0, np.int64(0), np.int64(0))
    course, reason, exit_price, exit_bar = hold(
        prices, 1.0, entry, min(last, n - 1), cash, quantity,
        to_tick(price - stop_d, costs.price_tick), to_tick(price + target_d, costs.price_tick),
        trail, protected, False, costs.price_tick, price, course, whole, nowhere,
    )  # fmt: skip
    closed = True
    if reason == NO_EXIT:
        closed = last + 1 < n
        exit_bar = last + 1 if closed else np.int64(n - 1)
        exit_price = open[exit_bar] if closed else np.nan
    lowest = np.inf
    for u in range(entry, exit_bar + (0 if closed else 1)):
        lowest = min(lowest, close[u])
    lowest = cash + quantity * lowest if lowest < np.inf else 1.0
    row[RATIO] = row[PROFIT] = 0.0
    row[FEES] = fee
    if closed:
        sold = fill_price(exit_price, -1.0, costs.slippage)
        paid = costs.fee * (quantity * sold)
        after = cash + (quantity * sold - paid)
        course = mark(course, exit_bar, after, True, whole, nowhere)
        lowest = min(lowest, after)
        row[PROFIT] = quantity * (sold - price) - (fee + paid)
        row[RATIO] = row[PROFIT] / (quantity * price)
        row[FEES] = fee + paid
    row[GROWTH], row[HIGHEST], row[AT_PEAK] = course[0], course[1], course[2]
    row[SUM], row[SQUARE], row[DOWN] = course[3], course[4], course[5]
    row[INVESTED], row[DRAWDOWN], row[LONGEST] = course[6], course[7], course[8]
    row[LOWEST], row[EXIT], row[CASH], row[QUANTITY] = lowest, exit_bar, cash, quantity
    row[CLOSED] = 1.0 if closed else 0.0


@inlined
def recovery(close, entry, row, equity, peak, at_peak, longest):
    """Return (at_peak, longest) after a trade that begins under water and climbs above the old peak."""
    end = np.int64(row[EXIT])
    closed = row[CLOSED] != 0.0
    for u in range(entry, end + 1):
        now = equity * (row[GROWTH] if closed and u == end else row[CASH] + row[QUANTITY] * close[u])
        if now >= peak:
            longest = max(longest, u - 1 - at_peak)
            peak, at_peak = now, u
    return at_peak, max(longest, end - at_peak)


@inlined
def split(close, entry, row, bounds, block, total, square, sums):
    """Return the block a trade ends in, having told ``sums`` of each block that ends before; see ``mark``."""
    end = np.int64(row[EXIT])
    before = 1.0
    for u in range(entry, end + 1):
        while u >= bounds[block + 1]:
            sums[block, 0], sums[block, 1] = total, square
            block += 1
        if end < bounds[block + 1]:
            break
        now = row[CASH] + row[QUANTITY] * close[u]
        r = now / before - 1.0
        before = now
        total += r
        square += r * r
    return block


@compiled
def run_remembered(
    prices,
    bitmaps,
    streams,
    values,
    distances,
    rules,
    configs,
    fractions,
    kind,
    costs,
    bounds,
    keys,
    rows,
    start,
    stop,
    tally,
    sums,
    lists,
):
    """Run long-only combinations ``start`` to ``stop`` with a memory.

    Parameters
    ----------
    configs : ndarray of int64, shape (m,)
        For each combination the number of its distances, rules and size: equal numbers share the memory.
    fractions : ndarray of float64, shape (m,)
        The first number of the size rule ``kind``.
    keys : ndarray of int64, shape (2**BITS,)
    rows : ndarray of float64, shape (2**BITS, WIDTH)
        The memory; ``keys`` -1 where empty.  One a thread.
    """
    close = prices[3]
    n = close.size
    cash = costs.initial_cash
    whole, nowhere = np.array([0, n]), np.empty((1, 2))
    for i in range(start, stop):
        s = streams[i]
        long_entry, long_exit, nothing = bitmaps[s[0]], bitmaps[s[1]], bitmaps[s[2]]
        has_stop, has_target = distances[i, 0] >= 0, distances[i, 1] >= 0
        trailing, max_hold = rules[i, 0] != 0, rules[i, 1]
        config, sizing = configs[i], SizingNumbers(kind, fractions[i], 0.0)
        equity = peak = cash
        at_peak, longest = np.int64(-1), np.int64(0)
        total = square = downside = drawdown = invested = 0.0
        gains = losses = ratio = fees = wins = closed = 0.0
        is_open = 0.0
        t = block = np.int64(0)
        made = np.uint64(0)
        while True:
            decided = next_entry(long_entry, long_exit, nothing, nothing, t)
            if decided + 1 >= n:
                break
            entry = decided + 1
            t = entry
            stop_d = values[distances[i, 0], decided] if has_stop else np.nan
            target_d = values[distances[i, 1], decided] if has_target else np.nan
            if (has_stop and not stop_d > 0.0) or (has_target and not target_d > 0.0):
                continue
            last = next_of(long_exit, nothing, entry)
            if max_hold > 0:
                last = min(last, entry + max_hold - 1)
            last = min(last, np.int64(n))
            key = (config * np.int64(n + 1) + entry) * np.int64(n + 1) + last
            place = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - BITS))
            row = rows[place]
            if keys[place] != key:
                trade_of(prices, entry, last, stop_d, target_d, trailing, sizing, costs, whole, nowhere, row)
                keys[place] = key
            t = np.int64(row[EXIT])
            if t >= bounds[block + 1]:
                block = split(close, entry, row, bounds, block, total, square, sums[i])
            made = listed(made, entry, t if row[CLOSED] != 0.0 else n, 1.0)
            if equity >= peak:
                longest = max(longest, np.int64(row[LONGEST]))
                at_peak = np.int64(row[AT_PEAK])
            elif equity * row[HIGHEST] >= peak:
                at_peak, longest = recovery(close, entry, row, equity, peak, at_peak, longest)
            else:
                longest = max(longest, t - at_peak)
            drawdown = min(drawdown, min(row[DRAWDOWN], equity * row[LOWEST] / peak - 1.0))
            peak = max(peak, equity * row[HIGHEST])
            fees += equity * row[FEES]
            total += row[SUM]
            square += row[SQUARE]
            downside += row[DOWN]
            invested += row[INVESTED]
            if row[CLOSED] == 0.0:
                is_open = 1.0
                equity *= row[GROWTH]
                break
            closed += 1.0
            ratio += row[RATIO]
            profit = equity * row[PROFIT]
            if profit > 0.0:
                wins += 1.0
                gains += profit
            else:
                losses -= profit
            equity *= row[GROWTH]
        if equity >= peak and is_open == 0.0:
            at_peak = np.int64(n - 1)
        longest = max(longest, n - 1 - at_peak)
        settle(sums[i], block, total, square)
        lists[i] = sealed(made)
        out = (
            equity, total, square, downside, invested, drawdown, float(longest), closed, wins, gains, losses, ratio,
            fees, is_open,
        )  # fmt: skip
        for k in range(len(out)):
            tally[i, k] = out[k]
