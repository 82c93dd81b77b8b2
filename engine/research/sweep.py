"""The sweep: every combination of a space over every series, event by event.

Shards of the space are planned (distinct nodes once), computed by threads over combinations, and handed on; memory is
bounded by the budget, whatever the number of combinations.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.program import Sizing
from engine.graph.strategy import Signals, Strategy
from engine.research.lanes import list_trades, run_shard
from engine.research.plan import plan
from engine.research.prepare import Prepared, pieces, prepare, shapes
from engine.research.space import Shard, Space
from engine.simulate.costs import Costs
from engine.simulate.run import years_of
from engine.simulate.tally import TALLY, metrics
from parquet_store.errors import Usage
from pipelines import Bars

__all__ = ["BUDGET", "Found", "Sweep", "block_bounds", "sweep_bars", "trades_of", "warm_up"]

BUDGET = 192 * 1024 * 1024
BLOCKS = 16


@dataclass(frozen=True)
class Sweep:
    """What is swept: a strategy's space under costs, with its own size rule or another."""

    strategy: type[Strategy]
    space: Space
    costs: Costs
    sizing: Sizing | None = None

    @cached_property
    def drawn(self) -> Signals:
        """The strategy's signals, drawn once for the whole sweep."""
        return self.strategy().drawn


@dataclass(frozen=True)
class Found:
    """What a sweep found for the combinations of a shard.

    Attributes
    ----------
    shard : Shard
    metrics : ndarray of float64, shape (m, len(METRICS))
    sums : ndarray of float64, shape (m, blocks, 2)
        Sum of the returns of each block of bars and of their squares.
    lists : ndarray of uint64, shape (m,)
        Equal where two combinations make the same trades, 0 where there is none.
    """

    shard: Shard
    metrics: NDArray[np.float64]
    sums: NDArray[np.float64]
    lists: NDArray[np.uint64]


def block_bounds(bars: int, blocks: int = BLOCKS) -> NDArray[np.int64]:
    """Return where blocks of (nearly) equal length begin, and the number of bars; shape (blocks + 1,)."""
    return np.arange(blocks + 1, dtype=np.int64) * bars // blocks


def warm_up(bars: Bars, sweep: Sweep) -> None:
    """Run one combination of each shape on a few bars: compiles what the machine has not compiled before."""
    few, shard = bars.slice(0, 256), next(sweep.space.shards())
    with ThreadPoolExecutor(1) as pool:
        for shape, places in shapes(sweep.drawn, sweep.sizing, shard):
            at = int(places[0])
            ready = prepare(few, plan(shard.part(at, at + 1), shape), shape, pool, 1)
            run_shard(few, ready, sweep.costs, block_bounds(len(few)), pool, 1)


def sweep_bars(
    bars: Bars,
    sweep: Sweep,
    shards: Iterable[Shard] | None = None,
    *,
    bounds: NDArray[np.int64] | None = None,
    threads: int | None = None,
    budget: int = BUDGET,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Found]:
    """Sweep a space over one series.

    Parameters
    ----------
    bars : Bars
    sweep : Sweep
    shards : iterable of Shard, optional
        Combinations to run; all of the sweep's space if not given.
    bounds : ndarray of int64, shape (blocks + 1,), optional
        Bars at which the blocks of ``Found.sums`` begin, then the number of bars; 16 blocks if not given.
    threads : int, optional
        All processors if not given.
    budget : int
        Bytes for the columns and bitmaps of one shard.
    progress : callable, optional
        Called with the number of combinations done since the last call.

    Yields
    ------
    Found
        One a shard, in the order of the combinations; the figures do not depend on ``threads`` or ``budget``.

    Raises
    ------
    Usage
        The series is too short, or the strategy goes short where the venue lets none.
    """
    workers = threads or os.cpu_count() or 1
    n = len(bars)
    if n < 2:
        raise Usage(f"{bars.source}: {n} bars; a sweep needs at least 2")
    years, bounds = years_of(bars), block_bounds(n) if bounds is None else bounds
    with ThreadPoolExecutor(workers) as pool:
        for shard in sweep.space.shards() if shards is None else shards:
            m = len(shard)
            tally, sums = np.empty((m, len(TALLY))), np.empty((m, bounds.size - 1, 2))
            lists = np.empty(m, np.uint64)
            for part, here, shape, work in pieces(bars, sweep.drawn, sweep.sizing, shard, budget):
                ready = prepare(bars, work, shape, pool, workers)
                _refuse_shorts(bars, ready, sweep.costs)
                made = run_shard(bars, ready, sweep.costs, bounds, pool, workers)
                tally[here], sums[here], lists[here] = made.tally, made.sums, made.lists
                del ready, work, made  # before the next ones take memory
                if progress is not None:
                    progress(len(part))
            figures = metrics(tally, n, years, bars.bars_per_year, sweep.costs.initial_cash)
            yield Found(shard, figures, sums, lists)


def _refuse_shorts(bars: Bars, ready: Prepared, costs: Costs) -> None:
    if not costs.short and ready.bitmaps[np.unique(ready.work.streams[:, 2])].any():
        raise Usage(
            f"{bars.source}: the strategy goes short, a spot market does not; use a perpetual or set costs short=true"
        )


def trades_of(bars: Bars, sweep: Sweep, combo: int) -> NDArray[Any]:
    """Return the closed trades the sweep's own kernel makes for one combination, dtype ``TRADE``."""
    shard = sweep.space.shard_of([combo])
    with ThreadPoolExecutor(1) as pool:
        _, _, shape, work = next(pieces(bars, sweep.drawn, sweep.sizing, shard, BUDGET))
        ready = prepare(bars, work, shape, pool, 1)
    return list_trades(bars, ready, sweep.costs)
