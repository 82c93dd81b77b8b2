"""A local venue in a thread of its own, a store, a manifest and settings beside it: all that a bot is run with."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from engine.graph import Strategy, bind
from engine.manifest import write_manifest
from engine.simulate import Costs
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.server import Server
from parquet_store import Store
from tests.live.test_locally import RULES, LongOnly
from tests.venue.client import made_bars

KNOWN = 200  # bars the manifest was made of
SYMBOL = "BTC/USDT"


class Bot:
    """A folder a bot can be run in.

    Attributes
    ----------
    file : Path
        Its settings.
    venue : Venue
    key, secret : str
        Drawn anew for each.
    """

    def __init__(self, folder: Path, venue: Venue, key: str, secret: str, server: Server, store: Path) -> None:
        self.folder, self.venue, self.key, self.secret, self.server = folder, venue, key, secret, server
        self.store, self.file = store, folder / "bot.toml"
        self.write()

    @property
    def journal(self) -> Path:
        """Where the run is written down."""
        return self.folder / "run" / "journal.sqlite"

    def write(self, *changes: tuple[str, str], more: str = "") -> str:
        """Write the settings, with words changed and lines added; return the file's name."""
        text = f"""
mode = "live"
live = true
store = "{self.store}"
journal = "run/journal.sqlite"
log_level = "debug"
[venue]
name = "binance"
rest_url = "{self.server.rest_url}"
stream_url = "{self.server.stream_url}"
[[manifests]]
path = "chosen.json"
symbols = ["{SYMBOL}"]
share = 1.0
history = "made:BTC/USDT:1h"
"""
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.file.write_text(text + more)
        return str(self.file)


def put_manifest(path: Path, strategy: Strategy, costs: Costs = RULES) -> None:
    """Write a manifest of the first bars."""
    bars = made_bars(KNOWN + 60, seed=7).slice(0, KNOWN)
    write_manifest(path, bind(strategy), costs, bars, strategy="made", params={}, evidence={})


@contextlib.contextmanager
def served(folder: Path, **more: Any) -> Iterator[Bot]:
    """Serve a venue of 60 bars to come, and yield the bot's folder."""
    folder.mkdir(exist_ok=True)
    bars = made_bars(KNOWN + 60, seed=7)
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    Store(folder / "store").append(
        bars.source, pl.DataFrame({"ts": pl.Series("ts", bars.time).cast(pl.Datetime("ms", "UTC")), **columns})
    )
    put_manifest(folder / "chosen.json", LongOnly())
    venue = Venue({Market.of(SYMBOL, RULES): bars}, history=KNOWN)
    key, secret = secrets.token_hex(32), secrets.token_hex(32)
    venue.open_account(key, secret, {"USDT": 10_000.0})
    server, loop = Server(venue, **more), asyncio.new_event_loop()
    loop.run_until_complete(server.__aenter__())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Bot(folder, venue, key, secret, server, folder / "store")
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
