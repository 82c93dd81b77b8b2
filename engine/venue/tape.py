"""The market data of one symbol as far as venue time has come: candles, trades and a book made around the price.

Nothing that a bar has not shown yet can be read from here.  The store has no book and no trades for bars, so both are
made: four trades a bar at open, first extreme, second extreme and close with a quarter of the volume each, so that
they add up to the bar exactly, and none where nothing was traded; and twenty levels a side, a tick or a hundredth of a
per cent apart.
"""

from __future__ import annotations

import numpy as np

from engine.venue.events import Candle, Levels, Trade
from engine.venue.market import Market
from pipelines import Bars

__all__ = ["Tape"]

LEVELS = 20


class Tape:
    """Bars of a market, and how many of them were shown.

    Parameters
    ----------
    market : Market
    bars : Bars
    length_ms : int
        Of a bar.
    shown : int
        Bars shown from the beginning.
    marks : Bars, optional
        Mark prices; where they have no bar, the last price is the mark.

    Attributes
    ----------
    shown : int
        Bars closed.
    opened : bool
        Whether the next bar shows its open already.
    update : int
        The book's number, one more at every change.
    """

    def __init__(self, market: Market, bars: Bars, length_ms: int, shown: int, marks: Bars | None = None) -> None:
        self.market = market
        self.bars = bars
        self.length_ms = length_ms
        self.shown = shown
        self.marks = marks
        self.opened = False
        self.update = 1
        self._before = np.concatenate(
            ([0], np.cumsum(bars.volume > 0.0))
        )  # bars with trades before each: no number is left out

    @property
    def next_open_ms(self) -> int | None:
        """When the next bar opens, None if there is none."""
        return int(self.bars.time[self.shown]) if self.shown < len(self.bars) else None

    @property
    def last(self) -> float:
        """The last price."""
        if self.opened:
            return float(self.bars.open[self.shown])
        return float(self.bars.close[self.shown - 1]) if self.shown else float(self.bars.open[0])

    def _mark_bar(self, at: int) -> tuple[Bars, int]:
        """Return the bars that hold the mark price of a bar, and where in them."""
        if self.marks is not None:
            found = int(self.marks.time.searchsorted(self.bars.time[at]))
            if found < len(self.marks) and self.marks.time[found] == self.bars.time[at]:
                return self.marks, found
        return self.bars, at

    @property
    def mark(self) -> float:
        """The price that profit, margin and funding are counted at."""
        bars, at = self._mark_bar(self.shown if self.opened else max(0, self.shown - 1))
        return float(bars.open[at]) if self.opened or not self.shown else float(bars.close[at])

    def mark_range(self) -> tuple[float, float]:
        """Return high and low of the mark price in the bar that is open."""
        bars, at = self._mark_bar(self.shown)
        return float(bars.high[at]), float(bars.low[at])

    def candle(self, at: int) -> Candle:
        """Return a bar, as much of it as has been shown."""
        bars, time = self.bars, int(self.bars.time[at])
        if at < self.shown:
            open, high, low, close = (float(x[at]) for x in (bars.open, bars.high, bars.low, bars.close))
            return Candle(time, time + self.length_ms - 1, open, high, low, close, float(bars.volume[at]), closed=True)
        price = float(bars.open[at])
        return Candle(
            time, time + self.length_ms - 1, price, price, price, price, float(bars.volume[at]) / 4.0, closed=False
        )

    def candles(self, start_ms: int | None, end_ms: int | None, limit: int) -> list[Candle]:
        """Return candles that open in [start, end]: the first ``limit`` of them with a start, else the last."""
        count = self.shown + (1 if self.opened else 0)
        times = self.bars.time[:count]
        first = 0 if start_ms is None else int(times.searchsorted(start_ms))
        after = count if end_ms is None else int(times.searchsorted(end_ms, side="right"))
        if start_ms is None:
            first = max(first, after - limit)
        return [self.candle(at) for at in range(first, min(after, first + limit))]

    def rest(self, since_ms: int) -> tuple[float, float, float]:
        """Return (open, high, low) of the open bar from a moment on: all of it, or what its path leaves."""
        bars, at = self.bars, self.shown
        if since_ms <= bars.time[at]:
            return float(bars.open[at]), float(bars.high[at]), float(bars.low[at])
        prices = [price for price, time_ms in self._path(at) if time_ms >= since_ms]
        return prices[0], max(prices), min(prices)

    def _path(self, at: int) -> list[tuple[float, int]]:
        """Return (price, time) of a bar's open, first extreme, second extreme and close."""
        bars, time = self.bars, int(self.bars.time[at])
        open, high, low, close = (float(x[at]) for x in (bars.open, bars.high, bars.low, bars.close))
        path = (open, low, high, close) if close >= open else (open, high, low, close)
        moments = (0, self.length_ms // 3, 2 * self.length_ms // 3, self.length_ms - 1)
        return [(price, time + moment) for price, moment in zip(path, moments, strict=True)]

    def trades_of(self, at: int) -> list[Trade]:
        """Return the four trades of a bar, or the first alone if only its open has been shown; none without volume."""
        if not self.bars.volume[at] > 0.0:
            return []
        path, quarter = self._path(at), float(self.bars.volume[at]) / 4.0
        made = [
            Trade(4 * int(self._before[at]) + k + 1, price, quarter, time_ms, k > 0 and price < path[k - 1][0])
            for k, (price, time_ms) in enumerate(path)
        ]
        return made if at < self.shown else made[:1]

    def trades(self, limit: int, start_ms: int | None = None, end_ms: int | None = None) -> list[Trade]:
        """Return the last trades, or the last that happened in [start, end], oldest first."""
        found: list[Trade] = []
        at = self.shown + (1 if self.opened else 0)
        if end_ms is not None:
            at = min(at, int(self.bars.time.searchsorted(end_ms, side="right")))
        first = 0 if start_ms is None else int(self.bars.time.searchsorted(start_ms - self.length_ms, side="right"))
        while at > first and len(found) < limit:
            at -= 1
            inside = [one for one in self.trades_of(at) if end_ms is None or one.time_ms <= end_ms]
            found += [one for one in reversed(inside) if start_ms is None or one.time_ms >= start_ms]
        return found[:limit][::-1]

    def book(self) -> tuple[Levels, Levels]:
        """Return (bids, asks) around the last price, best first."""
        tick, last = self.market.price_tick, self.last
        gap = max(1, round(last * 1e-4 / tick))
        middle = round(last / tick)
        count = self.shown + (1 if self.opened else 0)
        volume = float(self.bars.volume[max(0, count - 1)])
        step = self.market.quantity_step
        quantity = max(1, round(volume / 100.0 / step)) * step
        quantity = round(quantity, 10)
        bids = tuple(
            (round((middle - k * gap) * tick, 10), quantity) for k in range(1, LEVELS + 1) if middle - k * gap > 0
        )
        return bids, tuple((round((middle + k * gap) * tick, 10), quantity) for k in range(1, LEVELS + 1))
