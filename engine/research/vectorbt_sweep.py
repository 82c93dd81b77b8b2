"""VectorBT as a backend of a sweep: the same figures, sums and lists of trades as the events, from its own records."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.graph import bind
from engine.graph.program import Sizing
from engine.graph.strategy import Strategy
from engine.jit import compiled
from engine.research.course import listed, sealed
from engine.research.shard import Shard
from engine.research.sweep import Found, Sweep, block_bounds
from engine.research.vectorbt_orders import Outcome, Unsayable, orders
from engine.research.vectorbt_sizes import sized
from engine.simulate import Costs, Decisions, decide
from engine.simulate.account import TRADE
from engine.simulate.course import count
from engine.simulate.run import years_of
from engine.simulate.tally import TALLY, metrics
from parquet_store.errors import Usage
from pipelines import Bars

__all__ = ["BYTES", "sweep_bars"]

BYTES = 480  # VectorBT needs about this for a bar and combination
BUDGET = 1 << 29


def sweep_bars(
    bars: Bars,
    sweep: Sweep,
    shards: Iterable[Shard] | None = None,
    *,
    bounds: NDArray[np.int64] | None = None,
    progress: Callable[[int], None] | None = None,
    budget: int = BUDGET,
) -> Iterator[Found]:
    """Sweep a space over one series through ``vbt.Portfolio.from_signals``, in chunks that keep to the budget.

    Parameters
    ----------
    bars, sweep, shards, bounds, progress
        As for ``engine.research.sweep.sweep_bars``.
    budget : int
        Bytes for one call of VectorBT; one combination is the least.

    Yields
    ------
    Found
        One a shard; figures and sums agree with the other backend's to 1e-9, lists of trades are the same.

    Raises
    ------
    Usage
        The series is too short, a combination goes short where the venue lets none, or it asks for what VectorBT has
        no words for (the events backend computes that).
    """
    n, strategy, costs = len(bars), sweep.strategy(), sweep.costs
    if n < 2:
        raise Usage(f"{bars.source}: {n} bars; a sweep needs at least 2")
    bounds = block_bounds(n) if bounds is None else bounds
    width, held = max(1, budget // (BYTES * n)), 0
    for shard in sweep.space.shards() if shards is None else shards:
        m = len(shard)
        tally, sums, lists = np.empty((m, len(TALLY))), np.empty((m, bounds.size - 1, 2)), np.empty(m, np.uint64)
        for start in range(0, m, width):
            part = range(start, min(start + width, m))
            asked = [_asked(bars, sweep, strategy, shard, i) for i in part]
            try:
                sizes = [sized(bars, decisions, costs, sizing) for decisions, sizing in asked]
                outcomes = orders(bars, [decisions for decisions, _ in asked], costs, sizes)
            except Unsayable as error:
                raise Usage(f"{error}; use --backend events") from error
            for i, outcome in zip(part, outcomes, strict=True):
                tally_of(outcome, costs, tally[i])
                sums[i] = block_sums(outcome.equity, costs.initial_cash, bounds)
                lists[i] = list_hash(outcome.trades.entry_bar, outcome.trades.exit_bar, outcome.trades.side, n)
            del asked, sizes, outcomes
            held += BYTES * n * len(part)
            if 2 * held > budget:
                gc.collect()  # VectorBT's objects hold each other
                held = 0
            if progress is not None:
                progress(len(part))
        figures = metrics(tally, n, years_of(bars), bars.bars_per_year, costs.initial_cash)
        yield Found(shard, figures, sums, lists)


def _asked(bars: Bars, sweep: Sweep, strategy: Strategy, shard: Shard, i: int) -> tuple[Decisions, Sizing]:
    """Return what one combination decides, in memory of its own, and its size rule."""
    values = {name: float(shard.values[name][digits[i]]) for name, digits in shard.digits.items()}
    program = bind(strategy, values, sweep.sizing)
    found = decide(program, bars)
    stop, target = (None if d is None else d.copy() for d in (found.stop, found.target))  # not all columns with them
    return replace(found, stop=stop, target=target), program.sizing


def tally_of(outcome: Outcome, costs: Costs, tally: NDArray[np.float64]) -> None:
    """Fill a row of sums from VectorBT's trades and equity."""
    trades, n = outcome.trades, outcome.equity.size
    is_open = trades.exit_bar < 0
    change = np.zeros(n + 1, np.int64)
    np.add.at(change, trades.entry_bar, 1)
    np.add.at(change, np.where(is_open, n, trades.exit_bar + 1), -1)
    invested = np.cumsum(change[:n]) > 0
    fees = float(trades.fees[is_open].sum())
    closed = np.ascontiguousarray(trades[~is_open]).view(TRADE)
    count(outcome.equity, invested, closed, fees, float(is_open.any()), costs.initial_cash, tally)


def block_sums(equity: NDArray[np.float64], initial_cash: float, bounds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sum of returns and of their squares for the bars of each block, shape (blocks, 2)."""
    before = np.concatenate(([initial_cash], equity[:-1]))
    solvent = before > 0.0
    returns = np.where(solvent, equity / np.where(solvent, before, 1.0) - 1.0, 0.0)
    out = np.zeros((bounds.size - 1, 2))
    some = np.flatnonzero(bounds[:-1] < bounds[1:])  # of an empty block reduceat makes its first bar
    for k, values in enumerate((returns, returns * returns)):
        out[some, k] = np.add.reduceat(values, bounds[:-1][some])
    return out


@compiled
def list_hash(
    entry_bars: NDArray[np.int64], exit_bars: NDArray[np.int64], sides: NDArray[np.int64], bars: int
) -> np.uint64:
    """Return the kernels' hash of a list of trades, ``exit_bar`` -1 where one is still open."""
    made = np.uint64(0)
    for k in range(entry_bars.size):
        made = listed(made, entry_bars[k], exit_bars[k] if exit_bars[k] >= 0 else bars, float(sides[k]))
    return sealed(made)  # type: ignore[no-any-return]
