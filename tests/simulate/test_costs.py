"""Costs, size rules and the formulas of the fill model, number by number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Sizing
from engine.kernels.grid import to_step, to_tick
from engine.simulate import Costs
from engine.simulate.costs import sizing_numbers
from engine.simulate.formulas import (
    KELLY_WINDOW,
    affordable_quantity,
    kelly_fraction,
    order_quantity,
    protective_exit,
    unit_return,
)
from parquet_store import Usage
from tests.naive import sizing as naive

nan = math.nan
# uncompiled, the formulas are plain functions; compiled they are held to the naive loop in test_simulation
plain_order, plain_afford, plain_kelly = (f.py_func for f in (order_quantity, affordable_quantity, kelly_fraction))


@pytest.mark.parametrize(
    ("given_costs", "message"),
    [
        ({"fee": -0.001}, "fee is -0.001, expected 0 to 0.1"),
        ({"fee": 0.2}, "fee is 0.2"),
        ({"slippage": nan}, "slippage is nan"),
        ({"leverage": 0.5}, "leverage is 0.5, expected 1 to 125"),
        ({"initial_cash": 0.0}, "initial_cash is 0"),
        ({"initial_cash": math.inf}, "initial_cash is inf"),
        ({"quantity_step": -1.0}, "quantity_step is -1"),
        ({"size_at": "fil"}, 'did you mean "fill"'),
        ({"fee": "0.001"}, "fee is '0.001', expected a number"),
        ({"short": "yes"}, "short is 'yes', expected true or false"),
    ],
)
def test_costs_out_of_bounds_are_refused(given_costs: dict[str, Any], message: str) -> None:
    with pytest.raises(Usage, match=message):
        Costs(**given_costs)


def test_costs_travel_as_plain_data() -> None:
    costs = Costs(fee=0.00075, quantity_step=0.001, leverage=2.0, short=True, size_at="fill")
    assert Costs.from_json(costs.as_json()) == costs
    assert Costs.from_json({"leverage": 3}).leverage == 3.0
    with pytest.raises(Usage, match='did you mean "slippage"'):
        Costs.from_json({"slipage": 0.1})
    numbers = costs.numbers()
    assert (numbers.fee, numbers.quantity_step, numbers.leverage, numbers.at_fill) == (0.00075, 0.001, 2.0, 1.0)


def test_ticks_and_steps_are_kept_to() -> None:
    tick, step = to_tick.py_func, to_step.py_func
    assert [tick(x, 0.5) for x in (1.24, 1.25, 1.75, 1.0)] == [1.0, 1.5, 2.0, 1.0]
    assert tick(1.2345, 0.0) == 1.2345
    assert math.isnan(to_tick(nan, 0.5))  # compiled: an unknown level is no level
    assert math.isnan(tick(nan, 0.5))
    assert step(0.3, 0.1, 0.0) == pytest.approx(0.3)
    assert step(0.2999, 0.1, 0.0) == pytest.approx(0.2)
    assert step(0.2999, 0.0, 0.0) == 0.2999
    assert step(0.119, 1.0, 0.01) == pytest.approx(0.11)
    assert to_step(3e20, 1e-8, 0.0) == pytest.approx(3e20)  # more steps than an integer holds


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["all_in", "fixed_fraction", "fixed_ratio", "atr_risk", "kelly"]),
    st.floats(-500.0, 50_000.0),
    st.floats(0.01, 500.0),
    st.floats(0.01, 20.0),
    st.floats(-500.0, 5_000.0),
    st.sampled_from([0.0, 0.01, 1.0]),
    st.sampled_from([0.0, 100.0]),
    st.sampled_from([1.0, 5.0]),
)
def test_a_size_is_the_naive_one(
    kind: str, equity: float, price: float, stop: float, profit: float, step: float, least: float, leverage: float
) -> None:
    numbers = {
        "all_in": {},
        "fixed_fraction": {"fraction": 0.4},
        "fixed_ratio": {"delta": 25.0, "unit": 0.5},
        "atr_risk": {"risk": 0.03},
        "kelly": {"fraction": 0.5},
    }[kind]
    sizing = Sizing.of(kind, **numbers)
    costs = Costs(quantity_step=step, min_notional=least, leverage=leverage)
    slow_costs = naive.Costs(quantity_step=step, min_notional=least, leverage=leverage)
    slow_sizing = naive.Sizing(kind, **dict(sizing.numbers))
    rule = sizing_numbers(sizing)
    found = plain_order(rule.kind, rule.first, rule.second, equity, price, stop, profit, 0.02, costs.numbers())
    expected = naive.order_quantity(naive.Reading(equity, profit, ()), price, stop, slow_costs, slow_sizing)
    assert found == pytest.approx(expected, rel=1e-12)
    fee_costs = Costs(fee=0.001, quantity_step=step, min_notional=least, leverage=leverage).numbers()
    slow_fee = naive.Costs(fee=0.001, quantity_step=step, min_notional=least, leverage=leverage)
    for cash in (equity, equity / 3.0):
        covered = plain_afford(found, price * 1.02, cash, fee_costs)
        assert covered == pytest.approx(naive.affordable(expected, price * 1.02, cash, slow_fee), rel=1e-9)
        assert covered * price * 1.02 * (1.0 / leverage + 0.001) <= max(cash, 0.0) * (1 + 1e-9) + 1e-7 * price


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([-0.02, -0.01, 0.0, 0.01, 0.03]), max_size=120), st.sampled_from([0.1, 0.5, 1.0]))
def test_kellys_bet_is_the_naive_one(returns: list[float], fraction: float) -> None:
    ring = np.full(KELLY_WINDOW, nan)
    for k, value in enumerate(returns):
        ring[k % KELLY_WINDOW] = value
    expected = naive.kelly_fraction(tuple(returns[-KELLY_WINDOW:]), fraction, 0.25)
    assert plain_kelly(ring, len(returns), fraction, 0.25) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_below_twenty_trades_kelly_bets_two_hundredths_even_above_its_cap() -> None:
    assert plain_kelly(np.zeros(50), 19, 0.5, 0.01) == 0.02
    assert plain_kelly(np.full(50, 0.01), 20, 0.5, 0.01) == 0.01


def test_a_return_is_net_and_free_of_the_quantity() -> None:
    assert unit_return.py_func(1.0, 100.0, 110.0, 0.001) == pytest.approx((10.0 - 0.21) / 100.0)
    assert unit_return.py_func(-1.0, 100.0, 110.0, 0.001) == pytest.approx((-10.0 - 0.21) / 100.0)


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ((100.0, 101.0, 99.0), (-1, nan)),
        ((94.0, 120.0, 93.0), (1, 94.0)),  # the open beyond the stop
        ((112.0, 113.0, 90.0), (2, 112.0)),  # beyond the target, the stop touched later
        ((100.0, 111.0, 94.0), (1, 95.0)),  # both touched: the stop
        ((100.0, 110.0, 96.0), (2, 110.0)),  # a touch is enough
        ((95.0, 96.0, 95.0), (1, 95.0)),
    ],
)
def test_which_resting_order_fills_and_where(bar: tuple[float, float, float], expected: tuple[int, float]) -> None:
    rest = protective_exit.py_func
    assert rest(1.0, *bar, 95.0, 110.0) == pytest.approx(expected, nan_ok=True)
    open, high, low = bar
    mirrored = rest(-1.0, 200.0 - open, 200.0 - low, 200.0 - high, 105.0, 90.0)
    assert mirrored[0] == expected[0]
    assert mirrored[1] == pytest.approx(200.0 - expected[1], nan_ok=True)
    assert rest(1.0, *bar, nan, nan)[0] == -1
