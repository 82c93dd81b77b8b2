"""OKX as one protocol of the local exchange's server."""

from __future__ import annotations

from aiohttp import web

from engine.venue.core import Venue
from engine.venue.okx.account import AccountRoutes
from engine.venue.okx.algos import Algos
from engine.venue.okx.guard import Guard
from engine.venue.okx.rest import Rest
from engine.venue.okx.stream import Streams
from engine.venue.okx.trade import Trade
from engine.venue.protocol import Clock, Feed

__all__ = ["Okx"]


class Okx:
    """REST and streams as ``ccxt.pro.okx`` reads them.

    Parameters
    ----------
    venue : Venue
        With perpetuals, spot markets or both.
    clock : callable
        The server's time, ms since the epoch: what signatures are dated by.
    feed : Feed
        Where events come from.
    limits : int
        Requests a minute of one sender to one address with one method.
    passphrase : str, optional
        Of every key; else each key's is the one that came with the first request its secret had signed.
    simulated_only : bool
        Whether requests must carry the header of demo trading, ``x-simulated-trading: 1``.
    """

    name = "okx"

    def __init__(
        self,
        venue: Venue,
        clock: Clock,
        feed: Feed,
        limits: int,
        *,
        passphrase: str | None = None,
        simulated_only: bool = False,
    ) -> None:
        guard = Guard(venue, clock, limits, passphrase, simulated_only)
        rest, types = Rest(venue, guard), dict[int, str]()
        trade = Trade(rest, types)
        self._parts = (rest, AccountRoutes(rest), trade, Algos(trade), Streams(venue, guard, feed, types))

    def add_to(self, app: web.Application) -> None:
        """Add all routes."""
        for part in self._parts:
            part.add_to(app)

    def urls(self, host_port: str) -> dict[str, str]:
        """Return what CCXT's ``urls`` are pointed at."""
        return {"rest_url": f"http://{host_port}", "stream_url": f"ws://{host_port}/ws/v5"}
