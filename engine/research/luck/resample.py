"""Resampled history: could a shortlist's lead, a candidate's Sharpe ratio or its drawdown be chance?

For reports and exports only: it takes seconds and imports arch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.simulate import Simulation

__all__ = ["Interval", "Resampled", "Superiority", "drawdown_of", "growths_of", "resample", "returns_of"]

REPEATS = 1_000
PERIODS = 2_048
SIZE = 0.05
SEED = 20_140_501


@dataclass(frozen=True)
class Interval:
    """The middle 90 % of what resampling gives, and its median; NaN where it cannot be said."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Superiority:
    """Whether anything in a shortlist beats a benchmark by its mean return.

    Attributes
    ----------
    p : float
        Hansen's consistent p-value that none does; NaN with fewer than 10 periods or nothing that differs.
    better : int
        How many of the shortlist do, by Romano and Wolf's step-wise test at 5 % for all of them together.
    candidate : bool
        Whether the candidate, first in the shortlist, is one of them.
    """

    p: float
    better: int
    candidate: bool


@dataclass(frozen=True)
class Resampled:
    """What resampling says of a candidate and its shortlist.

    Attributes
    ----------
    shortlist, repeats : int
    period : int
        Bars whose returns were put together, so that there are at most 2,048 periods.
    block : float
        Mean length of the stationary bootstrap's blocks, periods.
    cash, buy_and_hold : Superiority
    sharpe : Interval
        Of the candidate's Sharpe ratio, annualised.
    drawdown : Interval
        Of its worst drawdown, <= 0, at the ends of periods.
    reshuffled : Interval
        Of the worst drawdown of its closed trades, <= 0, in random order.
    """

    shortlist: int
    repeats: int
    period: int
    block: float
    cash: Superiority
    buy_and_hold: Superiority
    sharpe: Interval
    drawdown: Interval
    reshuffled: Interval


def resample(
    shortlist: list[Simulation], hold: Simulation, repeats: int = REPEATS, seed: int = SEED, periods: int = PERIODS
) -> Resampled:
    """Resample a shortlist's returns.

    Parameters
    ----------
    shortlist : list of Simulation
        Of the same bars; the candidate first.
    hold : Simulation
        Buy and hold on these bars.
    repeats : int
        Resamples of each kind.
    seed : int
        The same seed, the same figures.
    periods : int
        At most so many; consecutive bars are put together where there are more.

    Notes
    -----
    Stationary bootstrap (Politis and Romano, 1994), mean block length after Politis and White (2004, corrected 2009)
    from the candidate's returns and their squares, whichever is longer.  SPA: P. R. Hansen, "A Test for Superior
    Predictive Ability", 2005; step-wise: J. P. Romano and M. Wolf, "Stepwise Multiple Testing as Formalized Data
    Snooping", 2005.  Losses are minus the mean return of a period less the benchmark's, over their own long-run
    deviation.
    """
    candidate = shortlist[0]
    n = len(candidate.bars)
    period = max(1, math.ceil(n / periods))
    own = np.stack([put_together(returns_of(simulation), period) for simulation in shortlist], axis=1)
    held = put_together(returns_of(hold), period)
    block = block_length(own[:, 0])
    sharpe, drawdown = bootstrap(own[:, 0], block, candidate.bars.bars_per_year / period, repeats, seed)
    return Resampled(
        len(shortlist),
        repeats,
        period,
        block,
        superiority(own, np.zeros(len(own)), block, repeats, seed),
        superiority(own, held, block, repeats, seed),
        sharpe,
        drawdown,
        reshuffle(growths_of(candidate), repeats, seed),
    )


def returns_of(simulation: Simulation) -> NDArray[np.float64]:
    """Return the return of each bar, shape (n,); 0 from equity at or below 0."""
    equity = simulation.equity
    before = np.concatenate([[simulation.costs.initial_cash], equity[:-1]])
    return np.where(before > 0.0, equity / np.where(before > 0.0, before, 1.0) - 1.0, 0.0)


def growths_of(simulation: Simulation) -> NDArray[np.float64]:
    """Return what each closed trade multiplied the closed equity by; empty once that is at or below 0."""
    profits = simulation.trades["profit"]
    after = simulation.costs.initial_cash + np.cumsum(profits)
    before = after - profits
    return after / before if np.all(before > 0.0) else np.zeros(0)


def put_together(returns: NDArray[np.float64], period: int) -> NDArray[np.float64]:
    """Return the compound returns of consecutive runs of ``period`` bars, the last one perhaps shorter."""
    starts = np.arange(0, returns.size, period)
    return np.multiply.reduceat(1.0 + returns, starts) - 1.0


