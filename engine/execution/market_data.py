"""What a venue says of its markets: candles, best prices, books."""

from __future__ import annotations

from typing import Any, Final

from engine.execution import coinbase, okx
from engine.execution.answers import quote_of
from engine.execution.connection import Connection
from engine.execution.orders import OrderRequest, Quote
from engine.execution.slippage import Estimate, Levels, estimated
from engine.execution.trade_candles import TradeCandles

__all__ = ["MarketData"]

LEVELS: Final = 50  # of a book that an order is walked through


class MarketData(Connection):
    """A venue's market data; its parameters are `engine.execution.exchange.Exchange`'s."""

    def __init__(self, client: Any, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(client, secrets)
        self._built: dict[tuple[str, str], TradeCandles] = {}

    async def candles(
        self,
        symbol: str,
        timeframe: str,
        since_ms: int | None = None,
        most: int = 500,
        until_ms: int | None = None,
    ) -> list[Any]:
        """Return candles as [open time in ms, open, high, low, close, volume], oldest first; the last may be forming.

        Parameters
        ----------
        symbol, timeframe : str
        since_ms : int, optional
            The open time of the first one; the latest ones if not given.
        most : int
        until_ms : int, optional
            The open time of the last one wanted: where an answer holds few, no more are asked for.  Later ones may be
            given all the same.
        """
        self._market(symbol)
        if self.venue == "coinbase" and since_ms is not None:
            reader = self._reader(symbol)
            return await coinbase.candles(reader, self.client, symbol, timeframe, since_ms, most, until_ms)
        if self.venue == "okx" and since_ms is not None:
            return await okx.candles(self._reader(symbol), self.client, symbol, timeframe, since_ms, most, until_ms)
        found: list[Any] = await self._ask(self.client.fetch_ohlcv(symbol, timeframe, since_ms, most), "read", symbol)
        return found

    async def watch_candles(self, symbol: str, timeframe: str) -> list[Any]:
        """Wait for news of a candle; return the candles that changed, the newest last.

        Where the venue streams no candles they are built of its trades, and those of which trades were missed are
        asked for by REST.
        """
        self._market(symbol)
        if not self.client.has["watchOHLCV"]:
            return await self._watch_built(symbol, timeframe)
        found: list[Any] = await self._ask(self.client.watch_ohlcv(symbol, timeframe), "read", symbol)
        return found

    async def _watch_built(self, symbol: str, timeframe: str) -> list[Any]:
        built = self._built.setdefault((symbol, timeframe), TradeCandles(timeframe))
        while True:
            kept = self.client.trades.get(symbol)  # CCXT signals nobody who was not waiting
            if kept and built.misses(kept[-1]):
                built.take(kept)
            elif built.due_ms is None:
                built.take(await self._ask(self.client.watch_trades(symbol), "read", symbol))
            if built.due_ms is not None:
                built.answered(await self.candles(symbol, timeframe, built.due_ms))
            if rows := built.changed():
                return rows

    async def quote(self, symbol: str) -> Quote:
        """Return the best prices of the order book."""
        self._market(symbol)
        return quote_of(symbol, await self._ask(self.client.fetch_order_book(symbol, 5), "read", symbol))

    async def book(self, symbol: str) -> tuple[Levels, Levels]:
        """Return the levels of the order book in base currency: bids, asks, the best first."""
        size = float(self._market(symbol).get("contractSize") or 1.0)
        book = await self._ask(self.client.fetch_order_book(symbol, LEVELS), "read", symbol)
        bids, asks = ([(float(row[0]), float(row[1]) * size) for row in book[name]] for name in ("bids", "asks"))
        return bids, asks

    async def estimate(self, request: OrderRequest) -> Estimate | None:
        """Return what a market order would pay by the book of now; None where that is no book."""
        return estimated(request.side, request.quantity, *await self.book(request.symbol))
