"""The event-driven simulation against the plain one: trades to the byte, every metric to 1e-10."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, settings

from engine.graph import Sizing
from engine.research.events import run_combination
from engine.research.exits import market_of
from engine.research.scan import new_streams
from engine.simulate import REASONS, Costs, Decisions, simulate
from engine.simulate.account import TRADE
from engine.simulate.costs import sizing_numbers
from pipelines import Bars
from tests.data import needs_data
from tests.research.swept import assert_figures, pack, run_events
from tests.simulate.drawn import SIZINGS, VENUES, cases, costs_of, made_bars, made_decisions, real_bars


def assert_same(bars: Bars, decisions: Decisions, costs: Costs, sizing: Sizing) -> np.ndarray:
    plain = simulate(bars, decisions, costs, sizing)
    trades, figures = run_events(bars, decisions, costs, sizing)
    assert trades.tobytes() == plain.trades.tobytes()
    assert_figures(figures, plain.metrics)
    return plain.trades


@settings(max_examples=500, deadline=None)
@given(cases())
def test_every_drawn_account_is_the_plain_one(case: tuple[Bars, Decisions, Costs, Sizing]) -> None:
    for trade in assert_same(*case):
        event(REASONS[trade["reason"]])


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("kind", SIZINGS)
def test_every_size_rule_stop_and_venue_is_the_plain_one(kind: str, venue: str) -> None:
    rng = np.random.default_rng([list(SIZINGS).index(kind), list(VENUES).index(venue)])
    found: list[str] = []
    for stop, target, trailing in (
        (False, False, False),
        (True, False, False),
        (False, True, False),
        (True, True, False),
        (True, False, True),
        (True, True, True),
    ):
        for max_hold in (0, 1, 5):
            for density in (0.01, 0.1, 0.5):
                bars = made_bars(rng, 900)
                with_stop = stop or kind == "atr_risk"
                decisions = made_decisions(
                    rng, bars, density, stop=with_stop, target=target, trailing=trailing, max_hold=max_hold
                )
                trades = assert_same(bars, decisions, costs_of(venue), SIZINGS[kind])
                found += [REASONS[trade["reason"]] for trade in trades]
    assert min(found.count(reason) for reason in REASONS if reason != "risk") > 5


@needs_data
@pytest.mark.parametrize(
    ("name", "first"),
    [("binance_BTC-USDT-PERP_1h.parquet", 3_000), ("yahoo_SPY_1d_raw.parquet", 0), ("bitfinex_BTC-USD_1m.parquet", 9)],
)
def test_real_bars_give_the_plain_trades(name: str, first: int) -> None:
    rng = np.random.default_rng(first)
    bars = real_bars(name, first, 5_000)
    for kind, sizing in SIZINGS.items():
        for density in (0.01, 0.2):
            decisions = made_decisions(
                rng, bars, density, stop=True, target=kind != "kelly", trailing=kind != "all_in", max_hold=24
            )
            assert assert_same(bars, decisions, costs_of("usual"), sizing).size > 10


def test_decisions_on_the_last_bars_and_in_the_last_word_are_seen() -> None:
    rng = np.random.default_rng(1)
    for count in (2, 3, 63, 64, 65, 127, 128, 129):
        bars = made_bars(rng, count)
        for at in range(max(0, count - 4), count):
            one, none = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
            one[at] = True
            for long_exit in (none, np.roll(one, 1)):
                for sides in ((one, none), (none, one)):
                    decisions = Decisions(sides[0], long_exit, sides[1], long_exit)
                    assert_same(bars, decisions, costs_of("usual"), SIZINGS["all_in"])


def test_a_short_that_loses_everything_ends_alike() -> None:
    rng = np.random.default_rng(2)
    bars = made_bars(rng, 400, wildness=0.25)
    broke = 0
    for seed in range(30):
        decisions = made_decisions(np.random.default_rng(seed), bars, 0.05)
        costs = replace(costs_of("usual"), leverage=10.0)
        assert_same(bars, decisions, costs, Sizing.of("fixed_fraction", fraction=5.0))
        broke += simulate(bars, decisions, costs, Sizing.of("fixed_fraction", fraction=5.0)).equity[-1] <= 0.0
    assert broke > 3


def test_a_table_too_small_for_the_trades_is_not_overrun() -> None:
    bars = made_bars(np.random.default_rng(3), 500)
    d = made_decisions(np.random.default_rng(4), bars, 0.3)
    whole, _ = run_events(bars, d, costs_of("usual"), SIZINGS["all_in"])
    room = np.zeros(10, TRADE)
    closed, _ = run_combination(
        market_of(bars),
        tuple(pack(x) for x in (d.long_entry, d.long_exit, d.short_entry, d.short_exit)),
        True,
        (np.empty(0), 1.0),
        (np.empty(0), 1.0),
        False,
        0,
        sizing_numbers(SIZINGS["all_in"]),
        costs_of("usual").numbers(),
        np.array([0, len(bars)]),
        (new_streams(len(bars)), np.empty(50)),
        np.empty(14),
        np.empty((1, 2)),
        room[:5],
    )
    assert closed == whole.size > 10
    assert room[:5].tobytes() == whole[:5].tobytes()
    assert not room[5:]["entry_bar"].any()
