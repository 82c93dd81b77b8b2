"""A small venue with a made series, and a real CCXT client pointed at it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from engine.simulate import Costs
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.server import Server
from pipelines import Bars

KEY, SECRET = "key", hashlib.sha256(b"the secret of the tests").hexdigest()
COSTS = Costs(fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.001, min_notional=5.0)
HOUR = 3_600_000


def made_bars(count: int = 200, seed: int = 1) -> Bars:
    """Return hourly bars of a random walk with prices on a tick of 0.01."""
    draw = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, count))), 2)
    open = np.round(np.concatenate(([100.0], close[:-1])) * (1.0 + draw.normal(0.0, 0.003, count)), 2)
    high = np.round(np.maximum(open, close) * (1.0 + abs(draw.normal(0.0, 0.004, count))), 2) + 0.01
    low = np.round(np.minimum(open, close) * (1.0 - abs(draw.normal(0.0, 0.004, count))), 2) - 0.01
    time = 1_600_000_000_000 // HOUR * HOUR + HOUR * np.arange(count)
    return Bars.from_arrays("made:BTC/USDT:1h", "1h", time, open, high, low, close, draw.uniform(10.0, 90.0, count))


def made_venue(bars: Bars | None = None, history: int = 20, **more: Any) -> Venue:
    """Return a venue with one market and one account of 10,000 USDT and 5 BTC."""
    venue = Venue({Market.of("BTC/USDT", COSTS): bars or made_bars()}, history=history, **more)
    venue.open_account(KEY, SECRET, {"USDT": 10_000.0, "BTC": 5.0})
    return venue


@contextlib.asynccontextmanager
async def trading(venue: Venue, **more: Any) -> AsyncIterator[tuple[Any, Server]]:
    """Serve the venue and yield (client, server); only the client's URLs are changed."""
    import ccxt.pro

    async with Server(venue, **more) as server:
        client = ccxt.pro.binance(
            {
                "apiKey": KEY,
                "secret": SECRET,
                "enableRateLimit": False,
                "verify": False,  # nothing here is encrypted: certificates need not be read
                "timeout_on_exit": 0,
                "options": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False},
            }
        )
        client.has["fetchCurrencies"] = False
        client.urls["api"].update(public=server.rest_url, private=server.rest_url)
        client.urls["api"]["ws"]["spot"] = server.stream_url
        client.urls["api"]["ws"]["ws-api"]["spot"] = server.stream_url.replace("/stream/ws", "/ws-api/v3")
        try:
            await client.load_markets()
            yield client, server
        finally:
            await client.close()
