"""How long from the message that proves a close to the order's acknowledgement, stage by stage?

``python -m benchmarks.bench_live [--closes 2000]``: the local venue in another process, the bot's node in this one, on
uvloop, through ``ccxt.pro.binance`` over loopback.  The first candle of the next bar proves the close; the program
sends a market order at every close, and its journal entry is flushed before.  Beside it: 50 symbols x 10 manifests
that close at once (on paper), one program's step alone, and a decision as bots make it, with all indicators anew over a
window of candles (`benchmarks.live_peers`), asserted equal; the review of an entry by every limit with 100 positions
open (`benchmarks.bench_risk`), a durable journal entry alone, and the kill switch.  A machine's pace is told by a plain
Python loop.

What runs in two processes is run ``--runs`` times; the quietest is kept, with the headline's 99th percentile of all.

freqtrade, hummingbot and Nautilus are not measured: they need environments of their own, apart from this lock.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.bench_risk import review
from benchmarks.live_kill import Held, flat_after, journal_writes
from benchmarks.live_parity import stored
from benchmarks.live_peers import windows_anew
from benchmarks.live_stages import Stamps, quantiles
from benchmarks.live_venue import KEY, RULES
from benchmarks.measure import hourly_bars, keep
from engine.execution.client import client_of
from engine.execution.exchange import Exchange
from engine.execution.orders import Fill, OrderReport, OrderRequest
from engine.graph import Bar, Param, Program, Signals, Strategy, bind
from engine.live.actions import Decided, FetchCandles, PlaceOrder
from engine.live.bot import event_loop
from engine.live.clock import PlayedClock
from engine.live.deciding import Deciding
from engine.live.events import CandlesAnswered, CandlesStreamed, ClockAdvanced, Event, FillsSeen, OrderSeen
from engine.live.journal import Journal
from engine.live.loop import Loop
from engine.live.node import Node
from engine.live.pace import unhindered
from engine.live.setup import Setup
from engine.live.start import FILLS_NS, load_plan, setup_of
from engine.live.status import STATUS, snapshot, write_status
from engine.manifest import write_manifest
from engine.settings import BotSettings, Credentials, ManifestSettings, Secret, VenueSettings
from engine.strategies import find_strategy
from parquet_store import Store
from pipelines import Bars
from pipelines.candles import Candle

HISTORY: Final = 1000
_MS: Final = 1_000_000
HOUR_NS: Final = 3_600_000 * _MS


class EveryBar(Strategy):
    """In at one close, out at the next: an order at every close."""

    above = Param(0.0, low=0.0, high=1.0)

    def signals(self, bar: Bar) -> Signals:
        return Signals(entry=bar.close > self.above, max_hold=1)


def prepared(folder: Path, bars: Bars, symbols: list[str], programs: list[Program]) -> BotSettings:
    """Store the bars under every symbol, write the manifests, and return settings without URLs."""
    store = Store(folder / "store")
    for symbol in symbols:
        stored(store, replace(bars, source=f"binance:{symbol}:1h"))
    own = replace(bars, source=f"binance:{symbols[0]}:1h")
    paths = [folder / f"m{k}.json" for k in range(len(programs))]
    for path, program in zip(paths, programs, strict=True):
        write_manifest(path, program, RULES, own, strategy="bench", params={}, evidence={})
    return BotSettings(
        mode="live",
        live=True,
        store=store.root,
        journal=folder / "run" / "journal.sqlite",
        venue=VenueSettings(name="binance"),
        manifests=tuple(ManifestSettings(path=path, symbols=tuple(symbols), share=1.0 / len(paths)) for path in paths),
    )


def venue_process(folder: Path, symbols: list[str]) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start a local venue in a process of its own; return it and its URLs."""
    words = [sys.executable, "-m", "benchmarks.live_venue", str(folder / "store"), str(HISTORY), *symbols]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


