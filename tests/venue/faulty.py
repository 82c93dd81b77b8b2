"""A local exchange with faults, a real CCXT client on it, and what that client was told on its streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from engine.venue.core import Venue
from engine.venue.faults import Faults
from engine.venue.server import Server
from tests.venue.client import made_venue, trading

SYMBOL = "BTC/USDT"
LIMIT_MS = 400


@dataclass
class Bench:
    """Everything a test of a fault needs; ``heard`` is every message of a stream as the client decoded it."""

    client: Any
    server: Server
    venue: Venue
    faults: Faults
    symbol: str = SYMBOL
    heard: list[Any] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def key(self) -> Any:
        return next(iter(self.venue.accounts.values()))

    @property
    def last(self) -> float:
        return self.venue.tape(self.symbol).last

    async def place(self, client_id: str = "c1", factor: float = 0.5, amount: float = 1.0) -> Any:
        """Place a limit order to buy, far below the price unless told."""
        params = {"clientOrderId": client_id}
        return await self.client.create_order(self.symbol, "limit", "buy", amount, round(self.last * factor, 2), params)

    async def at_market(self, client_id: str = "m1", amount: float = 1.0) -> Any:
        return await self.client.create_order(self.symbol, "market", "buy", amount, None, {"clientOrderId": client_id})

    async def until(self, what: Callable[[], Any], seconds: float = 10.0) -> Any:
        """Wait until something is so."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not (found := what()):
            assert loop.time() < end, "the client was not told in time"
            await asyncio.sleep(0.002)
        return found

    async def watch(self, name: str, *more: Any) -> asyncio.Task[Any]:
        """Begin to watch with the client, and wait until the venue has acknowledged it."""
        acknowledged = len(self.acknowledged())
        task = asyncio.ensure_future(getattr(self.client, name)(*more))
        self.tasks.append(task)
        await self.until(lambda: len(self.acknowledged()) > acknowledged)
        return task

    def acknowledged(self) -> list[Any]:
        return [one for one in self.heard if isinstance(one, dict) and "result" in one]

    def events(self, kind: str) -> list[Any]:
        """Return the events of a kind the client was told, in order."""
        found = [one.get("event", one) for one in self.heard if isinstance(one, dict)]
        return [one for one in found if isinstance(one, dict) and one.get("e") == kind]

    def klines(self, *, closed: bool | None = True) -> list[Any]:
        return [one["k"] for one in self.events("kline") if closed in (None, one["k"]["x"])]

    def reports(self, what: str = "") -> list[Any]:
        return [one for one in self.events("executionReport") if what in ("", one["x"])]

    def time(self, at: int) -> int:
        """Return when the bar opens that is so many after those known before."""
        return int(self.venue.tape(self.symbol).bars.time[20 + at])


@contextlib.asynccontextmanager
async def faulty(
    venue: Venue | None = None, seed: int = 1, limit_ms: int = 10_000, **more: Any
) -> AsyncIterator[Bench]:
    """Serve a venue with faults, and yield it with a client that waits so long for an answer."""
    venue, faults = venue or made_venue(), Faults(seed)
    async with trading(venue, faults=faults, **more) as (client, server):
        client.timeout = limit_ms
        bench = Bench(client, server, venue, faults)
        heard = client.handle_message
        own: Callable[[Any, Any], Any] = heard

        def listen(line: Any, message: Any) -> Any:
            bench.heard.append(message)
            return own(line, message)

        client.handle_message = listen
        try:
            yield bench
        finally:
            for task in bench.tasks:
                task.cancel()
            await asyncio.gather(*bench.tasks, return_exceptions=True)
