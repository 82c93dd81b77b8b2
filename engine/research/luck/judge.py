"""Judge the candidate of a sweep: gather every number of its verdict from the sweep's table and the ledger."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.graph import Program, bind
from engine.research.luck.cscv import Overfitting, cross_validate
from engine.research.luck.ledger import Entry, Trials
from engine.research.luck.plateau import Plateau, neighbours_of, plateau_of
from engine.research.luck.resample import Resampled, resample, returns_of
from engine.research.luck.sharpe import (
    Moments,
    expected_max_sharpe,
    min_backtest_years,
    min_track_record,
    moments_of,
    probabilistic_sharpe,
)
from engine.research.luck.stress import Stress, stress_costs
from engine.research.luck.verdict import Verdict
from engine.research.sweep import Sweep, block_bounds
from engine.simulate import Simulation, simulate_program
from engine.simulate.run import years_of
from engine.strategies import STRATEGIES
from pipelines import Bars

__all__ = ["LISTS", "Swept", "compared", "judge", "shortlist_of"]

LISTS = 4_096
BEST = 256
SHORTLIST = 50
SEED = 16
Figures = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Swept:
    """What a sweep found on one series, as the verdict needs it.

    Attributes
    ----------
    bars : Bars
    sweep : Sweep
    combo : ndarray of int64, shape (m,)
        The combinations swept, increasing.
    sharpe : ndarray of float64, shape (m,)
        Annualised, NaN where unknown.
    lists : ndarray of uint64, shape (m,)
        Equal where two combinations trade alike, 0 where one does not trade.
    block_sums : callable
        Returns the sums of the returns and of their squares, shape (k, blocks, 2), of k combinations, by number.
    total_return : callable
        Returns the total return, shape (k,), of k combinations, by number.
    """

    bars: Bars
    sweep: Sweep
    combo: NDArray[np.int64]
    sharpe: Figures
    lists: NDArray[np.uint64]
    block_sums: Callable[[NDArray[np.int64]], Figures]
    total_return: Callable[[NDArray[np.int64]], Figures]

    def program(self, combo: int) -> Program:
        """Return a combination's program."""
        return bind(self.sweep.strategy(), self.sweep.space.row(combo), self.sweep.sizing)

    def entry(self, plan: str) -> Entry:
        """Return what the ledger keeps of this sweep, by its plan's digest."""
        bars = self.bars
        per_bar = self.sharpe / math.sqrt(bars.bars_per_year)
        name = self.sweep.strategy.name
        return Entry.of(plan, bars.source, int(bars.time[0]), int(bars.time[-1]), name, per_bar)


