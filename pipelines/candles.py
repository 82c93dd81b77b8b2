"""Closed bars out of trades, one at a time, for a venue that streams no candles; knows no clock and asks nobody.

A trade belongs to the bar its own time is in.  A bar is over when the venue's time, known from ``at`` or from later
trades, is past its close by the lateness that is waited for; until then its trades may come in any order and again.
A bar without a trade is absent, here as everywhere: the numbers of the bars show it, and nothing is filled in.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from parquet_store.errors import Usage
from parquet_store.timeframe import Timeframe

__all__ = ["BuiltCandle", "Candle", "CandleBuilder", "LateTrade", "Trade"]

_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade: the venue's number of it, ns since the epoch, quote currency a unit of base, base currency."""

    trade_id: int
    time_ns: int
    price: float
    quantity: float


@dataclass(frozen=True, slots=True)
class Candle:
    """What a bar came to: open time in ns since the epoch, prices in quote, volume in base currency."""

    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class BuiltCandle:
    """A bar that is over.

    Attributes
    ----------
    candle : Candle
    trades : int
        It was built of.
    missing : int
        Numbers of trades left out since the last trade of the bar before, where the venue counts without gaps; a bar
        with some is to be asked for.  0 where it does not count so.
    """

    candle: Candle
    trades: int
    missing: int


@dataclass(frozen=True, slots=True)
class LateTrade:
    """A trade of a bar that was over, and not in it; the bar is to be asked for again."""

    trade: Trade
    open_ns: int


@dataclass
class _Bar:
    """The trades of a bar so far; first and last are told by time, then by number."""

    first: Trade
    last: Trade
    high: float
    low: float
    volume: list[float] = field(default_factory=list)  # numbers whose exact sum is that of the quantities
    ids: set[int] = field(default_factory=set)

    def take(self, trade: Trade) -> bool:
        if trade.trade_id in self.ids:
            return False
        self.ids.add(trade.trade_id)
        _add_exactly(self.volume, trade.quantity)
        self.high, self.low = max(self.high, trade.price), min(self.low, trade.price)
        if (trade.time_ns, trade.trade_id) < (self.first.time_ns, self.first.trade_id):
            self.first = trade
        if (trade.time_ns, trade.trade_id) > (self.last.time_ns, self.last.trade_id):
            self.last = trade
        return True


class CandleBuilder:
    """Builds the bars of one symbol.

    Parameters
    ----------
    timeframe : Timeframe or str
    since_ns : int
        From when on every trade is given; a bar that opened before is not built.
    lateness_ns : int
        How long after a close late trades of it are waited for.
    consecutive : bool
        Whether the venue numbers a symbol's trades without gaps, so that a number left out is a trade not seen.
    kept_bars : int
        How many bars that are over stay known, so that their trades, given again, are told from late ones.

    Attributes
    ----------
    repeated : int
        Trades given again so far.
    time_ns : int
        The latest time of the venue known.

    Notes
    -----
    The volume is the sum of the quantities rounded once, which no order of arrival can change.  The open is the price
    of the first trade by (time, number), the close that of the last.
    """

    def __init__(
        self,
        timeframe: Timeframe | str,
        *,
        since_ns: int,
        lateness_ns: int = 0,
        consecutive: bool = True,
        kept_bars: int = 4,
    ) -> None:
        if lateness_ns < 0 or kept_bars < 0:
            raise Usage(f"lateness_ns is {lateness_ns} and kept_bars {kept_bars}, expected 0 or more")
        self.bar = timeframe if isinstance(timeframe, Timeframe) else Timeframe.parse(timeframe)
        self._first = self.bar.number(-(-since_ns // _MS) - 1) + 1  # the first bar that opens at or after
        self._over = self._first - 1  # the number of the last bar that is over
        self._lateness_ns, self._consecutive = lateness_ns, consecutive
        self._bars: dict[int, _Bar] = {}
        self._kept: deque[tuple[int, set[int]]] = deque(maxlen=kept_bars)
        self._last_id: int | None = None
        self.repeated, self.time_ns = 0, since_ns

    @property
    def over(self) -> int:
        """The number of the last bar that is over, whether it was built or is absent."""
        return self._over

    @property
    def forming(self) -> Candle | None:
        """The newest bar with a trade that is not over, as it stands; None without one."""
        if not self._bars:
            return None
        number = max(self._bars)
        return _candle(self.bar, number, self._bars[number])

    def add(self, trade: Trade) -> list[BuiltCandle | LateTrade]:
        """Take a trade; return the bars that are over by it, oldest first, or the trade itself where it is late.

        Raises
        ------
        Usage
            Price or quantity is not above 0 and finite.
        """
        if not (0.0 < trade.price < math.inf and 0.0 < trade.quantity < math.inf):
            raise Usage(
                f"trade {trade.trade_id}: price {trade.price:g} and quantity {trade.quantity:g}, expected numbers "
                "above 0: leave it out, and ask the venue for its bar"
            )
        number = self.bar.number(trade.time_ns // _MS)
        if number < self._first:
            return []
        if number <= self._over:
            if any(number == kept and trade.trade_id in ids for kept, ids in self._kept):
                self.repeated += 1
                return []
            return [LateTrade(trade, self.bar.open_ms(number) * _MS)]
        bar = self._bars.get(number)
        if bar is None:
            bar = self._bars[number] = _Bar(trade, trade, trade.price, trade.price)
        self.repeated += not bar.take(trade)
        return self.at(trade.time_ns)

    def at(self, venue_ns: int) -> list[BuiltCandle | LateTrade]:
        """Take note of the venue's time, in ns since the epoch; return the bars that are over by it, oldest first."""
        self.time_ns = max(self.time_ns, venue_ns)
        over = self.bar.number((self.time_ns - self._lateness_ns) // _MS) - 1
        if over <= self._over:
            return []
        built: list[BuiltCandle | LateTrade] = []
        for number in sorted(number for number in self._bars if number <= over):
            bar = self._bars.pop(number)
            built.append(BuiltCandle(_candle(self.bar, number, bar), len(bar.ids), self._left_out(bar)))
            self._kept.append((number, bar.ids))
        self._over = over
        return built

    def _left_out(self, bar: _Bar) -> int:
        """Return how many numbers between the last bar's last trade and this one's were not seen."""
        if not self._consecutive:
            return 0
        last = max(bar.ids)
        before = min(bar.ids) - 1 if self._last_id is None else self._last_id
        self._last_id = max(last, before)
        return max(0, last - before - len(bar.ids))


def _candle(timeframe: Timeframe, number: int, bar: _Bar) -> Candle:
    volume = math.fsum(bar.volume)
    return Candle(timeframe.open_ms(number) * _MS, bar.first.price, bar.high, bar.low, bar.last.price, volume)


def _add_exactly(parts: list[float], value: float) -> None:
    """Add a number to parts that do not overlap, so that they hold the exact sum: a few, however many were added.

    Source: J. R. Shewchuk, *Adaptive Precision Floating-Point Arithmetic*, 1997, section 2.3 (GROW-EXPANSION).
    """
    kept = 0
    for part in parts:
        larger, smaller = (value, part) if abs(value) >= abs(part) else (part, value)
        value = larger + smaller
        lost = smaller - (value - larger)
        if lost:
            parts[kept] = lost
            kept += 1
    parts[kept:] = [value]
