"""The compiled loops of the plain simulation: an account over all bars, and the sums of its course."""

import numpy as np

from engine.jit import compiled
from engine.simulate.account import close_bar, open_bar


@compiled
def run_account(
    account, trades, start, prices, signals, distances, rules, trailing, sizing, costs, equity, invested, ordered
):
    """Run the account from bar ``start``; return the bar it stopped before, for want of room in ``trades``."""
    open, high, low, close = prices
    long_entry, long_exit, short_entry, short_exit = signals
    stop, target = distances
    has_stop, has_target, _ = rules
    for t in range(start, close.size):
        if account[0].trades + 2 > trades.size:
            return t
        open_bar(account, trades, t, open[t], high[t], low[t], trailing, sizing, costs)
        close_bar(
            account,
            close[t],
            long_entry[t],
            long_exit[t],
            short_entry[t],
            short_exit[t],
            stop[t] if has_stop else np.nan,
            target[t] if has_target else np.nan,
            rules,
            sizing,
            costs,
        )
        equity[t] = account[0].equity
        invested[t] = account[0].invested != 0
        shadow = account[0].side != 0.0 and account[0].quantity == 0.0
        ordered[t] = 0.0 if shadow and not account[0].due_quantity > 0.0 else account[0].due_quantity
    return close.size


@compiled
def count(equity, invested, trades, open_fee, is_open, initial_cash, tally):
    """Fill a tally from the course of an account."""
    before = peak = initial_cash
    at_peak = -1
    total = square = downside = drawdown = 0.0
    held = longest = 0
    for t in range(equity.size):
        now = equity[t]
        r = now / before - 1.0 if before > 0.0 else 0.0
        before = now
        total += r
        square += r * r
        if r < 0.0:
            downside += r * r
        held += invested[t]
        if now >= peak:
            peak = now
            at_peak = t
        else:
            drawdown = min(drawdown, now / peak - 1.0)
            longest = max(longest, t - at_peak)
    wins = 0
    gains = losses = ratio = 0.0
    fees = open_fee
    for trade in trades:
        if trade.profit > 0.0:
            wins += 1
            gains += trade.profit
        else:
            losses -= trade.profit
        ratio += trade.profit / (trade.quantity * trade.entry_price)
        fees += trade.fees
    row = (
        before, total, square, downside, float(held), drawdown, float(longest), float(trades.size), float(wins),
        gains, losses, ratio, fees, is_open,
    )  # fmt: skip
    for k in range(len(row)):
        tally[k] = row[k]
