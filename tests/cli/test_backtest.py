"""``lockstep backtest``: a bot's file simulated over stored bars, through the front door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.cli import main
from engine.graph import Bar, Signals, Strategy, bind, ta
from engine.manifest import load_manifest, write_manifest
from engine.settings import load_settings
from engine.simulate import Costs, simulate_program
from parquet_store import Store
from pipelines import load_bars

FILE = """
store = ".lockstep"
[venue]
name = "binance"
[paper]
cash = 5000.0
[[manifests]]
path = "one.json"
symbols = ["A/B"]
share = 1.0
history = "made:A/B:1d"
"""


class Dips(Strategy):
    """Buys below the mean."""

    def signals(self, bar: Bar) -> Signals:
        mean = ta.sma(bar.close, 5)
        return Signals(entry=bar.close < mean, exit=bar.close > mean)


@pytest.fixture
def bot(store: Path, tmp_path: Path) -> Path:
    bars = load_bars(Store(store), "made:A/B:1d")
    for name in ("one", "two"):
        write_manifest(tmp_path / f"{name}.json", bind(Dips()), Costs(), bars, strategy="dips", params={}, evidence={})
    (tmp_path / "bot.toml").write_text(FILE)
    return tmp_path / "bot.toml"


def test_one_manifest_without_limits_is_its_plain_simulation(bot: Path, document: Callable[..., Any]) -> None:
    told = document("backtest", "bot.toml", "--save", "out")
    bars = load_bars(Store(bot.parent / ".lockstep"), "made:A/B:1d")
    manifest = load_manifest(bot.parent / "one.json")
    plain = simulate_program(manifest.program, bars, Costs(initial_cash=5000.0))
    assert told["metrics"]["sharpe"] == plain.metrics["sharpe"]
    assert told["legs"][0]["trades"] == len(plain.trades) > 20
    assert told["refused"] == told["state"] == []
    saved = pl.read_parquet("out/equity.parquet")
    assert saved["equity"].to_numpy().tobytes() == plain.equity.tobytes()
    trades = pl.read_parquet("out/trades.parquet")
    np.testing.assert_array_equal(trades["profit"].to_numpy(), plain.trades["profit"])
    assert trades["entry"].to_physical().to_list() == bars.time[plain.trades["entry_bar"]].tolist()


def test_it_trades_from_a_moment_on_with_indicators_from_the_first_bar(bot: Path, document: Callable[..., Any]) -> None:
    told = document("backtest", "--from", "2021-01-01", "--to", "2021-07-01", "--save", "out")
    assert (told["from"], told["to"]) == ("2021-01-01 00:00", "2021-07-01 00:00")
    trades = pl.read_parquet("out/trades.parquet")
    assert trades["entry"].min() >= pl.Series(["2021-01-02"]).str.to_datetime(time_zone="UTC")[0]
    assert len(trades) > 5


def test_limits_refuse_and_are_counted(bot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = '[[manifests]]\npath = "two.json"\nsymbols = ["A/B"]\nshare = 1.0\nhistory = "made:A/B:1d"\n'
    bot.write_text(FILE + more + "[account]\nshared = true\n[risk.position]\nnotional = 500\n")
    assert main(["backtest"]) == 0
    told = capsys.readouterr().out
    assert "position.notional" in told
    assert "one A/B" in told
    assert "two A/B" in told
    assert load_settings(bot).limits is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "2030-01-01"], "no bars from 2030-01-01"),
        (["--to", "1990-01-01"], "no bars before 1990-01-01"),
        (["--from", "soon"], "is no time"),
        (["none.toml"], "no such file"),
    ],
)
def test_what_cannot_be_simulated_is_said(bot: Path, arguments: list[str], said: str, capsys: Any) -> None:
    assert main(["backtest", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_shares_above_the_account_need_a_shared_one(bot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bot.write_text(FILE + '[[manifests]]\npath = "two.json"\nsymbols = ["A/B"]\nshare = 0.5\n')
    assert main(["backtest"]) == 2
    assert "add up to 1.5, expected at most 1 where the cash is not shared" in capsys.readouterr().err
