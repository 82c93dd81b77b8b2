"""The four sweeps of ``bench_sweep``: what is swept, under which costs, said once for both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.graph import Bar, Param, Signals, Sizing, Strategy, ta
from engine.research.shard import Shard
from engine.research.space import Space
from engine.research.sweep import Sweep
from engine.simulate import Costs
from engine.strategies import MeanReversion

BARS = 17_520
FEE, SLIPPAGE, CASH = 0.001, 0.0005, 10_000.0
ATR_LENGTH, ATRS, VAR_LENGTH, VAR_LIMIT = 14, 2.0, 250, 0.015
OFF = {"stop_atr": [0.0], "var_limit": [0.0], "kelly_fraction": [0.0]}
GRID: dict[str, list[float]] = {
    "rsi_length": [7, 10, 14, 21, 28],
    "oversold": [round(15 + 25 * i / 7, 3) for i in range(8)],
    "overbought": [round(55 + 30 * i / 9, 3) for i in range(10)],
    "band_length": [10, 15, 20, 30, 50],
    "band_width": [1.5, 1.75, 2.0, 2.25, 2.5],
}
STOPPED: dict[str, list[float]] = {
    "rsi_length": [7, 10, 14, 21, 28],
    "oversold": [20.0, 25.0, 30.0, 35.0, 40.0],
    "overbought": [round(55 + 30 * i / 9, 3) for i in range(10)],
    "band_length": [10, 15, 20, 30, 50],
    "band_width": [1.5, 1.75, 2.0, 2.5],
    "trailing": [0.0, 1.0],
}
CROSSED: dict[str, list[float]] = {
    "fast": [float(v) for v in range(4, 204, 2)],
    "slow": [float(v) for v in range(210, 610, 4)],
}


class Stopped(Strategy):
    """RSI and bands with a stop of 2 x ATR that rests or trails, entries below a value-at-risk limit, all in."""

    rsi_length = Param(14, low=2, high=500)
    oversold = Param(30.0, low=1.0, high=60.0)
    overbought = Param(70.0, low=40.0, high=99.0)
    band_length = Param(20, low=2, high=1000)
    band_width = Param(2.0, low=0.1, high=6.0)
    trailing = Param(0, low=0, high=1)

    def signals(self, bar: Bar) -> Signals:
        rsi = ta.rsi(bar.close, self.rsi_length)
        band = ta.bollinger(bar.close, self.band_length, self.band_width)
        calm = ta.value_at_risk(bar.close, VAR_LENGTH) < VAR_LIMIT
        return Signals(
            entry=(rsi < self.oversold) & (bar.close < band.lower) & calm,
            exit=(rsi > self.overbought) | (bar.close > band.upper),
            stop=ATRS * ta.atr(bar, ATR_LENGTH),
            trailing=self.trailing,
        )


class Crossed(Strategy):
    """Long while the fast average is above the slow one, short while it is below: always in the market."""

    fast = Param(20, low=2, high=1000)
    slow = Param(100, low=2, high=2000)

    def signals(self, bar: Bar) -> Signals:
        fast, slow = ta.ema(bar.close, self.fast), ta.ema(bar.close, self.slow)
        return Signals(entry=fast > slow, exit=fast < slow, short_entry=fast < slow, short_exit=fast > slow)


@dataclass(frozen=True)
class Case:
    """One sweep.

    Attributes
    ----------
    question : str
    strategy : type of Strategy
    values : dict
        The grid, or for random points the ends of each interval.
    fixed : dict
        Parameters that stay at one value.
    count : int
        Points to draw; 0: the whole grid.
    least : int
        How many times faster than VectorBT it has to be.
    """

    question: str
    strategy: type[Strategy]
    values: dict[str, list[float]]
    fixed: dict[str, list[float]]
    least: int
    count: int = 0

    def points(self) -> dict[str, Any]:
        """Return the value of each swept parameter of each combination."""
        if not self.count:
            axes = np.meshgrid(*(np.array(v, float) for v in self.values.values()), indexing="ij")
            return {name: axis.ravel() for name, axis in zip(self.values, axes, strict=True)}
        rng, out = np.random.default_rng(11), {}
        for name, values in self.values.items():
            whole = self.strategy.param(name).whole
            drawn = rng.choice(values, self.count) if whole else rng.uniform(min(values), max(values), self.count)
            assert whole or np.unique(drawn).size == self.count  # no two share a threshold
            out[name] = drawn
        return out

    def sweep(self) -> tuple[Sweep, Any]:
        """Return the sweep, and its shards where they are no grid."""
        costs = Costs(fee=FEE, slippage=SLIPPAGE, initial_cash=CASH, size_at="fill", short=self.strategy is Crossed)
        sizing = Sizing.of("all_in", fraction=1.0)
        if not self.count:
            return Sweep(self.strategy, Space.of(self.strategy, {**self.values, **self.fixed}), costs, sizing), None
        space = Space.of(self.strategy, self.fixed)
        columns = {name: np.full(self.count, space.values[name][0]) for name in space.values} | self.points()
        return Sweep(self.strategy, space, costs, sizing), [Shard.of_points(np.arange(self.count), columns)]


CASES = {
    "grid": Case("a dense grid, long only", MeanReversion, GRID, OFF, 1000),
    "random": Case("random points, no two share a threshold", MeanReversion, GRID, OFF, 100, 10_000),
    "stops": Case("a stop of 2 x ATR, trailing in half, value-at-risk filter", Stopped, STOPPED, {}, 200),
    "cross": Case("a moving-average cross, always long or short", Crossed, CROSSED, {}, 100),
}
