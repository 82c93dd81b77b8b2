"""The report's charts of the account and of the grid: equity, drawdown, the metric over one parameter and over all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.research.report.grid import Distribution, Surface
from engine.research.report_style import AMBER, BLUE, GREY, INK, RED, Figure, axis, layout, line, log_ticks, note
from engine.simulate import Simulation

__all__ = ["course_figure", "curve_figure", "distribution_figure"]

FAR = 1.5  # times the width of all bars: as far beside them a marked figure is drawn where it is


def course_figure(winner: Simulation, others: dict[str, Simulation]) -> Figure:
    """Return equity (logarithmic) over drawdown: the winner against the others, the first of them the benchmark."""
    time = winner.bars.time
    styles = {"Buy and hold": (AMBER, 1.3), "Median combination": (GREY, 1.3)}
    series = {**{name: (s, *styles[name]) for name, s in others.items()}, "Winner": (winner, BLUE, 1.9)}
    data = []
    for name, (made, colour, width) in series.items():
        data.append(
            line(
                time,
                made.equity,
                name,
                colour,
                width=width,
                legendgroup=name,
                hovertemplate="%{x|%Y-%m-%d %H:%M}: %{y:,.0f}",
            )
        )
    for name in ("Buy and hold", "Winner"):
        made, colour, width = series[name]
        data.append(
            line(
                time,
                drawdown(made),
                name,
                colour,
                width=1.1,
                yaxis="y2",
                showlegend=False,
                legendgroup=name,
                hovertemplate="%{x|%Y-%m-%d %H:%M}: %{y:.1%}",
                **({"fill": "tozeroy", "fillcolor": "rgba(37,99,168,0.18)"} if name == "Winner" else {}),
            )
        )
    every = np.concatenate([s[0].equity for s in series.values()])
    ticks = log_ticks(float(every[every > 0].min()), float(every.max())) if (every > 0).any() else []
    return {
        "data": data,
        "layout": layout(
            520,
            legend={**layout(0)["legend"], "traceorder": "reversed"},
            xaxis=axis(type="date", anchor="y2"),
            yaxis=axis(type="log", domain=[0.36, 1.0], tickvals=ticks, ticktext=[f"{t:,.6g}" for t in ticks]),
            yaxis2=axis(domain=[0.0, 0.27], tickformat=".0%", rangemode="tozero"),
            annotations=[
                note("Equity at the close, logarithmic", 1.0),
                note("Drawdown from the highest close", 0.27, 16),
            ],
        ),
    }


def drawdown(made: Simulation) -> NDArray[np.float64]:
    """Return the fraction below the highest equity so far, the initial cash being the first."""
    peak = np.maximum.accumulate(np.maximum(made.equity, made.costs.initial_cash))
    return made.equity / peak - 1.0


def curve_figure(found: Surface, by: str, form: str) -> Figure:
    """Return the median along one parameter with the span from the tenth to the ninetieth percentile."""
    places = sorted(found.cells)
    labels = [found.labels[0][k] for (k,) in places]
    low, high = ([found.spread[p][side] for p in places] for side in (0, 1))
    middle = [found.cells[p][0] for p in places]
    base: Figure = {"type": "scatter", "x": labels, "mode": "lines", "hoverinfo": "skip", "line": {"width": 0}}
    (marked,) = found.marked
    band = [
        base | {"y": low, "showlegend": False},
        base | {"y": high, "fill": "tonexty", "fillcolor": "rgba(37,99,168,0.15)", "name": "10 % to 90 %"},
    ]
    alone = all(count == 1 for _, count in found.cells.values())
    return {
        "data": [
            *([] if alone else band),
            {
                "type": "scatter",
                "x": labels,
                "y": middle,
                "mode": "lines+markers",
                "name": f"Median {by}",
                "line": {"color": BLUE, "width": 1.6},
                "hovertemplate": f"{found.names[0]} %{{x}}: %{{y:{form}}}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": [found.labels[0][marked]],
                "y": [found.cells[found.marked][0]],
                "name": "Winner's value",
                "marker": {"symbol": "circle-open", "size": 15, "color": INK, "line": {"width": 2.5}},
                "hoverinfo": "skip",
            },
        ],
        "layout": layout(
            400,
            margin={"l": 58, "r": 14, "t": 34, "b": 52},
            xaxis=axis(type="category", title={"text": found.names[0], "standoff": 12}, nticks=12, automargin=True),
            yaxis=axis(tickformat=form),
        ),
    }


def distribution_figure(found: Distribution, by: str, form: str, marked: dict[str, float]) -> Figure:
    """Return the histogram of the metric with a line for each marked figure."""
    centres = [found.low + (k + 0.5) * found.width for k in range(len(found.counts))]
    low, high = found.low, found.low + found.width * len(found.counts)
    styles = {"Winner": (BLUE, "solid"), "Median": (INK, "dash"), "Buy and hold": (AMBER, "dashdot")}
    styles["Luck line"] = (RED, "dot")
    data: list[Figure] = [
        {
            "type": "bar",
            "x": centres,
            "y": found.counts,
            "marker": {"color": "#c5d3e0"},
            "name": "Combinations",
            "showlegend": False,
            "width": found.width * 0.94,
            "hovertemplate": f"{by} about %{{x:{form}}}: %{{y:,}} combinations<extra></extra>",
        }
    ]
    top = max(found.counts, default=1) * 1.04
    places = [low, high]
    for name, value in marked.items():
        if not np.isfinite(value):
            continue
        # very far outside it would squeeze the bars: it stands at the end of the axis, and the legend says so
        far = FAR * (high - low)
        at = min(max(value, low - far), high + far)
        places.append(at)
        beyond = "" if at == value else ", beyond the axis"
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [at, at],
                "y": [0, top],
                "name": f"{name} {value:{form}}{beyond}".replace("-", "\u2212"),
                "line": {"color": styles[name][0], "width": 2.5, "dash": styles[name][1]},
                "hovertemplate": f"{name}: {value:{form}}<extra></extra>",
            }
        )
    steps = {"dtick": 1} if top < 6 else {"nticks": 8}
    pad = 0.03 * (max(places) - min(places))
    reach = [min(places) - pad, max(places) + pad]
    return {
        "data": data,
        "layout": layout(
            400,
            margin={"l": 58, "r": 14, "t": 34, "b": 52},
            bargap=0,
            xaxis=axis(title={"text": by}, tickformat=form, range=reach),
            yaxis=axis(tickformat=",", title={"text": "combinations"}, range=[0, top * 1.03], automargin=True, **steps),
        ),
    }
