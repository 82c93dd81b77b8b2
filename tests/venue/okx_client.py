"""A small venue that speaks OKX's protocol, and a real CCXT client pointed at it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from engine.simulate import Costs
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.okx.protocol import Okx
from engine.venue.server import Server, wall_ms
from pipelines import Bars
from tests.venue.client import COSTS, HOUR, KEY, SECRET, made_bars

SYMBOL, SPOT = "BTC/USDT:USDT", "BTC/USDT"
SWAP_COSTS = Costs(
    fee=0.0005, slippage=0.0005, price_tick=0.01, quantity_step=0.1, contract_size=0.01, leverage=3.0, short=True
)
PASSPHRASE = "a word of the tests"
STEP = 0.001  # base currency of a tenth of a contract


def made_venue(bars: Bars | None = None, history: int = 20, **more: Any) -> Venue:
    """Return a venue with a swap of 0.01 BTC a contract and an account of 10,000 USDT; funding every 8 bars."""
    bars = bars or made_bars()
    paid = [int(time) for time in bars.time if time % (8 * HOUR) == 0]
    rates = [1e-4 * (1 + k % 3) for k in range(len(paid))]
    venue = Venue({Market.of(SYMBOL, SWAP_COSTS): bars}, history=history, funding={SYMBOL: (paid, rates)}, **more)
    venue.open_account(KEY, SECRET, {"USDT": 10_000.0})
    return venue


def made_spot_venue() -> Venue:
    """Return a venue with a spot market and an account of 10,000 USDT and 5 BTC."""
    venue = Venue({Market.of(SPOT, COSTS): made_bars()}, history=20)
    venue.open_account(KEY, SECRET, {"USDT": 10_000.0, "BTC": 5.0})
    return venue


class DemoServer:
    """A venue that takes keys of demo trading alone, on a free port; ``async with`` it."""

    def __init__(self, venue: Venue) -> None:
        app = web.Application()
        self._protocol = Okx(venue, wall_ms, venue, 6000, passphrase=PASSPHRASE, simulated_only=True)
        self._protocol.add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> DemoServer:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        urls = self._protocol.urls(f"127.0.0.1:{self._runner.addresses[0][1]}")
        self.rest_url, self.stream_url = urls["rest_url"], urls["stream_url"]
        return self

    async def __aexit__(self, *what: object) -> None:
        await self._runner.cleanup()


@contextlib.asynccontextmanager
async def trading(venue: Venue, *, demo: bool = False, **more: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Serve the venue and yield (client, server); only the client's URLs are changed."""
    import ccxt.pro

    async with DemoServer(venue) if demo else Server(venue, protocol="okx", **more) as server:
        client = ccxt.pro.okx(
            {
                "apiKey": KEY,
                "secret": SECRET,
                "password": PASSPHRASE,
                "enableRateLimit": False,
                "options": {"fetchMarkets": {"types": ["spot", "swap"]}, "defaultType": "swap"},
            }
        )
        client.has["fetchCurrencies"] = False
        client.urls["api"].update(rest=server.rest_url, ws=server.stream_url)
        try:
            await client.load_markets()
            yield client, server
        finally:
            await client.close()
