"""Whether a candle can be one, and whether one can have become another."""

from __future__ import annotations

import math

from parquet_store.timeframe import Timeframe
from pipelines.candles import Candle

__all__ = ["grew", "unfit"]

_MS = 1_000_000


def unfit(candle: Candle, bar: Timeframe, latest_ns: int) -> str:
    """Return why a candle cannot be one of a timeframe, opening at ``latest_ns`` or before; empty if it can."""
    low, high = candle.low, candle.high
    if not (0.0 < low <= candle.open <= high < math.inf and low <= candle.close <= high):
        prices = (candle.open, high, low, candle.close)
        if all(0.0 < price < math.inf for price in prices):
            return "has a price outside its range"
        return "has a price that is not above 0"
    if not 0.0 <= candle.volume < math.inf:
        return "has a volume below 0"
    grid, open_ns = bar.grid_ns, candle.open_ns
    if (open_ns - grid[1]) % grid[0] if grid else bar.open_ms(bar.number(open_ns // _MS)) * _MS != open_ns:
        return f"opens off the grid of {bar}"
    return "opens in the venue's future" if candle.open_ns > latest_ns else ""


def grew(before: Candle, after: Candle) -> bool:
    """Return whether trades can have made the second of two candles of one bar out of the first."""
    return (
        before.open == after.open
        and before.volume < after.volume
        and before.high <= after.high
        and before.low >= after.low
    )
