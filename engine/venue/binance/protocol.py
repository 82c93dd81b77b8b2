"""Binance spot as one protocol of the local exchange's server."""

from __future__ import annotations

from aiohttp import web

from engine.venue.binance.guard import Guard
from engine.venue.binance.rest import Rest
from engine.venue.binance.stream import Streams
from engine.venue.core import Venue
from engine.venue.protocol import Clock, Feed
from parquet_store.errors import Usage

__all__ = ["BinanceSpot"]


class BinanceSpot:
    """REST and streams as ``ccxt.pro.binance`` reads them for spot markets.

    Parameters
    ----------
    venue : Venue
        With spot markets alone.
    clock : callable
    feed : Feed
    limits : int
        Request weight a minute, beyond which the answer is 429.

    Raises
    ------
    Usage
        A market is a derivative.
    """

    name = "binance"

    def __init__(self, venue: Venue, clock: Clock, feed: Feed, limits: int) -> None:
        derived = sorted(symbol for symbol in venue.tapes if ":" in symbol)
        if derived:
            raise Usage(f"venue: found {derived[0]}, expected spot markets alone: its protocol is binanceusdm")
        guard = Guard(venue, clock, limits)
        list_names: dict[int, str] = {}
        self._rest, self._streams = Rest(venue, guard, list_names), Streams(venue, guard, feed, list_names)

    def add_to(self, app: web.Application) -> None:
        """Add all routes."""
        self._rest.add_to(app)
        self._streams.add_to(app)

    def urls(self, host_port: str) -> dict[str, str]:
        """Return where REST answers and where streams are; CCXT knows spot streams by the word ``stream`` in it."""
        return {"rest_url": f"http://{host_port}/api/v3", "stream_url": f"ws://{host_port}/stream/ws"}
