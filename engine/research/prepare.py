"""From a shard to what the kernels read: shapes, pieces within the memory budget, columns and bitmaps."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.graph.expression import FIELDS
from engine.graph.foreign import foreign_columns
from engine.graph.program import Sizing
from engine.graph.resolve import Shape, resolve, switches
from engine.graph.strategy import Signals, Size
from engine.kernels.step import find_step
from engine.research.bitmap import words_of
from engine.research.instances import compress
from engine.research.merged import ONES
from engine.research.plan import Work, plan
from engine.research.private import rows_of
from engine.research.space import Shard
from engine.research.tiles import Tiles
from parquet_store.errors import Usage
from pipelines import Bars

__all__ = ["Prepared", "pieces", "prepare", "shapes"]


@dataclass(frozen=True)
class Prepared:
    """The columns and bitmaps of a shard over one series, ready to be run.

    Attributes
    ----------
    values : ndarray of float64, shape (columns, 64 * words)
        The columns combinations read, ``Work.kept``; what follows the last bar means nothing.
    bitmaps : ndarray of uint64, shape (rows, words)
        The shared conditions.
    """

    work: Work
    shape: Shape
    values: NDArray[np.float64]
    bitmaps: NDArray[np.uint64]


def shapes(drawn: Signals, sizing: Sizing | None, shard: Shard) -> Iterator[tuple[Shape, NDArray[np.int64]]]:
    """Yield each shape the signals take within a shard, with the places of its combinations."""
    known = {name: shard.column(name) for name in shard.digits}
    size = len(shard)
    flags = {
        key: np.broadcast_to(np.asarray(scalar.evaluate(known)) != 0.0, (size,))
        for key, scalar in switches(drawn).items()
    }
    ids, count = compress([(flag.astype(np.int64), 2) for flag in flags.values()], size)
    for pattern in range(count):
        places = np.flatnonzero(ids == pattern) if count > 1 else np.arange(size)
        on = {key: bool(flag[places[0]]) for key, flag in flags.items()}
        shape = resolve(drawn, lambda s, on=on: on[s.key])  # type: ignore[misc]
        yield _sized(shape, sizing), places


def _sized(shape: Shape, sizing: Sizing | None) -> Shape:
    if sizing is not None:
        shape = replace(shape, size=Size.of(sizing.kind, **dict(sizing.numbers)))
    if shape.size.kind == "atr_risk" and "stop" not in shape.nodes:
        raise Usage("sizing atr_risk needs a stop: give the strategy a stop, or choose another sizing")
    return shape


def prepare(bars: Bars, work: Work, shape: Shape, pool: ThreadPoolExecutor, workers: int) -> Prepared:
    """Compute the columns and bitmaps of a shard."""
    n = len(bars)
    values = rows_of(len(work.kept), n)
    whole: dict[int, NDArray[np.float64]] = {}
    for row, code in zip(values, work.kept, strict=True):
        if code == ONES:
            row[:] = 1.0
        elif code < len(FIELDS):
            row[:n] = getattr(bars, FIELDS[code])
        else:
            whole[code - len(FIELDS)] = row
    for first, made in foreign_columns(work.program, bars):
        begin = sum(len(find_step(node.step).outputs) for node in work.program.nodes[:first])
        for k, column in enumerate(made, begin):
            if k in whole:
                whole[k][:n] = column
            else:
                whole[k] = np.ascontiguousarray(column)
    bitmaps = np.empty((len(work.tasks), words_of(n)), np.uint64)
    Tiles(bars, work.program, work.tile(n), whole, workers).fill(work.tasks, work.levels, bitmaps, pool)
    return Prepared(work, shape, values, bitmaps)


def pieces(
    bars: Bars, drawn: Signals, sizing: Sizing | None, shard: Shard, budget: int
) -> Iterator[tuple[Shard, NDArray[np.int64], Shape, Work]]:
    """Yield (part, places in the shard, shape, work), each within the memory budget if it can be."""
    n = len(bars)
    for shape, places in shapes(drawn, sizing, shard):
        queue = [places]
        while queue:
            here = queue.pop(0)
            part = shard.take(here)
            work = plan(part, shape, budget / (16 * words_of(n)))
            parts = -(-work.bytes(n) // budget)
            split = divided(part, work.owned, parts) if parts > 1 else []
            if split:
                queue = [*(here[mask] for mask in split), *queue]
                continue
            order = work.visited()
            yield (
                (part, here, shape, work)
                if order is None
                else (part.take(order), here[order], shape, work.taken(order))
            )


def divided(part: Shard, owned: dict[str, float], parts: int) -> list[NDArray[np.bool_]]:
    """Return masks that divide a part by the values of the parameter on which most of its memory depends.

    So what depends on it is computed once, and only what does not is computed again.  Empty if there is none.
    """
    found: tuple[float, str, NDArray[np.int64]] | None = None
    for name, bitmaps in owned.items():
        distinct = np.unique(part.digits[name])
        if distinct.size > 1 and (found is None or bitmaps > found[0]):
            found = bitmaps, name, distinct
    if found is None:
        return []
    _, name, distinct = found
    return [np.isin(part.digits[name], some) for some in np.array_split(distinct, min(parts, distinct.size))]