async def closes(settings: BotSettings, urls: dict[str, str], count: int, *, paper: bool) -> tuple[Stamps, Setup]:
    """Run a node over so many closes; return the stamps."""
    venue = settings.venue.model_copy(update={"rest_url": urls["rest"], "stream_url": urls["stream"]})
    settings = settings.model_copy(update={"venue": venue})
    credentials = Credentials(Secret(KEY), Secret(KEY), None)
    async with Exchange(client_of(settings, credentials)) as exchange, aiohttp.ClientSession() as session:

        async def half(name: str) -> dict[str, Any]:
            async with session.post(f"{urls['control']}/{name}") as answer:
                told: dict[str, Any] = await answer.json()
                return told

        async with session.get(f"{urls['control']}/state") as answer:
            clock = PlayedClock((int((await answer.json())["time"]) + 1) * _MS)
        plan = load_plan(settings)
        trader = None if paper else exchange
        setup = await setup_of(settings, plan, Store(settings.store), exchange, trader, clock, lambda text: None)
        setup = replace(setup, terms=replace(setup.terms, fills_ns=FILLS_NS))  # as where time passes by itself
        with Journal(settings.journal) as journal:
            loop = Loop(setup)
            node = Node(loop, exchange, trader, journal, clock, tick_s=0.0, calm_s=0.0)
            stamps = Stamps(node)
            place = settings.journal.parent / STATUS

            async def drive() -> None:
                await asyncio.sleep(0.5)
                for _ in range(count + 10):
                    stamps.begin()
                    opened = await half("open")
                    if not opened["played"]:
                        break
                    clock.set(opened["time"] * _MS)
                    await shown(node, opened)
                    await node.settled()
                    began = time.perf_counter_ns()
                    told = snapshot(loop, "live", clock.now_ns(), running=True, lags_ns={})
                    stamps.note("snapshot", time.perf_counter_ns() - began)
                    await asyncio.to_thread(write_status, place, told)
                    stamps.end(time.perf_counter_ns() - began)
                    await shown(node, await half("close"))
                    await node.settled()

            with unhindered():
                await node.run(drive())
    return stamps, setup


async def shown(node: Node, told: dict[str, Any]) -> None:
    """Wait until the streams have shown what was played."""
    for series, (symbol, _) in node.symbols.items():
        row = told["candles"][symbol]
        await node.streamed(series, Candle(int(row[0]) * _MS, *(float(x) for x in row[1:])), 5.0)


def stages(stamps: Stamps) -> dict[str, Any]:
    """Return the times between stages, warm-up left out."""
    rows = [row for row in stamps.rows[10:] if {"raw", "parsed", "decided", "acknowledged"} <= set(row)]

    def between(first: str, last: str) -> dict[str, float]:
        return quantiles([row[last] - row[first] for row in rows if first in row and last in row])

    return {
        "closes": len(rows),
        "CCXT: message to candle": between("raw", "parsed"),
        "candle to step": between("parsed", "stepped"),
        "step: decision": quantiles([row["first step"] for row in rows]),
        "decision to journal flushed": between("decided", "journalled"),
        "decision to request signed (CCXT, meanwhile)": between("decided", "signed"),
        "decision to request on the wire": between("decided", "wire"),
        "request to acknowledgement (CCXT, venue)": between("wire", "acknowledged"),
        "state noted, on the loop's thread": quantiles([row["snapshot"] for row in rows]),
        "state published": quantiles([row["published"] for row in rows]),
        "message to decision": between("raw", "decided"),
        "message to acknowledgement": between("raw", "acknowledged"),
    }


