"""How long from the message that proves a close to the order's acknowledgement, stage by stage?

``python -m benchmarks.bench_live [--closes 2000]``: the local venue in another process, the bot's node in this one, on
uvloop, through ``ccxt.pro.binance`` over loopback.  The first candle of the next bar proves the close; the program
sends a market order at every close, and its journal entry is flushed before.  Beside it: 50 symbols x 10 manifests
that close at once (on paper), one program's step alone, and a bot as many are written, which computes its indicators
anew over a window of candles at each close, its decisions asserted equal first.

Peers (freqtrade, hummingbot, Nautilus) cannot be installed beside this lock without a network: not measured here.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.live_parity import stored
from benchmarks.live_stages import Stamps, quantiles
from benchmarks.measure import hourly_bars, keep
from engine.execution.client import client_of
from engine.execution.exchange import Exchange
from engine.graph import Bar, Signals, Strategy, bind
from engine.live.actions import Decided, FetchCandles
from engine.live.bot import event_loop
from engine.live.clock import PlayedClock
from engine.live.events import CandlesAnswered, CandlesStreamed, ClockAdvanced
from engine.live.journal import Journal
from engine.live.loop import Loop
from engine.live.node import Node
from engine.live.setup import Setup
from engine.live.start import load_plan, setup_of
from engine.manifest import write_manifest
from engine.settings import BotSettings, Credentials, ManifestSettings, Secret, VenueSettings
from engine.simulate import Costs
from engine.strategies import find_strategy
from parquet_store import Store
from pipelines import Bars
from pipelines.candles import Candle

HISTORY: Final = 1000
RULES: Final = Costs(fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.00001, min_notional=5.0)
COSTS: Final = "fee=0.001,slippage=0.0005,price_tick=0.01,quantity_step=0.00001,min_notional=5"
_MS: Final = 1_000_000
HOUR_NS: Final = 3_600_000 * _MS


class EveryBar(Strategy):
    """In at one close, out at the next: an order at every close."""

    def signals(self, bar: Bar) -> Signals:
        return Signals(entry=bar.close > 0.0, max_hold=1)


def prepared(folder: Path, bars: Bars, symbols: list[str], program: Any, manifests: int) -> BotSettings:
    """Store the bars under every symbol, write the manifests, and return settings without URLs."""
    store = Store(folder / "store")
    for symbol in symbols:
        stored(store, replace(bars, source=f"binance:{symbol}:1h"))
    own = replace(bars, source=f"binance:{symbols[0]}:1h")
    paths = [folder / f"m{k}.json" for k in range(manifests)]
    for path in paths:
        write_manifest(path, program, RULES, own, strategy="bench", params={}, evidence={})
    return BotSettings(
        mode="live",
        live=True,
        store=store.root,
        journal=folder / "run" / "journal.sqlite",
        venue=VenueSettings(name="binance"),
        manifests=tuple(ManifestSettings(path=path, symbols=tuple(symbols), share=1.0 / manifests) for path in paths),
    )


def venue_process(folder: Path, symbols: list[str], start: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start a local venue in a process of its own; return it and its URLs."""
    words = [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())", "venue", "--json"]
    words += ["--store", str(folder / "store"), "--lockstep", "--start", start, "--costs", COSTS, "--cash", "1e9"]
    for symbol in symbols:
        words += ["--data", f"binance:{symbol}:1h"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


async def closes(settings: BotSettings, urls: dict[str, str], count: int, *, paper: bool) -> tuple[Stamps, Setup]:
    """Run a node over so many closes; return the stamps."""
    venue = settings.venue.model_copy(update={"rest_url": urls["rest"], "stream_url": urls["stream"]})
    settings = settings.model_copy(update={"venue": venue})
    credentials = Credentials(Secret("local"), Secret("local"), None)
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
        with Journal(settings.journal) as journal:
            loop = Loop(setup)
            node = Node(loop, exchange, trader, journal, clock, tick_s=0.0, calm_s=0.0)
            stamps = Stamps(node, exchange.client)
            gc.collect()
            gc.freeze()

            async def drive() -> None:
                await asyncio.sleep(0.5)
                for _ in range(count + 10):
                    stamps.begin()
                    told = await half("open")
                    if not told["played"]:
                        break
                    clock.set(told["time"] * _MS)
                    await shown(node, told)
                    await node.settled()
                    stamps.end()
                    told = await half("close")
                    await shown(node, told)
                    await node.settled()

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
        "journal to request signed (CCXT)": between("journalled", "wire"),
        "request to acknowledgement (CCXT, venue)": between("wire", "acknowledged"),
        "message to decision": between("raw", "decided"),
        "message to acknowledgement": between("raw", "acknowledged"),
    }


