"""The plain simulation against the naive one: every size rule, venue and way out, on made and on real bars."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings

from engine.graph import Param, Signals, Sizing, Strategy, bind, ta
from engine.graph.strategy import Size
from engine.simulate import METRICS, REASONS, Costs, Decisions, simulate, simulate_program
from parquet_store import Usage
from pipelines import Bars
from tests.data import needs_data
from tests.simulate.drawn import (
    HOUR,
    SIZINGS,
    VENUES,
    assert_alike,
    cases,
    costs_of,
    made_bars,
    made_decisions,
    real_bars,
    run_naive,
)

REAL = {
    "binance_BTC-USDT_1h.parquet": 20_000,
    "binance_DOGE-USDT_1h.parquet": 12_000,  # the wild start of 2021
    "bitfinex_ETH-USD_1m.parquet": 50_000,  # minutes are missing
    "yahoo_QQQ_1d_adj.parquet": 200,  # gaps every night
}


@settings(max_examples=300, deadline=None)
@given(cases())
def test_every_drawn_account_is_the_naive_one(case: tuple[Bars, Decisions, Costs, Sizing]) -> None:
    bars, decisions, costs, sizing = case
    plain = simulate(bars, decisions, costs, sizing)
    for trade in plain.trades:
        event(REASONS[trade["reason"]])
    assert_alike(plain, run_naive(bars, decisions, costs, sizing))


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("kind", SIZINGS)
def test_every_size_rule_and_venue_trades_as_the_naive_loop(kind: str, venue: str) -> None:
    rng = np.random.default_rng([sorted(SIZINGS).index(kind), sorted(VENUES).index(venue)])
    found: list[str] = []
    for trailing, target, max_hold in ((False, True, 0), (True, False, 0), (True, True, 4)):
        bars = made_bars(rng, 1_200)
        decisions = made_decisions(rng, bars, 0.07, stop=True, target=target, trailing=trailing, max_hold=max_hold)
        plain = simulate(bars, decisions, costs_of(venue), SIZINGS[kind])
        assert_alike(plain, run_naive(bars, decisions, costs_of(venue), SIZINGS[kind]))
        found += [REASONS[trade["reason"]] for trade in plain.trades]
    assert len(found) > 30
    assert min(found.count(reason) for reason in REASONS if reason != "risk") > 0


@needs_data
@pytest.mark.parametrize(("name", "first"), REAL.items())
def test_real_bars_trade_as_the_naive_loop(name: str, first: int) -> None:
    rng = np.random.default_rng(first)
    bars = real_bars(name, first, 2_000)
    for k, kind in enumerate(SIZINGS):
        venue = sorted(VENUES)[k % len(VENUES)]
        costs = replace(costs_of(venue), quantity_step=0.0, min_notional=0.0, price_tick=0.0)
        decisions = made_decisions(rng, bars, 0.1, stop=True, target=True, trailing=k % 2 == 0, max_hold=5 * (k % 3))
        assert_alike(simulate(bars, decisions, costs, SIZINGS[kind]), run_naive(bars, decisions, costs, SIZINGS[kind]))


def flat_bars(*rows: tuple[float, float, float, float]) -> Bars:
    o, h, l, c = (np.array(x, np.float64) for x in zip(*rows, strict=True))
    time = np.arange(len(rows)) * HOUR
    return Bars.from_arrays("made:A/B:1h", "1h", time, o, h, l, c, np.ones(len(rows)), bars_per_year=8_766.0)


def flags(n: int, *at: int) -> Any:
    out = np.zeros(n, np.bool_)
    out[list(at)] = True
    return out


QUIET = (100.0, 101.0, 99.0, 100.0)
FREE = Costs(fee=0.0, slippage=0.0, initial_cash=1_000.0, short=True)


def test_no_trade_leaves_the_money_and_undefined_figures() -> None:
    none = flags(3)
    found = simulate(flat_bars(*[QUIET] * 3), Decisions(none, none, none, none), FREE, SIZINGS["all_in"])
    assert found.metrics["total_return"] == found.metrics["max_drawdown"] == found.metrics["exposure"] == 0.0
    assert found.metrics["volatility"] == 0.0
    undefined = {name for name in METRICS if np.isnan(found.metrics[name])}
    assert undefined == {"sharpe", "sharpe_invested", "sortino", "calmar", "win_rate", "profit_factor", "avg_trade"}
    assert found.trades.size == found.open_trade.size == 0
    assert np.isnan(found.ordered).all()


def test_an_account_by_hand() -> None:
    bars = flat_bars(QUIET, (102, 103, 101, 102), (104, 105, 103, 104), QUIET)
    costs = replace(FREE, fee=0.001, slippage=0.01)
    none = flags(4)
    found = simulate(bars, Decisions(flags(4, 0), flags(4, 1), none, none), costs, Sizing.of("all_in", fraction=0.5))
    (trade,) = found.trades
    quantity = 500.0 / 101.0  # sized at the decision, on the close and its slippage
    assert (trade["entry_bar"], trade["exit_bar"], trade["side"], REASONS[trade["reason"]]) == (1, 2, 1, "signal")
    assert trade["quantity"] == pytest.approx(quantity, rel=1e-12)
    assert (trade["entry_price"], trade["exit_price"]) == (102.0 * 1.01, 104.0 * 0.99)
    assert trade["fees"] == pytest.approx(0.001 * quantity * (102.0 * 1.01 + 104.0 * 0.99))
    assert found.equity[-1] == pytest.approx(1_000.0 + trade["profit"])
    assert found.invested.tolist() == [False, True, True, False]
    assert found.metrics["exposure"] == 0.5
    assert found.ordered[0] == trade["quantity"]
    assert np.isnan(found.ordered[1:]).all()


def test_an_entry_that_comes_to_nothing_is_told_from_none() -> None:
    bars = flat_bars(*[QUIET] * 4)
    stop = np.array([np.nan, 5.0, 5.0, 5.0])
    costs = replace(FREE, min_notional=5_000.0)
    decisions = Decisions(flags(4, 0, 2), flags(4), flags(4), flags(4), stop)
    found = simulate(bars, decisions, costs, SIZINGS["all_in"])
    assert found.trades.size == found.open_trade.size == 0
    np.testing.assert_array_equal(found.ordered, [np.nan, np.nan, 0.0, np.nan])


def test_more_trades_than_the_first_table_holds() -> None:
    n = 6_000
    bars = flat_bars(*[QUIET] * n)
    even = np.arange(n) % 2 == 0
    found = simulate(bars, Decisions(even, ~even, flags(n), flags(n)), FREE, SIZINGS["all_in"])
    assert found.trades.size == n // 2 - 1
    np.testing.assert_array_equal(found.trades["entry_bar"], np.arange(1, n - 1, 2))


def test_what_cannot_be_simulated_says_so() -> None:
    bars = flat_bars(*[QUIET] * 4)
    yes, none = flags(4, 0), flags(4)
    with pytest.raises(Usage, match="a spot market does not; use a perpetual"):
        simulate(bars, Decisions(none, none, yes, none), replace(FREE, short=False), SIZINGS["all_in"])
    with pytest.raises(Usage, match="atr_risk needs a stop"):
        simulate(bars, Decisions(yes, none, none, none), FREE, SIZINGS["atr_risk"])
    whole, part = np.full(4, 5.0), np.full(3, 5.0)
    for wrong in (
        Decisions(yes[:3], none, none, none),
        Decisions(yes, none[:3], none, none),
        Decisions(yes, none, none, none[:2]),
        Decisions(yes, none, none, none, part),
        Decisions(yes, none, none, none, whole, part),
    ):
        with pytest.raises(Usage, match=r"decisions for .* expected 4"):
            simulate(bars, wrong, FREE, SIZINGS["all_in"])


def test_a_trailing_flag_without_a_stop_is_no_stop() -> None:
    rng = np.random.default_rng(5)
    bars = made_bars(rng, 400)
    decisions = made_decisions(rng, bars, 0.1, target=True)
    still = simulate(bars, decisions, FREE, SIZINGS["all_in"])
    trailed = simulate(bars, replace(decisions, trailing=True), FREE, SIZINGS["all_in"])
    assert still.trades.tobytes() == trailed.trades.tobytes()


class Bands(Strategy):
    """Both sides of a band, with a stop of the range and a size of its own."""

    length = Param(20, low=2, high=100)
    stop_atr = Param(2.0, low=0.1, high=10.0)

    def signals(self, bar):  # type: ignore[no-untyped-def]
        band = ta.bollinger(bar.close, self.length, 1.5)
        return Signals(
            entry=bar.close < band.lower,
            exit=bar.close > band.middle,
            short_entry=bar.close > band.upper,
            short_exit=bar.close < band.middle,
            stop=self.stop_atr * ta.atr(bar, 14),
            trailing=True,
            max_hold=12,
            size=Size.atr_risk(0.02),
        )


def test_a_program_is_simulated_with_what_it_says_or_with_another_size() -> None:
    bars = made_bars(np.random.default_rng(8), 1_500)
    program = bind(Bands(), {"length": 10})
    assert (program.sizing, program.trailing, program.max_hold) == (Sizing.of("atr_risk", risk=0.02), True, 12)
    own = simulate_program(program, bars, FREE)
    assert own.trades.size > 30
    assert set(own.trades["side"].tolist()) == {1, -1}
    other = simulate_program(program, bars, FREE, SIZINGS["fixed_fraction"])
    assert not np.array_equal(own.trades["quantity"][:20], other.trades["quantity"][:20])
