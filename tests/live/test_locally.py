"""A bot at the local venue through the real CCXT client: equal to the batch run, also while its streams fail."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from engine.graph import Bar, Param, Signals, Strategy, bind, ta
from engine.live import lockstep
from engine.live.locally import MARKETS, LocalRun, trade_locally
from engine.manifest import write_manifest
from engine.simulate import Costs
from engine.venue.faults import Faults
from parquet_store import Store
from pipelines import Bars
from tests.venue.client import made_bars

pytest.importorskip("ccxt")
PLAYED = 30
RULES = Costs(fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.001, min_notional=5.0)


class LongOnly(Strategy):
    """In and out often, with a stop."""

    length = Param(5, low=2, high=50)

    def signals(self, bar: Bar) -> Signals:
        rsi = ta.rsi(bar.close, self.length)
        return Signals(entry=rsi < 50.0, exit=rsi > 50.0, stop=1.5 * ta.atr(bar, 5))


class BothSides(Strategy):
    """Turn often, with a stop and a target."""

    length = Param(5, low=2, high=50)

    def signals(self, bar: Bar) -> Signals:
        rsi, range_ = ta.rsi(bar.close, self.length), ta.atr(bar, 5)
        below, above = rsi < 45.0, rsi > 55.0
        return Signals(
            entry=below, exit=above, short_entry=above, short_exit=below, stop=1.0 * range_, target=2.0 * range_
        )


@pytest.fixture
def bars() -> Bars:
    """A random walk of hours in one month."""
    return made_bars(200 + PLAYED, seed=7)


def traded(folder: Path, bars: Bars, protocol: str, faults: Faults | None = None) -> LocalRun:
    """Trade the last bars at a local venue."""
    perpetual = MARKETS[protocol][1] == "perpetual"
    store = Store(folder / "store")
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    time = pl.Series("ts", bars.time).cast(pl.Datetime("ms", "UTC"))
    store.append(bars.source, pl.DataFrame({"ts": time, **columns}))
    quote = "USD" if protocol == "coinbase" else "USDT"
    rules = Costs(**{**RULES.as_json(), "short": perpetual, "leverage": 2.0 if perpetual else 1.0})
    manifest = folder / "chosen.json"
    program = bind(BothSides() if perpetual else LongOnly())
    write_manifest(manifest, program, rules, bars, strategy="made", params={}, evidence={})
    symbol = f"BTC/{quote}:{quote}" if perpetual else f"BTC/{quote}"
    return trade_locally(
        store, manifest, symbol, folder / "run", source=bars.source, bars=PLAYED, protocol=protocol, rules=rules,
        faults=faults, say=lambda text: None,
    )  # fmt: skip


@pytest.mark.parametrize("protocol", MARKETS)
def test_a_bot_decides_computes_and_trades_as_the_batch_run_does(protocol: str, bars: Bars, tmp_path: Path) -> None:
    done = traded(tmp_path, bars, protocol)
    assert (done.parity.details, done.parity.mismatches) == ((), 0)
    assert (done.parity.bars, done.result.bars) == (PLAYED, PLAYED)
    assert done.parity.trades > 2
    assert len({trade["reason"] for trade in done.recorder.loop.accounts[0].trades}) > 1


STREAM_FAULTS = (
    "stream_dropped",
    "stream_closed",
    "stream_silent",
    "stream_stale",
    "market_data_stale",
    "message_repeated",
    "candle_skipped",
    "candle_late",
    "candle_corrected",
    "candle_spike",
    "candle_future",
    "candle_volume_shrinks",
    "candle_open_untold",
    "account_stream_silent",
    "message_garbage",
)


@pytest.mark.parametrize("name", STREAM_FAULTS)
def test_a_stream_that_fails_changes_no_decision(
    name: str, bars: Bars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockstep, "PATIENCE_S", 0.2)
    monkeypatch.setattr(lockstep, "SHORT_S", 0.02)
    faults = Faults(seed=3)
    faults.arm(name, after=9)
    done = traded(tmp_path, bars, "binance", faults)
    assert faults.record
    assert (done.parity.details, done.parity.mismatches) == ((), 0)
    assert done.parity.bars == PLAYED
