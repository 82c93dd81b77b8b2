"""Candles of a stream of trades, for a venue that streams none; asks nobody and says which candles to ask for.

The venue numbers a symbol's trades without gaps.  So a trade is told from its repetition by its number, whatever
connection it comes by, and a number left out shows that the bars in between are not known: those are *in doubt*,
never given from the trades, and to be asked for, at once and once more when they are over.  The first bar given is
the one that opens after the first trade seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from parquet_store.errors import Failed, Usage
from parquet_store.timeframe import Timeframe
from pipelines.candles import BuiltCandle, Candle, CandleBuilder, Trade

__all__ = ["TradeCandles"]

_MS = 1_000_000
_KEPT = 8


class TradeCandles:
    """The candles of one symbol at one timeframe.

    Parameters
    ----------
    timeframe : str

    Attributes
    ----------
    due_ms : int or None
        From which bar on REST is to be asked, by its open time in ms; None if there is no need.
    """

    def __init__(self, timeframe: str) -> None:
        self.bar = Timeframe.parse(timeframe)
        self.due_ms: int | None = None
        self._doubt: set[int] = set()  # open times
        self._changed: dict[int, list[float]] = {}
        self._given: dict[int, list[float]] = {}  # of the newest bars, as they were given last
        self._builder: CandleBuilder | None = None
        self._last_id = -1
        self._last_ns = 0

    def take(self, trades: Iterable[dict[str, Any]]) -> None:
        """Take trades as CCXT has them, in any order, some of them again.

        Raises
        ------
        Failed
            A trade has no number or no time.
        """
        doubted, over = len(self._doubt), self._over
        fresh = False
        for trade in sorted(map(_trade, trades), key=lambda one: one.trade_id):
            if trade.trade_id <= self._last_id:
                continue  # again
            fresh = True
            if self._builder is None:
                self._builder = CandleBuilder(self.bar, since_ns=trade.time_ns + 1)
            if 0 <= self._last_id < trade.trade_id - 1:
                self._mistrust(self._last_ns, trade.time_ns)
            self._last_id, self._last_ns = trade.trade_id, trade.time_ns
            try:
                told = self._builder.add(trade)
            except Usage:
                self._mistrust(trade.time_ns, trade.time_ns)
                continue
            for one in told:
                if isinstance(one, BuiltCandle):
                    self._show(one.candle)
                else:
                    self._mistrust(one.open_ns, one.open_ns)
        forming = self._builder.forming if self._builder is not None and fresh else None
        if forming is not None:
            self._show(forming)
        if self._doubt and (len(self._doubt) > doubted or (self._over > over and self._is_over(min(self._doubt)))):
            self.due_ms = min(self._doubt)

    def misses(self, trade: dict[str, Any]) -> bool:
        """Return whether a trade is later than all that were taken."""
        return _trade(trade).trade_id > self._last_id

    def answered(self, rows: Iterable[list[float]]) -> None:
        """Take what REST says from ``due_ms`` on; bars that are over are not in doubt any more."""
        for row in rows:
            if int(row[0]) in self._doubt:
                self._changed[int(row[0])] = list(row)
        self._doubt = {open_ms for open_ms in self._doubt if not self._is_over(open_ms)}
        self.due_ms = None

    def changed(self) -> list[list[float]]:
        """Return the candles that changed since this was last asked for, the newest last.

        Returns
        -------
        list of [open time in ms, open, high, low, close, volume]
        """
        found = [row for open_ms, row in sorted(self._changed.items()) if self._given.get(open_ms) != row]
        self._changed = {}
        self._given |= {int(row[0]): row for row in found}
        for open_ms in sorted(self._given)[:-_KEPT]:
            del self._given[open_ms]
        return found

    @property
    def _over(self) -> int:
        return -1 if self._builder is None else self._builder.over

    def _is_over(self, open_ms: int) -> bool:
        return self.bar.number(open_ms) <= self._over

    def _show(self, one: Candle) -> None:
        open_ms = one.open_ns // _MS
        if open_ms not in self._doubt:
            self._changed[open_ms] = [open_ms, one.open, one.high, one.low, one.close, one.volume]

    def _mistrust(self, from_ns: int, to_ns: int) -> None:
        """Put the bars of a stretch of time in doubt."""
        first, last = sorted(self.bar.number(ns // _MS) for ns in (from_ns, to_ns))
        doubted = {self.bar.open_ms(number) for number in range(first, last + 1)}
        self._doubt |= doubted
        for open_ms in doubted:
            self._changed.pop(open_ms, None)


def _trade(said: dict[str, Any]) -> Trade:
    try:
        return Trade(
            int(said["id"]), int(said["timestamp"]) * _MS, float(said["price"] or 0.0), float(said["amount"] or 0.0)
        )
    except (TypeError, ValueError):
        raise Failed(
            f"trade {said.get('id')!r} of {said.get('timestamp')!r}: expected a whole number and a time; candles "
            "cannot be built of such trades"
        ) from None
