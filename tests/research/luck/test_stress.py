"""Costs that grow, against the plain simulation at those costs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.graph import bind
from engine.research.luck.stress import stress_costs
from engine.simulate import Costs, simulate_program
from engine.strategies import STRATEGIES
from tests.research.made_strategies import LongTurns
from tests.simulate.drawn import made_bars

BARS = made_bars(np.random.default_rng(3), 1_500)
COSTS = Costs(fee=0.0002, slippage=0.0001)


def test_each_level_is_the_plain_simulation_at_that_cost() -> None:
    program = bind(LongTurns())
    plain, found = stress_costs(program, BARS, COSTS)
    assert plain.equity.tobytes() == simulate_program(program, BARS, COSTS).equity.tobytes()
    assert [level.factor for level in found.levels] == [1.0, 2.0, 3.0]
    for level in found.levels:
        costs = replace(COSTS, fee=0.0002 * level.factor, slippage=0.0001 * level.factor)
        metrics = simulate_program(program, BARS, costs).metrics
        assert (level.sharpe, level.total_return) == (metrics["sharpe"], metrics["total_return"])
    assert found.cost == pytest.approx(0.0003)


def test_at_the_break_even_nothing_is_earned() -> None:
    earned = 0
    for seed in range(40):
        bars = made_bars(np.random.default_rng(seed), 700)
        program = bind(LongTurns())
        _, found = stress_costs(program, bars, COSTS)
        free = simulate_program(program, bars, replace(COSTS, fee=0.0, slippage=0.0)).metrics["total_return"]
        if free <= 0.0:
            assert found.break_even == 0.0
            continue
        earned += 1
        share = found.break_even / 3.0
        costs = replace(COSTS, fee=2.0 * share, slippage=share)
        assert simulate_program(program, bars, costs).metrics["total_return"] == pytest.approx(0.0, abs=1e-5)
        assert (found.levels[0].total_return > 0.0) == (found.break_even > found.cost)
    assert earned > 5


def test_costs_of_nothing_have_a_break_even_fee() -> None:
    bars = made_bars(np.random.default_rng(2), 700)
    program = bind(STRATEGIES["buy_and_hold"]())
    free = Costs(fee=0.0, slippage=0.0)
    _, found = stress_costs(program, bars, free)
    assert found.cost == 0.0
    total = simulate_program(program, bars, free).metrics["total_return"]
    if total <= 0.0:
        assert found.break_even == 0.0
    else:
        assert simulate_program(program, bars, replace(free, fee=found.break_even)).metrics["total_return"] < 1e-5


def test_what_earns_at_any_cost_has_no_break_even() -> None:
    bars = made_bars(np.random.default_rng(5), 400)
    lift = np.exp(np.linspace(0.0, 4.0, 400))
    rising = type(bars).from_arrays(
        "made:UP/B:1h", "1h", bars.time, *(getattr(bars, name) * lift for name in ("open", "high", "low", "close")),
        np.ones(400),
    )  # fmt: skip
    _, found = stress_costs(bind(STRATEGIES["buy_and_hold"]()), rising, COSTS)
    assert found.break_even == math.inf
