"""The local venue of `bench_live` in a process of its own, which throttles nobody: bars are played in milliseconds.

``python -m benchmarks.live_venue STORE HISTORY SYMBOL ...``: hourly bars of ``binance:SYMBOL:1h``, the first HISTORY of
them known; prints its URLs as JSON and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

from engine.live.bot import event_loop
from engine.simulate import Costs
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.server import Server
from parquet_store import Store
from pipelines import load_bars

RULES: Final = Costs(fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.00001, min_notional=5.0)
KEY: Final = "local"
WEIGHT: Final = 10**12  # a minute of the market is played in milliseconds


async def serve(store: Store, history: int, symbols: list[str]) -> None:
    """Serve until killed."""
    series = {Market.of(symbol, RULES): load_bars(store, f"binance:{symbol}:1h") for symbol in symbols}
    venue = Venue(series, history=history)
    venue.open_account(KEY, KEY, {"USDT": 1e9})
    async with Server(venue, weight_limit=WEIGHT) as server:
        urls = {"rest": server.rest_url, "stream": server.stream_url, "control": server.control_url}
        print(json.dumps(urls), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(serve(Store(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
