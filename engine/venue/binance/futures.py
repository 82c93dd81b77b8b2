"""Binance's USD-M futures as one protocol of the local exchange's server."""

from __future__ import annotations

from aiohttp import web

from engine.venue.binance.futures_rest import FuturesRest
from engine.venue.binance.futures_stream import FuturesStreams
from engine.venue.binance.futures_trade import FuturesTrade
from engine.venue.binance.guard import Guard
from engine.venue.core import Venue
from engine.venue.protocol import Clock, Feed
from parquet_store.errors import Usage

__all__ = ["BinanceFutures"]


class BinanceFutures:
    """REST and streams as ``ccxt.pro.binanceusdm`` reads them: perpetuals, one position each, cross margin.

    Parameters
    ----------
    venue : Venue
        With contracts alone.
    clock : callable
    feed : Feed
    limits : int
        Request weight a minute, beyond which the answer is 429, and beyond twice as much 418.

    Raises
    ------
    Usage
        A market is a spot market.
    """

    name = "binanceusdm"

    def __init__(self, venue: Venue, clock: Clock, feed: Feed, limits: int) -> None:
        spot = sorted(symbol for symbol in venue.tapes if ":" not in symbol)
        if spot:
            raise Usage(
                f"venue: found {spot[0]}, expected contracts alone, as {spot[0]}:USDT; spot is protocol binance"
            )
        guard = Guard(venue, clock, limits)
        self._rest = FuturesRest(venue, guard)
        self._trade = FuturesTrade(self._rest)
        self._streams = FuturesStreams(venue, guard, feed)

    def add_to(self, app: web.Application) -> None:
        """Add all routes."""
        self._rest.add_to(app)
        self._trade.add_to(app)
        self._streams.add_to(app)
        streams = self._streams
        for method, answer in (("POST", streams.open_key), ("PUT", streams.prolong_key), ("DELETE", streams.close_key)):
            app.router.add_route(method, "/fapi/v1/listenKey", self._rest.keyed(1, answer))

    def urls(self, host_port: str) -> dict[str, str]:
        """Return where REST answers and where streams are; CCXT puts the kind of stream before the ``/ws``."""
        return {"rest_url": f"http://{host_port}/fapi/v1", "stream_url": f"ws://{host_port}/ws"}
