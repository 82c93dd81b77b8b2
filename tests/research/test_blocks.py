"""The returns of each block of bars and the hashes of trade lists, against the plain simulation's equity and trades."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.graph import Bar, Signals, bind
from engine.graph.strategy import Strategy
from engine.research import lanes
from engine.research.space import Space
from engine.research.sweep import Found, Sweep, block_bounds, sweep_bars
from engine.research.trades import SLOT, STAMP, USED, Memory, new_memory
from engine.simulate import METRICS, Costs, Simulation, simulate_program
from engine.strategies import STRATEGIES
from pipelines import Bars
from tests.data import needs_data
from tests.research.made_strategies import FractionTurns, KellyTurns, LongTurns, RatioTurns, RiskTurns, Turns
from tests.research.swept import assert_swept_is_plain
from tests.simulate.drawn import made_bars, real_bars

COSTS = Costs(short=True)
WAYS = {"stop_atr": [0.0, 1.5], "trailing": [0, 1], "max_hold": [0, 6], "low_level": [10.0, 35.0, 49.0]}
OFF = {"stop_atr": [0.0], "var_limit": [0.0], "kelly_fraction": [0.0]}


def blocks_of(plain: Simulation, bounds: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Return sum r and sum r^2 of each block, bar by bar."""
    out = []
    for b in range(len(bounds) - 1):
        total = square = 0.0
        for t in range(bounds[b], bounds[b + 1]):
            before = plain.equity[t - 1] if t > 0 else plain.costs.initial_cash
            r = plain.equity[t] / before - 1.0 if before > 0.0 else 0.0
            total, square = total + r, square + r * r
        out.append((total, square))
    return out


def trades_of(plain: Simulation) -> tuple[tuple[int, int, int], ...]:
    """Return (entry bar, exit bar, side) of each trade, the open one too."""
    made = [*plain.trades, *plain.open_trade]
    return tuple((int(t["entry_bar"]), int(t["exit_bar"]), int(t["side"])) for t in made)


def swept(bars: Bars, sweep: Sweep, bounds: NDArray[np.int64] | None = None, **options: Any) -> Found:
    """Return a sweep of one shard."""
    (found,) = sweep_bars(bars, sweep, bounds=bounds, **options)
    return found


