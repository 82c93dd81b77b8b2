"""The local exchange on a port, and what drives its time: a speed, or a client that says when it is ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web

from engine.venue.binance.guard import Guard
from engine.venue.binance.rest import Rest
from engine.venue.binance.stream import Streams
from engine.venue.control import Control
from engine.venue.core import Venue
from engine.venue.faults import Faults
from engine.venue.faults.turn import Feed
from parquet_store.errors import Usage

__all__ = ["Server", "play", "wall_ms"]

WEIGHT_LIMIT = 6000


def wall_ms() -> int:
    """Return the machine's time, ms since the epoch."""
    return time.time_ns() // 1_000_000


class Server:
    """A venue that listens on loopback; ``async with`` it.

    Parameters
    ----------
    venue : Venue
    port : int
        0 for a free one.
    lockstep : bool
        Whether bars are played on command, over the control routes.
    clock : callable
        The server's time in ms, by which signed requests are dated.
    weight_limit : int
        Request weight a minute, beyond which the answer is 429.
    faults : Faults, optional
        What goes wrong on command; also by ``POST /control/fault``.

    Attributes
    ----------
    port : int
    rest_url, stream_url, user_stream_url, control_url : str
        What CCXT's ``urls`` are pointed at, as ``point`` does.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        port: int = 0,
        lockstep: bool = True,
        clock: Callable[[], int] = wall_ms,
        weight_limit: int = WEIGHT_LIMIT,
        faults: Faults | None = None,
    ) -> None:
        self.venue = venue
        self.port = port
        self.app = web.Application()
        feed: Venue | Feed = venue
        if faults is not None:
            feed, clock = faults.between(venue, clock, "binance")
            faults.add_to(self.app)
        guard = Guard(venue, clock, weight_limit)
        Rest(venue, guard).add_to(self.app)
        Streams(venue, guard, feed).add_to(self.app)
        self.control = Control(venue, lockstep=lockstep)
        self.control.add_to(self.app)
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Server:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *what: object) -> None:
        await self._runner.cleanup()

    @property
    def rest_url(self) -> str:
        """Where REST answers."""
        return f"http://127.0.0.1:{self.port}/api/v3"

    @property
    def stream_url(self) -> str:
        """Where market streams are; CCXT knows spot streams by the word ``stream`` in it."""
        return f"ws://127.0.0.1:{self.port}/stream/ws"

    @property
    def user_stream_url(self) -> str:
        """Where the user data stream is subscribed."""
        return f"ws://127.0.0.1:{self.port}/ws-api/v3"

    @property
    def control_url(self) -> str:
        """Where bars are released."""
        return f"http://127.0.0.1:{self.port}/control"


async def play(venue: Venue, speed: float, control: Control | None = None) -> None:
    """Play all bars, ``speed`` seconds of venue time a second; the first half of a bar at its open, then its close.

    Raises
    ------
    Usage
        If the speed is not above 0.
    """
    if not speed > 0.0:
        raise Usage(f"venue: speed is {speed:g}, expected a number above 0")
    if control is not None:
        control.speed = speed
    loop = asyncio.get_running_loop()
    begin, first = loop.time(), venue.time_ms
    while venue.open_bar():
        await asyncio.sleep(max(0.0, begin + (venue.time_ms + venue.length_ms - first) / 1000.0 / speed - loop.time()))
        venue.close_bar()
