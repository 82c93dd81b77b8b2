"""A small venue that speaks Coinbase's protocol, and a real CCXT client pointed at it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.venue.coinbase.protocol import Coinbase
from engine.venue.control import Control
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.server import wall_ms
from pipelines import Bars
from tests.venue.client import COSTS, made_bars

SYMBOL = "BTC/USD"
KEY = "organizations/made/apiKeys/one"
LEGACY_KEY, LEGACY_SECRET = "legacy", "a word to sign with"


def made_secret() -> str:
    """Return a new EC key on P-256 as Coinbase hands it out."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


SECRET = made_secret()


def made_venue(bars: Bars | None = None, history: int = 20, **more: Any) -> Venue:
    """Return a venue with one market and two accounts of 10,000 USD and 5 BTC, one with a token, one with HMAC."""
    venue = Venue({Market.of(SYMBOL, COSTS): bars or made_bars()}, history=history, **more)
    for key, secret in ((KEY, SECRET), (LEGACY_KEY, LEGACY_SECRET)):
        venue.open_account(key, secret, {"USD": 10_000.0, "BTC": 5.0})
    return venue


class Server:
    """A venue that speaks Coinbase's protocol on a free port; ``async with`` it."""

    def __init__(self, venue: Venue, *, weight_limit: int = 6000, clock: Callable[[], int] = wall_ms) -> None:
        app = web.Application()
        self._protocol = Coinbase(venue, clock, venue, weight_limit)
        self._protocol.add_to(app)
        Control(venue, lockstep=True).add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Server:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        urls = self._protocol.urls(f"127.0.0.1:{self._runner.addresses[0][1]}")
        self.rest_url, self.stream_url = urls["rest_url"], urls["stream_url"]
        return self

    async def __aexit__(self, *what: object) -> None:
        await self._runner.cleanup()


@contextlib.asynccontextmanager
async def trading(venue: Venue, key: str = KEY, secret: str = SECRET, **more: Any) -> AsyncIterator[tuple[Any, Server]]:
    """Serve the venue and yield (client, server); only the client's URLs are changed."""
    import ccxt.pro

    async with Server(venue, **more) as server:
        client = ccxt.pro.coinbase({"apiKey": key, "secret": secret, "enableRateLimit": False})
        client.urls["api"].update(rest=server.rest_url, ws=server.stream_url)
        try:
            await client.load_markets()
            yield client, server
        finally:
            await client.close()