def assert_blocks_and_lists(bars: Bars, sweep: Sweep, bounds: NDArray[np.int64]) -> int:
    """Hold sums and lists to the plain simulation of each combination; return how many lists there are."""
    found, drawn = swept(bars, sweep, bounds), sweep.strategy()
    names: dict[tuple[tuple[int, int, int], ...], int] = {}
    for combo, sums, name in zip(found.shard.combo.tolist(), found.sums, found.lists.tolist(), strict=True):
        plain = simulate_program(bind(drawn, sweep.space.row(combo), sweep.sizing), bars, sweep.costs)
        np.testing.assert_allclose(sums, blocks_of(plain, bounds), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(sums.sum(0), plain.tally[1:3], rtol=1e-10, atol=1e-14)
        assert names.setdefault(trades_of(plain), name) == name
        assert (name == 0) == (not trades_of(plain))
    assert len(set(names.values())) == len(names)
    return len(names)


@pytest.mark.parametrize("strategy", [Turns, LongTurns, FractionTurns, RatioTurns, RiskTurns, KellyTurns])
@pytest.mark.parametrize("blocks", [1, 16, 250])
def test_blocks_and_lists_are_those_of_the_plain_simulation(strategy: type[Strategy], blocks: int) -> None:
    bars = made_bars(np.random.default_rng(len(strategy.name)), 1_203)
    ways = {name: values for name, values in WAYS.items() if name in strategy.params}
    if strategy is RiskTurns:
        ways["stop_atr"] = [0.7, 1.5]
    assert assert_blocks_and_lists(bars, Sweep(strategy, Space.of(strategy, ways), COSTS), block_bounds(1_203, blocks))


def test_a_block_may_be_a_bar_or_empty() -> None:
    bars = made_bars(np.random.default_rng(5), 90)
    space = Space.of(LongTurns, {"low_level": [5.0, 45.0, 50.0], "rsi_length": [2, 3]})
    for bounds in (np.arange(91), np.array([0, 0, 3, 3, 3, 64, 65, 89, 90, 90])):
        assert assert_blocks_and_lists(bars, Sweep(LongTurns, space, Costs()), bounds) > 2


@needs_data
def test_blocks_and_lists_of_real_hours() -> None:
    bars = real_bars("binance_BTC-USDT_1h.parquet", 2_000, 3_000)
    strategy = STRATEGIES["mean_reversion"]
    plain = Space.of(strategy, OFF | {"rsi_length": [7, 14], "oversold": [20.0, 35.0], "overbought": [60.0, 80.0]})
    assert assert_blocks_and_lists(bars, Sweep(strategy, plain, Costs()), block_bounds(3_000)) > 4
    parts = Space.of(strategy, {"rsi_length": [7, 14], "var_limit": [0.0, 0.03], "kelly_fraction": [0.0, 0.5]})
    assert assert_blocks_and_lists(bars, Sweep(strategy, parts, Costs()), block_bounds(3_000, 7)) > 2


def test_both_kernels_name_a_list_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = made_bars(np.random.default_rng(8), 1_000)
    space = Space.of(LongTurns, {"low_level": [10.0, 35.0, 45.0], "rsi_length": [2, 5, 9], "stop_atr": [0.0, 1.0]})
    sweep, bounds = Sweep(LongTurns, space, Costs()), block_bounds(1_000)
    remembered = swept(bars, sweep, bounds)
    monkeypatch.setattr(lanes, "remembers", lambda *_: False)
    visited = swept(bars, sweep, bounds)
    assert len(set(remembered.lists.tolist())) > 10
    assert remembered.lists.tolist() == visited.lists.tolist()
    np.testing.assert_allclose(remembered.sums, visited.sums, rtol=1e-10, atol=1e-13)


def test_threads_and_budget_do_not_change_a_block_or_a_list() -> None:
    bars = made_bars(np.random.default_rng(9), 700)
    for strategy in (LongTurns, KellyTurns):
        ways = {"low_level": np.linspace(10, 50, 30).tolist(), "rsi_length": list(range(2, 22)), "stop_atr": [0.0, 1.0]}
        sweep = Sweep(strategy, Space.of(strategy, ways), COSTS)
        alone = swept(bars, sweep, threads=1)
        for options in ({"threads": 2}, {"threads": 3, "budget": 100_000}):
            other = swept(bars, sweep, **options)
            assert other.sums.tobytes() == alone.sums.tobytes()
            assert other.lists.tobytes() == alone.lists.tobytes()
            assert other.metrics.tobytes() == alone.metrics.tobytes()


def test_a_memory_that_is_full_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = made_bars(np.random.default_rng(12), 3_000)
    levels = np.linspace(20, 50, 40).tolist()
    ways = {"low_level": levels, "rsi_length": list(range(2, 18)), "stop_atr": [0.0, 0.3, 1.0]}
    sweep, bounds = Sweep(LongTurns, Space.of(LongTurns, ways), Costs()), block_bounds(3_000)
    full: list[int] = []

    def small(count: int) -> Memory:
        memory = new_memory(count)
        memory.state[USED] = memory.figures.shape[0] - 50  # rows and stamps soon run out
        memory.state[STAMP] = (1 << (SLOT - memory.digits)) - 20
        full.append(1)
        return memory

    whole = swept(bars, sweep, bounds, threads=1)
    monkeypatch.setattr(lanes, "new_memory", small)
    again = swept(bars, sweep, bounds, threads=1)
    assert full
    assert again.metrics.tobytes() == whole.metrics.tobytes()
    assert again.sums.tobytes() == whole.sums.tobytes()
    assert again.lists.tobytes() == whole.lists.tobytes()


def test_trades_that_climb_out_of_the_water_are_measured_to_the_bar() -> None:
    bars = made_bars(np.random.default_rng(31), 2_500, wildness=0.02)
    rising = Bars.from_arrays(
        bars.source, "1h", bars.time, *(x * np.linspace(1, 8, 2_500) for x in (bars.open, bars.high, bars.low)),
        bars.close * np.linspace(1, 8, 2_500), bars.volume,
    )  # fmt: skip
    space = Space.of(LongTurns, {"low_level": [25.0, 35.0, 49.0], "rsi_length": [2, 3, 9], "stop_atr": [0.0, 3.0]})
    for series in (bars, rising):
        assert_swept_is_plain(series, Sweep(LongTurns, space, Costs(fee=0.0001, slippage=0.0001)))


def test_a_dip_within_a_trade_that_has_climbed_out_of_the_water_counts_in_full() -> None:
    class ByVolume(Strategy):
        def signals(self, bar: Bar) -> Signals:
            return Signals(entry=bar.volume > 1.5, exit=bar.volume < 0.5)

    close, volume = np.full(120, 100.0), np.ones(120)
    close[3:12] = 98.0  # a first trade loses, a second begins at bar 9 under water,
    close[12:15] = 110.0  # climbs out of it,
    close[15:81] = 105.0  # dips for longer than anything before,
    close[81:] = 112.0  # and ends at its peak
    volume[[2, 8]], volume[[5, 100]] = 2.0, 0.0
    time = 3_600_000 * np.arange(400_000, 400_120)
    bars = Bars.from_arrays("made:A/B:1h", "1h", time, close, close, close, close, volume)
    sweep = Sweep(ByVolume, Space.of(ByVolume, {}), Costs())
    assert_swept_is_plain(bars, sweep)
    assert swept(bars, sweep).metrics[0, METRICS.index("max_drawdown_bars")] == 66
