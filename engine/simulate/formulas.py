"""The formulas of the fill model, scalar and pure: simulation, sweep, replay and paper all call these.

Prices in quote, quantities in base currency, rates as fractions; ``side`` is 1 for long, -1 for short.
"""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.grid import to_step

ALL_IN, FIXED_FRACTION, FIXED_RATIO, ATR_RISK, KELLY = range(5)
KELLY_WINDOW = 50
MOST_UNITS = 1e15
KELLY_FEWEST = 20
KELLY_UNKNOWN = 0.02
SIGNAL, STOP, TARGET, MAX_HOLD, RISK = range(5)
NO_EXIT = -1


@inlined
def fill_price(price, side, slippage):
    """Return what an order pays: ``side`` 1 buys above the price, -1 sells below it."""
    return price * (1.0 + side * slippage)


@inlined
def order_quantity(kind, first, second, equity, reference, distance, closed_profit, kelly, costs):
    """Return the quantity an entry asks for, 0 where it is none.

    ``equity`` is marked at the decision's close (for a reversal less the cost of closing), ``reference`` the price
    expected at the fill, ``distance`` that of the stop, ``kelly`` the fraction of ``kelly_fraction``.
    """
    if not equity > 0.0:
        return 0.0
    if kind == FIXED_RATIO:
        most = min(np.floor(costs.leverage * equity / (reference * second)) + 1.0, MOST_UNITS)  # leverage caps the rest
        units = min(np.floor((1.0 + math.sqrt(1.0 + 8.0 * max(closed_profit, 0.0) / first)) / 2.0), most)
        while units < most and first * (units + 1.0) * units / 2.0 <= closed_profit:
            units += 1.0
        while units > 1.0 and first * units * (units - 1.0) / 2.0 > closed_profit:
            units -= 1.0
        quantity = units * second
    elif kind == ATR_RISK:
        quantity = first * equity / distance
    else:
        quantity = (kelly if kind == KELLY else first) * equity / reference
    quantity = min(quantity, costs.leverage * equity / reference)
    quantity = to_step(quantity, costs.quantity_step, costs.contract_size)
    return quantity if quantity > 0.0 and quantity * reference >= costs.min_notional else 0.0


@inlined
def affordable_quantity(quantity, price, cash, costs):
    """Return the part of the quantity that cash covers with its fee at this price, 0 below the minimum notional."""
    need = price * (1.0 / costs.leverage + costs.fee)
    if quantity * need > cash:
        quantity = to_step(max(cash, 0.0) / need, costs.quantity_step, costs.contract_size)
    return quantity if quantity > 0.0 and quantity * price >= costs.min_notional else 0.0


@inlined
def protective_exit(side, open, high, low, stop, target):
    """Return (reason, price) of the resting order that fills in this bar, (-1, nan) if none; NaN levels never do.

    An open beyond a level fills at the open; else the stop at its level, then the target at its level.
    """
    adverse, favourable = (low, high) if side > 0.0 else (high, low)
    if side * open <= side * stop:
        return STOP, open
    if side * open >= side * target:
        return TARGET, open
    if side * adverse <= side * stop:
        return STOP, stop
    if side * favourable >= side * target:
        return TARGET, target
    return NO_EXIT, np.nan


@inlined
def unit_return(side, entry_price, exit_price, fee):
    """Return a trade's net profit over its entry notional; free of its quantity."""
    return (side * (exit_price - entry_price) - fee * (entry_price + exit_price)) / entry_price


@inlined
def kelly_fraction(returns, count, fraction, cap):
    """Return the fraction of equity to bet after ``count`` closed trades; ``returns`` is the ring of the last 50."""
    if count < KELLY_FEWEST:
        return KELLY_UNKNOWN
    wins = 0
    won = lost = 0.0
    known = min(count, KELLY_WINDOW)
    first = (count - known) % KELLY_WINDOW
    for k in range(known):
        # oldest first, so that the sum does not depend on where the ring begins
        value = returns[first + k if first + k < KELLY_WINDOW else first + k - KELLY_WINDOW]
        wins += 1 if value > 0.0 else 0
        won += value if value > 0.0 else 0.0
        lost -= 0.0 if value > 0.0 else value
    losses = known - wins
    if wins == 0:
        return 0.0
    if losses == 0 or lost == 0.0:
        return cap
    p = wins / known
    b = (won / wins) / (lost / losses)
    return min(max(fraction * (p - (1.0 - p) / b), 0.0), cap)
