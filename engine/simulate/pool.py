"""Accounts that share their cash, moment by moment: the compiled loop of the simulation of a portfolio.

At the open of bars: exits first, then entries, each in the order of the legs.  At their close: stops and targets, the
marks, then what the account is worth, and only then the decisions and the review of each, again in order.  A leg is
``engine.simulate.account``'s kernel; a portfolio of one leg is the plain simulation to the last bit.
"""

import numpy as np

from engine.jit import compiled, inlined
from engine.risk.likeness import keep_close
from engine.risk.review import FINE, closed_trade, observe, review
from engine.simulate.account import decide, enter_due, fill_resting, leave_due
from engine.simulate.costs import CostNumbers, SizingNumbers
from engine.simulate.formulas import KELLY, RISK, fill_price

CLOSE, OPEN = 0, 1
KEPT = 8  # profits of the last trades of a leg: more than one bar can close
# a leg's rules, by place
HAS_STOP, HAS_TARGET, HOLD, TRAILING, SHARE = range(5)
REFUSAL = np.dtype(
    [
        ("time", "i8"),  # ms, of the close
        ("leg", "i8"),
        ("limit", "i8"),  # of engine.risk.review.NAMES
        ("asked", "f8"),  # quantity
        ("let", "f8"),
        ("value", "f8"),  # what met the limit, in its unit
    ],
    align=True,
)


@inlined
def costs_of(costs, k):
    return CostNumbers(
        costs[k, 0], costs[k, 1], costs[k, 2], costs[k, 3], costs[k, 4], costs[k, 5], costs[k, 6], costs[k, 7],
        costs[k, 8],
    )  # fmt: skip


@inlined
def sizing_of(sizings, k):
    return SizingNumbers(sizings[k, 0], sizings[k, 1], sizings[k, 2])


@inlined
def cash_beside(accounts, legs, book, costs, k):
    """Return what the other legs leave over: their cash, less what their positions bind."""
    total = 0.0
    for j in range(accounts.size):
        if j != k:
            value, notional = accounts[j].quantity * legs[j].mark, abs(accounts[j].quantity) * legs[j].mark
            free = value - notional / costs[j, 6] if accounts[j].quantity != 0.0 else 0.0
            total += accounts[j].cash + free
    return total + book.reserve


@inlined
def fill_opens(now, accounts, legs, book, trades, price, rules, sizings, costs, shared):
    """Fill what is due at the opens of this moment; ``price`` is the open of each leg."""
    for k in range(accounts.size):
        if now[legs[k].series] >= 0:
            account = accounts[k]
            before = account.trades
            leave_due(account, trades[k], now[legs[k].series], price[k], costs_of(costs, k))
            if account.trades > before:
                legs[k].met = trades[k, account.trades - 1].exit_price
    for k in range(accounts.size):
        if now[legs[k].series] >= 0:
            account, held = accounts[k], accounts[k].quantity
            beside = cash_beside(accounts, legs, book, costs, k) if shared else 0.0
            trailing = rules[k, TRAILING] != 0.0
            enter_due(
                account, now[legs[k].series], price[k], trailing, sizing_of(sizings, k), costs_of(costs, k), beside
            )
            legs[k].pending = 0.0
            if account.quantity != 0.0 and held == 0.0:
                legs[k].met = account.entry_price


@inlined
def settle(limits, account, leg, profits, close, time):
    """Mark a leg at its close, and look at the trades it has closed since; ``profits`` is a ring of the last ones."""
    leg.mark = close
    account.equity = account.cash + account.quantity * close
    for n in range(max(leg.trades, account.trades - profits.size), account.trades):
        closed_trade(limits, leg, profits[n % profits.size], time)
    leg.trades = account.trades


