"""The market data of one symbol where its trades, and perhaps its book, were recorded.

A bar that has recorded trades shows them one by one; any other bar is shown as without them.
"""

from __future__ import annotations

from engine.venue.events import Candle, Levels, Trade
from engine.venue.market import Market
from engine.venue.recorded import Depth, Trades
from engine.venue.tape import LEVELS, Tape
from pipelines import Bars

__all__ = ["TradedTape"]


class TradedTape(Tape):
    """Bars of a market with their trades.

    Parameters
    ----------
    market : Market
    bars : Bars
        What the trades come to.
    length_ms : int
    shown : int
    trades : Trades
    depth : Depth, optional
        The book; else it is made around the last price.
    marks : Bars, optional

    Attributes
    ----------
    played : int
        Trades that have happened.
    """

    def __init__(
        self,
        market: Market,
        bars: Bars,
        length_ms: int,
        shown: int,
        trades: Trades,
        depth: Depth | None = None,
        marks: Bars | None = None,
    ) -> None:
        super().__init__(market, bars, length_ms, shown, marks)
        self.recorded, self.depth = trades, depth
        self._first = trades.time_ms.searchsorted(bars.time)
        self._after = trades.time_ms.searchsorted(bars.time + length_ms)
        self.played = int(self._first[shown]) if shown < len(bars) else len(trades)

    def _has_trades(self, at: int) -> bool:
        return bool(self._after[at] > self._first[at])

    @property
    def by_trade(self) -> bool:
        """Whether the bar that is open plays by its trades."""
        return self.opened and self._has_trades(self.shown)

    @property
    def next_trade_ms(self) -> int | None:
        """When the next trade of the open bar happens, None if there is none."""
        if not self.by_trade:
            return None
        at = max(self.played, int(self._first[self.shown]))
        return int(self.recorded.time_ms[at]) if at < self._after[self.shown] else None

    def take(self) -> Trade:
        """Let the next trade happen."""
        at = max(self.played, int(self._first[self.shown]))
        self.played = at + 1
        trade = self._trade(at)
        if self.depth is not None:
            self.depth.play(trade.time_ms)
        return trade

    def _trade(self, at: int) -> Trade:
        one = self.recorded
        return Trade(
            int(one.trade_id[at]), float(one.price[at]), float(one.quantity[at]), int(one.time_ms[at]), one.side[at] < 0
        )

    @property
    def last(self) -> float:
        """The last price."""
        if self.by_trade and self.played > self._first[self.shown]:
            return float(self.recorded.price[self.played - 1])
        return super().last

    @property
    def mark(self) -> float:
        """The price that profit, margin and funding are counted at."""
        return self.last if self.by_trade and self.marks is None else super().mark

    def candle(self, at: int) -> Candle:
        """Return a bar, as much of it as has been shown."""
        begin, end = int(self._first[at]), min(int(self._after[at]), self.played)
        if at < self.shown or end <= begin:
            return super().candle(at)
        prices, time = self.recorded.price[begin:end], int(self.bars.time[at])
        open, high, low, close = (float(x) for x in (prices[0], prices.max(), prices.min(), prices[-1]))
        volume = float(self.recorded.quantity[begin:end].sum())
        return Candle(time, time + self.length_ms - 1, open, high, low, close, volume, closed=False)

    def trades_of(self, at: int) -> list[Trade]:
        """Return the trades of a bar that have happened."""
        if not self._has_trades(at):
            return super().trades_of(at)
        return [self._trade(k) for k in range(int(self._first[at]), min(int(self._after[at]), self.played))]

    def book(self) -> tuple[Levels, Levels]:
        """Return (bids, asks), best first: as recorded, or made around the last price."""
        levels = self.levels(LEVELS)
        return levels if all(levels) else super().book()

    def levels(self, count: int) -> tuple[Levels, Levels]:
        """Return the recorded (bids, asks), best first; empty where none is known."""
        return self.depth.levels(count) if self.depth is not None else ((), ())
