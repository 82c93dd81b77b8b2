"""The figures of one simulation, from equity at closes and the list of trades.

Owns the definition of every metric.  Must not import the engine, nor be fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.naive.simulation import Result, Trade

DAY_MS = 86_400_000


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _deviation(values: Sequence[float]) -> float:
    """Return the sample deviation (ddof 1), NaN below two values."""
    if len(values) < 2:
        return math.nan
    centre = _mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def _ratio(numerator: float, denominator: float) -> float:
    """Divide; NaN where the denominator is zero or unknown."""
    return numerator / denominator if denominator > 0.0 or denominator < 0.0 else math.nan


def returns(equity: Sequence[float], initial_cash: float) -> list[float]:
    """Return the change of equity at each close against the close before (first: the initial cash); 0 once broke."""
    out = []
    last = initial_cash
    for value in equity:
        out.append(value / last - 1.0 if last > 0.0 else 0.0)
        last = value
    return out


def metrics(
    equity: Sequence[float],
    initial_cash: float,
    trades: Sequence[Trade],
    invested: Sequence[bool],
    number: Sequence[int],
    timeframe_ms: int,
    bars_per_year: float,
    fees: float,
) -> dict[str, float]:
    """Return every metric by name, as fractions; NaN where it is undefined.

    Parameters
    ----------
    equity : one value a bar, quote currency, marked at the close
    initial_cash : quote currency
    trades : closed trades only
    invested : whether a position was held at any moment of the bar
    number : bar numbers on the timeframe's grid; with ``timeframe_ms`` they tell the elapsed time
    bars_per_year : bars, for annualising
    fees : all fees paid, quote currency
    """
    equity = [float(value) for value in equity]
    moves = returns(equity, initial_cash)
    held = [r for r, flag in zip(moves, invested, strict=True) if flag]
    year = math.sqrt(bars_per_year)
    downside = math.sqrt(_mean([min(r, 0.0) ** 2 for r in moves]))

    elapsed_years = (int(number[-1]) + 1 - int(number[0])) * timeframe_ms / (365.25 * DAY_MS)
    growth = equity[-1] / initial_cash
    cagr = growth ** (1.0 / elapsed_years) - 1.0 if growth > 0.0 else -1.0

    peak, drawdown, below, longest = initial_cash, 0.0, 0, 0
    for value in equity:
        peak = max(peak, value)
        drawdown = min(drawdown, value / peak - 1.0)
        below = below + 1 if value < peak else 0
        longest = max(longest, below)

    profits = [trade.profit for trade in trades]
    lost = -math.fsum(p for p in profits if p < 0.0)
    return {
        "total_return": growth - 1.0,
        "cagr": cagr,
        "volatility": _deviation(moves) * year,
        "sharpe": _ratio(_mean(moves), _deviation(moves)) * year,
        "sharpe_invested": _ratio(_mean(held), _deviation(held)) * year,
        "sortino": _ratio(_mean(moves), downside) * year,
        "calmar": _ratio(cagr, abs(drawdown)),
        "max_drawdown": drawdown,
        "max_drawdown_bars": float(longest),
        "win_rate": _mean([1.0 if p > 0.0 else 0.0 for p in profits]),
        "profit_factor": _ratio(math.fsum(p for p in profits if p > 0.0), lost),
        "avg_trade": _mean([t.profit / (t.quantity * t.entry_price) for t in trades]),
        "trades": float(len(trades)),
        "exposure": sum(1 for flag in invested if flag) / len(equity),
        "fees": fees / initial_cash,
    }


def metrics_of(
    result: Result, initial_cash: float, number: Sequence[int], timeframe_ms: int, bars_per_year: float
) -> dict[str, float]:
    """Return the metrics of a naive simulation."""
    return metrics(
        result.equity.tolist(),
        initial_cash,
        result.trades,
        result.invested.tolist(),
        number,
        timeframe_ms,
        bars_per_year,
        result.fees,
    )
