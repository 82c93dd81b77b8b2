"""How long from the kill switch to flat, with a position and a resting stop on each of 20 symbols?

Part of `benchmarks.bench_live`: the file that ``lockstep kill`` writes, the node that watches for it, CCXT over
loopback, the local venue in another process, which is asked at the end what the account still has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.live_stages import quantiles
from benchmarks.live_venue import KEY
from engine.execution.client import client_of
from engine.execution.exchange import Exchange
from engine.graph import Bar, Param, Signals, Strategy
from engine.live.clock import PlayedClock
from engine.live.journal import Journal
from engine.live.kill import kill, watched
from engine.live.loop import Loop
from engine.live.node import Node
from engine.live.pace import unhindered
from engine.live.start import FILLS_NS, load_plan, setup_of
from engine.settings import BotSettings, Credentials, Secret
from parquet_store import Store

__all__ = ["Held", "flat_after", "journal_writes"]

_MS: Final = 1_000_000
Shown = Callable[[Node, dict[str, Any]], Any]


class Held(Strategy):
    """In at the first close, with a stop far away."""

    above = Param(0.0, low=0.0, high=1.0)

    def signals(self, bar: Bar) -> Signals:
        return Signals(entry=bar.close > self.above, stop=0.5 * bar.close)


async def flat_after(settings: BotSettings, urls: dict[str, str], shown: Shown) -> dict[str, Any]:
    """Enter everywhere, throw the switch, and return how long it took until nothing was held or ordered."""
    venue = settings.venue.model_copy(update={"rest_url": urls["rest"], "stream_url": urls["stream"]})
    settings = settings.model_copy(update={"venue": venue})
    folder = settings.journal.parent
    credentials = Credentials(Secret(KEY), Secret(KEY), None)
    async with Exchange(client_of(settings, credentials)) as exchange, aiohttp.ClientSession() as session:

        async def half(name: str) -> dict[str, Any]:
            async with session.post(f"{urls['control']}/{name}") as answer:
                told: dict[str, Any] = await answer.json()
                return told

        async with session.get(f"{urls['control']}/state") as answer:
            clock = PlayedClock((int((await answer.json())["time"]) + 1) * _MS)
        plan = load_plan(settings)
        setup = await setup_of(settings, plan, Store(settings.store), exchange, exchange, clock, lambda text: None)
        setup = replace(setup, terms=replace(setup.terms, fills_ns=FILLS_NS))
        with Journal(settings.journal) as journal:
            loop = Loop(setup)
            node = Node(loop, exchange, exchange, journal, clock, tick_s=0.0, calm_s=0.0)
            took: dict[str, Any] = {}

            async def drive() -> None:
                await asyncio.sleep(0.5)
                for name in ("open", "close", "open"):
                    told = await half(name)
                    clock.set(told["time"] * _MS)
                    await shown(node, told)
                    await node.settled()
                held = [account for account in loop.accounts if account.quantity]
                stops = [account for account in held if account.live("stop")]
                if not len(held) == len(stops) == len(loop.accounts):
                    raise SystemExit(f"{len(held)} positions and {len(stops)} stops, expected {len(loop.accounts)}")
                watching = asyncio.create_task(watched(node, folder))
                await asyncio.sleep(0.1)
                began = time.perf_counter_ns()
                kill(folder, "the benchmark")
                while not loop.flat:
                    await asyncio.sleep(0.0005)
                took.update(positions=len(held), seconds=round((time.perf_counter_ns() - began) / 1e9, 3))
                await watching

            with unhindered():
                await node.run(drive())
        balances = {one.currency: one.free + one.used for one in await exchange.balances()}
        left = [name for name in balances if name != "USDT" and balances[name] > 1e-9]
        open_orders = [one for account in loop.accounts for one in await exchange.open_orders(account.symbol)]
        if left or open_orders:
            raise SystemExit(f"still there: {left}, {len(open_orders)} orders")
        return took


def journal_writes(folder: Path, count: int = 500) -> dict[str, float]:
    """Return how long an entry takes to be on the disk."""
    took = []
    with Journal(folder / "journal.sqlite") as journal:
        for k in range(count):
            began = time.perf_counter_ns()
            journal.append(k, "actions", [{"PlaceOrder": {"request": "x" * 300}}], durable=True)
            took.append(time.perf_counter_ns() - began)
    return quantiles(took[20:])
