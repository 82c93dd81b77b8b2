"""The venues CCXT knows, a client that asks in public only, and the symbols meant."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.execution.ccxt_class import ccxt_class
from engine.settings.model import is_loopback
from parquet_store.errors import Failed, Usage, unknown

__all__ = ["market_of", "public_client", "symbols_of", "venue_names"]

TIMEOUT_MS = 20_000
CLASSES = {("binance", "perpetual"): "binanceusdm"}
TYPES = {
    "binance": {"spot": "spot", "perpetual": "linear"},
    "okx": {"spot": "spot", "perpetual": "swap"},
}  # of markets that are listed, where that can be said: the others need not be asked for
MARKETS = ("spot", "perpetual")


def venue_names() -> list[str]:
    """Return the names of the venues, without loading CCXT."""
    found = find_spec("ccxt")
    if found is None or not found.submodule_search_locations:
        raise Failed("CCXT is not installed: pip install ccxt")
    folder = Path(next(iter(found.submodule_search_locations))) / "async_support"
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def market_of(symbols: tuple[str, ...], market: str, kind: str) -> str:
    """Return ``spot`` or ``perpetual``: as given, else as the symbols and the kind of data say."""
    if market and market not in MARKETS:
        raise unknown("market", market, MARKETS)
    settled = {":" in symbol for symbol in symbols}
    if market == "spot" and (True in settled or kind == "funding"):
        raise Usage("--market spot: funding rates and symbols such as BTC/USDT:USDT are those of perpetuals")
    if market:
        return market
    if len(settled) > 1:
        raise Usage(f"{', '.join(symbols)}: spot markets and perpetuals at once; download one after the other")
    return "perpetual" if True in settled or kind == "funding" else "spot"


def symbols_of(symbols: tuple[str, ...], market: str) -> list[str]:
    """Return symbols as CCXT writes them, each once: ``BTC/USDT`` as a perpetual is ``BTC/USDT:USDT``."""
    found = []
    for symbol in symbols:
        base, slash, quote = symbol.partition("/")
        if not (base and slash and quote):
            raise Usage(f'"{symbol}" is no symbol: expected BASE/QUOTE such as BTC/USDT, several separated by commas')
        found.append(f"{symbol}:{quote}" if market == "perpetual" and ":" not in quote else symbol)
    return list(dict.fromkeys(found))


def public_client(venue: str, market: str, url: str = "") -> Any:
    """Return a client without keys that has asked nobody yet.

    Parameters
    ----------
    venue, market : str
    url : str
        Of a venue on this machine: every address the client knows is moved there, so that none leads elsewhere.

    Raises
    ------
    Usage
        CCXT does not know the venue, or the URL is not one of this machine.
    """
    names = venue_names()
    if venue not in names:
        raise unknown("venue", venue, names)
    name = CLASSES.get((venue, market), venue)
    options: dict[str, Any] = {"defaultType": "swap" if market == "perpetual" else "spot", "fetchMargins": False}
    if venue in TYPES:
        options["fetchMarkets"] = {"types": [TYPES[venue][market]]}
    client = ccxt_class(name, "ccxt.async_support")(
        {"enableRateLimit": True, "timeout": TIMEOUT_MS, "options": options}
    )
    client.has["fetchCurrencies"] = False  # not needed, and asked with a signature
    _distrust(client)
    if url:
        _point(client, url)
    return client


def _distrust(client: Any) -> None:
    """Let a client refuse an answer that is no JSON: CCXT reads it as an empty one, as if there were no bars."""
    from ccxt.base.errors import BadResponse

    passed_on = client.on_rest_response

    def read(code: int, reason: str, url: str, *rest: Any) -> Any:
        body = passed_on(code, reason, url, *rest)
        if 200 <= code < 300 and client.parse_json(body) is None:
            raise BadResponse(f"{client.id} answered {code} with what is no JSON, {len(body)} characters")
        return body

    client.on_rest_response = read


def _point(client: Any, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not is_loopback(url):
        raise Usage(f'"{url}": expected the address of a venue on this machine, such as http://127.0.0.1:8899')

    def moved(address: Any) -> Any:
        if isinstance(address, dict):
            return {name: moved(value) for name, value in address.items()}
        return f"{parts.scheme}://{parts.netloc}{urlsplit(address).path}" if isinstance(address, str) else address

    client.urls["api"] = moved(client.urls["api"])
    client.hostname = parts.netloc
