"""From a shard to what the kernels read: shapes, pieces within the memory budget, columns and bitmaps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.graph.expression import FIELDS
from engine.graph.foreign import foreign_columns
from engine.graph.machine import Machine
from engine.graph.program import Sizing
from engine.graph.resolve import Shape, resolve, switches
from engine.graph.strategy import Signals, Size
from engine.kernels.column import anchors
from engine.research.bitmap import fill_bitmaps, words_of
from engine.research.plan import Work, plan
from engine.research.space import Shard
from parquet_store.errors import Usage
from pipelines import Bars

__all__ = ["Prepared", "pieces", "prepare", "shapes"]


@dataclass(frozen=True)
class Prepared:
    """The columns and bitmaps of a shard over one series, ready to be run."""

    work: Work
    shape: Shape
    values: NDArray[np.float64]
    bitmaps: NDArray[np.uint64]
    distances: NDArray[np.int64]


def shapes(drawn: Signals, sizing: Sizing | None, shard: Shard) -> Iterator[tuple[Shape, NDArray[np.int64]]]:
    """Yield each shape the signals take within a shard, with the places of its combinations."""
    scalars = switches(drawn)
    known = {name: shard.column(name) for name in shard.digits}
    size = len(shard)
    code = np.zeros(size, np.int64)
    for scalar in scalars.values():
        code = 2 * code + np.broadcast_to(np.asarray(scalar.evaluate(known)) != 0.0, (size,))
    keys = list(scalars)
    for pattern in np.unique(code).tolist():
        on = {key: bool(pattern >> (len(keys) - 1 - k) & 1) for k, key in enumerate(keys)}
        shape = resolve(drawn, lambda s, on=on: on[s.key])  # type: ignore[misc]
        yield _sized(shape, sizing), np.flatnonzero(code == pattern)


def _sized(shape: Shape, sizing: Sizing | None) -> Shape:
    if sizing is not None:
        shape = replace(shape, size=Size.of(sizing.kind, **dict(sizing.numbers)))
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
    for node, made in foreign_columns(work.program, bars):
        values[machine.first_output[node] : machine.first_output[node + 1]] = made
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


def pieces(
    bars: Bars, drawn: Signals, sizing: Sizing | None, shard: Shard, budget: int
) -> Iterator[tuple[Shard, NDArray[np.int64], Shape, Work]]:
    """Yield (part, places in the shard, shape, work), each within the memory budget."""
    for shape, places in shapes(drawn, sizing, shard):
        queue = [places]
        while queue:
            here = queue.pop(0)
            part = shard.take(here)
            work = plan(part, shape)
            if work.bytes(len(bars)) > budget and len(here) > 1:
                queue = [*np.array_split(here, 2), *queue]
                continue
            yield part, here, shape, work
