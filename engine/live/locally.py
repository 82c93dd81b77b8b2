"""A bot and a local venue in one process: an exported program trades recorded bars through the real CCXT client.

What the tour, the comparisons and the tests use; a user runs the same two as `lockstep venue` and `lockstep live`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from engine.live.bot import Result, event_loop, run_bot
from engine.live.loop import Loop
from engine.live.parity import Parity, Recorder, compare
from engine.live.setup import series_of
from engine.manifest import load_manifest
from engine.settings import BotSettings, Credentials, FeedSettings, ManifestSettings, Secret, VenueSettings
from engine.simulate import Costs
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.server import Between, Server
from parquet_store import Series, Store
from parquet_store.errors import unknown
from pipelines import load_bars

__all__ = ["MARKETS", "LocalRun", "trade_locally"]

# protocol -> what settings call it: venue, market
MARKETS: Final[dict[str, tuple[Any, Any]]] = {
    "binance": ("binance", "spot"),
    "binanceusdm": ("binance", "perpetual"),
    "okx": ("okx", "perpetual"),
    "coinbase": ("coinbase", "spot"),
}


@dataclass(frozen=True)
class LocalRun:
    """A run that is over.

    Attributes
    ----------
    result : Result
    recorder : Recorder
    venue : Venue
    parity : Parity
        Against the batch run of the bars that were played.
    """

    result: Result
    recorder: Recorder
    venue: Venue
    parity: Parity


def trade_locally(
    store: Store,
    manifest: Path,
    symbol: str,
    folder: Path,
    *,
    source: str = "",
    bars: int = 500,
    protocol: str = "binance",
    rules: Costs | None = None,
    confirm: Literal["after", "before"] = "after",
    faults: Between | None = None,
    say: Callable[[str], None] = print,
    progress: Callable[[int], None] | None = None,
) -> LocalRun:
    """Play the last bars of a stored series at a local venue, let a bot trade them, and compare with the batch run.

    Parameters
    ----------
    store : Store
    manifest : Path
    symbol : str
        As CCXT writes it; a perpetual for the protocols of derivatives.
    folder : Path
        Of the journal and the status.
    source : str
        The stored series, else the manifest's; bars before the last ``bars`` are history.
    bars : int
    protocol : str
    rules : Costs, optional
        The venue's fee, slippage, steps and minimum; else the manifest's costs with ticks of 0.01 and steps of 1e-6.
    confirm : str
        As in the settings of a feed.
    faults : Faults, optional
        Stand between the venue and its protocol.
    say, progress : callable
        Told what a person should know, and the number of bars just played.
    """
    if protocol not in MARKETS:
        raise unknown("protocol", protocol, MARKETS)
    loaded = load_manifest(manifest)
    source = source or str(loaded.data["source"])
    whole = load_bars(store, source)
    fee, slippage = loaded.costs.fee, loaded.costs.slippage
    rules = rules or Costs(fee=fee, slippage=slippage, price_tick=0.01, quantity_step=1e-6)
    key, secret, password = keys_of(protocol)
    recorders: list[Recorder] = []

    def listen(loop: Loop) -> Recorder:
        recorders.append(Recorder(loop))
        return recorders[0]

    async def run() -> tuple[Result, Venue]:
        venue = Venue({Market.of(symbol, rules): whole}, history=len(whole) - bars)
        quote = symbol.partition("/")[2].partition(":")[0]
        venue.open_account(key, secret, {quote: loaded.costs.initial_cash})
        async with Server(venue, protocol=protocol, faults=faults) as server:
            name, market = MARKETS[protocol]
            settings = BotSettings(
                mode="live",
                live=True,
                store=store.root,
                journal=folder / "journal.sqlite",
                venue=VenueSettings(name=name, market=market, rest_url=server.rest_url, stream_url=server.stream_url),
                feed=FeedSettings(confirm=confirm),
                manifests=(ManifestSettings(path=manifest, symbols=(symbol,), share=1.0, history=source),),
            )
            credentials = Credentials(Secret(key), Secret(secret), Secret(password) if password else None)
            done = await run_bot(
                settings, yes=True, say=say, credentials=credentials, listener=listen, progress=progress
            )
            return done, venue

    with asyncio.Runner(loop_factory=event_loop) as runner:
        result, venue = runner.run(run())
    parity = compare(recorders[0], {series_of(symbol, Series.parse(source).timeframe): whole})
    return LocalRun(result, recorders[0], venue, parity)


def keys_of(protocol: str) -> tuple[str, str, str]:
    """Return (key, secret, password) such as the venue would hand out, made for this run."""
    if protocol == "coinbase":
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        made = ec.generate_private_key(ec.SECP256R1())
        text = made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        return f"organizations/local/apiKeys/{secrets.token_hex(8)}", text, ""
    return secrets.token_hex(16), secrets.token_hex(32), secrets.token_hex(8) if protocol == "okx" else ""
