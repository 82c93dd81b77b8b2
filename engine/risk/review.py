"""The checks in front of every entry, compiled: the same in simulation, replay, paper and live.

``observe`` looks at the account when bars close; ``review`` says how much of an entry may be sent, and which limit
says so.  Exits are never asked about.
"""

import numpy as np

from engine.jit import inlined
from engine.kernels.grid import to_step
from engine.risk.likeness import DEPTH, correlation, value_at_risk

NAMES = (
    "strategy.value_at_risk",
    "strategy.correlation",
    "strategy.reward_to_risk",
    "strategy.trades_per_day",
    "strategy.losses_in_a_row",
    "position.risk_per_trade",
    "position.kelly",
    "position.notional",
    "portfolio.exposure",
    "portfolio.correlated_positions",
    "portfolio.daily_loss",
    "account.weekly_loss",
    "account.drawdown",
    "account.leverage",
    "account.margin",
    "account.liquidation_distance",
    "operation.price_band",
)
FINE = -1
(
    VALUE_AT_RISK, CORRELATION, REWARD_TO_RISK, TRADES_PER_DAY, LOSSES_IN_A_ROW, RISK_PER_TRADE, KELLY_SHARE,
    NOTIONAL, EXPOSURE, CORRELATED_POSITIONS, DAILY_LOSS, WEEKLY_LOSS, DRAWDOWN, LEVERAGE, MARGIN,
    LIQUIDATION_DISTANCE, PRICE_BAND,
) = range(len(NAMES))  # fmt: skip
DAY_MS = 86_400_000
NONE = -(2**62)


@inlined
def worth(accounts, legs, book, met):
    """Return the equity of all legs, each at its last close, or at its last fill since."""
    total = 0.0
    for k in range(accounts.size):
        price = legs[k].met if met and legs[k].met == legs[k].met else legs[k].mark
        quantity = accounts[k].quantity
        total += accounts[k].cash + quantity * price if quantity != 0.0 else accounts[k].cash
    return total + book.reserve


@inlined
def closed_trade(limits, leg, profit, time):
    """Take note of a trade that closed until ``time``, ms."""
    leg.losses = 0 if profit > 0.0 else leg.losses + 1
    if leg.losses >= limits.losses_in_a_row:
        leg.cool_until = time + np.int64(limits.cool_down_ms)


@inlined
def observe(limits, accounts, legs, book, time):
    """Take note of the equity after bars closed at ``time``, ms; start a new day or week, trip what is to be tripped.

    A close at midnight belongs to the day that ends; the next one starts with its equity.
    """
    before = book.equity
    book.equity = worth(accounts, legs, book, False)
    book.lowest = min(book.equity, worth(accounts, legs, book, True))
    for k in range(accounts.size):
        legs[k].met = np.nan
    ending, starting = (time - 1) // DAY_MS, time // DAY_MS
    if book.day < ending:
        book.day, book.day_start, book.day_over = ending, before, 0
    if book.week < (ending + 3) // 7:
        book.week, book.week_start = (ending + 3) // 7, before
    if book.lowest <= book.day_start * (1.0 - limits.daily_loss):
        book.day_over = 1
    if book.lowest <= book.week_start * (1.0 - limits.weekly_loss):
        book.paused = 1
    if book.lowest <= book.peak * (1.0 - limits.drawdown):
        book.stopped = 1
    book.peak = max(book.peak, book.equity)
    midnight = time == starting * DAY_MS  # series whose bars close then may be told one after the other
    if book.day < starting or midnight:
        book.day, book.day_start, book.day_over = starting, book.equity, 0
    if book.week < (starting + 3) // 7 or (midnight and (starting + 3) % 7 == 0):
        book.week, book.week_start = (starting + 3) // 7, book.equity


@inlined
def last_move(history, s):
    """Return how far the last close of a series is from the one before, as a fraction; 0 if there is none."""
    returns, counts = history[2], history[3]
    return abs(returns[s, (counts[s] - 1) % DEPTH]) if counts[s] > 1 else 0.0


@inlined
def others(accounts, legs, k):
    """Return the notional of all other legs, held or on its way."""
    total = 0.0
    for j in range(accounts.size):
        amount = abs(accounts[j].quantity) + legs[j].pending
        if j != k and amount > 0.0:
            total += amount * legs[j].mark
    return total


@inlined
def most_alike(accounts, legs, k, history, room, level):
    """Return how alike the most alike other position is, and how many are more alike than ``level``."""
    highest, count = -np.inf, 0
    for j in range(accounts.size):
        if j != k and (accounts[j].quantity != 0.0 or legs[j].pending > 0.0):
            found = correlation(history, legs[k].series, legs[j].series, room)
            highest = max(highest, found)
            count += found > level
    return highest, count


