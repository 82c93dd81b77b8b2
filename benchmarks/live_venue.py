"""The local venue of the live benchmarks in a process of its own, which throttles nobody: a bar is milliseconds.

``python -m benchmarks.live_venue STORE HISTORY SYMBOL ... [--orders N]``: hourly bars of ``binance:SYMBOL:1h``, the
first HISTORY of them known; prints its URLs as JSON, the time of the first order and of the N-th, and serves until it
is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Final

from engine.live.bot import event_loop
from engine.simulate import Costs
from engine.venue.core import Venue
from engine.venue.events import Event, OrderChanged
from engine.venue.market import Market
from engine.venue.server import Server
from parquet_store import Store
from pipelines import load_bars

RULES: Final = Costs(fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.00001, min_notional=5.0)
KEY: Final = "local"
WEIGHT: Final = 10**12  # a minute of the market is played in milliseconds


async def serve(store: Store, history: int, symbols: list[str], orders: int) -> None:
    """Serve until killed."""
    series = {Market.of(symbol, RULES): load_bars(store, f"binance:{symbol}:1h") for symbol in symbols}
    venue = Venue(series, history=history)
    venue.open_account(KEY, KEY, {"USDT": 1e9})
    taken: set[int] = set()

    def heard(event: Event) -> None:
        if isinstance(event, OrderChanged) and event.order.order_id not in taken:
            taken.add(event.order.order_id)
            for wanted in {1, orders} if orders > 1 else (1, 1):
                if len(taken) == wanted:
                    print(json.dumps({"order_ns": time.time_ns()}), flush=True)

    if orders:
        venue.listen(heard)
    async with Server(venue, weight_limit=WEIGHT) as server:
        urls = {"rest": server.rest_url, "stream": server.stream_url, "control": server.control_url}
        print(json.dumps(urls), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("history", type=int)
    parser.add_argument("symbols", nargs="+")
    parser.add_argument("--orders", type=int, default=0)
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(serve(Store(asked.store), asked.history, asked.symbols, asked.orders))
