"""The local exchange on a port, and what drives its time: a speed, or a client that says when it is ready."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from aiohttp import web

from engine.venue.control import Control
from engine.venue.core import Venue
from engine.venue.protocol import Clock, Feed, wire_of
from parquet_store.errors import Usage

__all__ = ["Server", "play", "wall_ms"]

WEIGHT_LIMIT = 6000


def wall_ms() -> int:
    """Return the machine's time, ms since the epoch."""
    return time.time_ns() // 1_000_000


class Between(Protocol):
    """What stands between a venue and its protocol."""

    def between(self, venue: Venue, clock: Clock, protocol: str) -> tuple[Feed, Clock]:
        """Return the feed the streams listen to, and the clock requests are dated by."""

    def add_to(self, app: web.Application) -> None:
        """Stand before the routes."""


class Server:
    """A venue that listens on loopback; ``async with`` it.

    Parameters
    ----------
    venue : Venue
    protocol : str
        Among `engine.venue.protocol.PROTOCOLS`: the CCXT class that speaks it.
    port : int
        0 for a free one.
    lockstep : bool
        Whether bars are played on command, over the control routes.
    clock : callable
        The server's time in ms, by which signed requests are dated.
    weight_limit : int
        Request weight a minute, beyond which the answer is 429.
    faults : Faults, optional
        Stand between the venue and its protocol.

    Attributes
    ----------
    port : int
    urls : dict of str to str
        ``rest_url`` and ``stream_url``, as settings take them.
    control_url : str
        Where bars are released, and the time is told.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        protocol: str = "binance",
        port: int = 0,
        lockstep: bool = True,
        clock: Clock = wall_ms,
        weight_limit: int = WEIGHT_LIMIT,
        faults: Between | None = None,
    ) -> None:
        self.venue = venue
        self.port = port
        self.app = web.Application()
        feed: Feed = venue
        if faults is not None:
            feed, clock = faults.between(venue, clock, protocol)
            faults.add_to(self.app)
        self.wire = wire_of(protocol, venue, clock, feed, weight_limit)
        self.wire.add_to(self.app)
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
    def urls(self) -> dict[str, str]:
        """Where REST answers and where streams are."""
        return self.wire.urls(f"127.0.0.1:{self.port}")

    @property
    def rest_url(self) -> str:
        """Where REST answers."""
        return self.urls["rest_url"]

    @property
    def stream_url(self) -> str:
        """Where streams are."""
        return self.urls["stream_url"]

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
    loop = asyncio.get_running_loop()
    begin, first = loop.time(), venue.time_ms

    def clock() -> int:
        played_ms = first + int((loop.time() - begin) * 1000.0 * speed)
        return min(max(venue.time_ms, played_ms), venue.time_ms + venue.length_ms - 1)

    if control is not None:
        control.speed, control.clock = speed, clock
    while venue.open_bar():
        await asyncio.sleep(max(0.0, begin + (venue.time_ms + venue.length_ms - first) / 1000.0 / speed - loop.time()))
        venue.close_bar()
