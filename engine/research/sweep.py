"""The sweep: every combination of a space over every series, event by event, into one table.

Shards of the space are planned (distinct nodes once), computed by threads over combinations, and streamed to Parquet;
memory is bounded by the budget, whatever the number of combinations.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.expression import FIELDS
from engine.graph.machine import Machine
from engine.graph.program import Sizing
from engine.graph.resolve import FALSE, Shape, resolve, switches
from engine.graph.strategy import Signals, Size, Strategy
from engine.kernels.column import anchors
from engine.research.bitmap import fill_bitmaps, words_of
from engine.research.events import run_combination, run_combinations
from engine.research.memo import BITS, WIDTH, run_remembered
from engine.research.plan import Work, plan
from engine.research.space import Shard, Space
from engine.simulate.account import TRADE
from engine.simulate.costs import SIZING_CODES, Costs, SizingNumbers
from engine.simulate.formulas import KELLY_WINDOW
from engine.simulate.run import years_of
from engine.simulate.tally import TALLY, metrics
from parquet_store.errors import Usage
from pipelines import Bars

__all__ = ["BUDGET", "Prepared", "Sweep", "shapes", "sweep_bars"]

BUDGET = 192 * 1024 * 1024
CHUNK = 256


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
class Prepared:
    """The columns and bitmaps of a shard over one series, ready to be run."""

    work: Work
    shape: Shape
    values: NDArray[np.float64]
    bitmaps: NDArray[np.uint64]
    distances: NDArray[np.int64]


def shapes(sweep: Sweep, shard: Shard) -> Iterator[tuple[Shape, NDArray[np.int64]]]:
    """Yield each shape the strategy takes within a shard, with the places of its combinations."""
    drawn = sweep.drawn
    scalars = switches(drawn)
    known = {name: sweep.space.values[name][digits] for name, digits in shard.digits.items()}
    size = len(shard)
    code = np.zeros(size, np.int64)
    for scalar in scalars.values():
        code = 2 * code + np.broadcast_to(np.asarray(scalar.evaluate(known)) != 0.0, (size,))
    keys = list(scalars)
    for pattern in np.unique(code).tolist():
        on = {key: bool(pattern >> (len(keys) - 1 - k) & 1) for k, key in enumerate(keys)}
        shape = resolve(drawn, lambda s, on=on: on[s.key])  # type: ignore[misc]
        yield _sized(shape, sweep), np.flatnonzero(code == pattern)


def _sized(shape: Shape, sweep: Sweep) -> Shape:
    if sweep.sizing is not None:
        shape = replace(shape, size=Size.of(sweep.sizing.kind, **dict(sweep.sizing.numbers)))
    if shape.size.kind == "atr_risk" and "stop" not in shape.nodes:
        raise Usage("sizing atr_risk needs a stop: give the strategy a stop, or choose another sizing")
    return shape


def prepare(bars: Bars, work: Work, shape: Shape, pool: ThreadPoolExecutor, workers: int) -> Prepared:
    """Compute the columns and bitmaps of a shard."""
    machine = Machine(work.program)
    n = len(bars)
    copied = [k for k, ref in enumerate(work.columns) if not isinstance(ref, tuple)]
    values = np.empty((machine.outputs + len(copied), n))
    fields = [getattr(bars, name) for name in FIELDS]
    machine.point(fields, list(values[: machine.outputs]), 1)
    machine.run(anchors(bars.number), 0, n)
    machine.check_canaries()
    place = np.full(len(work.columns) + 1, -1, np.int64)  # the last one answers for -1, "no column"
    for k, ref in enumerate(work.columns):
        if isinstance(ref, tuple):
            place[k] = machine.output(ref)
    for row, k in enumerate(copied, machine.outputs):
        ref = work.columns[k]
        place[k] = row
        values[row] = getattr(bars, ref) if isinstance(ref, str) else ref
    tasks = work.tasks.copy()
    compares = tasks[:, 0] < 5  # LESS to NONZERO read columns
    tasks[compares, 1:3] = place[tasks[compares, 1:3]]
    bitmaps = np.empty((len(tasks), words_of(n)), np.uint64)
    at = 0
    for stage in work.stages:
        cuts = np.linspace(at, at + stage, min(workers, stage) + 1).astype(int).tolist()
        jobs = [
            pool.submit(fill_bitmaps, tasks, work.levels, values, bitmaps, a, b) for a, b in itertools.pairwise(cuts)
        ]
        for job in jobs:
            job.result()
        at += stage
    return Prepared(work, shape, values, bitmaps, place[work.distances])


def run_shard(bars: Bars, ready: Prepared, costs: Costs, pool: ThreadPoolExecutor, workers: int) -> NDArray[np.float64]:
    """Return the tally of every combination of a prepared shard, shape (m, len(TALLY))."""
    work, m = ready.work, len(ready.work.streams)
    tally = np.empty((m, len(TALLY)))
    prices = (bars.open, bars.high, bars.low, bars.close)
    kind, numbers = float(SIZING_CODES[ready.shape.size.kind]), costs.numbers()
    shared = (prices, ready.bitmaps, work.streams, ready.values, ready.distances, work.rules)
    configs = configurations(ready, len(bars)) if remembers(ready.shape, costs) else None
    starts = iter(range(0, m, CHUNK))

    def lane() -> None:
        """Take chunks until none is left; the memory of trades is the lane's own."""
        none = np.zeros(0, TRADE)
        keys = np.full(1 << BITS if configs is not None else 0, -1, np.int64)
        rows = np.empty((keys.size, WIDTH))
        for start in starts:
            stop = min(m, start + CHUNK)
            if configs is None:
                run_combinations(*shared, kind, work.sizings, numbers, none, start, stop, tally)
            else:
                fractions = work.sizings[:, 0]
                run_remembered(*shared, configs, fractions, kind, numbers, keys, rows, start, stop, tally)

    jobs = [pool.submit(lane) for _ in range(min(workers, -(-m // CHUNK)))]
    try:
        for job in jobs:
            job.result()
    finally:
        for _ in starts:  # after an error or Ctrl-C the other lanes find nothing left
            pass
    return tally


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


def pieces(
    bars: Bars, sweep: Sweep, shard: Shard, budget: int
) -> Iterator[tuple[Shard, NDArray[np.int64], Shape, Work]]:
    """Yield (part, places in the shard, shape, work), each within the memory budget."""
    for shape, places in shapes(sweep, shard):
        queue = [places]
        while queue:
            here = queue.pop(0)
            part = Shard(shard.combo[here], {name: d[here] for name, d in shard.digits.items()})
            work = plan(sweep.space, part, shape)
            if work.bytes(len(bars)) > budget and len(here) > 1:
                queue = [*np.array_split(here, 2), *queue]
                continue
            yield part, here, shape, work


def warm_up(bars: Bars, sweep: Sweep) -> None:
    """Run one combination of each shape on a few bars: compiles what the machine has not compiled before."""
    few, shard = bars.slice(0, 256), next(sweep.space.shards())
    with ThreadPoolExecutor(1) as pool:
        for shape, places in shapes(sweep, shard):
            at = int(places[0])
            ready = prepare(few, plan(sweep.space, shard.part(at, at + 1), shape), shape, pool, 1)
            run_shard(few, ready, sweep.costs, pool, 1)


def sweep_bars(
    bars: Bars,
    sweep: Sweep,
    *,
    threads: int | None = None,
    budget: int = BUDGET,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[Shard, NDArray[np.float64]]]:
    """Sweep a space over one series.

    Parameters
    ----------
    bars : Bars
    sweep : Sweep
    threads : int, optional
        All processors if not given.
    budget : int
        Bytes for the columns and bitmaps of one shard.
    progress : callable, optional
        Called with the number of combinations done since the last call.

    Yields
    ------
    Shard, ndarray of float64, shape (len(shard), len(METRICS))
        In the order of the combinations; the figures do not depend on ``threads`` or ``budget``.

    Raises
    ------
    Usage
        The series is too short, or the strategy goes short where the venue lets none.
    """
    workers = threads or os.cpu_count() or 1
    if len(bars) < 2:
        raise Usage(f"{bars.source}: {len(bars)} bars; a sweep needs at least 2")
    years = years_of(bars)
    with ThreadPoolExecutor(workers) as pool:
        for shard in sweep.space.shards():
            tally = np.empty((len(shard), len(TALLY)))
            for part, here, shape, work in pieces(bars, sweep, shard, budget):
                ready = prepare(bars, work, shape, pool, workers)
                _refuse_shorts(bars, ready, sweep.costs)
                tally[here] = run_shard(bars, ready, sweep.costs, pool, workers)
                del ready, work  # before the next ones take memory
                if progress is not None:
                    progress(len(part))
            yield shard, metrics(tally, len(bars), years, bars.bars_per_year, sweep.costs.initial_cash)


def _refuse_shorts(bars: Bars, ready: Prepared, costs: Costs) -> None:
    if not costs.short and ready.bitmaps[np.unique(ready.work.streams[:, 2])].any():
        raise Usage(
            f"{bars.source}: the strategy goes short, a spot market does not; use a perpetual or set costs short=true"
        )


def trades_of(bars: Bars, sweep: Sweep, combo: int) -> NDArray[Any]:
    """Return the closed trades the sweep's own kernel makes for one combination, dtype ``TRADE``."""
    row, digits = sweep.space.row(combo), {}
    for name, values in sweep.space.values.items():
        digits[name] = np.flatnonzero(values == row[name])[:1]
    shard = Shard(np.array([combo]), digits)
    with ThreadPoolExecutor(1) as pool:
        _, _, shape, work = next(pieces(bars, sweep, shard, BUDGET))
        ready = prepare(bars, work, shape, pool, 1)
    stop, target = ready.distances[0].tolist()
    sizing = SizingNumbers(float(SIZING_CODES[shape.size.kind]), *work.sizings[0].tolist())
    trades, none = np.zeros(1024, TRADE), np.empty(0)
    while True:
        closed = run_combination(
            (bars.open, bars.high, bars.low, bars.close),
            tuple(ready.bitmaps[k] for k in work.streams[0]),
            ready.values[stop] if stop >= 0 else none,
            ready.values[target] if target >= 0 else none,
            bool(work.rules[0, 0]),
            int(work.rules[0, 1]),
            sizing,
            sweep.costs.numbers(),
            np.empty(KELLY_WINDOW),
            np.empty(len(TALLY)),
            trades,
        )
        if closed <= trades.size:
            return trades[:closed]
        trades = np.zeros(closed, TRADE)
