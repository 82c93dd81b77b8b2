"""Coinbase Advanced Trade as one protocol of the local exchange's server."""

from __future__ import annotations

from aiohttp import web

from engine.venue.coinbase.guard import Guard
from engine.venue.coinbase.private import Private
from engine.venue.coinbase.rest import Rest
from engine.venue.coinbase.stream import Streams
from engine.venue.core import Venue
from engine.venue.protocol import Clock, Feed
from parquet_store.errors import Usage

__all__ = ["Coinbase"]


class Coinbase:
    """REST and streams as ``ccxt.pro.coinbase`` reads them.

    Parameters
    ----------
    venue : Venue
        With spot markets alone.
    clock : callable
        The server's time, ms since the epoch: what tokens are dated by.
    feed : Feed
        Where events come from.
    limits : int
        A minute's budget, as other protocols have it; a second may use a sixth of it.  So by default 1,000 requests of
        one sender, where Coinbase itself has 10 for an address and 30 for a key.

    Raises
    ------
    Usage
        A market is a derivative.
    """

    name = "coinbase"

    def __init__(self, venue: Venue, clock: Clock, feed: Feed, limits: int) -> None:
        derived = sorted(symbol for symbol in venue.tapes if ":" in symbol)
        if derived:
            raise Usage(
                f"venue: found {derived[0]}, expected spot markets alone: Coinbase's protocol has no others here"
            )
        guard = Guard(venue, clock, max(1, limits // 6))
        self._rest = Rest(venue, guard)
        self._private = Private(self._rest)
        self._streams = Streams(venue, guard, feed)

    def add_to(self, app: web.Application) -> None:
        """Add all routes."""
        self._private.add_to(app)
        self._rest.add_to(app)
        self._streams.add_to(app)

    def urls(self, host_port: str) -> dict[str, str]:
        """Return what CCXT's ``urls`` are pointed at."""
        return {"rest_url": f"http://{host_port}", "stream_url": f"ws://{host_port}/ws"}
