"""The local exchange on a port, and what drives its time: a speed, or a client that says when it is ready.

Control, for lockstep: ``POST /control/open`` and ``/control/close`` play the halves of a bar, ``/control/release`` a
whole one; each answers ``{"time": ms, "played": whether there was a bar}``.  ``GET /control/state`` tells the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from engine.venue.binance.guard import Guard
from engine.venue.binance.rest import Rest
from engine.venue.binance.stream import Streams
from engine.venue.core import Venue
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
        Whether there are control routes.
    clock : callable
        The server's time in ms, by which signed requests are dated.
    weight_limit : int
        Request weight a minute, beyond which the answer is 429.

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
    ) -> None:
        self.venue = venue
        self.port = port
        self.app = web.Application()
        guard = Guard(venue, clock, weight_limit)
        Rest(venue, guard).add_to(self.app)
        Streams(venue, guard).add_to(self.app)
        if lockstep:
            for name, step in (("open", venue.open_bar), ("close", self._close), ("release", venue.release)):
                self.app.router.add_post(f"/control/{name}", self._control(step))
            self.app.router.add_get("/control/state", self._control(lambda: False))
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

    def _close(self) -> bool:
        self.venue.close_bar()
        return True

    def _control(self, step: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                played = step()
            except Usage as found:
                return web.json_response({"error": str(found)}, status=409)
            return web.json_response({"time": self.venue.time_ms, "played": played})

        return handle


async def play(venue: Venue, speed: float) -> None:
    """Play all bars, ``speed`` seconds of venue time a second; the first half of a bar at its open, then its close.

    Raises
    ------
    Usage
        If the speed is not above 0.
    """
    if not speed > 0.0:
        raise Usage(f"venue: speed is {speed:g}, expected a number above 0")
    loop = asyncio.get_running_loop()
    begin, first = loop.time(), venue.time_ms
    while venue.open_bar():
        await asyncio.sleep(max(0.0, begin + (venue.time_ms + venue.length_ms - first) / 1000.0 / speed - loop.time()))
        venue.close_bar()
