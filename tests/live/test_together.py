"""A bot of several programs with limits and one cash, at the local venue: as the simulation of its portfolio."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.graph import Sizing, bind
from engine.live.bot import event_loop, run_bot
from engine.live.locally import MARKETS, keys_of
from engine.live.loop import Loop
from engine.live.parity import Parity, Recorder, compare_account
from engine.live.setup import series_of
from engine.manifest import write_manifest
from engine.risk import Limits
from engine.settings import BotSettings, Credentials, ManifestSettings, Secret, VenueSettings
from engine.settings.model import AccountSettings, PaperSettings
from engine.simulate import Costs
from engine.venue.core import Venue
from engine.venue.market import Market
from engine.venue.server import Server
from parquet_store import Store
from pipelines import Bars
from tests.live.test_locally import RULES, BothSides, LongOnly
from tests.venue.client import made_bars

pytest.importorskip("ccxt")
HISTORY, PLAYED = 300, 60
NAMED = ("BTC", "ETH", "SOL")
FREE: dict[str, Any] = {  # what is not looked at, where one limit is
    "position": {"risk_per_trade": "off", "notional": "off", "stop_atr": "off"},
    "portfolio": {"exposure": "off", "daily_loss": "off", "correlated_positions": "off"},
    "account": {"leverage": "off", "drawdown": "off", "margin": "off", "liquidation_distance": "off"},
}
OPEN: dict[str, Any] = {"strategy": {"reward_to_risk": "off", "losses_in_a_row": "off", "trades_per_day": "off"}}
NONE = OPEN["strategy"]
CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "shared": ({}, set()),
    "position": (
        {**OPEN, "position": {"risk_per_trade": 0.004, "notional": 2500}, "portfolio": {"exposure": "off"}},
        {"position.risk_per_trade", "position.notional"},
    ),
    "portfolio": (
        {
            **OPEN,
            "position": {"risk_per_trade": 0.02, "notional": "off"},
            "portfolio": {"exposure": 0.8, "correlated_positions": 2, "correlation": 0.5, "daily_loss": 0.004},
        },
        {"portfolio.exposure", "portfolio.daily_loss"},
    ),
    "strategy": (
        {
            "strategy": {"trades_per_day": 3, "losses_in_a_row": 1, "cool_down_hours": 6.0, "value_at_risk": 0.03},
            "position": {"risk_per_trade": "off", "notional": 3000},
            "operation": {"price_band": 0.02},
        },
        {
            "strategy.trades_per_day",
            "strategy.losses_in_a_row",
            "operation.price_band",
            "position.notional",
            "portfolio.exposure",
        },
    ),
    "account": (
        {
            **OPEN,
            "position": {"risk_per_trade": "off", "notional": "off"},
            "portfolio": {"exposure": "off", "daily_loss": "off", "correlated_positions": "off"},
            "account": {"weekly_loss": "off", "drawdown": 0.02, "leverage": 1.5},
        },
        {"account.leverage", "account.drawdown"},
    ),
    "value at risk": ({**FREE, "strategy": {**NONE, "value_at_risk": 0.014}}, {"strategy.value_at_risk"}),
    "correlation": ({**FREE, "strategy": {**NONE, "correlation": 0.4}}, {"strategy.correlation"}),
    "correlated": (
        {**OPEN, **FREE, "portfolio": {**FREE["portfolio"], "correlated_positions": 1, "correlation": 0.2}},
        {"portfolio.correlated_positions"},
    ),
    "reward": ({**FREE, "strategy": {**NONE, "reward_to_risk": 2.01}}, {"strategy.reward_to_risk"}),
    "kelly": ({**OPEN, **FREE, "position": {**FREE["position"], "kelly": 0.001}}, {"position.kelly"}),
    "margin": ({**OPEN, **FREE, "account": {**FREE["account"], "margin": 0.009}}, {"account.margin"}),
    "liquidation": (
        {**OPEN, **FREE, "account": {**FREE["account"], "liquidation_distance": 0.9}},
        {"account.liquidation_distance"},
    ),
    "week": ({**OPEN, **FREE, "account": {**FREE["account"], "weekly_loss": 0.004}}, {"account.weekly_loss"}),
}


def series(symbols: int) -> dict[str, Bars]:
    """Return bars that move together in part."""
    market = made_bars(HISTORY + PLAYED, seed=7)
    found = {}
    for k, name in enumerate(NAMED[:symbols]):
        own = made_bars(HISTORY + PLAYED, seed=20 + k)
        weight = (0.0, 0.7, 1.0)[k]
        prices = [
            np.round(getattr(market, field) ** weight * getattr(own, field) ** (1 - weight), 2)
            for field in ("open", "high", "low", "close")
        ]
        high, low = np.maximum.reduce(prices), np.minimum.reduce(prices)
        source = f"made:{name}/USDT:1h"
        found[name] = Bars.from_arrays(source, "1h", own.time, prices[0], high, low, prices[3], own.volume)
    return found


def traded(
    folder: Path, mode: str, protocol: str, limits: dict[str, Any], symbols: int = 3, sizing: Sizing | None = None
) -> tuple[Parity, set[str]]:
    """Trade the last bars of several symbols at one local venue with two manifests."""
    perpetual = MARKETS[protocol][1] == "perpetual"
    whole, store = series(symbols), Store(folder / "store")
    rules = Costs(**{**RULES.as_json(), "short": perpetual, "leverage": 3.0 if perpetual else 1.0})
    program = bind(BothSides() if perpetual else LongOnly(), sizing=sizing)
    settings, by_series, markets = [], {}, {}
    for name, bars in whole.items():
        columns = {field: getattr(bars, field) for field in ("open", "high", "low", "close", "volume")}
        time = pl.Series("ts", bars.time).cast(pl.Datetime("ms", "UTC"))
        store.append(bars.source, pl.DataFrame({"ts": time, **columns}))
        path = folder / f"{name}.json"
        write_manifest(path, program, rules, bars, strategy="made", params={}, evidence={})
        symbol = f"{name}/USDT:USDT" if perpetual else f"{name}/USDT"
        settings.append(ManifestSettings(path=path, symbols=(symbol,), share=0.6, history=bars.source))
        by_series[series_of(symbol, "1h")], markets[Market.of(symbol, rules)] = bars, bars
    key, secret, _ = keys_of(protocol)
    recorders: list[Recorder] = []

    def listen(loop: Loop) -> Recorder:
        recorders.append(Recorder(loop))
        return recorders[0]

    async def run() -> None:
        venue = Venue(markets, history=HISTORY)
        venue.open_account(key, secret, {"USDT": 10_000.0})
        async with Server(venue, protocol=protocol) as server:
            name, market = MARKETS[protocol]
            bot = BotSettings(
                mode=mode,
                live=True,
                store=store.root,
                journal=folder / "run" / "journal.sqlite",
                venue=VenueSettings(name=name, market=market, rest_url=server.rest_url, stream_url=server.stream_url),
                manifests=tuple(settings),
                account=AccountSettings(shared=True),
                paper=PaperSettings(cash=10_000.0),
                risk=Limits(**limits) if limits else None,
            )
            given = None if mode == "paper" else Credentials(Secret(key), Secret(secret), None)
            await run_bot(bot, yes=True, say=lambda text: None, credentials=given, listener=listen)

    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(run())
    return compare_account(recorders[0], by_series), {text.split()[0] for text in recorders[0].refusals}


@pytest.mark.parametrize("mode", ["live", "paper"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_refused_traded_and_earned_is_that_of_the_simulation(case: str, mode: str, tmp_path: Path) -> None:
    limits, met = CASES[case]
    sizing = Sizing.of("kelly", fraction=0.5) if case == "kelly" else None
    parity, refused = traded(tmp_path, mode, "binanceusdm", limits, sizing=sizing)
    assert (parity.details, parity.mismatches) == ((), 0)
    assert parity.bars == 3 * PLAYED
    assert parity.trades > 2 or case == "reward"  # of which nothing is let through
    assert refused == met
