"""One account through one bar: the kernel that simulation, replay and the paper broker share.

``open_bar`` fills what is due at the open and what rests within the bar; ``close_bar`` marks the account and decides.
Both are made of parts, which accounts that share their cash take one after the other (`engine.simulate.pool`).
"""

import math

import numpy as np

from engine.jit import compiled, inlined
from engine.kernels.grid import to_tick
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
    unit_return,
)

ACCOUNT = np.dtype(
    [
        ("cash", "f8"),  # quote currency
        ("quantity", "f8"),  # base currency, negative when short; 0 for a shadow
        ("side", "f8"),  # 1 long, -1 short, 0 flat; set for a shadow too
        ("entry_price", "f8"),
        ("entry_fee", "f8"),
        ("entry_bar", "i8"),
        ("stop", "f8"),  # level, NaN: none
        ("target", "f8"),
        ("trail", "f8"),  # the stop's distance as a fraction of the best price, NaN: it does not trail
        ("best", "f8"),
        ("held", "i8"),  # closes in the position
        ("due_close", "i8"),  # 0, or 1 + the reason
        ("due_side", "f8"),
        ("due_quantity", "f8"),  # NaN: no entry was considered; 0: one was, and came to nothing or to a shadow
        ("due_stop", "f8"),  # distances of the entry that is due
        ("due_target", "f8"),
        ("equity", "f8"),  # at the last close
        ("closed_profit", "f8"),
        ("invested", "i8"),  # whether the last bar held a position at any moment
        ("trades", "i8"),  # rows written to the trade table
        ("closed", "i8"),  # closed trades, shadows too
        ("returns", "f8", (KELLY_WINDOW,)),
    ],
    align=True,
)
TRADE = np.dtype(
    [
        ("entry_bar", "i8"),
        ("exit_bar", "i8"),
        ("side", "i8"),
        ("reason", "i8"),
        ("quantity", "f8"),
        ("entry_price", "f8"),
        ("exit_price", "f8"),
        ("fees", "f8"),
        ("profit", "f8"),
    ],
    align=True,
)


def new_account(initial_cash: float) -> np.ndarray:
    """Return a flat account, shape (1,), dtype ``ACCOUNT``."""
    made = np.zeros(1, ACCOUNT)
    made["cash"] = made["equity"] = initial_cash
    made["stop"] = made["target"] = made["trail"] = math.nan
    return made


@inlined
def close_position(account, trades, index, price, reason, costs):
    side, quantity = account.side, abs(account.quantity)
    price = fill_price(price, -side, costs.slippage)
    account.returns[account.closed % KELLY_WINDOW] = unit_return(side, account.entry_price, price, costs.fee)
    account.closed += 1
    if quantity > 0.0:
        fee = costs.fee * (quantity * price)
        account.cash += side * quantity * price - fee
        trade = trades[account.trades]
        trade.entry_bar, trade.exit_bar, trade.side, trade.reason = account.entry_bar, index, np.int64(side), reason
        trade.quantity, trade.entry_price, trade.exit_price = quantity, account.entry_price, price
        trade.fees = account.entry_fee + fee
        trade.profit = side * quantity * (price - account.entry_price) - trade.fees
        account.closed_profit += trade.profit
        account.trades += 1
    account.quantity = account.side = 0.0
    account.stop = account.target = account.trail = np.nan


@inlined
def open_position(account, index, open, sizing, costs, beside):
    side = account.due_side
    price = fill_price(open, side, costs.slippage)
    quantity = account.due_quantity
    if costs.at_fill != 0.0:
        bet = (
            kelly_fraction(account.returns, account.closed, sizing.first, sizing.second)
            if sizing.kind == KELLY
            else 0.0
        )
        quantity = order_quantity(
            sizing.kind,
            sizing.first,
            sizing.second,
            account.cash,
            price,
            account.due_stop,
            account.closed_profit,
            bet,
            costs,
        )
    quantity = affordable_quantity(quantity, price, account.cash + beside, costs)
    account.due_side = 0.0
    if quantity == 0.0 and sizing.kind != KELLY:
        return
    account.side, account.quantity, account.entry_price, account.entry_bar = side, side * quantity, price, index
    account.entry_fee = costs.fee * (quantity * price)
    account.cash -= side * quantity * price + account.entry_fee
    account.held = 0
    account.stop = to_tick(price - side * account.due_stop, costs.price_tick)
    account.target = to_tick(price + side * account.due_target, costs.price_tick)
    account.best = price


