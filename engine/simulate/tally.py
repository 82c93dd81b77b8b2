"""What is counted while an account runs, and the metrics that come of it.

A tally is a row of sums; the plain simulation and the sweep fill it in the same order, and ``metrics`` turns rows
into figures, so both mean the same by every name.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["METRICS", "TALLY", "metrics"]

TALLY = (
    "equity",  # at the last close, quote currency
    "sum",  # of the returns of all bars
    "square",  # of their squares
    "downside",  # of the squares of the negative ones
    "invested",  # bars with a position at any moment
    "drawdown",  # the worst, <= 0
    "underwater",  # longest run of closes below the peak, bars
    "trades",  # closed ones
    "wins",
    "gains",  # net profit of the winners, quote currency
    "losses",  # minus that of the losers
    "ratio",  # sum of net profit / entry notional
    "fees",  # quote currency, the open trade's entry too
    "open",  # 1: a trade is open at the end
)
METRICS = (
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sharpe_invested",
    "sortino",
    "calmar",
    "max_drawdown",
    "max_drawdown_bars",
    "win_rate",
    "profit_factor",
    "avg_trade",
    "trades",
    "exposure",
    "fees",
    "open_trade",
)
WHOLE_METRICS = ("trades", "max_drawdown_bars")


def metrics(
    tally: NDArray[np.float64], bars: int, years: float, bars_per_year: float, initial_cash: float
) -> NDArray[np.float64]:
    """Return the figures of each row of sums.

    Parameters
    ----------
    tally : ndarray of float64, shape (m, len(TALLY))
    bars : int
        Bars simulated.
    years : float
        From the first bar's open to the last one's close, years of 365.25 days.
    bars_per_year : float
        For annualisation, from the data's own calendar.
    initial_cash : float

    Returns
    -------
    ndarray of float64, shape (m, len(METRICS))
        Fractions, not percent; NaN where undefined (no trade, no loss, a ratio over no deviation).  Sharpe: mean /
        deviation (ddof 1), risk-free 0, times sqrt(bars_per_year); ``sharpe_invested`` over bars with a position at
        any moment.
    """
    t = dict(zip(TALLY, np.ascontiguousarray(np.asarray(tally, np.float64).T), strict=True))
    scale = math.sqrt(bars_per_year)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        growth = t["equity"] / initial_cash
        cagr = np.where(growth > 0.0, np.maximum(growth, 0.0) ** (1.0 / years) - 1.0, -1.0)
        deviation, invested_deviation = _deviation(t, float(bars)), _deviation(t, t["invested"])
        closed = t["trades"]
        out = {
            "total_return": growth - 1.0,
            "cagr": cagr,
            "volatility": deviation * scale,
            "sharpe": _over(t["sum"] / bars, deviation) * scale,
            "sharpe_invested": _over(t["sum"] / t["invested"], invested_deviation) * scale,
            "sortino": t["sum"] / bars / np.sqrt(t["downside"] / bars) * scale,
            "calmar": cagr / -t["drawdown"],
            "max_drawdown": t["drawdown"],
            "max_drawdown_bars": t["underwater"],
            "win_rate": t["wins"] / closed,
            "profit_factor": t["gains"] / t["losses"],
            "avg_trade": t["ratio"] / closed,
            "trades": closed,
            "exposure": t["invested"] / bars,
            "fees": t["fees"] / initial_cash,
            "open_trade": t["open"],
        }
    found = np.column_stack([np.broadcast_to(out[name], closed.shape) for name in METRICS])
    found[~np.isfinite(found)] = np.nan
    return found + 0.0


def _deviation(t: dict[str, NDArray[np.float64]], count: NDArray[np.float64] | float) -> NDArray[np.float64]:
    spread = t["square"] - t["sum"] * t["sum"] / count
    # what is left of equal returns is rounding, not deviation
    spread = np.where(spread > 1e-14 * t["square"], spread, 0.0)
    deviation: NDArray[np.float64] = np.sqrt(spread / (count - 1.0))
    return deviation


def _over(mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    return mean / np.where(deviation > 0.0, deviation, np.nan)