def step_alone(setup: Setup, bars: Bars, count: int) -> dict[str, Any]:
    """Return how long the step takes that closes a bar, for the program of a setup.

    In between, orders are answered as filled, and REST confirms each bar.
    """
    calm = replace(setup.feed, stale_ns=10 * HOUR_NS)
    loop, (series,) = Loop(replace(setup, feed=calm)), set(setup.lasts)
    first = int((bars.time * _MS > setup.lasts[series].open_ns).argmax())
    rows = list(zip(bars.open, bars.high, bars.low, bars.close, bars.volume, strict=True))
    candles = [Candle(int(bars.time[k]) * _MS, *map(float, rows[k])) for k in range(first, len(bars))]
    loop.step([CandlesStreamed(series, (candles[0],), candles[0].open_ns)])
    took, inner, decided, orders = [], compiled_calls(loop), 0, 0
    gc.collect()
    gc.disable()
    for before, candle in itertools.pairwise(candles[: count + 1]):
        event = CandlesStreamed(series, (candle,), candle.open_ns + 50 * _MS)
        began = time.perf_counter_ns()
        actions = loop.step([event])
        took.append(time.perf_counter_ns() - began)
        decided += sum(isinstance(one, Decided) for one in actions)
        for one in actions:
            if isinstance(one, PlaceOrder):
                orders += 1
                loop.step(filled(one.request, candle.open, event.time_ns + 5 * _MS))
        ripe = candle.open_ns + 1_100 * _MS
        for one in loop.step([ClockAdvanced(ripe)]):
            if isinstance(one, FetchCandles):
                loop.step([CandlesAnswered(series, (before, candle), one.from_ns, one.to_ns, ripe, True, ripe)])
    gc.enable()
    if decided < count - 400:  # recorded bars have gaps, which are waited for
        raise SystemExit(f"{decided} decisions at {count} closes: this measures something else")
    return {"orders": orders, **quantiles(took[20:]), "of it bar to decision, compiled": quantiles(inner[20:])}


def compiled_calls(loop: Loop) -> list[int]:
    """Return a list that the time of every compiled call of a loop's step is added to, as Python sees it."""
    took: list[int] = []

    class Timed(Deciding):
        def __call__(self, count: int, accounts: int, time_ms: int) -> list[list[float]]:
            began = time.perf_counter_ns()
            rows = super().__call__(count, accounts, time_ms)
            took.append(time.perf_counter_ns() - began)
            return rows

    loop._deciding.__class__ = Timed
    return took


def filled(request: OrderRequest, price: float, time_ns: int) -> list[Event]:
    """Return what a venue says of an order that fills at once."""
    name, quantity = request.client_id, request.quantity
    about = (request.symbol, request.side)
    report = OrderReport(name, name, *about, request.kind, "filled", quantity, quantity, price, float("nan"), time_ns)
    fill = Fill(name, name, name, *about, price, quantity, RULES.fee * quantity * price, "USDT", False, time_ns)
    return [OrderSeen(report, time_ns), FillsSeen((fill,), time_ns)]


def pace() -> dict[str, float]:
    """Return how long a Python loop of 100 multiplications and additions takes: what this machine is worth now."""
    took = []
    for _ in range(2000):
        began, total = time.perf_counter_ns(), 0
        for k in range(100):
            total += k * k
        took.append(time.perf_counter_ns() - began)
    return quantiles(took)


def run(bars: Bars, symbols: list[str], programs: list[Program], count: int, *, paper: bool) -> tuple[Stamps, Setup]:
    """Play so many closes to a node, the venue in another process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = prepared(folder, bars.slice(0, HISTORY + count + 20), symbols, programs)
        process, urls = venue_process(folder, symbols)
        try:
            with asyncio.Runner(loop_factory=event_loop) as runner:
                return runner.run(closes(settings, urls, count, paper=paper))
        finally:
            process.kill()
            process.wait()


def killed(bars: Bars) -> dict[str, Any]:
    """Return how long a node takes from the kill switch until 20 symbols are left and nothing is ordered."""
    symbols = [f"C{k:02d}/USDT" for k in range(20)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = prepared(folder, bars.slice(0, HISTORY + 20), symbols, [bind(Held())])
        process, urls = venue_process(folder, symbols)
        try:
            with asyncio.Runner(loop_factory=event_loop) as runner:
                return runner.run(flat_after(settings, urls, shown))
        finally:
            process.kill()
            process.wait()


def quietest(runs: int, headline: str, one: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the run whose headline is least at the 99th percentile, with that of all runs."""
    found = []
    for _ in range(runs):
        before = pace()["p50"]
        found.append({**one(), "a Python loop of 100, before and after": [before, pace()["p50"]]})
    kept = min(found, key=lambda run: run[headline]["p99"])
    return {**kept, f"{headline}, p99 of each run": [run[headline]["p99"] for run in found]}


