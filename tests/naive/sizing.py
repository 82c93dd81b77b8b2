"""How much an order buys or sells: the size rules, the venue's steps and what the cash covers.

Owns every quantity of the naive simulation.  Must not know of bars or decisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Costs:
    """The venue and the account: rates are fractions, prices and cash in quote, steps 0 where there are none.

    ``size_at`` is "decision" (a live order leaves before the next open is known) or "fill" (research only).
    """

    fee: float = 0.0
    slippage: float = 0.0
    price_tick: float = 0.0
    quantity_step: float = 0.0
    min_notional: float = 0.0
    contract_size: float = 0.0
    leverage: float = 1.0
    initial_cash: float = 10_000.0
    size_at: str = "decision"


@dataclass(frozen=True)
class Sizing:
    """A size rule: all_in, fixed_fraction, fixed_ratio, atr_risk or kelly, and the numbers it needs."""

    kind: str = "all_in"
    fraction: float = 0.995
    delta: float = 0.0
    unit: float = 0.0
    risk: float = 0.0
    cap: float = 0.25


@dataclass(frozen=True)
class Reading:
    """What a size may know: equity (of a reversal, after closing), profit closed, the last 50 trade returns."""

    equity: float
    closed_profit: float
    returns: tuple[float, ...]


def floor_to_step(quantity: float, step: float) -> float:
    """Round down to a multiple of the step, a hair below the next one counting as that one; step 0: as it is."""
    return on_grid(math.floor(quantity / step + 1e-9), step) if step > 0.0 else quantity


def on_grid(count: int, step: float) -> float:
    """Return so many steps as the decimal number a venue would read."""
    return float(count * Decimal(repr(step)))


def _stepped(quantity: float, costs: Costs) -> float:
    """Round base units down to what the venue trades: steps of contracts where a contract has a size."""
    if costs.contract_size > 0.0:
        return floor_to_step(quantity / costs.contract_size, costs.quantity_step) * costs.contract_size
    return floor_to_step(quantity, costs.quantity_step)


def kelly_fraction(returns: tuple[float, ...], fraction: float, cap: float) -> float:
    """Return the share of equity to stake, from net trade returns: 0.02 until 20 are known; break-even is a loss."""
    if len(returns) < 20:
        return 0.02
    wins = [r for r in returns if r > 0.0]
    losses = [r for r in returns if not r > 0.0]
    if not wins:
        return 0.0
    lost = abs(math.fsum(losses) / len(losses)) if losses else 0.0
    if lost == 0.0:
        return cap
    p = len(wins) / len(returns)
    b = math.fsum(wins) / len(wins) / lost
    return min(max(fraction * (p - (1.0 - p) / b), 0.0), cap)


def _units(delta: float, closed_profit: float) -> int:
    """Jones: the largest n for which delta n (n - 1) / 2 has been earned, at least 1."""
    if not delta > 0.0:
        raise ValueError(f"fixed_ratio has delta {delta}; it must be positive")
    n = 1
    while delta * (n + 1) * n / 2.0 <= closed_profit:
        n += 1
    return n


def order_quantity(reading: Reading, reference: float, stop: float, costs: Costs, sizing: Sizing) -> float:
    """Return the base quantity of an order at a reference price, 0 where there is none to send.

    Raises
    ------
    ValueError
        The rule is not known, or its numbers make no sense.
    """
    equity = reading.equity
    if equity <= 0.0:
        return 0.0
    if sizing.kind in ("all_in", "fixed_fraction"):
        quantity = sizing.fraction * equity / reference
    elif sizing.kind == "fixed_ratio":
        quantity = _units(sizing.delta, reading.closed_profit) * sizing.unit
    elif sizing.kind == "atr_risk":
        quantity = sizing.risk * equity / stop
    elif sizing.kind == "kelly":
        quantity = kelly_fraction(reading.returns, sizing.fraction, sizing.cap) * equity / reference
    else:
        raise ValueError(
            f"size rule {sizing.kind!r} is not one of all_in, fixed_fraction, fixed_ratio, atr_risk, kelly"
        )
    quantity = _stepped(min(quantity, costs.leverage * equity / reference), costs)
    return quantity if quantity * reference >= costs.min_notional else 0.0


def affordable(quantity: float, price: float, cash: float, costs: Costs) -> float:
    """Return what of an order flat cash covers at its fill, margin and fee; 0 below the minimum notional."""
    if quantity <= 0.0 or cash <= 0.0:
        return 0.0
    notional = quantity * price
    if not notional / costs.leverage + costs.fee * notional <= cash:
        quantity = _stepped(cash / (price * (1.0 / costs.leverage + costs.fee)), costs)
    return quantity if quantity * price >= costs.min_notional else 0.0
