"""What every combination did in a training window, from the block sums of one sweep of the whole series.

In-sample means: this combination's returns at the bars that count, positions carried over the edges as they were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.research.walk.windows import Fold, Span

__all__ = ["Best", "Choice", "Figures", "figures_of", "middle_of"]

ROUNDING = 1e-14  # of the squares: what is left of equal returns is rounding
DIGITS = 9  # after the point; scores equal so far are equal, so that rounding chooses nothing


@dataclass(frozen=True)
class Choice:
    """A combination in a fold's training window.

    Attributes
    ----------
    combo : int
        Its number.
    score : float
        What chose it, annualised, rounded to 9 digits after the point.
    sharpe, annual_return : float
        Over all bars that count: Sharpe ratio, and mean return a bar times bars a year.
    trades : int
        Closed in the training window, before its purge.
    """

    combo: int
    score: float
    sharpe: float
    annual_return: float
    trades: int = 0


@dataclass(frozen=True)
class Figures:
    """Every combination of a shard in a fold's training window, arrays of shape (m,).

    Attributes
    ----------
    score, sharpe, annual_return : ndarray of float64
        NaN where a combination held no position.
    """

    score: NDArray[np.float64]
    sharpe: NDArray[np.float64]
    annual_return: NDArray[np.float64]


def figures_of(
    running: NDArray[np.float64], bounds: NDArray[np.int64], fold: Fold, bars_per_year: float, by: str
) -> Figures:
    """Return what every combination comes to in a fold's training window.

    Parameters
    ----------
    running : ndarray of float64, shape (2, blocks + 1, m)
        Sums of the returns and of their squares before each bound.
    bounds : ndarray of int64, shape (blocks + 1,)
        Among them every edge of the fold's spans.
    fold : Fold
    bars_per_year : float
    by : str
        ``return`` for the mean return, anything else for the Sharpe ratio.

    Notes
    -----
    With several parts the score is the median of the parts' scores, a part without a position counting as 0.  Only
    sums before a window's end enter, so later bars cannot change a bit of it.
    """
    sharpe, annual = _figures(running, bounds, fold.counted, bars_per_year)
    score = annual if by == "return" else sharpe
    if len(fold.parts) > 1:
        each = [_figures(running, bounds, spans, bars_per_year)[by == "return"] for spans in fold.parts]
        median = np.median(np.nan_to_num(np.stack(each), nan=0.0), axis=0)
        score = np.where(np.isnan(score), np.nan, median)
    return Figures(np.round(score, DIGITS) + 0.0, sharpe, annual)


def _figures(
    running: NDArray[np.float64], bounds: NDArray[np.int64], spans: tuple[Span, ...], bars_per_year: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (Sharpe ratio, mean return), annualised, over some spans of bars."""
    count = sum(stop - start for start, stop in spans)
    total, square = np.zeros((2, running.shape[2]))
    for start, stop in spans:
        a, b = np.searchsorted(bounds, [start, stop]).tolist()
        total += running[0, b] - running[0, a]
        square += running[1, b] - running[1, a]
    spread = square - total * total / count
    mean = np.where(square > 0.0, total / count, np.nan)
    known = spread > ROUNDING * square
    deviation = np.sqrt(np.where(known, spread, np.nan) / (count - 1))
    return mean / deviation * math.sqrt(bars_per_year), mean * bars_per_year


class Best:
    """The best combinations of a fold so far: highest score first, of equal ones the lowest number.

    Of combinations equal in score and annual return, which made the same trades there, the lowest number is kept.
    What they did in other bars does not enter.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.combo = np.zeros(0, np.int64)
        self.rows = np.zeros((0, 3))  # score, Sharpe ratio, annual return

    def add(self, combo: NDArray[np.int64], found: Figures) -> None:
        """Look at a shard's combinations; the order in which shards come does not matter."""
        known = np.flatnonzero(~np.isnan(found.score))
        if len(self.rows) == self.keep:  # what is behind the last one stays there
            known = known[found.score[known] >= self.rows[-1, 0]]
        room = 4 * self.keep
        while True:
            at = known
            if room < known.size:
                limit = -np.partition(-found.score[known], room - 1)[room - 1]
                at = known[found.score[known] >= limit]
            combos = np.concatenate([self.combo, combo[at]])
            fresh = np.column_stack([found.score[at], found.sharpe[at], found.annual_return[at]])
            rows = np.concatenate([self.rows, fresh])
            kept = _distinct(combos, rows)
            if kept.size >= self.keep or at.size == known.size:
                break
            room *= 4
        kept = kept[: self.keep]
        self.combo, self.rows = combos[kept], rows[kept]

    @property
    def choices(self) -> list[Choice]:
        """What is kept, best first; empty where no combination held a position."""
        return [
            Choice(combo, score, sharpe, annual)
            for combo, (score, sharpe, annual) in zip(self.combo.tolist(), self.rows.tolist(), strict=True)
        ]


def _distinct(combo: NDArray[np.int64], rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the places of rows that differ, best first, of equal ones the lowest number."""
    score, annual = rows[:, 0], np.round(rows[:, 2], DIGITS)
    order = np.lexsort((combo, annual, -score))
    new = np.ones(order.size, np.bool_)
    new[1:] = (score[order][1:] != score[order][:-1]) | (annual[order][1:] != annual[order][:-1])
    first = order[new]
    return first[np.lexsort((combo[first], -score[first]))]


def middle_of(scores: NDArray[np.float64]) -> float:
    """Return the median of some scores, one that is NaN counting as 0; NaN of nothing."""
    return float(np.median(np.nan_to_num(scores, nan=0.0))) if scores.size else math.nan
