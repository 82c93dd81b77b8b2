"""The CCXT client of a venue as settings ask for it; only here are clients made.

A client for demo trading can reach nothing else: Binance's points at the demo hosts, OKX's carries the header that
makes an order a simulated one, and both are looked at before the client is handed out.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from engine.execution import usdm
from engine.execution.ccxt_class import ccxt_class
from engine.execution.okx import prepare
from engine.settings import BotSettings, Credentials, VenueSettings
from parquet_store.errors import Usage

__all__ = ["client_of"]

TIMEOUT_MS = 10_000
MARKETS = {"spot": "spot", "perpetual": "linear"}
DEFAULT_TYPES = {"spot": "spot", "perpetual": "swap"}
CLASSES = {"binance": {"spot": "binance", "perpetual": "binanceusdm"}}
OPTIONS: dict[str, dict[str, Any]] = {
    "coinbase": {  # what its older interface cannot say: what orders hold, milliseconds, a market buy by quantity
        "fetchMarkets": "fetchMarketsV3",
        "fetchBalance": "v3PrivateGetBrokerageAccounts",
        "fetchTime": "v3PublicGetBrokerageTime",
        "createMarketBuyOrderRequiresPrice": False,
    }
}


def client_of(settings: BotSettings, credentials: Credentials | None = None) -> Any:
    """Return a client of ``ccxt.pro`` that has asked nobody yet.

    Parameters
    ----------
    settings : BotSettings
    credentials : Credentials, optional
        Without them only public questions can be asked.

    Raises
    ------
    Usage
        The venue has no demo trading, or CCXT does not know the venue.
    """
    venue = settings.venue
    name = CLASSES.get(venue.name, {}).get(venue.market, venue.name)
    options: dict[str, Any] = {
        "defaultType": DEFAULT_TYPES[venue.market],
        "fetchMarkets": {"types": [(DEFAULT_TYPES if name == "okx" else MARKETS)[venue.market]]},
        "adjustForTimeDifference": True,
        "maxRetriesOnFailure": 0,
        "fetchMargins": False,
    } | OPTIONS.get(venue.name, {})
    throttled = not venue.is_local  # a venue on this machine says itself when it has enough
    config: dict[str, Any] = {"enableRateLimit": throttled, "timeout": TIMEOUT_MS, "options": options}
    if credentials is not None:
        config |= {"apiKey": credentials.key.reveal(), "secret": credentials.secret.reveal()}
        if credentials.password is not None:
            config["password"] = credentials.password.reveal()
    made = ccxt_class(name)
    if made is None:
        raise Usage(f"venue {venue.name}: CCXT has no client of it; it is traded by an adapter of its own")
    client = made(config)
    client.has["fetchCurrencies"] = False  # asked with a signature, and not needed
    if name == "okx":
        prepare(client, DEFAULT_TYPES[venue.market])
    if venue.rest_url:
        _point(client, venue)
    elif settings.mode == "demo":
        _make_demo(client, venue.name)
    return client


def _point(client: Any, venue: VenueSettings) -> None:
    """Point a client at a venue on this machine: REST at one address, streams at another."""
    rest, stream = venue.rest_url.rstrip("/"), venue.stream_url.rstrip("/")
    if venue.name in ("coinbase", "okx"):
        client.urls["api"].update(rest=rest, ws=stream)
        return
    if client.id == "binanceusdm":
        usdm.point(client, rest, stream)
        return
    if venue.name != "binance":
        raise Usage(f"venue {venue.name}: the local venue does not speak its protocol")
    client.urls["api"].update(public=rest, private=rest)
    client.urls["api"]["ws"]["spot"] = stream
    client.urls["api"]["ws"]["ws-api"]["spot"] = f"ws://{urlsplit(stream).netloc}/ws-api/v3"


def _make_demo(client: Any, name: str) -> None:
    if name == "binance":
        client.enable_demo_trading(True)
        urls = client.urls["api"]
        used = [urls[name] for name in ("public", "private", "fapiPublic", "fapiPrivate") if name in urls]
        safe = bool(used) and all(urlsplit(url).hostname.startswith("demo-") for url in used)
    elif name == "okx":
        client.set_sandbox_mode(True)
        safe = client.headers.get("x-simulated-trading") == "1"
    else:
        raise Usage(f"venue {name}: it has no demo trading; use mode = 'paper', or binance or okx")
    if not safe:
        raise Usage(f"venue {name}: the client was not set to demo trading; nothing was asked")
