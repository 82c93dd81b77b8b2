"""Accounts of the local exchange: what they own, what is bound of it, what they hold in contracts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.venue.order import Order
from engine.venue.position import Position

if TYPE_CHECKING:
    from engine.venue.events import FundingPaid

__all__ = ["Account"]


@dataclass
class Account:
    """One API key.

    Attributes
    ----------
    key, secret : str
        The secret is never in a repr.
    cash : dict of str to float
        Amounts by currency, as the simulation counts them: whatever is bought is paid in full and whatever is sold
        brings its price, contracts too.  So an account without positions has the simulation's bits.
    locked : dict of str to float
        Of each total, what open orders and positions bind; the exchange keeps it up to date.
    orders, by_client_id : dict
        All orders ever taken, and the last one of each client id.
    standing : dict
        Of ``orders``, those that were open when they were last looked at.
    positions : dict of str to Position
        By symbol; one that was closed stays, flat.
    funding : list of FundingPaid
        All payments, oldest first.
    """

    key: str
    secret: str = field(repr=False)
    cash: dict[str, float] = field(default_factory=dict)
    locked: dict[str, float] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    standing: dict[int, Order] = field(default_factory=dict)
    by_client_id: dict[str, Order] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    funding: list[FundingPaid] = field(default_factory=list)

    def add(self, currency: str, amount: float) -> None:
        """Change what is owned."""
        self.cash[currency] = self.cash.get(currency, 0.0) + amount

    def total(self, currency: str) -> float:
        """Return what is owned; of a currency that contracts settle in, the wallet balance."""
        return self.cash.get(currency, 0.0) + sum(
            held.quantity * held.entry_price for held in self.positions.values() if held.settle == currency
        )

    def available(self, currency: str) -> float:
        """Return what is not bound."""
        return self.total(currency) - self.locked.get(currency, 0.0)

    @property
    def free(self) -> dict[str, float]:
        """What is not bound, by currency."""
        return {name: self.available(name) for name in self.currencies()}

    def currencies(self) -> list[str]:
        """Return the names of all currencies it ever had, sorted."""
        return sorted({*self.cash, *self.locked})

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the open orders, of one symbol or of all, the oldest first."""
        for number in [number for number, one in self.standing.items() if not one.open]:
            del self.standing[number]
        return [one for one in self.standing.values() if symbol in (None, one.asked.symbol)]
