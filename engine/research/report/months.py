"""Returns by month and year."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engine.research.report.page import quiet, section
from engine.research.report.text import DASH, cell, signed
from engine.simulate import Simulation

if TYPE_CHECKING:
    from engine.research.report.write import Evidence

__all__ = ["monthly", "months_section", "yearly"]

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STEPS = (0.005, 0.02, 0.05)  # where a cell's colour grows stronger


def monthly(made: Simulation) -> dict[tuple[int, int], float]:
    """Return the return of each month, by (year, month), in order.

    A bar belongs to the month of its open, UTC; a month begins where the one before it ended, the first with the
    initial cash.  NaN from equity at or below 0.
    """
    return {(year, month): value for (year, month), value in returns(made, ["year", "month"]).items()}


def yearly(made: Simulation) -> dict[int, float]:
    """Return the return of each year, as ``monthly``."""
    return {year: value for (year,), value in returns(made, ["year"]).items()}


def returns(made: Simulation, by: list[str]) -> dict[tuple[int, ...], float]:
    """Return the return of each period of the calendar."""
    time = pl.Series("time", np.asarray(made.bars.time, np.int64)).cast(pl.Datetime("ms"))
    frame = pl.DataFrame({"time": time, "equity": made.equity}).select(
        pl.col("time").dt.year().alias("year"), pl.col("time").dt.month().alias("month"), "equity"
    )
    ends = frame.group_by(by, maintain_order=True).agg(pl.col("equity").last())
    equity = ends["equity"].to_numpy()
    before = np.append(made.costs.initial_cash, equity[:-1])
    grown = np.where(before > 0.0, equity / np.where(before > 0.0, before, 1.0) - 1.0, math.nan)
    return dict(zip(ends.select(by).rows(), grown.tolist(), strict=True))


def months_section(evidence: Evidence) -> str:
    """Return the winner's months as a table, a row a year, with year totals beside those of buy and hold."""
    months, years, hold = monthly(evidence.winner), yearly(evidence.winner), yearly(evidence.hold)
    known = [value for value in months.values() if math.isfinite(value)]
    won = sum(value > 0.0 for value in known)
    flat = sum(value == 0.0 for value in known)
    text = (
        f"Percent, costs included; {won:,} of {len(known):,} months ended above where they began"
        + (f", {flat:,} did not move" if flat else "")
        + ". Blue is a gain, red a loss (with a minus), stronger where larger. A month counts by its bars' opens, UTC."
    )
    head = "".join(f"<th>{name}</th>" for name in ("Year", *NAMES, "Year total", "Buy and hold"))
    rows = []
    for year in years:
        cells = [tinted(months.get((year, month))) for month in range(1, 13)]
        total = tinted(years[year], "main ")
        rows.append(f"<tr><td>{year}</td>{''.join(cells)}{total}<td>{percent(hold.get(year))}</td></tr>")
    frame = "scroll long" if len(rows) > 30 else "scroll"
    body = "\n".join(rows)
    rows_of = f'<table class="months"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>'
    table = f'<div class="{frame}">{rows_of}</div>'
    return section("Monthly returns of the winner", quiet(text), table)


def percent(value: float | None) -> str:
    """Return a return in percent, without the sign of percent; empty where the month has no bar."""
    if value is None:
        return ""
    return cell(signed(f"{100 * value:+,.1f}")) if math.isfinite(value) else DASH


def tinted(value: float | None, more: str = "") -> str:
    """Return a cell with the colour of its sign and size."""
    tint = ""
    if value is not None and math.isfinite(value) and abs(value) >= STEPS[0] / 10:
        tint = f"{'gain' if value > 0.0 else 'drop'}{sum(abs(value) >= step for step in STEPS)}"
    kind = f' class="{(more + tint).strip()}"' if more or tint else ""
    return f"<td{kind}>{percent(value)}</td>"
