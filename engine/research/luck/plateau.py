"""Whether a combination stands on a plateau or on a needle: how its neighbours in the space do."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.research.space import Space

__all__ = ["Plateau", "grid_neighbours", "nearest", "neighbours_of", "plateau_of"]

MOST = 6_561  # all neighbours of eight parameters
NEAREST = 32
FEWEST = 0.25  # of the grid's neighbours; with fewer the combinations are points, not a grid


@dataclass(frozen=True)
class Plateau:
    """How the neighbours of a combination do.

    Attributes
    ----------
    score : float
        Median of their Sharpe ratios, annualised, one that never trades counting as 0; NaN without neighbours.
    earning : float
        Share of them whose total return is above 0; NaN without neighbours.
    neighbours : int
        How many there are.
    """

    score: float
    earning: float
    neighbours: int


def plateau_of(sharpe: NDArray[np.float64], total_return: NDArray[np.float64]) -> Plateau:
    """Return the plateau of the neighbours with these figures, both of shape (neighbours,), NaN where unknown."""
    if not sharpe.size:
        return Plateau(math.nan, math.nan, 0)
    known = np.where(np.isfinite(sharpe), sharpe, 0.0)
    return Plateau(float(np.median(known)), float(np.mean(total_return > 0.0)), sharpe.size)


def neighbours_of(space: Space, combo: int, swept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places in ``swept`` of a combination's neighbours.

    Parameters
    ----------
    space : Space
    combo : int
        The combination's number.
    swept : ndarray of int64, shape (m,)
        The combinations there are figures for, increasing.

    Returns
    -------
    ndarray of int64
        The combinations one step away in the grid; where fewer than a quarter of those were swept (a random sample),
        or the points have no grid, the 32 nearest.  Empty where there is no other combination.
    """
    if space.free:
        return nearest(space, combo, swept)
    wanted = grid_neighbours(space, combo)
    if not wanted.size:
        return np.zeros(0, np.int64)
    place = np.searchsorted(swept, wanted)
    there = swept[np.minimum(place, swept.size - 1)] == wanted
    if there.any() and there.sum() >= FEWEST * wanted.size:
        found: NDArray[np.int64] = place[there].astype(np.int64)
        return found
    return nearest(space, combo, swept)


def grid_neighbours(space: Space, combo: int) -> NDArray[np.int64]:
    """Return the combinations one step away in one or several parameters, by number, increasing.

    Steps are taken among the sorted values of each parameter that has more than one.  Those that differ in one
    parameter come first, then in two, and so on, as long as all that differ in so many keep the number at most 6,561.
    """
    sizes = [values.size for values in space.values.values()]
    strides = np.cumprod([1, *sizes[:0:-1]])[::-1].astype(np.int64)
    moves: list[list[int]] = []
    for values, size, stride in zip(space.values.values(), sizes, strides.tolist(), strict=True):
        order = np.argsort(values, kind="stable")
        digit = combo // stride % size
        at = int(np.flatnonzero(order == digit)[0])
        found = [int(order[step]) for step in (at - 1, at + 1) if 0 <= step < size]
        if found:
            moves.append([(other - digit) * stride for other in found])
    out: list[int] = []
    for differing in range(1, len(moves) + 1):
        chosen = list(itertools.combinations(moves, differing))
        if len(out) + sum(math.prod(len(part) for part in parts) for parts in chosen) > MOST:
            break
        out += [combo + sum(steps) for parts in chosen for steps in itertools.product(*parts)]
    return np.array(sorted(out), np.int64)


def nearest(space: Space, combo: int, swept: NDArray[np.int64], count: int = NEAREST) -> NDArray[np.int64]:
    """Return the places in ``swept`` of the combinations nearest to one, itself left out, nearest first.

    A parameter's values count by rank, from 0 to 1, among those that were swept; the distance is the largest
    difference in any of them; of equally near ones those that come first are taken.
    """
    distance = np.zeros(swept.size)
    points, own = space.shard_of(swept), space.row(combo)
    for name in space.values:
        column = np.append(points.column(name), own[name])
        known, place = np.unique(column, return_inverse=True)
        rank = place / max(1, known.size - 1)
        np.maximum(distance, np.abs(rank[:-1] - rank[-1]), out=distance)
    distance[swept == combo] = np.inf
    others = min(count, int(np.isfinite(distance).sum()))
    if not others:
        return np.zeros(0, np.int64)
    limit = np.partition(distance, others - 1)[others - 1]
    near = np.flatnonzero(distance <= limit)
    return near[np.argsort(distance[near], kind="stable")][:others].astype(np.int64)
