"""Metrics for people: percent where they are fractions, two digits where they are ratios, and who beats whom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine.cli.output import Output

_PERCENT = ("total_return", "cagr", "volatility", "max_drawdown", "win_rate", "avg_trade", "exposure", "fees")
_COUNTS = ("trades", "max_drawdown_bars", "combo")
_COMPARED = (
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sharpe_invested",
    "sortino",
    "calmar",
    "max_drawdown",
    "win_rate",
    "profit_factor",
    "trades",
    "exposure",
    "fees",
)
_RANKED = (
    "total_return",
    "cagr",
    "sharpe",
    "sortino",
    "max_drawdown",
    "win_rate",
    "profit_factor",
    "trades",
    "exposure",
)


def figure(name: str, value: Any) -> str:
    """Return a metric or parameter as people read it; unknown is a dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if name in _PERCENT:
        return f"{100 * value:,.2f} %"
    if name in _COUNTS:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if name in _COMPARED else f"{value:g}"


def params_text(params: Mapping[str, Any]) -> str:
    """Return parameters as ``export --params`` reads them, with every digit."""
    return ",".join(f"{name}={int(v) if float(v).is_integer() else float(v)!r}" for name, v in params.items())


def compare(out: Output, subjects: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a table with a line for each metric and a column for each subject."""
    rows = [[name, *(figure(name, metrics.get(name)) for metrics in subjects.values())] for name in _COMPARED]
    out.table(["", *subjects], rows, right=True)


def annualised(out: Output, sources: Sequence[Mapping[str, Any]]) -> None:
    """Print what Sharpe and volatility are multiplied by, from each series' own calendar."""
    for item in sources:
        year, calendar = item["bars_per_year"], item["calendar"]
        kept = "traded all week" if calendar == "24/7" else "traded in sessions"
        out.say(
            f"{item['source']}: {kept}, {year:,.6g} bars a year; sharpe, sortino and volatility are over all bars x "
            f"sqrt({year:,.6g}), sharpe_invested over bars with a position; risk-free 0"
        )


def rank(out: Output, rows: Sequence[Mapping[str, Any]], params: Sequence[str], by: str) -> None:
    """Print rows of a result table: the source, the parameters, the metrics people ask for first."""
    columns = ["source", *params, *dict.fromkeys([by, *_RANKED])]
    out.table(columns, [[figure(name, row.get(name)) for name in columns] for row in rows], right=True)


def rate(value: float | None) -> str:
    """Return a number a second in words: ``151 million``; unknown is a dash."""
    if value is None or not math.isfinite(value):
        return "-"
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{value / size:,.3g} {word}"
    return f"{value:,.0f}"