@inlined
def decide_leg(
    limits, accounts, legs, book, k, close, signals, stop, target, rules, sizing, costs, shared, history, room, time,
    working,
):  # fmt: skip
    """Decide for a leg whose bar closed; return what `review` said: (quantity, limit, value, asked).

    While an entry is ``working`` at a venue it decides and is not reviewed: what may still fill stays in the exposure.
    """
    account = accounts[k]
    value = book.equity * rules[k, SHARE] if shared else account.equity
    rule = (rules[k, HAS_STOP] != 0.0, rules[k, HAS_TARGET] != 0.0, np.int64(rules[k, HOLD]))
    decide(account, close, value, signals, stop, target, rule, sizing, costs)
    if book.stopped and account.quantity != 0.0 and account.due_close == 0:
        account.due_close = 1 + RISK
    asked = account.due_quantity
    if account.due_side == 0.0 or not asked > 0.0 or working:
        return asked, FINE, np.nan, asked
    reference = fill_price(close, account.due_side, costs.slippage)
    kelly = sizing.kind == KELLY
    quantity, limit, met = review(
        limits, accounts, legs, book, k, asked, reference, account.due_stop, account.due_target, kelly, costs,
        history, room, time,
    )  # fmt: skip
    account.due_quantity = quantity
    if quantity == 0.0 and not kelly:
        account.due_side = 0.0
    return quantity, limit, met, asked


@compiled
def run_pool(
    start, events, accounts, legs, books, history, trades, prices, starts, signals, distances, rules, sizings, costs,
    limits, shared, curve, course, refusals, counts,
):  # fmt: skip
    """Run the account from event ``start``; return the one it stopped before, for want of room.

    ``events`` is (times, kinds, series, bars); ``starts`` where each series and each leg begins in the arrays of
    prices and of decisions; ``curve`` the times and the equity of the account, ``course`` equity, whether invested and
    quantity ordered of each leg's bars; ``counts`` how many moments and refusals were written.
    """
    times, kinds, series, bars = events
    open, high, low, close = prices
    series_start, leg_start = starts
    long_entry, long_exit, short_entry, short_exit = signals
    stops, targets = distances
    curve_time, curve_equity = curve
    leg_equity, invested, ordered = course
    now = np.full(series_start.size, -1)
    price = np.empty(accounts.size)
    room, profits = np.empty((2, 250)), np.empty(KEPT)
    book = books[0]
    i = start
    while i < times.size:
        time, kind = times[i], kinds[i]
        full = counts[1] + accounts.size > refusals.size
        for k in range(accounts.size):
            full = full or accounts[k].trades + 2 > trades.shape[1]
        if full:
            return i
        end = i
        while end < times.size and times[end] == time and kinds[end] == kind:
            now[series[end]] = bars[end]
            end += 1
        if kind == OPEN:
            for k in range(accounts.size):
                s = legs[k].series
                price[k] = open[series_start[s] + now[s]]
            fill_opens(now, accounts, legs, book, trades, price, rules, sizings, costs, shared)
        else:
            for e in range(i, end):
                keep_close(history, series[e], time, close[series_start[series[e]] + bars[e]])
            for k in range(accounts.size):
                t = now[legs[k].series]
                if t >= 0:
                    at, account = series_start[legs[k].series] + t, accounts[k]
                    before = account.trades
                    fill_resting(account, trades[k], t, open[at], high[at], low[at], costs_of(costs, k))
                    if account.trades > before:
                        legs[k].met = trades[k, account.trades - 1].exit_price
                    for n in range(legs[k].trades, account.trades):
                        profits[n % KEPT] = trades[k, n].profit
                    settle(limits, account, legs[k], profits, close[at], time)
            observe(limits, accounts, legs, book, time)
            curve_time[counts[0]], curve_equity[counts[0]] = time, book.equity
            counts[0] += 1
            for k in range(accounts.size):
                t = now[legs[k].series]
                if t < 0:
                    continue
                at, account = leg_start[k] + t, accounts[k]
                wants = (long_entry[at], long_exit[at], short_entry[at], short_exit[at])
                quantity, limit, met, asked = decide_leg(
                    limits, accounts, legs, book, k, close[series_start[legs[k].series] + t], wants, stops[at],
                    targets[at], rules, sizing_of(sizings, k), costs_of(costs, k), shared, history, room, time, False,
                )  # fmt: skip
                if limit != FINE:
                    row = refusals[counts[1]]
                    row.time, row.leg, row.limit = time, k, limit
                    row.asked, row.let, row.value = asked, quantity, met
                    counts[1] += 1
                leg_equity[at] = account.equity
                invested[at] = account.invested != 0
                shadow = account.side != 0.0 and account.quantity == 0.0
                ordered[at] = 0.0 if shadow and not account.due_quantity > 0.0 else account.due_quantity
        for e in range(i, end):
            now[series[e]] = -1
        i = end
    return times.size
