"""Accounts of the local exchange: what is free and what orders bind, by currency."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.venue.order import Order

__all__ = ["Account"]


@dataclass
class Account:
    """One API key: its secret (never in a repr), free and locked amounts, orders by id and open ones by client id."""

    key: str
    secret: str = field(repr=False)
    free: dict[str, float] = field(default_factory=dict)
    locked: dict[str, float] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    by_client_id: dict[str, Order] = field(default_factory=dict)

    def lock(self, currency: str, amount: float) -> None:
        """Bind an amount that is free."""
        self.free[currency] = self.free.get(currency, 0.0) - amount
        self.locked[currency] = self.locked.get(currency, 0.0) + amount

    def release(self, currency: str, amount: float) -> None:
        """Give an amount back; what only rounding left locked goes with it."""
        locked = self.locked.get(currency, 0.0) - amount
        self.free[currency] = self.free.get(currency, 0.0) + amount
        self.locked[currency] = locked if locked > 1e-12 else 0.0

    def add(self, currency: str, amount: float) -> None:
        """Change what is free."""
        self.free[currency] = self.free.get(currency, 0.0) + amount

    def total(self, currency: str) -> float:
        """Return free plus locked."""
        return self.free.get(currency, 0.0) + self.locked.get(currency, 0.0)

    def currencies(self) -> list[str]:
        """Return the names of all currencies it ever had, sorted."""
        return sorted({*self.free, *self.locked})
