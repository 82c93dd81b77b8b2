"""The simulation of a portfolio against the naive one, with every limit, and one leg against the plain simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from engine.graph import Sizing
from engine.risk import Limits
from engine.risk.review import NAMES
from engine.simulate import REASONS, Costs, Decisions, simulate
from engine.simulate.portfolio import Leg, PortfolioSimulation, simulate_portfolio
from parquet_store import Usage
from pipelines import Bars
from tests.naive import portfolio as naive
from tests.simulate.drawn import (
    HOUR,
    SIZINGS,
    cases,
    costs_of,
    made_bars,
    made_decisions,
    naive_bars,
    naive_costs,
    naive_decisions,
    naive_size,
)

Case = tuple[Bars, Decisions, Costs, Sizing]


@settings(max_examples=150, deadline=None)
@given(cases())
def test_one_leg_is_the_plain_simulation_to_the_last_bit(case: Case) -> None:
    bars, decisions, costs, sizing = case
    if costs.size_at != "decision":
        return
    plain = simulate(bars, decisions, costs, sizing)
    for shared in (True, False):
        made = simulate_portfolio([Leg("A", bars, decisions, costs, sizing)], initial_cash=10_000.0, shared=shared)
        for name in ("trades", "open_trade", "equity", "invested", "ordered"):
            assert getattr(made.legs[0], name).tobytes() == getattr(plain, name).tobytes(), name
        assert made.equity.tobytes() == plain.equity.tobytes()
        mine, theirs = made.metrics, plain.metrics
        assert all(mine[k] == theirs[k] or mine[k] != mine[k] for k in theirs)


def every(bars: Bars, hours: int) -> Bars:
    """Return bars of several hours made of hourly ones."""
    at = bars.number // hours
    first = np.flatnonzero(np.concatenate(([True], at[1:] != at[:-1])))
    last = np.concatenate((first[1:], [len(bars)])) - 1
    parts = list(zip(first, last, strict=True))
    prices = (
        bars.open[first],
        np.array([bars.high[a : b + 1].max() for a, b in parts]),
        np.array([bars.low[a : b + 1].min() for a, b in parts]),
        bars.close[last],
    )
    return Bars.from_arrays(
        f"{bars.source}:{hours}h", f"{hours}h", at[first] * hours * HOUR, *prices, np.ones(first.size),
        bars_per_year=8_766.0 / hours, calendar="24/7",
    )  # fmt: skip


def drawn(seed: int, count: int, legs: int) -> list[Leg]:
    """Return legs on symbols that move together, some on the same bars, some on longer ones, of every size rule."""
    rng = np.random.default_rng(seed)
    market = made_bars(rng, count, 0.01)
    series: list[Bars] = []
    for k in range(max(legs - 1, 1)):
        own = made_bars(rng, count, 0.004 if k % 2 else 0.02)
        mixed = market.close * own.close / 100.0 if k % 2 else own.close
        opened = np.concatenate(([mixed[0]], mixed[:-1])) * (1 + rng.normal(0, 0.001, count))
        high, low = np.maximum(opened, mixed) * 1.004, np.minimum(opened, mixed) * 0.996
        present = rng.random(count) > 0.03
        prices = [x[present] for x in (opened, high, low, mixed)]
        number = 400_000 + np.arange(count)[present]
        series.append(
            Bars.from_arrays(
                f"made:{k}:1h",
                "1h",
                number * HOUR,
                *prices,
                np.ones(number.size),
                bars_per_year=8_766.0,
                calendar="24/7",
            )
        )
    if legs > 2:
        series[0] = every(series[0], 4)
    made = []
    for k in range(legs):
        bars = series[k % len(series)]
        kind = sorted(SIZINGS)[int(rng.integers(len(SIZINGS)))]
        stop = kind == "atr_risk" or bool(rng.random() < 0.7)
        decisions = made_decisions(
            rng, bars, 0.08, short=bool(rng.random() < 0.6), stop=stop, target=bool(rng.random() < 0.5),
            trailing=stop and bool(rng.random() < 0.3), max_hold=int(rng.choice([0, 5])),
        )  # fmt: skip
        venue = ("usual", "stepped", "levered")[int(rng.integers(3))]
        share = float(rng.choice([0.25, 0.5, 1.0]))
        made.append(Leg(f"L{k}", bars, decisions, costs_of(venue), SIZINGS[kind], share, f"S{k % 2}"))
    return made


LIMITS: dict[str, dict[str, Any]] = {
    "none": {},
    "defaults": {"strategy": {}},
    "tight": {
        "strategy": {"trades_per_day": 2, "losses_in_a_row": 2, "cool_down_hours": 5.0, "reward_to_risk": 0.9},
        "position": {"risk_per_trade": 0.003, "kelly": 0.02, "notional": "off"},
        "portfolio": {"exposure": 0.4, "correlated_positions": 2, "daily_loss": 0.01},
        "account": {"weekly_loss": 0.9, "drawdown": 0.9, "leverage": 0.45},
        "operation": {"price_band": 0.02},
    },
    "alike": {
        "strategy": {"value_at_risk": 0.03, "correlation": 0.6, "reward_to_risk": "off", "losses_in_a_row": "off"},
        "position": {"risk_per_trade": "off", "notional": 2500},
        "portfolio": {"exposure": 3.0, "daily_loss": "off"},
        "account": {"weekly_loss": "off", "drawdown": "off", "leverage": 0.3, "liquidation_distance": 0.8},
    },
    "margins": {
        "strategy": {"reward_to_risk": "off", "losses_in_a_row": "off", "trades_per_day": "off"},
        "position": {"risk_per_trade": "off", "notional": "off"},
        "portfolio": {"exposure": "off", "daily_loss": 0.02, "correlated_positions": "off"},
        "account": {"weekly_loss": 0.08, "drawdown": 0.5, "leverage": "off", "margin": 0.006, "maintenance_rate": 0.01},
    },
    "stopped": {
        "strategy": {"reward_to_risk": "off", "losses_in_a_row": "off"},
        "position": {"risk_per_trade": "off", "notional": "off"},
        "portfolio": {"exposure": "off", "daily_loss": "off", "correlated_positions": "off"},
        "account": {"weekly_loss": "off", "drawdown": 0.1, "liquidation_distance": 1.0},
    },
}


def limits_of(name: str) -> tuple[Limits | None, dict[str, float]]:
    if name == "none":
        return None, {}
    made = Limits(**LIMITS[name])
    plain = {
        f"{layer}.{key}": float(value)
        for layer, values in made.model_dump().items()
        for key, value in values.items()
        if value != "off"
    }
    return made, plain


def assert_alike(mine: PortfolioSimulation, slow: naive.Portfolio) -> None:
    times, equity = zip(*slow.equity, strict=True)
    np.testing.assert_array_equal(mine.time, times)
    np.testing.assert_allclose(mine.equity, equity, rtol=1e-9)
    told = [(int(r["time"]), mine.legs[r["leg"]].name, NAMES[r["limit"]]) for r in mine.refusals]
    assert told == [(r.time, r.leg, r.limit) for r in slow.refused]
    np.testing.assert_allclose(mine.refusals["let"], [r.let for r in slow.refused], rtol=1e-9)
    for course, state in zip(mine.legs, slow.states, strict=True):
        ours = course.trades[course.trades["quantity"] * course.trades["entry_price"] > 1e-6]  # not what rounding left
        theirs = [b for b in state.account.trades if b.quantity * b.entry_price > 1e-6]
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert (a["entry_bar"], a["exit_bar"], a["side"], REASONS[a["reason"]]) == (
                b.entry_bar, b.exit_bar, b.side, b.reason,
            )  # fmt: skip
            assert abs(a["quantity"] - b.quantity) <= 1e-9 * b.quantity
            assert abs(a["profit"] - b.profit) <= 1e-9 * b.quantity * b.entry_price


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("seed", range(8))
def test_a_portfolio_with_limits_is_the_naive_one(seed: int, name: str) -> None:
    legs = drawn(seed, 700, 2 + seed % 4)
    limits, plain = limits_of(name)
    shared = seed % 3 != 2
    if not shared:
        total = sum(leg.share for leg in legs)
        legs = [Leg(*(getattr(leg, f) for f in leg.__dataclass_fields__)) for leg in legs]
        legs = [Leg(x.name, x.bars, x.decisions, x.costs, x.sizing, x.share / total, x.strategy) for x in legs]
    mine = simulate_portfolio(legs, initial_cash=10_000.0, limits=limits, shared=shared)
    slow = naive.Portfolio(
        [
            naive.Leg(
                leg.name, leg.bars.source, leg.strategy, naive_bars(leg.bars), naive_decisions(leg.decisions),
                naive_costs(leg.costs), naive_size(leg.sizing), leg.share,
            )
            for leg in legs
        ],
        10_000.0, plain, shared,
    ).run()  # fmt: skip
    assert_alike(mine, slow)
    assert sum(leg.trades.size for leg in mine.legs) > (5 if name != "alike" else -1)


def test_every_limit_is_met_in_the_drawn_portfolios() -> None:
    met: set[str] = set()
    left: set[str] = set()
    for name in LIMITS:
        for seed in range(8):
            made = simulate_portfolio(drawn(seed, 700, 2 + seed % 4), initial_cash=10_000.0, limits=limits_of(name)[0])
            met |= {NAMES[k] for k in made.refusals["limit"]}
            left |= {REASONS[k] for leg in made.legs for k in leg.trades["reason"]}
    assert met == set(NAMES)
    assert left == set(REASONS)


def test_legs_that_cannot_be_run_together_are_refused() -> None:
    legs = drawn(0, 50, 2)
    with pytest.raises(Usage, match="no strategies"):
        simulate_portfolio([], initial_cash=1e4)
    with pytest.raises(Usage, match="stands twice"):
        simulate_portfolio([legs[0], legs[0]], initial_cash=1e4)
    many = [Leg(f"{k}", x.bars, x.decisions, x.costs, x.sizing) for k, x in enumerate(legs)]
    with pytest.raises(Usage, match="shares sum to 2"):
        simulate_portfolio(many, initial_cash=1e4, shared=False)
    at_fill = costs_of("at_fill")
    with pytest.raises(Usage, match="size_at = decision"):
        simulate_portfolio([Leg("A", legs[0].bars, legs[0].decisions, at_fill, legs[0].sizing)], initial_cash=1e4)
