"""The tour's last part: the exported manifest trades at the local venue, through the real CCXT client."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.live.parity import Parity
    from parquet_store import Store

__all__ = ["BARS", "trade_locally"]

BARS: Final = 500  # of the end of the history
SYMBOL: Final = "NASDAQ/USD"


def trade_locally(
    store: Store, source: str, manifest: Path, bars: int, say: Callable[[str], None], progress: Any = None
) -> Parity:
    """Play the last bars of a series at a local venue, let a bot trade them, and compare with the batch run.

    Parameters
    ----------
    store : Store
    source : str
        The stored series; bars before the last ``bars`` are history.
    manifest : Path
    bars : int
    say : callable
        Told what a person should know.
    progress : callable, optional
        Called with the number of bars just played.
    """
    from engine.live.bot import event_loop, run_bot
    from engine.live.parity import Recorder, compare
    from engine.manifest import load_manifest
    from engine.settings import BotSettings, Credentials, ManifestSettings, Secret, VenueSettings
    from engine.simulate import Costs
    from engine.venue.core import Venue
    from engine.venue.market import Market
    from engine.venue.server import Server
    from parquet_store import Series
    from pipelines import load_bars

    loaded = load_manifest(manifest)
    whole = load_bars(store, source)
    rules = Costs(fee=loaded.costs.fee, slippage=loaded.costs.slippage, price_tick=0.01, quantity_step=1e-6)
    key, secret = secrets.token_hex(8), secrets.token_hex(16)
    folder = store.root / "tour"
    shutil.rmtree(folder, ignore_errors=True)
    recorders: list[Recorder] = []

    def listen(loop: Any) -> Recorder:
        recorders.append(Recorder(loop))
        return recorders[0]

    async def run() -> None:
        venue = Venue({Market.of(SYMBOL, rules): whole}, history=len(whole) - bars)
        venue.open_account(key, secret, {"USD": loaded.costs.initial_cash})
        async with Server(venue) as server:
            settings = BotSettings(
                mode="live",
                live=True,
                store=store.root,
                journal=folder / "journal.sqlite",
                venue=VenueSettings(name="binance", rest_url=server.rest_url, stream_url=server.stream_url),
                manifests=(ManifestSettings(path=manifest, symbols=(SYMBOL,), share=1.0, history=source),),
            )
            credentials = Credentials(Secret(key), Secret(secret), None)
            await run_bot(settings, yes=True, say=say, credentials=credentials, listener=listen, progress=progress)

    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(run())
    frame = Series.parse(source).timeframe
    return compare(recorders[0], {f"{SYMBOL}@{frame}": whole})
