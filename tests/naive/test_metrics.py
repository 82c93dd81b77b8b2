"""The metric oracles against hand arithmetic."""

from __future__ import annotations

import math

import pytest

from tests.naive.metrics import metrics
from tests.naive.simulation import Trade

DAY = 86_400_000


def trade(profit: float, notional: float = 100.0) -> Trade:
    return Trade(0, 1, 1, notional / 10.0, 10.0, 10.0, 0.0, profit, "signal")


def test_every_metric_of_a_short_curve() -> None:
    equity = [100.0, 110.0, 88.0, 88.0, 110.0]
    m = metrics(
        equity,
        100.0,
        [trade(10.0), trade(-22.0), trade(0.0), trade(22.0, 50.0)],
        [False, True, True, False, True],
        [10, 11, 12, 14, 15],
        DAY,
        365.25,
        3.0,
    )
    r = [0.0, 0.1, -0.2, 0.0, 0.25]
    mean = 0.03
    deviation = math.sqrt(sum((x - mean) ** 2 for x in r) / 4)
    year = math.sqrt(365.25)
    assert m["total_return"] == pytest.approx(0.1)
    assert m["cagr"] == pytest.approx(1.1 ** (365.25 / 6) - 1)  # six days from the first open to the last close
    assert m["volatility"] == pytest.approx(deviation * year)
    assert m["sharpe"] == pytest.approx(mean / deviation * year)
    held = [0.1, -0.2, 0.25]
    spread = math.sqrt(sum((x - 0.05) ** 2 for x in held) / 2)
    assert m["sharpe_invested"] == pytest.approx(0.05 / spread * year)
    assert m["sortino"] == pytest.approx(mean / math.sqrt(0.04 / 5) * year)
    assert m["max_drawdown"] == pytest.approx(-0.2)
    assert m["calmar"] == pytest.approx(m["cagr"] / 0.2)
    assert m["max_drawdown_bars"] == 2
    assert m["win_rate"] == 0.5  # breaking even is no win
    assert m["profit_factor"] == pytest.approx(32 / 22)
    assert m["avg_trade"] == pytest.approx((0.1 - 0.22 + 0.44) / 4)
    assert m["trades"] == 4
    assert m["exposure"] == pytest.approx(0.6)
    assert m["fees"] == pytest.approx(0.03)


def test_what_is_undefined_is_nan() -> None:
    m = metrics([100.0] * 3, 100.0, [], [False] * 3, [0, 1, 2], DAY, 252.0, 0.0)
    undefined = {name for name, value in m.items() if math.isnan(value)}
    assert undefined == {
        "sharpe",
        "sharpe_invested",
        "sortino",
        "calmar",
        "win_rate",
        "profit_factor",
        "avg_trade",
    }
    assert m["cagr"] == m["volatility"] == m["exposure"] == m["max_drawdown"] == 0.0


def test_the_peak_starts_at_the_initial_cash_and_a_broke_account_returns_nothing() -> None:
    m = metrics([90.0, -10.0, -20.0], 100.0, [trade(-1.0)], [True] * 3, [0, 1, 2], DAY, 252.0, 0.0)
    assert m["max_drawdown"] == pytest.approx(-1.2)
    assert m["max_drawdown_bars"] == 3
    assert m["cagr"] == -1.0
    r = [-0.1, -10 / 90 - 1, 0.0]
    mean = sum(r) / 3
    assert m["volatility"] == pytest.approx(math.sqrt(sum((x - mean) ** 2 for x in r) / 2) * math.sqrt(252))
