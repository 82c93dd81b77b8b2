"""A small venue that speaks Coinbase's protocol, and a real CCXT client pointed at it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.server import Server as AnyServer
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


Server = partial(AnyServer, protocol="coinbase")


@contextlib.asynccontextmanager
async def trading(
    venue: Venue, key: str = KEY, secret: str = SECRET, **more: Any
) -> AsyncIterator[tuple[Any, AnyServer]]:
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