def step_alone(setup: Setup, bars: Bars, count: int) -> dict[str, float]:
    """Return how long the step takes that closes a bar, for the program of a setup; REST confirms each in between."""
    calm = replace(setup.feed, stale_ns=10 * HOUR_NS)
    loop, (series,) = Loop(replace(setup, feed=calm)), set(setup.lasts)
    first = int((bars.time * _MS > setup.lasts[series].open_ns).argmax())
    rows = list(zip(bars.open, bars.high, bars.low, bars.close, bars.volume, strict=True))
    candles = [Candle(int(bars.time[k]) * _MS, *map(float, rows[k])) for k in range(first, len(bars))]
    loop.step([CandlesStreamed(series, (candles[0],), candles[0].open_ns)])
    took, decided = [], 0
    gc.collect()
    gc.disable()
    for before, candle in itertools.pairwise(candles[: count + 1]):
        event = CandlesStreamed(series, (candle,), candle.open_ns + 50 * _MS)
        began = time.perf_counter_ns()
        actions = loop.step([event])
        took.append(time.perf_counter_ns() - began)
        decided += sum(isinstance(one, Decided) for one in actions)
        ripe = candle.open_ns + 1_100 * _MS
        for one in loop.step([ClockAdvanced(ripe)]):
            if isinstance(one, FetchCandles):
                loop.step([CandlesAnswered(series, (before, candle), one.from_ns, one.to_ns, ripe, True, ripe)])
    gc.enable()
    if decided < count - 400:  # recorded bars have gaps, which are waited for
        raise SystemExit(f"{decided} decisions at {count} closes: this measures something else")
    return quantiles(took[20:])


def window_bot(bars: Bars, count: int) -> dict[str, Any]:
    """Time a decision as bots make it, all indicators anew over the last 500 candles, and compare it with the step."""
    from engine.graph.drive import columns
    from engine.simulate import decisions_of

    program = bind(find_strategy("mean_reversion")())
    batch = decisions_of(columns(program, bars))
    took, agree = [], 0
    for end in range(len(bars) - count, len(bars)):
        window = bars.slice(end - 499, end + 1)
        began = time.perf_counter_ns()
        made = decisions_of(columns(program, window))
        decision = bool(made.long_entry[-1]), bool(made.long_exit[-1])
        took.append(time.perf_counter_ns() - began)
        agree += decision == (bool(batch.long_entry[end]), bool(batch.long_exit[end]))
    return {
        "500 candles anew": quantiles(took),
        "decisions": count,
        "equal to the whole history's": agree,
    }


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--closes", type=int, default=2000)
    parser.add_argument("--many", type=int, default=200)
    asked = parser.parse_args()
    result: dict[str, Any] = {}
    whole, about = hourly_bars(HISTORY + asked.closes + 20)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = prepared(folder, whole, ["BTC/USDT"], bind(EveryBar()), 1)
        start = str(np_date(whole, HISTORY))
        process, urls = venue_process(folder, ["BTC/USDT"], start)
        try:
            with asyncio.Runner(loop_factory=event_loop) as runner:
                stamps, setup = runner.run(closes(settings, urls, asked.closes, paper=False))
        finally:
            process.kill()
            process.wait()
        result["one symbol, an order a close"] = stages(stamps)
        result["step alone, order a close"] = step_alone(setup, whole, asked.closes)
    for line, value in result.items():
        print(line, json.dumps(value, indent=1), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        symbols = [f"C{k:02d}/USDT" for k in range(50)]
        part = whole.slice(0, HISTORY + asked.many + 20)
        program = bind(find_strategy("mean_reversion")())
        settings = prepared(folder, part, symbols, program, 10)
        process, urls = venue_process(folder, symbols, str(np_date(part, HISTORY)))
        try:
            with asyncio.Runner(loop_factory=event_loop) as runner:
                stamps, setup = runner.run(closes(settings, urls, asked.many, paper=True))
        finally:
            process.kill()
            process.wait()
        rows = stamps.rows[10:]
        result["50 symbols x 10 manifests"] = {
            "closes": len(rows),
            "first message to last decision": quantiles([row["decided"] - row["raw"] for row in rows]),
        }
        one = [k for k, placement in enumerate(setup.placements) if placement.symbol == symbols[0]][:1]
        alone = prepared_alone(setup, one[0])
        result["step alone, mean_reversion"] = step_alone(alone, part, asked.many)
    result["bot that computes a window anew"] = window_bot(whole, min(1000, asked.closes))
    result["data"] = about
    for line in list(result)[2:]:
        print(line, json.dumps(result[line], indent=1), flush=True)
    keep("bench_live", result)


def prepared_alone(setup: Setup, k: int) -> Setup:
    """Return a setup of one placement alone, its state made anew from nothing."""
    from engine.graph.together import Together

    one = setup.placements[k]
    state = Together([(one.series, one.program)]).checkpoint()
    return replace(setup, placements=(one,), state=state, lasts={one.series: setup.lasts[one.series]})


def np_date(bars: Bars, at: int) -> Any:
    """Return the open time of a bar as text."""
    from parquet_store.moments import to_text

    return to_text(int(bars.time[at]))


if __name__ == "__main__":
    main()
