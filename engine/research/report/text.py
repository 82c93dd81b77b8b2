"""Figures as people read them: percent with a sign, thousands separated, a dash for what is undefined."""

from __future__ import annotations

import html
import math
from itertools import pairwise
from typing import Any

from engine.graph.scalar import tidy
from parquet_store.moments import to_text
from pipelines import Bars

__all__ = [
    "LABELS",
    "axis_form",
    "bar_time",
    "cell",
    "counted",
    "metric_text",
    "number_text",
    "sharpe_note",
    "values_text",
]

DASH, MINUS = "\u2013", "\u2212"
SIGNED = ("total_return", "cagr", "avg_trade", "max_drawdown")
PLAIN = ("volatility", "win_rate", "exposure", "fees")
COUNTS = ("trades", "max_drawdown_bars")
LABELS = {
    "total_return": "Total return",
    "cagr": "CAGR",
    "volatility": "Volatility, annual",
    "sharpe": "Sharpe, all bars",
    "sharpe_invested": "Sharpe, invested bars",
    "sortino": "Sortino",
    "calmar": "Calmar",
    "max_drawdown": "Maximum drawdown",
    "max_drawdown_bars": "Longest drawdown, bars",
    "win_rate": "Win rate",
    "profit_factor": "Profit factor",
    "avg_trade": "Average trade",
    "trades": "Closed trades",
    "exposure": "Exposure",
    "fees": "Fees, of the initial cash",
    "open_trade": "Trade open at the end",
}


def metric_text(name: str, value: Any) -> str:
    """Return a metric as text; None and NaN are a dash."""
    if value is None or not math.isfinite(value):
        return DASH
    if name == "open_trade":
        return "yes" if value else "no"
    if name in COUNTS:
        return f"{value:,.0f}"
    if name in SIGNED:
        return signed(f"{100 * value:+,.1f}%" if abs(value) >= 0.1 else f"{100 * value:+,.2f}%")
    return f"{100 * value:,.1f}%" if name in PLAIN else signed(f"{value:,.2f}")


def signed(text: str) -> str:
    """Return a number's text with a true minus sign, and none before a zero."""
    if not text.strip("+-0.,%"):
        return text.lstrip("+-")
    return text.replace("-", MINUS)


def number_text(value: float, digits: int = 6) -> str:
    """Return a price or a quantity as text, thousands separated."""
    if not math.isfinite(value):
        return DASH
    if value != 0.0 and abs(value) < 10.0 ** (digits - 1):
        return signed(f"{value:,.{digits}g}")
    return signed(f"{value:,.0f}")


def axis_form(by: str) -> str:
    """Return the format of a metric, the same in Python and in Plotly."""
    return ".1%" if by in SIGNED or by in PLAIN else ",.0f" if by in COUNTS else ".2f"


def values_text(values: list[float]) -> str:
    """Return a parameter's values as text, a long even list as a range."""
    shown = [f"{tidy(v):,.10g}" for v in values]
    if len(values) < 6:
        return ", ".join(shown)
    steps = {round(b - a, 9) for a, b in pairwise(values)}
    if len(steps) == 1:
        return f"{shown[0]} to {shown[-1]} by {steps.pop():g} ({len(values):,} values)"
    if len(values) <= 12:
        return ", ".join(shown)
    return f"{', '.join(shown[:5])}, \u2026, {shown[-1]} ({len(values):,} values)"


def bar_time(bars: Bars, index: int) -> str:
    """Return the open time of a bar as text, without the hour where bars are days or longer."""
    text = to_text(int(bars.time[index]))
    return text[:10] if bars.timeframe[-1] in "dwM" else text


def sharpe_note(bars: Bars) -> str:
    """Return how the Sharpe ratio is counted, in words."""
    kind = "trades around the clock" if bars.calendar == "24/7" else "trades in sessions"
    return f"all bars, \u00d7 \u221a{bars.bars_per_year:,.10g} ({kind})"


def cell(value: object) -> str:
    """Return a text for HTML, everything with a meaning there escaped."""
    return html.escape(str(value))


def counted(trades: int) -> str:
    """Return how many closed trades there are, in words."""
    return f"{trades:,} closed trade{'' if trades == 1 else 's'}"
