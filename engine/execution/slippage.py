"""What a market order would pay, by the levels of a book: estimated before it leaves, compared with its fills after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Estimate", "Levels", "estimated"]

Levels = Sequence[tuple[float, float]]  # price, quantity in base currency; the best first


@dataclass(frozen=True)
class Estimate:
    """What a market order would pay.

    Attributes
    ----------
    best : float
        The best price it meets.
    average : float
        What it would pay on average; NaN where the levels that are known do not suffice.
    share : float
        Of the average beyond the best price, as a fraction; infinite where the levels do not suffice.
    """

    best: float
    average: float
    share: float


def estimated(side: str, quantity: float, bids: Levels, asks: Levels) -> Estimate | None:
    """Walk a book with a market order.

    Parameters
    ----------
    side : str
    quantity : float
        Base currency.
    bids, asks : sequence of (price, quantity)

    Returns
    -------
    Estimate or None
        None for a book that is no book: a side is empty, prices are not above 0, or bids are above asks.
    """
    if not bids or not asks or not 0.0 < bids[0][0] < asks[0][0] < math.inf:
        return None
    levels, left, paid = (asks if side == "buy" else bids), quantity, 0.0
    best = levels[0][0]
    for price, amount in levels:
        taken = min(left, amount)
        paid, left = paid + taken * price, left - taken
        if left <= 0.0:
            average = paid / quantity
            return Estimate(best, average, abs(average / best - 1.0))
    return Estimate(best, math.nan, math.inf)