@inlined
def leave_due(account, trades, index, open, costs):
    """Fill the exit that is due at the open."""
    account.invested = np.int64(account.quantity != 0.0)
    if account.due_close > 0:
        close_position(account, trades, index, open, account.due_close - 1, costs)
        account.due_close = 0


@inlined
def enter_due(account, index, open, trailing, sizing, costs, beside):
    """Fill the entry that is due at the open; ``beside`` is what may be spent besides the account's own cash."""
    if account.due_side != 0.0:
        distance = account.due_stop
        open_position(account, index, open, sizing, costs, beside)
        if account.side != 0.0:
            account.trail = distance / account.entry_price if trailing else np.nan
    if account.quantity != 0.0:
        account.invested = 1


@inlined
def fill_resting(account, trades, index, open, high, low, costs):
    """Fill the stop or the target that the bar reaches."""
    if account.side != 0.0:
        side = account.side
        if not math.isnan(account.trail):
            account.best = max(account.best, open) if side > 0.0 else min(account.best, open)
            account.stop = to_tick(account.best * (1.0 - side * account.trail), costs.price_tick)
        reason, price = protective_exit(side, open, high, low, account.stop, account.target)
        if reason != NO_EXIT:
            close_position(account, trades, index, price, reason, costs)
        else:
            account.best = max(account.best, high) if side > 0.0 else min(account.best, low)


@compiled
def open_bar(account, trades, index, open, high, low, trailing, sizing, costs):
    """Fill the orders due at the open, then the resting stop or target within the bar.

    ``account`` and ``trades`` are arrays of ``ACCOUNT`` (one row) and ``TRADE`` with two rows free.
    """
    account = account[0]
    leave_due(account, trades, index, open, costs)
    enter_due(account, index, open, trailing, sizing, costs, 0.0)
    fill_resting(account, trades, index, open, high, low, costs)


@inlined
def decide(account, close, equity, signals, stop, target, rules, sizing, costs):
    """Decide what is due at the next open; ``equity`` is what sizes are measured by.

    ``rules`` is (has stop, has target, max_hold); a distance that is NaN or <= 0 where one is needed: no entry.
    """
    long_entry, long_exit, short_entry, short_exit = signals
    side = 0.0
    account.due_quantity = np.nan
    has_stop, has_target, max_hold = rules
    if account.side == 0.0:
        buy, sell = long_entry and not long_exit, short_entry and not short_exit
        if buy != sell:
            side = 1.0 if buy else -1.0
    else:
        account.held += 1
        expired = max_hold > 0 and account.held >= max_hold
        if account.side > 0.0:
            leave, turn = long_exit or short_entry, short_entry and not short_exit
        else:
            leave, turn = short_exit or long_entry, long_entry and not long_exit
        if leave or expired:
            account.due_close = 1 + (SIGNAL if leave else MAX_HOLD)
            if turn:
                side = -account.side
                equity -= abs(account.quantity) * close * (costs.slippage + costs.fee)
    if side == 0.0 or (has_stop and not stop > 0.0) or (has_target and not target > 0.0):
        return
    reference = fill_price(close, side, costs.slippage)
    bet = kelly_fraction(account.returns, account.closed, sizing.first, sizing.second) if sizing.kind == KELLY else 0.0
    quantity = order_quantity(
        sizing.kind, sizing.first, sizing.second, equity, reference, stop, account.closed_profit, bet, costs
    )
    account.due_quantity = quantity
    if quantity > 0.0 or sizing.kind == KELLY or costs.at_fill != 0.0:
        account.due_side = side
        account.due_stop = stop if has_stop else np.nan
        account.due_target = target if has_target else np.nan


@compiled
def close_bar(account, close, long_entry, long_exit, short_entry, short_exit, stop, target, rules, sizing, costs):
    """Mark the account at the close and decide what is due at the next open, as ``decide`` says."""
    account = account[0]
    account.equity = account.cash + account.quantity * close
    signals = (long_entry, long_exit, short_entry, short_exit)
    decide(account, close, account.equity, signals, stop, target, rules, sizing, costs)
