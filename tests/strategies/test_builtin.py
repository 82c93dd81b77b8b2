"""The strategies that come with the engine against their rules said naively."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from engine.graph import bind, columns
from engine.simulate import Costs, simulate_program
from engine.strategies import STRATEGIES, find_strategy
from parquet_store.errors import Failed, Usage
from pipelines import Bars
from tests.data import needs_data
from tests.graph.drawing import Floats, made_bars, real_bars
from tests.naive import indicators as naive


def decisions(name: str, bars: Bars, **values: float) -> dict[str, Floats]:
    found = columns(bind(STRATEGIES[name](), values), bars)
    roles = {role: found.role(role) for role in ("entry", "exit", "short_entry", "short_exit", "stop", "target")}
    return {role: column for role, column in roles.items() if column is not None}


OFF = {"stop_atr": 0.0, "var_limit": 0.0, "kelly_fraction": 0.0}


@pytest.mark.parametrize("values", [{}, {"rsi_length": 5, "oversold": 40, "band_length": 12, "band_width": 1.2}])
def test_mean_reversion_with_all_parts_off_is_the_plain_rule(values: dict[str, float], sample: Bars) -> None:
    for bars in (sample, made_bars(8, 1_500)):
        found = decisions("mean_reversion", bars, **OFF, **values)
        program = bind(STRATEGIES["mean_reversion"](), OFF | values)
        used = {node.step for node in program.nodes}
        assert used == {"rsi", "moments", "multiply", "subtract", "add", "less", "both", "either"}
        assert (program.sizing.kind, program.sizing.number("fraction")) == ("all_in", 0.995)
        assert program.role("stop") is None
        rsi = naive.rsi(bars.close, int(values.get("rsi_length", 14)))
        length, width = int(values.get("band_length", 20)), values.get("band_width", 2.0)
        mean, deviation = naive.sma(bars.close, length), naive.std(bars.close, length)
        entry = (rsi < values.get("oversold", 30.0)) & (bars.close < mean - width * deviation)
        leave = (rsi > 70.0) | (bars.close > mean + width * deviation)
        np.testing.assert_array_equal(found["entry"], entry)
        np.testing.assert_array_equal(found["exit"], leave)
        assert entry.sum() > 5
        assert not found["short_entry"].any()
        assert not found["short_exit"].any()


def test_each_part_of_mean_reversion_adds_what_it_says(sample: Bars) -> None:
    plain = decisions("mean_reversion", sample, **OFF)
    filtered = decisions("mean_reversion", sample, **OFF | {"var_limit": 0.025})
    risk = naive.var(sample.close, 250, 0.05)
    np.testing.assert_array_equal(filtered["entry"], (plain["entry"] != 0) & (risk < 0.025))
    assert 0 < filtered["entry"].sum() < plain["entry"].sum()
    stopped = decisions("mean_reversion", sample, **OFF | {"stop_atr": 3.0})
    np.testing.assert_allclose(stopped["stop"], 3.0 * naive.atr(sample.high, sample.low, sample.close, 14), rtol=1e-9)
    assert bind(STRATEGIES["mean_reversion"](), OFF | {"kelly_fraction": 0.25}).sizing.kind == "kelly"
    every = bind(STRATEGIES["mean_reversion"]())
    assert [every.sizing.number(x) for x in ("fraction", "cap")] == [0.5, 0.25]


def test_mean_reversion_has_the_parameters_and_defaults_it_is_known_by() -> None:
    params = STRATEGIES["mean_reversion"].params
    assert {name: param.default for name, param in params.items()} == {
        "rsi_length": 14, "oversold": 30.0, "overbought": 70.0, "band_length": 20, "band_width": 2.0, "stop_atr": 2.0,
        "var_length": 250, "var_limit": 0.05, "kelly_fraction": 0.5,
    }  # fmt: skip
    with pytest.raises(Usage, match=r"stop_atr = -1: .*or 0: off"):
        bind(STRATEGIES["mean_reversion"](), {"stop_atr": -1.0})


@needs_data
def test_ibs_band_decides_as_the_published_rule_and_its_figures_point_the_published_way() -> None:
    bars = real_bars("yahoo_QQQ_1d_adj.parquet")
    found = decisions("ibs_band", bars)
    open, high, low, close = (x.tolist() for x in (bars.open, bars.high, bars.low, bars.close))
    entry, leave = np.zeros(len(bars)), np.zeros(len(bars))
    for t in range(len(bars)):
        if t >= 24 and high[t] > low[t]:
            reach = 2.5 * sum(high[k] - low[k] for k in range(t - 24, t + 1)) / 25
            weak = (close[t] - low[t]) / (high[t] - low[t]) < 0.3
            entry[t] = weak and close[t] < max(high[t - 9 : t + 1]) - reach
        leave[t] = t >= 1 and close[t] > high[t - 1]
        if t >= 299:
            leave[t] = leave[t] or close[t] < sum(close[t - 299 : t + 1]) / 300
    np.testing.assert_array_equal(found["entry"], entry)
    np.testing.assert_array_equal(found["exit"], leave)
    assert bars.close[0] != open[0]

    free = Costs(fee=0.0, slippage=0.0)
    rule = simulate_program(bind(STRATEGIES["ibs_band"]()), bars, free).metrics
    hold = simulate_program(bind(STRATEGIES["buy_and_hold"]()), bars, free).metrics
    assert rule["cagr"] > hold["cagr"] > 0.0
    assert rule["max_drawdown"] > -0.30 > -0.80 > hold["max_drawdown"]
    assert 1.5 < rule["profit_factor"] < 3.0
    assert 0.10 < rule["exposure"] < 0.20
    assert rule["sharpe_invested"] > 1.5 * rule["sharpe"] > 1.0, "the headline is the Sharpe over invested days"


def test_ibs_band_without_its_trend_has_no_long_average() -> None:
    program = bind(STRATEGIES["ibs_band"](), {"trend_length": 0})
    assert [node.params for node in program.nodes if node.step == "sma"] == [(25.0,)]


def test_buy_and_hold_buys_once_and_keeps(sample: Bars) -> None:
    made = simulate_program(bind(STRATEGIES["buy_and_hold"]()), sample, Costs(fee=0.0, slippage=0.0))
    assert made.trades.size == 0
    assert made.open_trade["entry_bar"].tolist() == [1]
    bought = made.open_trade["quantity"][0] * sample.open[1]
    assert bought == pytest.approx(9_950.0, rel=0.05)
    assert made.equity[-1] == pytest.approx(10_000.0 - bought + made.open_trade["quantity"][0] * sample.close[-1])
    assert math.isnan(made.metrics["win_rate"])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mean_revesion", 'did you mean "mean_reversion"'),
        ("Mean_Reversion", 'did you mean "mean_reversion"'),
        ("", 'unknown strategy ""'),
        ("nowhere.py:Rule", "nowhere.py: no such file"),
        ("nowhere.py", "expected nowhere.py:ClassName"),
        ("mean_reversion:X", 'unknown strategy "mean_reversion:X"'),
    ],
)
def test_an_unknown_strategy_answers_with_the_nearest(name: str, told: str) -> None:
    with pytest.raises(Usage, match=told):
        find_strategy(name)


def test_a_file_that_lacks_the_class_fails_or_shadows_a_module_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rules_of_a_user.py"
    path.write_text("from engine.graph import Strategy\nclass Momentum(Strategy):\n    pass\n")
    with pytest.raises(Usage, match='did you mean "Momentum"'):
        find_strategy(f"{path}:Momentun")
    assert find_strategy(f"{path}:Momentum") is find_strategy(f"{path}:Momentum")
    with pytest.raises(NotImplementedError):
        find_strategy(f"{path}:Momentum")().signals(None)  # type: ignore[arg-type]
    spoiled = tmp_path / "spoiled_rules.py"
    spoiled.write_text("def (")
    with pytest.raises(Failed, match="SyntaxError while importing"):
        find_strategy(f"{spoiled}:Rule")
    wrong = tmp_path / "wrong_rules.py"
    wrong.write_text(
        "from engine.graph import Param, Strategy\nclass Rule(Strategy):\n    length = Param(1, low=2, high=9)\n"
    )
    with pytest.raises(Usage, match="length = 1: expected a whole number from 2 to 9"):
        find_strategy(f"{wrong}:Rule")
    taken = tmp_path / "json.py"
    taken.write_text("")
    with pytest.raises(Usage, match="already loaded from elsewhere; rename the file"):
        find_strategy(f"{taken}:Rule")
