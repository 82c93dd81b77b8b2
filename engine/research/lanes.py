"""Run a prepared shard: threads take chunks of combinations until none is left."""

from __future__ import annotations

import itertools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.resolve import FALSE, Shape
from engine.research.accounts import new_accounts
from engine.research.events import Answers, Asked, Terms, run_combination, run_combinations
from engine.research.exits import market_of
from engine.research.memo import run_remembered
from engine.research.prepare import Prepared
from engine.research.private import scratch_for
from engine.research.scan import new_streams
from engine.research.trades import new_memory
from engine.simulate.account import TRADE
from engine.simulate.costs import SIZING_CODES, Costs, SizingNumbers
from engine.simulate.formulas import KELLY_WINDOW
from engine.simulate.tally import TALLY
from pipelines import Bars

__all__ = ["Outcome", "list_trades", "run_shard"]

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
    work, m, n = ready.work, len(ready.work.streams), len(bars)
    out = Answers(np.empty((m, len(TALLY))), np.empty((m, bounds.size - 1, 2)), np.empty(m, np.uint64))
    market, numbers, two_sided = market_of(bars), costs.numbers(), goes_short(ready.shape)
    configs = configurations(ready, n) if remembers(ready.shape, costs) else None
    groups = None if configs is None else joint(configs, work.streams[:, 1])
    order = np.arange(m) if groups is None else np.argsort(groups, kind="stable")
    asked = asked_of(ready, order)
    chunks = _shares(m, workers)

    def lane(own: deque[tuple[int, int]]) -> None:
        """Run the lane's own chunks, then what the others have left; the memory of trades is the lane's own."""
        scratch = scratch_for(work.recipe, n)
        memory = None if groups is None else new_memory(n)
        accounts = None if groups is None else new_accounts(n)
        streams = new_streams(n if groups is None else 0)
        room, none = (streams, np.empty(KELLY_WINDOW)), np.zeros(0, TRADE)
        while (chunk := _next(own, chunks)) is not None:
            if memory is None:
                run_combinations(market, asked, two_sided, numbers, bounds, room, scratch, none, *chunk, out)
            else:
                run_remembered(market, asked, configs, groups, numbers, bounds, accounts, scratch, memory, *chunk, out)

    jobs = [pool.submit(lane, own) for own in chunks]
    try:
        for job in jobs:
            job.result()
    finally:
        for own in chunks:  # after an error or Ctrl-C the other lanes find nothing left
            own.clear()
    return Outcome(out.tally, out.sums, out.lists)


def asked_of(ready: Prepared, order: NDArray[np.int64] | None = None) -> Asked:
    """Return what the kernels read of a prepared shard; ``order``: in which its combinations are run."""
    work = ready.work
    return Asked(
        ready.bitmaps,
        work.streams,
        Terms(
            ready.values,
            work.distances,
            work.factors,
            work.rules,
            float(SIZING_CODES[ready.shape.size.kind]),
            work.sizings,
        ),
        np.arange(len(work.streams)) if order is None else order,
        work.recipe,
    )


def _shares(m: int, workers: int) -> list[deque[tuple[int, int]]]:
    """Return for each lane its chunks (start, stop), neighbours together."""
    chunks = [(start, min(m, start + CHUNK)) for start in range(0, m, CHUNK)]
    lanes = min(workers, len(chunks))
    cuts = [len(chunks) * k // lanes for k in range(lanes + 1)]
    return [deque(chunks[a:b]) for a, b in itertools.pairwise(cuts)]


def _next(own: deque[tuple[int, int]], chunks: list[deque[tuple[int, int]]]) -> tuple[int, int] | None:
    """Return the lane's next chunk, or the last one of another lane, or None."""
    try:
        return own.popleft()
    except IndexError:
        pass
    for other in chunks:
        try:
            return other.pop()
        except IndexError:
            continue
    return None


def list_trades(bars: Bars, ready: Prepared, costs: Costs) -> NDArray[Any]:
    """Return the closed trades of the first combination of a prepared shard, dtype ``TRADE``."""
    stop, target = ready.work.distances[0].tolist()
    none, work = np.empty(0), ready.work
    sizing = SizingNumbers(float(SIZING_CODES[ready.shape.size.kind]), *work.sizings[0].tolist())
    trades = np.zeros(1024, TRADE)
    while True:
        closed, _ = run_combination(
            market_of(bars),
            tuple(ready.bitmaps[k] for k in work.streams[0]),
            goes_short(ready.shape),
            (ready.values[stop] if stop >= 0 else none, work.factors[0, 0]),
            (ready.values[target] if target >= 0 else none, work.factors[0, 1]),
            bool(work.rules[0, 0]),
            int(work.rules[0, 1]),
            sizing,
            costs.numbers(),
            np.array([0, len(bars)]),
            (new_streams(len(bars)), np.empty(KELLY_WINDOW)),
            np.empty(len(TALLY)),
            np.empty((1, 2)),
            trades,
        )
        if closed <= trades.size:
            return trades[:closed]
        trades = np.zeros(closed, TRADE)


def goes_short(shape: Shape) -> bool:
    """Return whether the shape has a short side."""
    return shape.nodes["short_entry"] != FALSE


def remembers(shape: Shape, costs: Costs) -> bool:
    """Return whether a trade scales with the equity it begins with and with nothing else of the past."""
    scales = shape.size.kind in ("all_in", "fixed_fraction", "atr_risk")
    free = costs.quantity_step == 0.0 and costs.min_notional == 0.0
    solvent = costs.leverage == 1.0  # beyond, equity can fall below 0, and below 0 nothing scales
    return scales and free and solvent and costs.fee + costs.slippage > 0.0 and not goes_short(shape)


def configurations(ready: Prepared, bars: int) -> NDArray[np.int64] | None:
    """Return for each combination the number of its distances, rules and size; None if too many to be told apart."""
    found = ready.work.configs
    many = int(found.max(initial=0)) + 1
    return found if 2 * many * (bars + 1) ** 2 < 1 << 62 else None


def joint(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Return a number for each row of the columns, equal where the rows are; the first column weighs most."""
    ids = np.zeros(columns[0].size, np.int64)
    for column in columns:
        if (column != column[:1]).any():
            place = dense(column)
            ids = dense(ids * (place.max() + 1) + place)
    return ids


def dense(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rank of each value among the distinct ones."""
    if values.dtype.kind == "i":
        offset = values - values.min()
        reach = int(offset.max()) + 1
        if reach <= 16 * values.size:
            present = np.zeros(reach, np.int64)
            present[offset] = 1
            ranks: NDArray[np.int64] = (np.cumsum(present) - 1)[offset]
            return ranks
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
