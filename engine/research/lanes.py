"""Run a prepared shard: threads take chunks of combinations until none is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.graph.resolve import FALSE, Shape
from engine.research.events import run_combinations
from engine.research.memo import BITS, WIDTH, run_remembered
from engine.research.prepare import Prepared
from engine.simulate.account import TRADE
from engine.simulate.costs import SIZING_CODES, Costs
from engine.simulate.tally import TALLY
from pipelines import Bars

__all__ = ["Outcome", "run_shard"]

CHUNK = 256


@dataclass(frozen=True)
class Outcome:
    """What the kernels count for some combinations.

    Attributes
    ----------
    tally : ndarray of float64, shape (m, len(TALLY))
    sums : ndarray of float64, shape (m, blocks, 2)
        Sum of the returns of each block of bars and of their squares.
    lists : ndarray of uint64, shape (m,)
        A hash of the trades (entry bar, exit bar, side): equal where two combinations trade alike, 0 for no trade.
    """

    tally: NDArray[np.float64]
    sums: NDArray[np.float64]
    lists: NDArray[np.uint64]


def run_shard(
    bars: Bars, ready: Prepared, costs: Costs, bounds: NDArray[np.int64], pool: ThreadPoolExecutor, workers: int
) -> Outcome:
    """Return what every combination of a prepared shard comes to.

    ``bounds`` are the bars at which blocks begin, and the number of bars at the end: 0 <= ... <= len(bars).
    """
    work, m = ready.work, len(ready.work.streams)
    tally = np.empty((m, len(TALLY)))
    sums, lists = np.empty((m, bounds.size - 1, 2)), np.empty(m, np.uint64)
    prices = (bars.open, bars.high, bars.low, bars.close)
    kind, numbers = float(SIZING_CODES[ready.shape.size.kind]), costs.numbers()
    shared = (prices, ready.bitmaps, work.streams, ready.values, ready.distances, work.rules)
    configs = configurations(ready, len(bars)) if remembers(ready.shape, costs) else None
    out = (tally, sums, lists)
    starts = iter(range(0, m, CHUNK))

    def lane() -> None:
        """Take chunks until none is left; the memory of trades is the lane's own."""
        none = np.zeros(0, TRADE)
        keys = np.full(1 << BITS if configs is not None else 0, -1, np.int64)
        rows = np.empty((keys.size, WIDTH))
        for start in starts:
            stop = min(m, start + CHUNK)
            if configs is None:
                run_combinations(*shared, kind, work.sizings, numbers, bounds, none, start, stop, *out)
            else:
                fractions = work.sizings[:, 0]
                run_remembered(*shared, configs, fractions, kind, numbers, bounds, keys, rows, start, stop, *out)

    jobs = [pool.submit(lane) for _ in range(min(workers, -(-m // CHUNK)))]
    try:
        for job in jobs:
            job.result()
    finally:
        for _ in starts:  # after an error or Ctrl-C the other lanes find nothing left
            pass
    return Outcome(tally, sums, lists)


def remembers(shape: Shape, costs: Costs) -> bool:
    """Return whether a trade scales with the equity it begins with and with nothing else of the past."""
    scales = shape.size.kind in ("all_in", "fixed_fraction", "atr_risk")
    free = costs.quantity_step == 0.0 and costs.min_notional == 0.0
    solvent = costs.leverage == 1.0  # beyond, equity can fall below 0, and below 0 nothing scales
    return scales and free and solvent and costs.fee + costs.slippage > 0.0 and shape.nodes["short_entry"] == FALSE


def configurations(ready: Prepared, bars: int) -> NDArray[np.int64] | None:
    """Return for each combination the number of its distances, rules and size; None if too many to be told apart."""
    parts = np.column_stack([ready.distances, ready.work.rules, ready.work.sizings[:, 0].view(np.int64)])
    kept, place = np.unique(parts, axis=0, return_inverse=True)
    return place.reshape(-1).astype(np.int64) if len(kept) * (bars + 1) ** 2 < 1 << 62 else None
