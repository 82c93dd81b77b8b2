"""The walk-forward of the same strategy on the same series, where the store holds one."""

from __future__ import annotations

import shlex
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine.graph.scalar import tidy
from engine.research.report.page import quiet, section
from engine.research.report.text import metric_text
from engine.research.report_style import AMBER, BLUE, MUTED, Figure, axis, layout, line, log_ticks
from engine.research.walk import Walk
from engine.simulate import Costs
from parquet_store import Series

if TYPE_CHECKING:
    from engine.research.report.write import Evidence

__all__ = ["command", "forward_figure", "forward_section"]

NUMBERED = 12
MANY = 12  # values of a parameter that are listed one by one
SAMPLE = 1_000  # points drawn where the run was a search


def forward_figure(course: pl.DataFrame) -> Figure:
    """Return the stitched equity out of sample beside buy and hold, every second fold shaded."""
    time = course["time"].dt.epoch("ms").to_numpy()
    equity, hold = course["equity"].to_numpy(), course["buy_and_hold"].to_numpy()
    hover = "%{x|%Y-%m-%d %H:%M}: %{y:,.0f}"
    data = [
        line(time, hold, "Buy and hold", AMBER, width=1.3, dash="dash", hovertemplate=hover),
        line(time, equity, "Walk-forward, out of sample", BLUE, width=1.9, hovertemplate=hover),
    ]
    folds = course["fold"].to_numpy()
    starts = np.flatnonzero(np.append(True, folds[1:] != folds[:-1]))
    ends = np.append(starts[1:], folds.size)
    shapes, notes = [], []
    for k, (a, b) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        left, right = float(time[a]), float(time[min(b, folds.size - 1)])
        if k % 2 == 0:
            shapes.append(
                {
                    "type": "rect", "yref": "paper", "x0": left, "x1": right, "y0": 0, "y1": 1,
                    "fillcolor": "rgba(31,41,51,0.05)", "line": {"width": 0}, "layer": "below",
                }
            )  # fmt: skip
        if len(starts) <= NUMBERED:
            notes.append(
                {
                    "text": str(int(folds[a])), "x": (left + right) / 2, "y": 0.0, "yref": "paper", "xanchor": "center",
                    "yanchor": "bottom", "showarrow": False, "font": {"size": 11, "color": MUTED},
                }
            )  # fmt: skip
    every = np.concatenate([equity, hold])
    known = every[every > 0.0]
    ticks = log_ticks(float(known.min()), float(known.max())) if known.size else []
    return {
        "data": data,
        "layout": layout(
            400,
            legend={**layout(0)["legend"], "traceorder": "reversed"},
            xaxis=axis(type="date"),
            yaxis=axis(type="log", tickvals=ticks, ticktext=[f"{t:,.6g}" for t in ticks]),
            shapes=shapes,
            annotations=notes,
        ),
    }


def forward_section(evidence: Evidence, walk: Walk | None, place: str | None) -> str:
    """Return the walk-forward with what it says, or which command makes one."""
    title = "Walk-forward"
    if walk is None or place is None:
        text = "None is stored for this strategy on this series. It chooses parameters from the past alone, again and "
        text += "again, and trades them in what follows; this makes one, and the next report shows it:"
        from engine.research.report.text import cell

        return section(title, quiet(text), f'<pre class="command">{cell(command(evidence))}</pre>')
    told = walk.of(evidence.bars.source)
    folds, oos, hold = told["folds"], told["oos"], told["benchmark"]
    earned = sum((fold["out_of_sample"]["total_return"] or 0.0) > 0.0 for fold in folds)
    efficiency, inside, outside = told["efficiency"], told["in_sample"], told["out_of_sample"]
    said = (
        f"Efficiency {metric_text('sharpe', efficiency)}: {metric_text('cagr', outside['annual_return'])} a year out "
        f"of sample over {metric_text('cagr', inside['annual_return'])} in-sample."
        if efficiency is not None
        else "Efficiency cannot be said: what was chosen did not earn in-sample."
    )
    text = (
        f"Parameters chosen in {len(folds):,} training windows, traded in the window after each (every second one "
        f"shaded, numbered where there is room): total return {metric_text('total_return', oos['total_return'])}, "
        f"Sharpe over all bars {metric_text('sharpe', oos['sharpe'])}, against "
        f"{metric_text('total_return', hold['total_return'])} and {metric_text('sharpe', hold['sharpe'])} of buy and "
        f"hold. {earned:,} of {len(folds):,} windows earned. {said}"
    )
    same = walk.told["plan"] == evidence.run.plan["digest"]
    more = f"Stored as {walk.name}; " + (
        "it chose among the same combinations, on the same bars and costs, as this run."
        if same
        else "it is not of this very plan: its grid, bars or costs differ from this run's."
    )
    return section(title, quiet(text), quiet(more), place)


def command(evidence: Evidence) -> str:
    """Return the command line that walks forward through the run's own grid, at its costs."""
    plan = evidence.run.plan
    parts = ["lockstep", "walk-forward", str(plan["strategy"]), "--data", evidence.bars.source]
    draw = plan["space"]["draw"]
    intervals = draw["intervals"] if draw else {}
    for name, values in plan["space"]["values"].items():
        if name in intervals:
            parts += ["--param", f"{name}={tidy(intervals[name][0])}:{tidy(intervals[name][1])}"]
        elif len(values) > 1 or values[0] != default(evidence, name):
            parts += ["--param", f"{name}={listed(values)}"]
    for text in plan["space"]["where"]:
        parts += ["--where", text]
    for name, text in plan["space"]["when"]:
        parts += ["--when", f"{name}: {text}"]
    if draw:  # a search has no count of its own
        parts += ["--sample", str(draw["count"] or SAMPLE), "--seed", str(draw["seed"])]
    return shlex.join([*parts, *costs_given(evidence)])


def costs_given(evidence: Evidence) -> list[str]:
    """Return the options of costs and sizing that are not what the command takes by itself."""
    usual = {**Costs().as_json(), "short": ":" in Series.parse(evidence.bars.source).symbol}
    parts = []
    for name, value in evidence.run.plan["costs"].items():
        if value == usual[name]:
            continue
        option = name.replace("_", "-")
        parts += [f"--{option}" if value else f"--no-{option}"] if name == "short" else [f"--{option}", str(value)]
    sizing = evidence.run.plan["sizing"]
    if sizing is not None:
        numbers = ",".join(f"{name}={value}" for name, value in sizing.items() if name != "kind")
        parts += ["--sizing", f"{sizing['kind']}:{numbers}" if numbers else sizing["kind"]]
    return parts


def default(evidence: Evidence, name: str) -> Any:
    """Return what a parameter is where it is not given."""
    return evidence.strategy.params[name].default


def listed(values: list[float]) -> str:
    """Return values as the command line takes them, a long even list as a range."""
    steps = [b - a for a, b in pairwise(values)]
    if len(values) > MANY and max(steps) - min(steps) < 1e-9 and steps[0] > 0:
        return f"{tidy(values[0])}:{tidy(values[-1])}:{tidy(round(steps[0], 12))}"
    return ",".join(str(tidy(v)) for v in values)