def block_length(returns: NDArray[np.float64]) -> float:
    """Return the mean block length of the stationary bootstrap, in periods, at least 1."""
    from arch.bootstrap import optimal_block_length

    if returns.size < 10 or not returns.std() > 0.0:
        return 1.0
    found = [optimal_block_length(x)["stationary"].iloc[0] for x in (returns, returns * returns)]
    known = [float(x) for x in found if math.isfinite(x)]
    return min(max([1.0, *known]), returns.size / 2.0)


def superiority(
    models: NDArray[np.float64], benchmark: NDArray[np.float64], block: float, repeats: int, seed: int
) -> Superiority:
    """Return whether a column of ``models``, shape (periods, k), beats a benchmark of shape (periods,)."""
    from arch.bootstrap import SPA

    lead = models - benchmark[:, None]
    deviation = np.sqrt(long_run_variance(lead, block))
    differs = np.flatnonzero(deviation > 1e-12)
    if len(lead) < 10 or not differs.size:
        return Superiority(math.nan, 0, False)
    # over their deviation already: the library's own studentising sets the threshold and leaves the statistic as it is
    losses = -lead[:, differs] / deviation[differs]
    test = SPA(np.zeros(len(lead)), losses, max(1, round(block)), repeats, seed=seed)
    test.compute()
    p = float(test.pvalues["consistent"])
    better = np.zeros(differs.size, np.bool_)
    while not better.all():  # the library's own loop does not expect that in the end every one is better
        test.subset(~better)
        test.compute()
        found = np.asarray(test.better_models(SIZE), np.int64)
        if not found.size:
            break
        better[found] = True
    return Superiority(p, int(better.sum()), bool(np.isin(0, differs[better])))


def long_run_variance(lead: NDArray[np.float64], block: float) -> NDArray[np.float64]:
    """Return the variance of sqrt(n) times the mean of each column under the stationary bootstrap.

    Source: Politis and Romano, "The Stationary Bootstrap", 1994, lemma 1; the autocovariances by Fourier transform.
    """
    n = len(lead)
    away = lead - lead.mean(axis=0)
    size = 1 << (2 * n - 1).bit_length()
    wave = np.fft.rfft(away, size, axis=0)
    covariance = np.fft.irfft(wave * np.conj(wave), size, axis=0)[:n] / n
    lag, leave = np.arange(n), 1.0 / max(1, round(block))
    kept = (1 - lag / n) * (1 - leave) ** lag + lag / n * (1 - leave) ** (n - lag)
    kept[0] = 0.5
    found: NDArray[np.float64] = np.maximum(2.0 * kept @ covariance, 0.0)
    return found


def bootstrap(
    returns: NDArray[np.float64], block: float, periods_per_year: float, repeats: int, seed: int
) -> tuple[Interval, Interval]:
    """Return the intervals of Sharpe ratio, annualised, and worst drawdown of resampled returns."""
    from arch.bootstrap import StationaryBootstrap

    if returns.size < 10 or not returns.std() > 0.0:
        unknown = Interval(math.nan, math.nan, math.nan)
        return unknown, unknown

    def figures(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        deviation = drawn.std(ddof=1)
        sharpe = drawn.mean() / deviation * math.sqrt(periods_per_year) if deviation > 0.0 else math.nan
        return np.array([sharpe, drawdown_of(1.0 + drawn)])

    found = StationaryBootstrap(max(1, round(block)), returns, seed=seed).apply(figures, repeats)
    return interval(found[:, 0]), interval(found[:, 1])


def reshuffle(growths: NDArray[np.float64], repeats: int, seed: int) -> Interval:
    """Return the interval of the worst drawdown of trades in random order; NaN with fewer than two."""
    if growths.size < 2:
        return Interval(math.nan, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    return interval(np.array([drawdown_of(rng.permutation(growths)) for _ in range(repeats)]))


def drawdown_of(growths: NDArray[np.float64]) -> float:
    """Return the worst fall of what begins at 1 and is multiplied by each of ``growths``; <= 0, at least -1."""
    course = np.concatenate([[1.0], np.cumprod(np.maximum(growths, 0.0))])
    peak = np.maximum.accumulate(course)
    return float(np.min(course / peak - 1.0))


def interval(found: NDArray[np.float64]) -> Interval:
    """Return the 5 %, 50 % and 95 % points of the known numbers."""
    known = found[np.isfinite(found)]
    if not known.size:
        return Interval(math.nan, math.nan, math.nan)
    low, middle, high = np.quantile(known, (0.05, 0.5, 0.95))
    return Interval(float(low), float(middle), float(high))
