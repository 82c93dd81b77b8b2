"""The probability of backtest overfitting: how often the best of one half of history disappoints in the other.

Combinatorially symmetric cross-validation from block sums alone: history is cut into 16 blocks, every choice of 8 is
in-sample once, and the Sharpe ratio of either half comes from the sums of its blocks.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.jit import compiled

__all__ = ["Overfitting", "cross_validate"]

PIECE = 64  # splits a thread takes at a time
ROUNDING = 1e-14


@dataclass(frozen=True)
class Overfitting:
    """What cross-validation found.

    Attributes
    ----------
    pbo : float
        Share of the splits in which the best in-sample comes out at or below the median out of sample.
    logits : ndarray of float64, shape (splits,)
        ln(w / (1 - w)), w the relative rank out of sample of the best in-sample.
    pairs : ndarray of float64, shape (splits, 2)
        Sharpe ratio, per bar, of the best in-sample: in-sample, out of sample.
    lists : int
        How many were compared.
    """

    pbo: float
    logits: NDArray[np.float64]
    pairs: NDArray[np.float64]
    lists: int

    @property
    def slope(self) -> float:
        """Slope of the least-squares line of out-of-sample over in-sample; NaN where all in-sample ones are equal."""
        away = self.pairs - self.pairs.mean(axis=0)
        square = float(away[:, 0] @ away[:, 0])
        return float(away[:, 0] @ away[:, 1]) / square if square > 0.0 else math.nan

    @property
    def losing(self) -> float:
        """Share of the splits in which the best in-sample loses out of sample."""
        return float(np.mean(self.pairs[:, 1] < 0.0))


def cross_validate(
    sums: NDArray[np.float64], lengths: NDArray[np.int64], threads: int | None = None
) -> Overfitting | None:
    """Return how often choosing the best by Sharpe ratio was overfitting.

    Parameters
    ----------
    sums : ndarray of float64, shape (k, blocks, 2)
        Sum of the returns of each block of bars, and of their squares; ``blocks`` even, at most 16.
    lengths : ndarray of int64, shape (blocks,)
        Bars of each block.
    threads : int, optional
        All processors if not given; the result does not depend on it.

    Returns
    -------
    Overfitting or None
        None with fewer than two rows, or where a block has no bar or half of them fewer than two.

    Notes
    -----
    Where a row has no deviation in a half (it did not trade), its Sharpe ratio there is 0.  Of equally good rows
    in-sample the first is chosen; among equal ones out of sample it has the middle rank, so that w = (below + (equal
    + 1) / 2) / (k + 1), ``equal`` counting itself.  The splits are those of ``itertools.combinations``: the last is
    the complement of the first, and so on inwards.

    Source: D. H. Bailey, J. M. Borwein, M. Lopez de Prado and Q. J. Zhu, "The Probability of Backtest Overfitting",
    Journal of Computational Finance, 2017.
    """
    lists, blocks = sums.shape[:2]
    halves = halves_of(blocks)
    counts = (halves[:, None] >> np.arange(blocks) & 1) @ lengths
    if lists < 2 or lengths.min() < 1 or counts.min() < 2:
        return None
    tables = partial_sums(sums)
    pairs, ranks = np.empty((halves.size, 2)), np.empty(halves.size)
    starts = iter(range(0, halves.size // 2, PIECE))

    def lane() -> None:
        first, second = np.empty(lists), np.empty(lists)
        for start in starts:
            stop = min(halves.size // 2, start + PIECE)
            compare(tables, halves, counts.astype(np.float64), start, stop, first, second, pairs, ranks)

    workers = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for job in [pool.submit(lane) for _ in range(workers)]:
            job.result()
    logits = np.log(ranks / (lists + 1 - ranks))
    return Overfitting(float(np.mean(logits <= 0.0)), logits, pairs, lists)


@functools.cache
def halves_of(blocks: int) -> NDArray[np.int64]:
    """Return every choice of half the blocks as bits; the complement of each is as far from the end."""
    chosen = itertools.combinations(range(blocks), blocks // 2)
    return np.array([sum(1 << b for b in half) for half in chosen], np.int64)


def partial_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums over every subset of each four blocks, shape (4, 2, 16, k): bit i of an index chooses block i."""
    lists, blocks = sums.shape[:2]
    table = np.zeros((4, 2, 16, lists))
    for block in range(blocks):
        group, bit = divmod(block, 4)
        part = table[group]
        part[:, 1 << bit : 2 << bit] = part[:, : 1 << bit] + sums[:, block].T[:, None]
    return table


@compiled
def compare(tables, halves, counts, start, stop, first, second, pairs, ranks):
    """For splits ``start`` to ``stop`` and their complements, find the best in-sample and its rank out of sample.

    ``first`` and ``second`` hold the Sharpe ratios of both halves, shape (k,).
    """
    last = halves.size - 1
    for i in range(start, stop):
        sharpes(tables, halves[i], counts[i], first)
        sharpes(tables, halves[last - i], counts[last - i], second)
        choose(first, second, i, pairs, ranks)
        choose(second, first, last - i, pairs, ranks)


@compiled
def sharpes(tables, half, count, out):
    """Write every row's Sharpe ratio over the chosen blocks."""
    a, b, c, d = half & 15, half >> 4 & 15, half >> 8 & 15, half >> 12
    s0, s1, s2, s3 = tables[0, 0, a], tables[1, 0, b], tables[2, 0, c], tables[3, 0, d]
    q0, q1, q2, q3 = tables[0, 1, a], tables[1, 1, b], tables[2, 1, c], tables[3, 1, d]
    for j in range(out.size):
        total = (s0[j] + s1[j]) + (s2[j] + s3[j])
        square = (q0[j] + q1[j]) + (q2[j] + q3[j])
        spread = square - total * total / count
        known = spread > ROUNDING * square
        out[j] = total / count / np.sqrt((spread if known else 1.0) / (count - 1.0)) if known else 0.0


@compiled
def choose(inside, outside, at, pairs, ranks):
    """Write the best row's Sharpe ratios and its rank among all out of sample."""
    best, most = 0, inside[0]
    for j in range(1, inside.size):
        if inside[j] > most:
            best, most = j, inside[j]
    there = outside[best]
    below = equal = 0
    for j in range(outside.size):
        below += outside[j] < there
        equal += outside[j] == there
    pairs[at, 0], pairs[at, 1] = most, there
    ranks[at] = below + (equal + 1) / 2.0
