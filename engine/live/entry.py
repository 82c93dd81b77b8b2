"""An entry under way: what is wanted of it, and what its orders, one after the other, have filled so far."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Entry"]


@dataclass(slots=True)
class Entry:
    """An entry.

    Attributes
    ----------
    wanted : float
        Base currency, above 0.
    side : float
        1 long, -1 short.
    close : float
        The last one, from which its orders are counted.
    number : int
        Of the bar that closed with it: part of the ids of its orders.
    until_ns : int
        The deadline of its limit orders; 0: it has none.
    filled, notional, fee : float
        Of its fills: base currency, quote currency, quote currency.
    price : float
        Of its fills, averaged.
    fills : int
    look_ns : int
        When the best prices are looked at again, while none of its orders is there; 0: one is.
    sent : int
        How many orders it has had.
    """

    wanted: float
    side: float
    close: float
    number: int
    until_ns: int = 0
    filled: float = 0.0
    notional: float = 0.0
    fee: float = 0.0
    price: float = 0.0
    fills: int = 0
    look_ns: int = 0
    sent: int = 0

    @property
    def left(self) -> float:
        """What is not filled yet."""
        return max(self.wanted - self.filled, 0.0)

    def takes(self, quantity: float, price: float, fee: float) -> None:
        """Take a fill of one of its orders."""
        self.filled += quantity
        self.notional += quantity * price
        self.price = price if self.fills == 0 else self.notional / self.filled
        self.fee += fee
        self.fills += 1

    def within(self, price: float) -> float:
        """Return what is left at another price: no more than the notional that was decided on."""
        return self.left * min(1.0, self.close / price) if self.side > 0.0 and price == price else self.left
