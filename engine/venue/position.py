"""Positions of an account in contracts: one a symbol, in one-way mode and with cross margin.  Plain arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

__all__ = ["Margin", "Position"]


@dataclass(frozen=True)
class Position:
    """What is held of one contract; a change makes another record.

    Attributes
    ----------
    symbol : str
    quantity : float
        Base currency, negative when short, 0 when flat.
    entry_price : float
        Averaged over the fills that opened it, 0 when flat.
    leverage : float
        Notional an amount of margin carries.
    realized : float
        Profit of all that was closed so far, settle currency, before fees and funding.
    opened_ms : int
        When it last stopped being flat, or turned.
    """

    symbol: str
    quantity: float = 0.0
    entry_price: float = 0.0
    leverage: float = 1.0
    realized: float = 0.0
    opened_ms: int = 0

    @property
    def settle(self) -> str:
        """The currency its profit is paid in."""
        return self.symbol.partition(":")[2]

    def closing(self, signed: float) -> float:
        """Return how much of a fill of a signed quantity closes, base currency."""
        return min(abs(signed), abs(self.quantity)) if signed * self.quantity < 0.0 else 0.0

    def profit(self, price: float, quantity: float | None = None) -> float:
        """Return the profit of all that is held, or of a part of it, at a price, settle currency before fees."""
        held = abs(self.quantity) if quantity is None else quantity
        return math.copysign(held, self.quantity) * (price - self.entry_price) if self.quantity else 0.0

    def after(self, signed: float, price: float, time_ms: int) -> Position:
        """Return the position after a fill of a signed quantity at a price.

        What closes realises its profit and leaves the entry price; what opens moves it to the average.
        """
        closed = self.closing(signed)
        quantity, entry, opened = self.quantity + signed, self.entry_price, self.opened_ms
        if abs(quantity) <= 1e-12 * max(abs(signed), abs(self.quantity)):
            quantity, entry = 0.0, 0.0
        elif closed == 0.0 and self.quantity:
            entry = (self.quantity * entry + signed * price) / quantity
        elif quantity * self.quantity <= 0.0:
            entry, opened = price, time_ms
        realized = self.realized + self.profit(price, closed)
        return replace(self, quantity=quantity, entry_price=entry, realized=realized, opened_ms=opened)


@dataclass(frozen=True)
class Margin:
    """An account's margin in one settle currency.

    Attributes
    ----------
    wallet : float
        What was paid in, with realised profit, fees and funding.
    unrealized : float
        Profit of what is held, at mark prices.
    initial : float
        Bound by positions and open orders.
    maintenance : float
        What wallet and unrealised profit must exceed.
    available : float
        For new positions, never negative.
    """

    wallet: float
    unrealized: float
    initial: float
    maintenance: float
    available: float
