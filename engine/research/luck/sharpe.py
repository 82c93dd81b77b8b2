"""What a Sharpe ratio is worth, given its length, its shape and how many were tried.

All Sharpe ratios here are per bar, mean / deviation, never annualised; lengths are in bars unless the name says years.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Moments",
    "deflated_sharpe",
    "expected_max_sharpe",
    "min_backtest_years",
    "min_track_record",
    "moments_of",
    "probabilistic_sharpe",
]

EULER = 0.5772156649015329
NORMAL = NormalDist()


@dataclass(frozen=True)
class Moments:
    """The shape of returns.

    Attributes
    ----------
    bars : int
    sharpe : float
        Mean / deviation (ddof 1), per bar; NaN without deviation.
    skewness, kurtosis : float
        Third and fourth standardised moments about the mean, divided by the number of bars; the kurtosis of a normal
        distribution is 3.  NaN without deviation.
    """

    bars: int
    sharpe: float
    skewness: float
    kurtosis: float


def moments_of(returns: NDArray[np.float64]) -> Moments:
    """Return the moments of returns, shape (n,), one a bar, every one known."""
    n = returns.size
    if n < 2:
        return Moments(n, math.nan, math.nan, math.nan)
    mean = float(returns.mean())
    away = returns - mean
    square = float(np.mean(away * away))
    if square <= 1e-14 * float(np.mean(returns * returns)):  # what is left of equal returns is rounding
        return Moments(n, math.nan, math.nan, math.nan)
    sharpe = mean / math.sqrt(square * n / (n - 1))
    away /= math.sqrt(square)
    return Moments(n, sharpe, float(np.mean(away**3)), float(np.mean(away**4)))


def probabilistic_sharpe(
    sharpe: float, benchmark: float, bars: float, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the probability that the true Sharpe ratio is above a benchmark.

    Parameters
    ----------
    sharpe, benchmark : float
        Per bar: what was seen, and what it is held against.
    bars : float
        Observations, at least 2.
    skewness, kurtosis : float
        Of the returns; the kurtosis is not the excess (3 for a normal distribution).

    Returns
    -------
    float
        In [0, 1]; NaN where an input is unknown, there are fewer than 2 bars, or the shape leaves no variance.

    Notes
    -----
    Z((sharpe - benchmark) sqrt(bars - 1) / sqrt(1 - skewness sharpe + (kurtosis - 1) / 4 sharpe^2)), Z the normal
    distribution.  It takes returns for independent of each other.

    Source: D. H. Bailey and M. Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk, 2012.
    """
    spread = spread_of(sharpe, skewness, kurtosis)
    if not (bars >= 2 and spread > 0.0 and math.isfinite(sharpe + benchmark)):
        return math.nan
    return below((sharpe - benchmark) * math.sqrt(bars - 1) / math.sqrt(spread))


def expected_max_sharpe(trials: float, variance: float) -> float:
    """Return the Sharpe ratio the best of many trials without skill is expected to show.

    Parameters
    ----------
    trials : float
        How many were tried, at least 1.
    variance : float
        Of the Sharpe ratios over the trials, per bar.

    Returns
    -------
    float
        Per bar; 0 for one trial, NaN where an input is unknown.

    Notes
    -----
    sqrt(variance) ((1 - g) Zinv(1 - 1 / trials) + g Zinv(1 - 1 / (trials e))), g Euler's constant.

    Source: D. H. Bailey and M. Lopez de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management, 2014.
    """
    return math.sqrt(variance) * largest_of(trials) if variance >= 0.0 else math.nan


def deflated_sharpe(
    sharpe: float, trials: float, variance: float, bars: float, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the probability that the true Sharpe ratio is above what the best of the trials shows by luck.

    Parameters and result are those of ``probabilistic_sharpe`` and ``expected_max_sharpe``.

    Source: as ``expected_max_sharpe``.
    """
    return probabilistic_sharpe(sharpe, expected_max_sharpe(trials, variance), bars, skewness, kurtosis)


def min_track_record(
    sharpe: float, benchmark: float, skewness: float = 0.0, kurtosis: float = 3.0, confidence: float = 0.95
) -> float:
    """Return how many bars it takes until ``probabilistic_sharpe`` reaches ``confidence``.

    Returns
    -------
    float
        Bars; infinite where the Sharpe ratio is not above the benchmark, NaN where an input is unknown.

    Source: as ``probabilistic_sharpe``.
    """
    spread = spread_of(sharpe, skewness, kurtosis)
    if not (spread > 0.0 and math.isfinite(sharpe + benchmark)):
        return math.nan
    if sharpe <= benchmark:
        return math.inf
    return 1.0 + spread * (NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def min_backtest_years(trials: float, sharpe: float = 1.0) -> float:
    """Return the years below which the best of skill-less trials is expected to show this annual Sharpe ratio.

    Parameters
    ----------
    trials : float
        Independent ones, at least 1.
    sharpe : float
        Annualised, above 0.

    Returns
    -------
    float
        Years; 0 for one trial; below 2 ln(trials) / sharpe^2.

    Source: D. H. Bailey, J. M. Borwein, M. Lopez de Prado and Q. J. Zhu, "Pseudo-Mathematics and Financial
    Charlatanism", Notices of the American Mathematical Society, 2014.
    """
    return (largest_of(trials) / sharpe) ** 2


def spread_of(sharpe: float, skewness: float, kurtosis: float) -> float:
    """Return the variance of a Sharpe ratio's estimate, times the number of bars less 1."""
    return 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe


def largest_of(trials: float) -> float:
    """Return the expected largest of ``trials`` standard normal numbers, by Gumbel's approximation; 0 for one."""
    if not trials >= 1.0:
        return math.nan
    if trials == 1.0:
        return 0.0
    # -Zinv(p) is Zinv(1 - p) without the digits that 1 - p loses
    return -(1.0 - EULER) * NORMAL.inv_cdf(1.0 / trials) - EULER * NORMAL.inv_cdf(1.0 / (trials * math.e))


def below(z: float) -> float:
    """Return the normal distribution's probability below ``z``, exact in both tails."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
