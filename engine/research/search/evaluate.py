"""Evaluate points: each distinct one once, first over the early bars, then, if it is not pruned, over all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.research.request import Job
from engine.research.search.objective import Objective
from engine.research.shard import Shard
from engine.research.sweep import BUDGET, Found, sweep_bars
from engine.simulate import METRICS
from engine.simulate.run import years_of
from pipelines import Bars

__all__ = ["EARLY", "Evaluate", "Figures", "local_evaluator", "pruned"]

EARLY = 3  # the early bars are the first third
FEWEST = 5  # completed trials before any is pruned, as with Optuna's MedianPruner
Columns = Mapping[str, NDArray[np.float64]]
SHARPE = METRICS.index("sharpe")


class Evaluate(Protocol):
    """What evaluates a batch of points: the columns of their parameters, over these bars or all of them."""

    def __call__(self, columns: Columns, bars: Bars | None = None) -> Found:
        """Return what the points come to, in their order."""


def local_evaluator(job: Job, threads: int | None = None, memory: int | None = None) -> Evaluate:
    """Return what evaluates points on this machine, with the kernels of the sweep."""

    def evaluate(columns: Columns, bars: Bars | None = None) -> Found:
        shard = Shard.of_points(np.arange(len(next(iter(columns.values())))), columns)
        budget = BUDGET if memory is None else memory
        series = job.series[0] if bars is None else bars
        return next(iter(sweep_bars(series, job.sweep, [shard], threads=threads, budget=budget)))

    return evaluate


def pruned(early: NDArray[np.float64], completed: NDArray[np.float64], large: bool) -> NDArray[np.bool_]:
    """Return which trials are pruned: those worse early than the median of the completed ones.

    Parameters
    ----------
    early : ndarray of float64, shape (m,)
        Their objective over the early bars; what is undefined there is pruned.
    completed : ndarray of float64, shape (k,)
        That of the trials completed in earlier batches.
    large : bool
        Whether larger is better.

    Notes
    -----
    Optuna's MedianPruner with one step, computed once for a batch; nothing is pruned before five have completed.
    """
    if completed.size < FEWEST:
        return np.zeros(early.size, np.bool_)
    known = completed[np.isfinite(completed)]
    if not known.size:
        return np.isnan(early)
    limit = np.median(known)
    return np.isnan(early) | ((early < limit) if large else (early > limit))


@dataclass
class Figures:
    """What is known of the points of a search, each distinct one evaluated once.

    Attributes
    ----------
    early : dict of bytes to (float, float)
        Of each point: objective and Sharpe ratio over the early bars.
    full : dict of bytes to (Found, int)
        Of each point: its row.
    columns : dict of bytes to tuple of float
        The parameters of each, in the strategy's order.
    runs : int
        Points evaluated over all bars, by this process.
    """

    job: Job
    evaluate: Evaluate
    objectives: tuple[Objective, ...]
    early: dict[bytes, tuple[float, float]] = field(default_factory=dict)
    full: dict[bytes, tuple[Found, int]] = field(default_factory=dict)
    columns: dict[bytes, tuple[float, ...]] = field(default_factory=dict)
    runs: int = 0

    def keys(self, columns: Columns) -> list[bytes]:
        """Return what tells points apart: the bytes of their parameters."""
        rows = np.ascontiguousarray(np.column_stack([columns[name] for name in self.job.sweep.space.values])) + 0.0
        found = [row.tobytes() for row in rows]
        for key, row in zip(found, rows, strict=True):
            self.columns.setdefault(key, tuple(row.tolist()))
        return found

    @property
    def early_bars(self) -> Bars:
        """The first third of the bars."""
        bars = self.job.series[0]
        return bars.slice(0, len(bars) // EARLY)

    def look_early(self, keys: list[bytes]) -> NDArray[np.float64]:
        """Return the first objective of points over the early bars, shape (m,), NaN where undefined."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self.early]
        if wanted:
            bars = self.early_bars
            found = self.evaluate(self.table(wanted), bars)
            values = self.objectives[0].values(found.metrics, self.job.sweep.costs, years_of(bars))
            sharpe = found.metrics[:, SHARPE]
            self.early |= zip(wanted, zip(values.tolist(), sharpe.tolist(), strict=True), strict=True)
        return np.array([self.early[key][0] for key in keys])

    def look(self, keys: list[bytes]) -> NDArray[np.float64]:
        """Return the objectives of points over all bars, shape (m, objectives), NaN where undefined."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self.full]
        if wanted:
            found = self.evaluate(self.table(wanted))
            self.full |= {key: (found, row) for row, key in enumerate(wanted)}
            self.runs += len(wanted)
        if not keys:
            return np.zeros((0, len(self.objectives)))
        rows = np.array([self.metrics(key) for key in keys])
        years = years_of(self.job.series[0])
        return np.column_stack([one.values(rows, self.job.sweep.costs, years) for one in self.objectives])

    def metrics(self, key: bytes) -> NDArray[np.float64]:
        """Return the metrics of a point that was evaluated over all bars, shape (len(METRICS),)."""
        found, row = self.full[key]
        metrics: NDArray[np.float64] = found.metrics[row]
        return metrics

    def trade_list(self, key: bytes) -> int:
        """Return the hash of the trades of a point that was evaluated over all bars."""
        found, row = self.full[key]
        return int(found.lists[row])

    def params(self, key: bytes) -> dict[str, float]:
        """Return the parameters of a point."""
        return dict(zip(self.job.sweep.space.values, self.columns[key], strict=True))

    def per_bar(self) -> NDArray[np.float64]:
        """Return the per-bar Sharpe ratio of every point ever evaluated; of pruned ones that of the early bars."""
        found = [self.metrics(key)[SHARPE] for key in self.full]
        found += [sharpe for key, (_, sharpe) in self.early.items() if key not in self.full]
        return np.array(found, np.float64) / math.sqrt(self.job.series[0].bars_per_year)

    def found(self, keys: list[bytes], shard: Shard, order: NDArray[np.int64]) -> Found:
        """Return distinct points evaluated over all bars as one ``Found``, with these numbers and in this order."""
        taken = [self.full[keys[place]] for place in order.tolist()]
        return Found(
            shard,
            np.array([found.metrics[row] for found, row in taken]),
            np.array([found.sums[row] for found, row in taken]),
            np.array([found.lists[row] for found, row in taken], np.uint64),
        )

    def table(self, keys: list[bytes]) -> dict[str, NDArray[np.float64]]:
        """Return the columns of points."""
        rows = np.array([self.columns[key] for key in keys], np.float64).reshape(len(keys), -1)
        return {name: np.ascontiguousarray(rows[:, k]) for k, name in enumerate(self.job.sweep.space.values)}
