"""What a protocol of the local exchange is, and which there are, by the name of the CCXT class that speaks them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final, Protocol

from aiohttp import web

from engine.venue.core import Venue
from engine.venue.events import Event
from parquet_store.errors import unknown

__all__ = ["PROTOCOLS", "Clock", "Feed", "Wire", "wire_of"]

Clock = Callable[[], int]  # the server's time, ms since the epoch

# name of the CCXT class -> where the protocol is
PROTOCOLS: Final = {
    "binance": ("engine.venue.binance.protocol", "BinanceSpot"),
    "binanceusdm": ("engine.venue.binance.futures", "BinanceFutures"),
    "okx": ("engine.venue.okx.protocol", "Okx"),
    "coinbase": ("engine.venue.coinbase.protocol", "Coinbase"),
}


class Feed(Protocol):
    """Where a protocol's streams hear of events: the venue itself, or what stands before it."""

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call a function with every event from now on; returns what ends it."""


class Wire(Protocol):
    """A protocol over a venue."""

    name: str

    def add_to(self, app: web.Application) -> None:
        """Add all routes."""

    def urls(self, host_port: str) -> dict[str, str]:
        """Return ``rest_url`` and ``stream_url``, as settings take them."""


def wire_of(name: str, venue: Venue, clock: Clock, feed: Feed, limits: int) -> Wire:
    """Return a protocol over a venue.

    Parameters
    ----------
    name : str
        Among ``PROTOCOLS``.
    venue : Venue
    clock : callable
    feed : Feed
    limits : int
        Request weight a minute.

    Raises
    ------
    Usage
        There is no such protocol, or the venue has markets it does not know.
    """
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    module, kind = PROTOCOLS[name]
    made: Wire = getattr(import_module(module), kind)(venue, clock, feed, limits)
    return made
