"""A whole sweep against the plain simulation of each of its combinations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.graph import Bar, Param, Signals, Sizing, bind, ta
from engine.graph.strategy import Strategy
from engine.research.plan import plan
from engine.research.prepare import shapes
from engine.research.space import Space
from engine.research.sweep import Sweep, sweep_bars, trades_of, warm_up
from engine.simulate import METRICS, Costs, simulate_program
from engine.strategies import STRATEGIES
from parquet_store import Usage
from tests.data import needs_data
from tests.research.made_strategies import FractionTurns, KellyTurns, LongTurns, RatioTurns, RiskTurns, Turns
from tests.research.swept import assert_swept_is_plain, rows_of, space_of
from tests.simulate.drawn import SIZINGS, made_bars, real_bars

COSTS = Costs(short=True)
WAYS = {"stop_atr": [0.0, 1.5], "target_atr": [0.0, 2.5], "trailing": [0, 1], "max_hold": [0, 6]}
SIZED: list[tuple[type[Strategy], dict[str, list[float]]]] = [
    (Turns, {"rsi_length": [4, 11], "low_level": [30.0, 45.0]}),
    (FractionTurns, {"fraction": [0.2, 1.0, 2.5]}),
    (RatioTurns, {"delta": [20.0, 400.0], "unit": [2.0, 5.0]}),
    (RiskTurns, {"risk": [0.005, 0.05], "stop_atr": [0.5, 2.0]}),
    (KellyTurns, {"fraction": [0.0, 0.3, 1.0], "cap": [0.1, 0.5], "rsi_length": [3]}),
]


@pytest.mark.parametrize(("strategy", "values"), SIZED, ids=lambda x: getattr(x, "name", None))
def test_every_way_out_and_size_is_the_plain_simulation(strategy: type[Strategy], values: dict) -> None:
    bars = made_bars(np.random.default_rng(len(strategy.name)), 1_500)
    sweep = Sweep(strategy, Space.of(strategy, WAYS | values), COSTS)
    assert assert_swept_is_plain(bars, sweep) > 100 * sweep.space.size / 4
    for combo in range(0, sweep.space.size, 3):
        plain = simulate_program(bind(strategy(), sweep.space.row(combo)), bars, COSTS)
        assert trades_of(bars, sweep, combo).tobytes() == plain.trades.tobytes()


@pytest.mark.parametrize("kind", SIZINGS)
def test_another_size_rule_takes_the_place_of_the_own(kind: str) -> None:
    bars = made_bars(np.random.default_rng(7), 1_000)
    space = space_of(KellyTurns, fraction=[0.0, 0.5], trailing=[0, 1])
    costs = replace(COSTS, quantity_step=0.01, price_tick=0.05, min_notional=20.0, leverage=2.0)
    assert assert_swept_is_plain(bars, Sweep(KellyTurns, space, costs, SIZINGS[kind])) > 50


@needs_data
@pytest.mark.parametrize("name", ["mean_reversion", "ibs_band", "buy_and_hold"])
def test_the_engines_strategies_on_real_bars(name: str) -> None:
    grids = {
        "mean_reversion": {"rsi_length": [5, 14], "stop_atr": [0, 2], "var_limit": [0, 0.05], "kelly_fraction": [0, 1]},
        "ibs_band": {"range_length": [10, 25], "trend_length": [0, 100], "width": [0.5, 1.5]},
        "buy_and_hold": {},
    }
    bars = real_bars("yahoo_SPY_1d_adj.parquet", 500, 3_000)
    strategy = STRATEGIES[name]
    assert_swept_is_plain(bars, Sweep(strategy, Space.of(strategy, grids[name]), Costs()))


def test_threads_budget_and_grid_do_not_change_a_bit() -> None:
    bars = made_bars(np.random.default_rng(9), 2_000)
    sweep = Sweep(KellyTurns, Space.of(KellyTurns, WAYS | {"rsi_length": [3, 5, 8], "fraction": [0.0, 0.5]}), COSTS)
    combos, rows = rows_of(bars, sweep, threads=1)
    assert combos.tolist() == list(range(sweep.space.size))
    small = 40 * 8 * len(bars)  # a few columns at a time
    for options in ({"threads": 2}, {"threads": 2, "budget": small}, {"threads": 3, "budget": 1}):
        again, found = rows_of(bars, sweep, **options)
        assert again.tolist() == combos.tolist()
        assert found.tobytes() == rows.tobytes(), options
    part = Space.of(KellyTurns, WAYS | {"rsi_length": [5], "fraction": [0.5]})
    _, alone = rows_of(bars, Sweep(KellyTurns, part, COSTS))
    places = [k for k in combos.tolist() if sweep.space.row(k)["rsi_length"] == 5 and sweep.space.row(k)["fraction"]]
    assert alone.tobytes() == rows[places].tobytes()


def test_constraints_leave_rows_out_and_keep_their_numbers() -> None:
    bars = made_bars(np.random.default_rng(3), 600)
    values = {"rsi_length": [3, 5, 8], "max_hold": [0, 4, 6]}
    _, rows = rows_of(bars, Sweep(Turns, Space.of(Turns, values), COSTS))
    combos, some = rows_of(bars, Sweep(Turns, Space.of(Turns, values, ["max_hold > rsi_length"]), COSTS))
    assert combos.tolist() == [1, 2, 5]
    assert some.tobytes() == rows[combos].tobytes()


def test_progress_adds_up_to_the_combinations() -> None:
    done: list[int] = []
    bars = made_bars(np.random.default_rng(3), 300)
    sweep = Sweep(Turns, Space.of(Turns, WAYS), COSTS)
    rows_of(bars, sweep, progress=done.append, budget=1)
    assert sum(done) == sweep.space.size
    assert len(done) == 4  # shapes, none of which can be divided


def test_what_cannot_be_swept_says_so() -> None:
    bars = made_bars(np.random.default_rng(3), 300)

    def run(*arguments: object, **more: object) -> None:
        list(sweep_bars(more.pop("bars", bars), Sweep(*arguments)))  # type: ignore[arg-type]

    with pytest.raises(Usage, match="a spot market does not; use a perpetual"):
        run(Turns, space_of(Turns), Costs())
    run(LongTurns, space_of(LongTurns), Costs())
    with pytest.raises(Usage, match="1 bars; a sweep needs at least 2"):
        run(Turns, space_of(Turns), COSTS, bars=bars.slice(0, 1))
    with pytest.raises(Usage, match="atr_risk needs a stop"):
        run(Turns, space_of(Turns, stop_atr=[0.0, 1.0]), COSTS, Sizing.of("atr_risk", risk=0.01))
    with pytest.raises(Usage, match="sizing fixed_ratio: delta is 0, expected a number above 0"):
        run(RatioTurns, space_of(RatioTurns, delta=[0.0, 10.0]), COSTS)


def test_a_series_of_two_bars_has_no_trade() -> None:
    bars = made_bars(np.random.default_rng(3), 2)
    _, rows = rows_of(bars, Sweep(Turns, space_of(Turns), COSTS))
    assert rows[0, METRICS.index("trades")] == 0.0
    assert rows[0, METRICS.index("total_return")] == 0.0


def test_borrowed_accounts_that_are_ruined_are_the_plain_ones() -> None:
    strategy = STRATEGIES["mean_reversion"]
    costs = Costs(leverage=100.0, initial_cash=1_000.0)
    bars = made_bars(np.random.default_rng(3), 3_000)
    off = {"stop_atr": [0.0], "var_limit": [0.0], "kelly_fraction": [0.0]}
    space = Space.of(strategy, {**off, "rsi_length": [5.0, 9.0], "oversold": [30.0, 45.0], "band_width": [0.5]})
    ruined = 0
    for fraction in (1.0, 20.0, 50.0):
        sweep = Sweep(strategy, space, costs, Sizing.of("all_in", fraction=fraction))
        assert_swept_is_plain(bars, sweep)
        _, rows = rows_of(bars, sweep)
        ruined += int((rows[:, METRICS.index("total_return")] < -1.0).sum())
    assert ruined > 0


def test_two_uses_of_one_step_share_its_columns() -> None:
    class Both(Strategy):
        fast = Param(5, low=2, high=90)
        slow = Param(9, low=2, high=90)

        def signals(self, bar: Bar) -> Signals:
            fast, slow = ta.ema(bar.close, self.fast), ta.ema(bar.close, self.slow)
            return Signals(entry=fast > slow, exit=fast < slow)

    lengths = [float(n) for n in range(2, 22)]
    sweep = Sweep(Both, Space.of(Both, {"fast": lengths, "slow": lengths}), Costs())
    shard = next(sweep.space.shards())
    ((shape, _),) = shapes(sweep.drawn, sweep.sizing, shard)
    assert len(plan(shard, shape).program.nodes) == len(lengths)


def test_the_warm_up_keeps_the_constraints() -> None:
    class Spread(Strategy):
        fast = Param(5, low=2, high=90)
        slow = Param(9, low=2, high=90)

        def signals(self, bar: Bar) -> Signals:
            return Signals(entry=bar.close > ta.sma(bar.close, self.slow - self.fast), exit=bar.close < bar.open)

    space = Space.of(Spread, {"fast": [20.0, 30.0], "slow": [10.0, 40.0]}, ["fast < slow"])
    warm_up(made_bars(np.random.default_rng(1), 300), Sweep(Spread, space, Costs()))
