"""A local venue that can be listened to and meddled with, and a download from it into a store."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from aiohttp import web

from engine.execution.download import Done, Wanted, download
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.server import Server
from parquet_store import Store
from pipelines import Bars
from tests.venue.client import COSTS, HOUR, made_bars

COLUMNS = ("time", "open", "high", "low", "close", "volume")
START = int(made_bars(1).time[0])
Answer = Callable[[web.Request, web.Response], Awaitable[web.StreamResponse]]


def bars_without(absent: list[int], count: int = 200, seed: int = 1) -> Bars:
    """Return made bars without those at some positions."""
    bars = made_bars(count, seed)
    kept = np.setdiff1d(np.arange(count), absent)
    return Bars.from_arrays(bars.source, "1h", *(getattr(bars, name)[kept] for name in COLUMNS))


def venue_of(*series: Bars, shown: int | None = None) -> Venue:
    """Return a venue of BTC/USDT, ETH/USDT, ...: ``shown`` bars are closed, else all but the last, which is forming."""
    named = zip(("BTC/USDT", "ETH/USDT", "SOL/USDT"), series, strict=False)
    least = min(len(bars) for bars in series)
    venue = Venue({Market.of(symbol, COSTS): bars for symbol, bars in named}, history=shown or least - 1)
    if shown is None:
        venue.open_bar()
    return venue


@dataclass
class Watched:
    """A served venue: what it was asked for candles, and what is done to its answers."""

    server: Server
    asked: list[dict[str, str]] = field(default_factory=list)
    meddle: Answer | None = None

    @property
    def starts(self) -> list[int]:
        """Positions of the bars that questions with a start began at."""
        return [(int(one["startTime"]) - START) // HOUR for one in self.asked if "startTime" in one]


@contextlib.asynccontextmanager
async def watched(venue: Venue, meddle: Answer | None = None, **more: Any) -> AsyncIterator[Watched]:
    """Serve a venue; ``meddle`` may change the answer to a question for candles."""
    server = Server(venue, **more)
    found = Watched(server, meddle=meddle)

    @web.middleware
    async def between(request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.path.endswith("/klines"):
            return await handler(request)  # type: ignore[no-any-return]
        found.asked.append(dict(request.query))
        answer = await handler(request)
        return await found.meddle(request, answer) if found.meddle else answer

    server.app.middlewares.append(between)
    async with server:
        yield found


def rows_of(answer: web.Response) -> list[Any]:
    """Return the candles in an answer."""
    rows: list[Any] = json.loads(answer.text or "[]")
    return rows


def unthrottled(client: Any) -> None:
    """Let a client ask at once."""
    client.enableRateLimit = False


async def no_sleep(seconds: float) -> None:
    """Wait for nothing."""
    await asyncio.sleep(0)


async def fetch(served: Watched, store: Store, *symbols: str, **more: Any) -> list[Done]:
    """Download hourly bars of some symbols (BTC/USDT) from the first bar on."""
    options: dict[str, Any] = {"sleep": no_sleep, "adjust": unthrottled}
    options |= {name: more.pop(name) for name in ("sleep", "adjust", "progress") if name in more}
    asked: dict[str, Any] = {"timeframe": "1h", "since_ms": START, "url": served.server.rest_url}
    return await download(Wanted("binance", symbols or ("BTC/USDT",), **(asked | more)), store, **options)


def assert_same(store: Store, source: str, bars: Bars, begin: int = 0, end: int | None = None) -> None:
    """Assert that what is stored are these bars, byte for byte."""
    rows = store.read(source)
    for name, column in zip(COLUMNS, rows.columns, strict=True):
        stored: npt.NDArray[Any] = rows[column].to_physical().to_numpy()
        assert stored.tobytes() == getattr(bars, name)[begin:end].tobytes(), name
