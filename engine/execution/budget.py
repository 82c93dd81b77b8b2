"""How many orders a venue takes: tokens that come back with time, some of them kept for cancels and exits.

A venue counts orders in windows.  A bucket that holds a tenth of a window's and fills at nine tenths of its rate never
lets more through in any window than the venue takes.  An entry leaves the last third of the bucket alone, so that a
burst of entries never keeps a position from being left.
"""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["ORDERS", "Budget"]

# orders in so many seconds, as the venues' documentation has it: spot and USD-M per account, OKX per contract
ORDERS: Final[dict[str, tuple[int, float]]] = {
    "binance": (100, 10.0),
    "binanceusdm": (300, 10.0),
    "okx": (60, 2.0),
    "coinbase": (30, 1.0),
    "robinhood": (100, 60.0),
}
AT_ONCE: Final = 0.1
KEPT: Final = 1.0 / 3.0


class Budget:
    """A bucket of tokens, one an order or a cancel.

    Parameters
    ----------
    most : float
        What it holds when it is full; it is at the beginning.
    per_second : float
        How fast it fills.

    Attributes
    ----------
    waited_s : float
        How long entries and others have waited in all.
    """

    def __init__(self, most: float, per_second: float) -> None:
        self.most, self.per_second = most, per_second
        self.waited_s = 0.0
        self._tokens, self._at_s = most, 0.0
        self._begun = False

    @classmethod
    def of(cls, venue: str) -> Budget:
        """Return that of a venue."""
        count, seconds = ORDERS[venue]
        return cls(AT_ONCE * count, (1.0 - AT_ONCE) * count / seconds)

    async def take(self, *, urgent: bool) -> None:
        """Wait for a token; an order that is not urgent leaves those that are kept."""
        need = 1.0 if urgent else 1.0 + KEPT * self.most
        while (missing := need - self._level()) > 1e-9:
            pause_s = missing / self.per_second
            self.waited_s += pause_s
            await asyncio.sleep(pause_s)
        self._tokens -= 1.0

    def _level(self) -> float:
        now_s = asyncio.get_running_loop().time()
        if self._begun:
            self._tokens = min(self.most, self._tokens + (now_s - self._at_s) * self.per_second)
        self._at_s, self._begun = now_s, True
        return self._tokens