@inlined
def entries_today(legs, k, day):
    """Return how many entries the leg's strategy was let make on a day."""
    total = 0
    for j in range(legs.size):
        if legs[j].strategy == legs[k].strategy and legs[j].day == day:
            total += legs[j].entries
    return total


@inlined
def forbidden(limits, accounts, legs, book, k, stop, target, history, room, time):
    """Return (limit, value) of what forbids an entry of any size, (-1, nan) if nothing does."""
    leg = legs[k]
    if book.stopped:
        return DRAWDOWN, 1.0 - book.equity / book.peak
    if book.paused:
        return WEEKLY_LOSS, 1.0 - book.equity / book.week_start
    if book.day_over:
        return DAILY_LOSS, 1.0 - book.equity / book.day_start
    if limits.price_band < np.inf:
        move = last_move(history, leg.series)
        if move > limits.price_band:
            return PRICE_BAND, move
    if time < leg.cool_until:
        return LOSSES_IN_A_ROW, float(leg.losses)
    today = float(entries_today(legs, k, time // DAY_MS) + 1)
    if today > limits.trades_per_day:
        return TRADES_PER_DAY, today
    if target < limits.reward_to_risk * stop:  # false where there is no target, or no stop
        return REWARD_TO_RISK, target / stop
    if limits.value_at_risk < np.inf:
        loss = value_at_risk(history, leg.series, room)
        if loss > limits.value_at_risk:
            return VALUE_AT_RISK, loss
    if limits.likeness < np.inf or limits.alike_positions < np.inf:
        highest, count = most_alike(accounts, legs, k, history, room, limits.alike)
        if highest > limits.likeness:
            return CORRELATION, highest
        if count + 1 > limits.alike_positions:
            return CORRELATED_POSITIONS, count + 1.0
    return FINE, np.nan


@inlined
def largest(limits, equity, beside, reference, stop, kelly, costs):
    """Return the largest quantity the position limits and the leverage let, and which of them is the least."""
    distance = stop if stop == stop else reference
    most = limits.risk_per_trade * equity / (distance + reference * (costs.slippage + 2.0 * costs.fee))
    code = RISK_PER_TRADE
    if kelly and limits.kelly * equity / reference < most:
        most, code = limits.kelly * equity / reference, KELLY_SHARE
    if limits.notional / reference < most:
        most, code = limits.notional / reference, NOTIONAL
    free = max(limits.leverage * equity - beside, 0.0) / reference
    if free < most:
        most, code = free, LEVERAGE
    return most, code


@inlined
def beyond(limits, equity, notional):
    """Return (limit, value) of what all positions together, the new one counted, would cross."""
    if notional > limits.exposure * equity:
        return EXPOSURE, notional / equity
    needed = limits.maintenance * notional
    if needed > limits.margin * equity:
        return MARGIN, needed / equity
    if equity - needed < limits.liquidation_distance * notional:
        return LIQUIDATION_DISTANCE, (equity - needed) / notional
    return FINE, np.nan


@inlined
def review(limits, accounts, legs, book, k, quantity, reference, stop, target, kelly, costs, history, room, time):
    """Return how much of an entry may be sent, which limit made it less, and the value that met the limit.

    Parameters
    ----------
    limits : LimitNumbers
    accounts, legs, book
        Of the whole account; ``book`` is its one record.  ``observe`` has been called for this moment.
    k : int
        The leg that wants to enter; what it holds on the other side is left first.
    quantity, reference : float
        Base currency; the price expected at the fill.
    stop, target : float
        Distances, NaN: none.
    kelly : bool
        Whether Kelly's rule made the size.
    costs : CostNumbers
    history : tuple
        The last closes of all series, as ``History.arrays``.
    room : ndarray of float64, shape (2, 250)
    time : int
        Of the close, ms.

    Returns
    -------
    quantity : float
        0: refused.
    limit : int
        Of ``NAMES``; -1: none.
    value : float
        What the account would have come to, in the limit's unit.
    """
    code, value = forbidden(limits, accounts, legs, book, k, stop, target, history, room, time)
    if code != FINE:
        return 0.0, code, value
    equity, beside = book.equity, others(accounts, legs, k)
    most, shrunk = largest(limits, equity, beside, reference, stop, kelly, costs)
    told, asked = FINE, quantity
    if quantity > most:
        told = shrunk
        quantity = to_step(most, costs.quantity_step, costs.contract_size)
        if not (quantity > 0.0 and quantity * reference >= costs.min_notional):
            return 0.0, told, asked
    code, value = beyond(limits, equity, beside + quantity * reference)
    if code != FINE:
        return 0.0, code, value
    leg, day = legs[k], time // DAY_MS
    leg.entries = leg.entries + 1 if leg.day == day else 1
    leg.day = day
    leg.pending = quantity
    return quantity, told, asked if told != FINE else np.nan
