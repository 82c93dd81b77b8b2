"""Sweeps for the verdict's tests: swept in memory, and histories without anything to find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.research.luck import Swept
from engine.research.sweep import Sweep, sweep_bars
from engine.simulate import METRICS
from pipelines import Bars


def swept_of(bars: Bars, sweep: Sweep, threads: int = 1) -> Swept:
    """Return what a sweep finds, held in memory."""
    parts = list(sweep_bars(bars, sweep, threads=threads))
    combo = np.concatenate([part.shard.combo for part in parts])
    metrics = np.concatenate([part.metrics for part in parts])
    sums = np.concatenate([part.sums for part in parts])
    lists = np.concatenate([part.lists for part in parts])

    def places(combos: NDArray[np.int64]) -> NDArray[np.int64]:
        at = np.searchsorted(combo, combos)
        assert np.array_equal(combo[at], combos)
        return at

    return Swept(
        bars,
        sweep,
        combo,
        metrics[:, METRICS.index("sharpe")],
        lists,
        lambda combos: sums[places(combos)],
        lambda combos: metrics[places(combos), METRICS.index("total_return")],
    )


def shuffled(bars: Bars, rng: np.random.Generator, count: int) -> Bars:
    """Return bars whose days were drawn at random, their mean return taken out: nothing can be known in advance.

    Each bar keeps its own shape, its open, high, low and close over the close before it.
    """
    before = bars.close[:-1]
    shape = np.stack([bars.open[1:], bars.high[1:], bars.low[1:], bars.close[1:]]) / before
    shape /= shape[3].mean()
    drawn = shape[:, rng.integers(0, before.size, count)]
    close = 100.0 * np.cumprod(drawn[3])
    opened, high, low = drawn[:3] * np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(high, np.maximum(opened, close)), np.minimum(low, np.minimum(opened, close))
    return Bars.from_arrays(
        "made:NONE/B:1d", "1d", np.arange(count) * 86_400_000, opened, high, low, close, np.ones(count),
        bars_per_year=252.0, calendar="sessions",
    )  # fmt: skip