def tell(result: dict[str, Any], name: str, found: Any) -> None:
    """Keep and print what was measured."""
    result[name] = found
    print(name, json.dumps(found), f"load {os.getloadavg()[0]:.1f}", flush=True)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--closes", type=int, default=2000)
    parser.add_argument("--many", type=int, default=500)
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    result: dict[str, Any] = {}
    whole, about = hourly_bars(HISTORY + asked.closes + 20)
    setups: list[Setup] = []

    def single() -> dict[str, Any]:
        stamps, setup = run(whole, ["BTC/USDT"], [bind(EveryBar())], asked.closes, paper=False)
        setups.append(setup)
        return stages(stamps)

    tell(result, "one symbol, an order a close", quietest(asked.runs, "message to acknowledgement", single))
    tell(result, "step alone, an order a close", step_alone(setups[-1], whole, asked.closes))
    symbols = [f"C{k:02d}/USDT" for k in range(50)]
    reverting = [bind(find_strategy("mean_reversion")(), {"rsi_length": 3.0 + k}) for k in range(10)]

    def many() -> dict[str, Any]:
        stamps, setup = run(whole, symbols, reverting, asked.many, paper=True)
        setups.append(setup)
        return at_once(stamps)

    tell(result, "50 symbols x 10 manifests", quietest(asked.runs, "first message to last decision", many))
    tell(result, "step alone, mean_reversion", step_alone(prepared_alone(setups[-1], 0), whole, asked.closes))
    ordering = [bind(EveryBar(), {"above": 0.01 * k}) for k in range(10)]
    stamps, _ = run(whole, symbols, ordering, asked.orders, paper=False)
    tell(result, "50 symbols x 10 manifests, 500 orders a close", at_once(stamps, warm=2))
    tell(result, "a window anew, mean_reversion", windows_anew(whole, min(500, asked.closes)))
    tell(result, "decision and review, 100 positions open, all limits", review())
    tell(result, "decision without limits", review(limits=False))
    with tempfile.TemporaryDirectory(dir=".") as name:  # on the disk this is on, not in memory
        tell(result, "an entry on the disk (fsync)", journal_writes(Path(name)))
    tell(result, "kill switch to flat, 20 positions and stops", [killed(whole) for _ in range(asked.runs)])
    tell(result, "a Python loop of 100", pace())
    result["data"], result["load"] = about, round(os.getloadavg()[0], 1)
    keep("bench_live", result)


def at_once(stamps: Stamps, warm: int = 10) -> dict[str, Any]:
    """Return how long many programs took that closed at once."""
    rows = stamps.rows[warm:]
    found: dict[str, Any] = {
        "closes": len(rows),
        "first message to last decision": quantiles([row["decided"] - row["raw"] for row in rows]),
        "first message to last candle parsed (CCXT)": quantiles([row["all parsed"] - row["raw"] for row in rows]),
        "state noted, on the loop's thread": quantiles([row["snapshot"] for row in rows]),
        "state published": quantiles([row["published"] for row in rows]),
    }
    if all("sent" in row for row in rows):
        found["first message to last order out"] = quantiles([row["sent"] - row["raw"] for row in rows])
        found["first message to last acknowledgement"] = quantiles([row["acknowledged"] - row["raw"] for row in rows])
    return found


def prepared_alone(setup: Setup, k: int) -> Setup:
    """Return a setup of one placement alone, its state made anew from nothing."""
    from engine.graph.together import Together

    one = setup.placements[k]
    state = Together([(one.series, one.program)]).checkpoint()
    return replace(setup, placements=(one,), state=state, lasts={one.series: setup.lasts[one.series]})


if __name__ == "__main__":
    main()
