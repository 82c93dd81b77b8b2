"""One combination as a real VectorBT portfolio: its figures are the engine's, its records the engine's trades."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from engine.graph import Program, Sizing, bind
from engine.research import notebook, portfolio
from engine.research.notebook import portfolio_of
from engine.research.run import Request, run_sweep
from engine.research.table import Run
from engine.simulate import Costs, simulate_program
from parquet_store import Store, Usage
from parquet_store.errors import Failed
from pipelines import Bars
from tests.data import DATA, needs_data
from tests.research.made_strategies import FractionTurns, LongTurns, Turns
from tests.simulate.drawn import made_bars, real_bars

pytestmark = [
    pytest.mark.skipif(find_spec("vectorbt") is None, reason="vectorbt comes with the extra research"),
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # VectorBT's own
]

HOURS = ("binance_BTC-USDT_1h.parquet", 20_000, 2_000)  # hours are missing here and there
DAYS = ("yahoo_QQQ_1d_adj.parquet", 700, 1_500)  # 252 days a year
MINUTES = ("bitfinex_ETH-USD_1m.parquet", 50_000, 2_000)  # minutes without a trade are absent
PERPETUAL = Costs(short=True)
CASES: dict[str, tuple[tuple[str, int, int], Program, Costs]] = {
    "long": (HOURS, bind(LongTurns()), Costs()),
    "both sides": (HOURS, bind(Turns(), {"stop_atr": 0.0, "target_atr": 0.0}), PERPETUAL),
    "stop and target": (HOURS, bind(Turns(), {"stop_atr": 1.5003, "target_atr": 3.0007}), PERPETUAL),
    "trailing": (DAYS, bind(Turns(), {"stop_atr": 2.0003, "target_atr": 0.0, "trailing": 1}), PERPETUAL),
    "a fraction": (DAYS, bind(FractionTurns(), {"fraction": 0.6}), replace(PERPETUAL, initial_cash=123_456.0)),
    "half Kelly": (MINUTES, bind(LongTurns(), sizing=Sizing.of("kelly", fraction=0.5)), Costs(fee=0.0, slippage=0.0)),
    "open at the end": (DAYS, bind(LongTurns(), {"low_level": 50.0, "rsi_length": 30}), Costs()),
}


@needs_data
@pytest.mark.parametrize("name", CASES)
def test_its_figures_and_trades_are_the_engines(name: str) -> None:
    series, program, costs = CASES[name]
    bars = real_bars(*series)
    mine = simulate_program(program, bars, costs)
    found = portfolio_of(program, bars, costs)
    import vectorbt as vbt

    assert isinstance(found, vbt.Portfolio)
    expected, stats = mine.metrics, found.stats()
    pairs: dict[str, tuple[float, float]] = {
        "total_return": (found.total_return(), stats["Total Return [%]"] / 100.0),
        "sharpe": (found.sharpe_ratio(), stats["Sharpe Ratio"]),
        "sortino": (found.sortino_ratio(), stats["Sortino Ratio"]),
        "volatility": (found.annualized_volatility(), found.returns_stats()["Annualized Volatility [%]"] / 100.0),
        "max_drawdown": (found.max_drawdown(), -stats["Max Drawdown [%]"] / 100.0),
        "trades": (found.trades.closed.count(), stats["Total Closed Trades"]),
        "win_rate": (found.trades.closed.win_rate(), stats["Win Rate [%]"] / 100.0),
        "fees": (found.orders.fees.sum() / costs.initial_cash, stats["Total Fees Paid"] / costs.initial_cash),
        "avg_trade": (found.trades.closed.returns.mean(),) * 2,
    }
    for key, both in pairs.items():
        np.testing.assert_allclose(both, expected[key], rtol=1e-9, atol=1e-12, err_msg=key)
    np.testing.assert_allclose(found.value().to_numpy(), mine.equity, rtol=1e-9)
    ours, theirs = np.concatenate([mine.trades, mine.open_trade]), found.trades.records_readable
    closed = mine.trades.size
    index = pd.DatetimeIndex(bars.time.astype("datetime64[ms]"), tz="UTC")
    assert list(theirs["Entry Timestamp"]) == list(index[ours["entry_bar"]])
    assert list(theirs["Exit Timestamp"])[:closed] == list(index[mine.trades["exit_bar"]])
    assert list(theirs["Direction"]) == ["Long" if side > 0 else "Short" for side in ours["side"]]
    for column, key in (("Size", "quantity"), ("Avg Entry Price", "entry_price"), ("Avg Exit Price", "exit_price")):
        np.testing.assert_allclose(theirs[column], ours[key], rtol=1e-9)
    np.testing.assert_allclose(theirs["PnL"], ours["profit"], rtol=1e-9, atol=1e-9 * costs.initial_cash)
    assert closed > 8
    if name == "open at the end":
        assert mine.open_trade.size == 1


@needs_data
def test_what_vectorbt_counts_otherwise_is_known() -> None:
    """The differences the module names, so that they are noticed if they change."""
    bars = real_bars(*HOURS)
    program = CASES["stop and target"][1]
    mine, found = simulate_program(program, bars, PERPETUAL).metrics, portfolio_of(program, bars, PERPETUAL)
    years = len(bars) / bars.bars_per_year
    growth = 1.0 + mine["total_return"]
    assert found.annualized_return() == pytest.approx(growth ** (1.0 / years) - 1.0)
    assert found.annualized_return() != pytest.approx(mine["cagr"], rel=1e-12)
    assert found.position_coverage() < mine["exposure"]
    year = pd.Timedelta(365, unit="D")
    assert found.sharpe_ratio(year_freq=year) == pytest.approx(mine["sharpe"] * (365.0 / 365.25) ** 0.5)
    never = portfolio_of(bind(LongTurns(), {"low_level": 5.0, "rsi_length": 50}), bars, Costs())
    assert np.isinf(never.sharpe_ratio())


@needs_data
def test_it_can_be_plotted_and_derived_from() -> None:
    found = portfolio_of(CASES["stop and target"][1], real_bars(*HOURS), PERPETUAL, name="turns")
    figure = found.plot()
    assert len(figure.data) > 3
    assert found.drawdowns.count() > 0
    assert found.drawdowns.records_readable["Peak Timestamp"].dt.tz is not None
    again = found.replace(fillna_close=True)
    assert again.sharpe_ratio() == found.sharpe_ratio() == found.returns_acc.sharpe_ratio()
    assert found.wrapper.name == "turns"


@needs_data
def test_a_row_of_a_run_is_the_portfolio(tmp_path: Path) -> None:
    store, source = Store(tmp_path / "store"), "binance:BTC/USDT:USDT:1h"
    store.append(source, pl.read_parquet(DATA / "binance_BTC-USDT-PERP_1h.parquet").slice(11_000, 2_500))
    values: dict[str, list[float]] = {"band_length": [10.0, 20.0], "kelly_fraction": [0.0], "var_limit": [0.0]}
    run_sweep(store, Request("mean_reversion", values, (source,), Costs(), name="one"))
    run = Run.open(store, "one")
    found, row = portfolio(run, {"band_length": 10}), run.find({"band_length": 10})
    assert found.sharpe_ratio() == pytest.approx(row["sharpe"], rel=1e-9)
    assert found.total_return() == pytest.approx(row["total_return"], rel=1e-9)
    assert found.trades.closed.count() == row["trades"] > 3
    assert found.wrapper.name == "one"
    assert found.wrapper.index[0] == pd.Timestamp("2020-12-10 01:00", tz="UTC")
    with pytest.raises(Usage, match="band_length = 11: not in the run; it covered 10, 20"):
        portfolio(run, {"band_length": 11})


def test_what_vectorbt_cannot_say_is_refused_by_name() -> None:
    bars = made_bars(np.random.default_rng(1), 300)
    with pytest.raises(Usage, match="cannot say max_hold"):
        portfolio_of(bind(Turns(), {"max_hold": 5}), bars, PERPETUAL)
    with pytest.raises(Usage, match="cannot say leverage"):
        portfolio_of(bind(Turns()), bars, replace(PERPETUAL, leverage=2.0))


def test_a_portfolio_that_is_not_the_engines_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = made_bars(np.random.default_rng(1), 300)
    honest = notebook.simulated

    def dearer(bars: Bars, decisions: Any, costs: Costs, quantities: Any) -> Any:
        return honest(bars, decisions, replace(costs, fee=costs.fee + 1e-4), quantities)

    monkeypatch.setattr(notebook, "simulated", dearer)
    with pytest.raises(Failed, match="VectorBT trades otherwise than the engine: trade 0"):
        portfolio_of(bind(LongTurns()), bars, Costs())
