"""The choice within each fold, streamed over one sweep: what every training window of every fold likes best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.research.luck.ledger import Entry, Trials
from engine.research.luck.plateau import neighbours_of
from engine.research.shard import Shard
from engine.research.space import ROWS
from engine.research.sweep import BUDGET, Found, Sweep, sweep_bars
from engine.research.walk.score import Best, Choice, Figures, figures_of, middle_of
from engine.research.walk.windows import Fold, Scheme, bounds_of
from engine.simulate import METRICS
from parquet_store.errors import Usage
from parquet_store.moments import to_text
from pipelines import Bars

__all__ = ["Chooser"]

CANDIDATES = 32  # whose neighbours are looked at when a plateau is asked for
LOOKED_AT = 4_096  # in a fold, for one with enough trades
FIRST = 64  # of those whose trades are counted at one time, then four times as many
CACHED = 512  # combinations turned from rows into columns at one time
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Chooser:
    """What chooses in the training windows of a series.

    Attributes
    ----------
    bars : Bars
    sweep : Sweep
    folds : tuple of Fold
    scheme : Scheme
    threads : int, optional
    budget : int
        As for ``sweep_bars``.
    """

    bars: Bars
    sweep: Sweep
    folds: tuple[Fold, ...]
    scheme: Scheme
    threads: int | None = None
    budget: int = BUDGET

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """The bars at which blocks begin."""
        return bounds_of(self.folds, len(self.bars))

    @property
    def block(self) -> int:
        """Combinations of a shard, so that their block sums stay a part of the budget."""
        return max(256, min(ROWS, self.budget // (64 * self.bounds.size)))

    def run(self, progress: Progress | None = None) -> tuple[list[Choice], Entry]:
        """Return what each fold's training window chooses, and what was tried, for the ledger.

        Memory is bounded: of each shard only the best are kept, and for a plateau the numbers of the combinations.
        Where trades are asked for, the best by score that has enough of them is chosen.  By plateau the 32 best (with
        enough trades) are candidates, and the one whose neighbours' median Sharpe ratio in the same bars is highest
        is chosen; of equally good ones always the lowest number.

        Raises
        ------
        Usage
            In a fold no combination holds a position or has enough trades, or a plateau is asked for without
            neighbours.
        """
        plateau = self.scheme.by == "plateau"
        keep = LOOKED_AT if self.scheme.min_trades else CANDIDATES if plateau else 1
        best = [Best(keep) for _ in self.folds]
        tried, combos = (0, 0, 0.0, 0.0), list[NDArray[np.int64]]()
        for found, figures in self.figures(self.sweep.space.shards(block=self.block), self.scheme.by, progress):
            for kept, here in zip(best, figures, strict=True):
                kept.add(found.shard.combo, here)
            tried = pooled(tried, found.metrics[:, METRICS.index("sharpe")] / math.sqrt(self.bars.bars_per_year))
            if plateau:
                combos.append(found.shard.combo)
        candidates = [self.candidates(k, kept.choices) for k, kept in enumerate(best)]
        if plateau:
            candidates = self.plateaus(candidates, np.concatenate(combos))
        first, last = int(self.bars.time[0]), int(self.bars.time[-1])
        entry = Entry("", self.bars.source, first, last, self.sweep.strategy.name, *tried)
        return [choices[0] for choices in candidates], entry

    def figures(
        self, shards: Iterable[Shard], by: str, progress: Progress | None = None
    ) -> Iterator[tuple[Found, list[Figures]]]:
        """Yield for each shard what it found, and what its combinations come to in every fold."""
        options: dict[str, Any] = {"threads": self.threads, "budget": self.budget}
        for found in sweep_bars(self.bars, self.sweep, shards, bounds=self.bounds, progress=progress, **options):
            running, per_year = sums_before(found.sums), self.bars.bars_per_year
            yield found, [figures_of(running, self.bounds, fold, per_year, by) for fold in self.folds]

    def candidates(self, k: int, choices: list[Choice]) -> list[Choice]:
        """Return the first of a fold's combinations that have enough trades: 32 for a plateau, else one."""
        wanted, fold = CANDIDATES if self.scheme.by == "plateau" else 1, self.folds[k]
        found, at, size = list[Choice](), 0, FIRST
        while at < len(choices) and len(found) < wanted:
            part = choices[at : at + size]
            if self.scheme.min_trades:
                trades = self.trades(fold, [choice.combo for choice in part])
                part = [choice for choice, n in zip(part, trades, strict=True) if n >= self.scheme.min_trades]
            found, at, size = found + part, at + size, 4 * size
        if not found:
            begin, end = (to_text(int(self.bars.time[at])) for at in (fold.train[0], fold.train[1] - 1))
            what = f"{self.bars.source}, fold {k + 1}, {fold.bars:,} training bars ({begin} to {end}): "
            if choices:
                raise Usage(
                    f"{what}none of the {len(choices):,} best combinations has {self.scheme.min_trades} trades; ask "
                    "for fewer with --min-trades, give a longer --train or wider ranges, or choose by --inner 4"
                )
            raise Usage(
                f"{what}no combination holds a position; give a longer --train, so that indicators are known and there "
                "are trades, or wider ranges"
            )
        return found[:wanted]

    def trades(self, fold: Fold, combos: list[int]) -> list[int]:
        """Return how many trades each combination closes in a training window, before its purge."""
        begin, end = fold.train[0], fold.counted[-1][1]
        order = np.argsort(combos)
        shard = self.sweep.space.shard_of(np.array(combos, np.int64)[order])

        def until(stop: int) -> NDArray[np.float64]:
            if stop < 2:
                return np.zeros(len(combos))
            part = self.bars.slice(0, stop)
            (found,) = sweep_bars(part, self.sweep, [shard], threads=self.threads, budget=self.budget)
            return found.metrics[:, METRICS.index("trades")]

        counts = np.empty(len(combos))
        counts[order] = until(end) - until(begin)
        return [int(n) for n in counts.tolist()]

    def plateaus(self, candidates: list[list[Choice]], swept: NDArray[np.int64]) -> list[list[Choice]]:
        """Return of each fold's candidates the one whose neighbours do best in the same bars."""
        numbers = {choice.combo for choices in candidates for choice in choices}
        near = {combo: swept[neighbours_of(self.sweep.space, combo, swept)] for combo in numbers}
        wanted = np.unique(np.concatenate(list(near.values())))
        if not wanted.size:
            raise Usage("--by plateau: no combination has a neighbour; give some --param more than one value")
        places = range(0, wanted.size, self.block)
        shards = (self.sweep.space.shard_of(wanted[at : at + self.block]) for at in places)
        each = [figures for _, figures in self.figures(shards, "sharpe")]
        chosen = []
        for k, choices in enumerate(candidates):
            known = np.concatenate([figures[k].score for figures in each])
            told = [
                replace(choice, score=middle_of(known[np.searchsorted(wanted, near[choice.combo])]))
                for choice in choices
            ]
            # without a neighbour last
            chosen.append([min(told, key=lambda c: (math.isnan(c.score), -c.score, c.combo))])
        return chosen


def sums_before(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums before each bound, shape (2, blocks + 1, m), of block sums, shape (m, blocks, 2)."""
    rows, blocks, _ = sums.shape
    running = np.zeros((2, blocks + 1, rows))
    for at in range(0, rows, CACHED):
        here = slice(at, at + CACHED)
        np.cumsum(sums[here].T, axis=1, out=running[:, 1:, here])
    return running


def pooled(before: tuple[int, int, float, float], per_bar: NDArray[np.float64]) -> tuple[int, int, float, float]:
    """Return (trials, known, mean, squares) of the per-bar Sharpe ratios seen before and of more."""
    here = Entry.of("", "", 0, 0, "", per_bar)
    made = Trials.pooled([before, (here.trials, here.known, here.mean, here.square)])
    return made.trials, made.known, made.mean, made.variance * max(0, made.known - 1)