def judge(
    swept: Swept,
    trials: Trials | None = None,
    combo: int | None = None,
    *,
    lists: int | None = LISTS,
    resampled: bool = False,
    threads: int | None = None,
) -> Verdict:
    """Return how likely a candidate of a sweep is luck.

    Parameters
    ----------
    swept : Swept
    trials : Trials, optional
        All trials of this data, from the ledger, this sweep's included; this sweep's own where it is not given or
        counts fewer.
    combo : int, optional
        The candidate's number; the best by Sharpe ratio if not given (the first of equals).
    lists : int, optional
        At most so many distinct trade lists are cross-validated: the 256 best by Sharpe ratio and a seeded sample of
        the others; None: all.
    resampled : bool
        Whether to add SPA, the step-wise test and the bootstrap intervals, which take seconds.
    threads : int, optional
        All processors if not given; no figure depends on it.
    """
    bars = swept.bars
    own = swept.entry("")
    if trials is None or trials.trials < own.trials:
        trials = Trials.pooled([(own.trials, own.known, own.mean, own.square)])
    order = ranking(swept.sharpe)
    if combo is None and order.size:
        combo = int(swept.combo[order[0]])
    distinct, chosen = compared(swept, order, lists)
    overfitting = overfitting_of(swept, chosen, threads)
    moments, plateau = Moments(len(bars), math.nan, math.nan, math.nan), Plateau(math.nan, math.nan, 0)
    stress: Stress | None = None
    again: Resampled | None = None
    sharpe = sharpe_invested = math.nan
    if combo is not None:
        plain, stress = stress_costs(swept.program(combo), bars, swept.sweep.costs)
        moments = moments_of(returns_of(plain))
        sharpe, sharpe_invested = plain.metrics["sharpe"], plain.metrics["sharpe_invested"]
        places = neighbours_of(swept.sweep.space, combo, swept.combo)
        plateau = plateau_of(swept.sharpe[places], swept.total_return(swept.combo[places]))
        if resampled:
            again = resample(*shortlist_of(swept, order, combo, plain))
    luck = expected_max_sharpe(trials.trials, trials.variance)
    shape = (moments.skewness, moments.kurtosis)
    return Verdict(
        source=bars.source,
        combo=combo,
        params={} if combo is None else swept.sweep.space.row(combo),
        bars=len(bars),
        years=years_of(bars),
        trials=trials.trials,
        known_trials=trials.known,
        plans=trials.plans,
        sharpe=sharpe,
        sharpe_invested=sharpe_invested,
        expected_max_sharpe=luck * math.sqrt(bars.bars_per_year),
        probabilistic_sharpe=probabilistic_sharpe(moments.sharpe, 0.0, moments.bars, *shape),
        deflated_sharpe=probabilistic_sharpe(moments.sharpe, luck, moments.bars, *shape),
        pbo=math.nan if overfitting is None else overfitting.pbo,
        lists=chosen.size,
        distinct_lists=distinct,
        plateau=plateau.score,
        neighbours=plateau.neighbours,
        neighbours_earning=plateau.earning,
        min_backtest_years=min_backtest_years(trials.trials),
        min_track_record_years=min_track_record(moments.sharpe, 0.0, *shape) / bars.bars_per_year,
        stress=stress,
        resampled=again,
        overfitting=overfitting,
    )


def ranking(sharpe: Figures) -> NDArray[np.int64]:
    """Return the places of the known Sharpe ratios, best first, equals in order."""
    known = np.flatnonzero(np.isfinite(sharpe))
    return known[np.argsort(-sharpe[known], kind="stable")]


def compared(swept: Swept, order: NDArray[np.int64], most: int | None = LISTS) -> tuple[int, NDArray[np.int64]]:
    """Return how many distinct trade lists there are, and the places of those to compare, best first.

    Each list is represented by the best combination that makes it; combinations without a trade make none.
    """
    trading = order[swept.lists[order] != 0]
    _, first = np.unique(swept.lists[trading], return_index=True)
    places = trading[np.sort(first)]
    if most is None or places.size <= most:
        return places.size, places
    best = min(BEST, most)
    sample = np.random.default_rng(SEED).choice(places.size - best, most - best, replace=False)
    return places.size, np.concatenate([places[:best], places[best + np.sort(sample)]])


def overfitting_of(swept: Swept, places: NDArray[np.int64], threads: int | None) -> Overfitting | None:
    """Return the cross-validation of these places; None where there is nothing to compare."""
    if places.size < 2:
        return None
    # shorter, as the table keeps them: lists that trade alike in a block are equal there, whatever the rounding
    sums = swept.block_sums(swept.combo[places]).astype(np.float32).astype(np.float64)
    return cross_validate(sums, np.diff(block_bounds(len(swept.bars), sums.shape[1])), threads)


def shortlist_of(
    swept: Swept, order: NDArray[np.int64], combo: int, plain: Simulation, most: int = SHORTLIST
) -> tuple[list[Simulation], Simulation]:
    """Return the simulations of the candidate and the best others with distinct trades, and of buy and hold."""
    bars, costs = swept.bars, swept.sweep.costs
    same = swept.lists[swept.combo == combo]
    _, places = compared(swept, order, None)
    others = places[~np.isin(swept.lists[places], same)][: most - 1]
    found = [plain]
    for other in swept.combo[others].tolist():
        found.append(simulate_program(swept.program(other), bars, costs))
    return found, simulate_program(bind(STRATEGIES["buy_and_hold"]()), bars, costs)
