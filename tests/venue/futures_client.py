"""A small venue that speaks Binance's USD-M futures, and a real CCXT client pointed at it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from engine.execution.usdm import point
from engine.simulate import Costs
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.server import Server
from pipelines import Bars
from tests.venue.client import HOUR, KEY, SECRET, made_bars

SYMBOL = "BTC/USDT:USDT"
COSTS = Costs(
    fee=0.0005, slippage=0.0005, price_tick=0.01, quantity_step=0.001, min_notional=5.0, leverage=3.0, short=True
)


def made_venue(bars: Bars | None = None, history: int = 20, cash: float = 10_000.0, **more: Any) -> Venue:
    """Return a venue with a perpetual and an account of 10,000 USDT; funding every 8 bars."""
    bars = bars or made_bars()
    paid = [int(time) for time in bars.time if time % (8 * HOUR) == 0]
    rates = [1e-4 * (1 + k % 3) for k in range(len(paid))]
    venue = Venue({Market.of(SYMBOL, COSTS): bars}, history=history, funding={SYMBOL: (paid, rates)}, **more)
    venue.open_account(KEY, SECRET, {"USDT": cash})
    return venue


@contextlib.asynccontextmanager
async def trading(venue: Venue, **more: Any) -> AsyncIterator[tuple[Any, Server]]:
    """Serve the venue and yield (client, server); the client is only pointed at it."""
    import ccxt.pro

    async with Server(venue, protocol="binanceusdm", **more) as server:
        client = ccxt.pro.binanceusdm(
            {
                "apiKey": KEY,
                "secret": SECRET,
                "enableRateLimit": False,
                "verify": False,  # nothing here is encrypted: certificates need not be read
                "timeout_on_exit": 0,
            }
        )
        client.has["fetchCurrencies"] = False
        point(client, server.rest_url, server.stream_url)
        try:
            await client.load_markets()
            yield client, server
        finally:
            await client.close()
