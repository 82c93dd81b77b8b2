"""The compiled close of many accounts: bars to programs, fills, marks, the worth of the whole, decisions, their review.

In the order of `engine.simulate.pool` and with its kernels, so that the accounts of a run come to what the simulation
of a portfolio comes to.
"""

import numpy as np

from engine.graph.turn import advance_rows
from engine.jit import compiled, inlined
from engine.kernels.addresses import one, two
from engine.risk.likeness import keep_close
from engine.risk.limits import LimitNumbers
from engine.risk.review import FINE, observe
from engine.risk.state import BOOK, LEG
from engine.simulate.account import ACCOUNT, TRADE, decide, enter_due, fill_resting, leave_due
from engine.simulate.pool import (
    HAS_STOP,
    HAS_TARGET,
    HOLD,
    KEPT,
    TRAILING,
    cash_beside,
    costs_of,
    decide_leg,
    settle,
    sizing_of,
)

ABSENT = -1  # the bar of a leg whose symbol closes none
NOT_FILLED = -1  # what the trades before are of a leg that the venue fills


@inlined
def limits_of(x):
    return LimitNumbers(
        x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], x[12], x[13], x[14], x[15], x[16],
        x[17], x[18], x[19],
    )  # fmt: skip


@compiled
def close_rows(table, count, time, paper, delayed, guarded, shared):
    """Advance the programs of some symbols by a bar each, and close it for their accounts.

    Parameters
    ----------
    table : ndarray of uint64
        Where the arrays of `engine.live.deciding.Deciding` lie, in its order.
    count : int
        Bars that close.
    time : int
        When they do, ms: one moment for all, where limits hold or the cash is shared.
    paper : bool
        Whether the simulation's kernel fills everything.
    delayed : bool
        Whether orders due at the open meet a price of later.
    guarded : bool
        Whether the account is looked at as one, and entries are reviewed.
    shared : bool
        Whether each leg sizes by its share of the whole.

    Returns
    -------
    int
        What `advance_rows` does: -1, or which bar cannot be taken; then nothing has changed.
    """
    whole, real = two(table, 9, np.int64), two(table, 10, np.float64)
    symbols, numbers, bars = one(table, 11, np.int64), one(table, 12, np.int64), two(table, 13, np.float64)
    for k in range(count):
        symbols[k], numbers[k] = whole[k, 0], whole[k, 1]
        for field in range(5):
            bars[k, field] = real[k, 2 + field]
    roles = one(table, 7, np.float64)
    wrong = advance_rows(
        two(table, 0, np.uint64), two(table, 1, np.int32), one(table, 2, np.float64), one(table, 3, np.int64),
        one(table, 4, np.uint8), two(table, 5, np.uint32), one(table, 6, np.int64), roles, symbols[:count],
        numbers[:count], bars, two(table, 8, np.int64),
    )  # fmt: skip
    if wrong >= 0:
        return wrong
    accounts, legs, books = one(table, 14, ACCOUNT), one(table, 28, LEG), one(table, 29, BOOK)
    rules, sizings, costs = two(table, 18, np.float64), two(table, 19, np.float64), two(table, 20, np.float64)
    digested, working, scratch = one(table, 15, np.int64), one(table, 21, np.uint8), two(table, 22, TRADE)
    now, row_of, who = one(table, 24, np.int64), one(table, 25, np.int64), one(table, 26, np.int64)
    earlier, price, out = one(table, 27, np.int64), one(table, 39, np.float64), two(table, 23, np.float64)
    limits, profits, room = (
        limits_of(one(table, 36, np.float64)),
        two(table, 37, np.float64),
        two(table, 38, np.float64),
    )
    history = (
        two(table, 30, np.int64), two(table, 31, np.float64), two(table, 32, np.float64), one(table, 33, np.int64),
        one(table, 34, np.int64), one(table, 35, np.int64),
    )  # fmt: skip
    book = books[0]
    closing = gather(count, symbols, one(table, 16, np.int64), one(table, 17, np.int64), now, row_of, who)
    for w in range(closing):  # exits at the open
        p = who[w]
        row = accounts[p]
        earlier[p] = NOT_FILLED
        shadow = row.side != 0.0 or (row.due_side != 0.0 and not row.due_quantity > 0.0)
        if paper or (row.quantity == 0.0 and shadow):
            if not paper:
                row.due_quantity = 0.0
                if working[p] != 0:
                    row.due_side = 0.0
            price[p] = bars[now[p], 0]
            if delayed and (row.due_close != 0 or row.due_side != 0.0):
                price[p] = bars[now[p], 3] if np.isnan(real[now[p], 7]) else real[now[p], 7]
            earlier[p], row.trades = row.trades, 0
            leave_due(row, scratch[row_of[p]], digested[p], price[p], costs_of(costs, p))
    for w in range(closing):  # entries at the open
        p = who[w]
        if earlier[p] != NOT_FILLED:
            row, held = accounts[p], accounts[p].quantity
            beside = cash_beside(accounts, legs, book, costs, p) if shared else 0.0
            trailing, sizing = rules[p, TRAILING] != 0.0, sizing_of(sizings, p)
            enter_due(row, digested[p], price[p], trailing, sizing, costs_of(costs, p), beside)
            if row.quantity != 0.0 and held == 0.0:
                legs[p].met = row.entry_price
    for w in range(closing):  # what rests, and the marks
        p = who[w]
        row, leg, made, k = accounts[p], legs[p], 0, now[p]
        if earlier[p] != NOT_FILLED:
            fill_resting(row, scratch[row_of[p]], digested[p], price[p], bars[k, 1], bars[k, 2], costs_of(costs, p))
            made, row.trades = row.trades, earlier[p] + row.trades
            for n in range(made):
                profits[p, (earlier[p] + n) % KEPT] = scratch[row_of[p], n].profit
            if made:
                last = scratch[row_of[p], made - 1].exit_price
                leg.met = row.entry_price if row.quantity != 0.0 else last
        elif row.quantity != 0.0:
            row.best = max(row.best, bars[k, 1]) if row.side > 0.0 else min(row.best, bars[k, 2])
        if not paper:
            row.due_side = 0.0
            row.due_close = 0
        if paper or working[p] == 0:
            leg.pending = 0.0
        settle(limits, row, leg, profits[p], bars[k, 3], time)
        out[row_of[p], 0] = made
    if guarded:
        for k in range(count):
            keep_close(history, symbols[k], time, bars[k, 3])
        observe(limits, accounts, legs, book, time)
    for w in range(closing):
        p = who[w]
        row, j, close = accounts[p], row_of[p], bars[now[p], 3]
        wants = (said(roles, p, 0), said(roles, p, 1), said(roles, p, 2), said(roles, p, 3))
        stop, target = roles[6 * p + 4], roles[6 * p + 5]
        sizing, cost = sizing_of(sizings, p), costs_of(costs, p)
        limit, asked, met = FINE, row.due_quantity, np.nan
        if guarded:
            _, limit, met, asked = decide_leg(
                limits, accounts, legs, book, p, close, wants, stop, target, rules, sizing, cost, shared, history,
                room, time, working[p] != 0,
            )  # fmt: skip
        else:
            rule = (rules[p, HAS_STOP] != 0.0, rules[p, HAS_TARGET] != 0.0, np.int64(rules[p, HOLD]))
            decide(row, close, row.equity, wants, stop, target, rule, sizing, cost)
        digested[p] += 1
        working[p] = 0
        now[p] = ABSENT
        out[j, 1], out[j, 2], out[j, 3] = row.equity, row.quantity, row.side
        out[j, 4], out[j, 5], out[j, 6] = row.due_side, row.due_quantity, row.due_close
        out[j, 7], out[j, 8], out[j, 9] = row.due_stop, row.due_target, row.best
        out[j, 10], out[j, 11], out[j, 12] = limit, asked, met
        for role in range(4):
            out[j, 13 + role] = wants[role]
        out[j, 17], out[j, 18] = stop, target
    return wrong


@inlined
def gather(count, symbols, owners, starts, now, row_of, who):
    """List the accounts of the symbols that close a bar, ascending; note which bar and which row of the answer."""
    j = 0
    for k in range(count):
        for place in range(starts[symbols[k]], starts[symbols[k] + 1]):
            now[owners[place]], row_of[owners[place]] = k, j
            j += 1
    found = 0
    for p in range(now.size):
        if now[p] != ABSENT:
            who[found] = p
            found += 1
    return found


@inlined
def said(roles, p, role):
    """Return whether a condition is true; what is unknown is not."""
    value = roles[6 * p + role]
    return value == value and value != 0.0
