"""Combinations as lines over the parameters: the best, and an even sample of the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.graph.scalar import tidy
from engine.research.report.grid import rising, text
from engine.research.report_style import FONT, INK, Figure
from engine.research.table import Run

__all__ = ["BEST", "MOST", "Sampled", "parallel_figure", "sampled"]

BEST, MOST = 60, 300
LISTED = 8
SAFE = [[0.0, "#b3382c"], [0.25, "#e3a39b"], [0.5, "#d9dde2"], [0.75, "#8db6d9"], [1.0, "#1f5a96"]]


@dataclass(frozen=True)
class Sampled:
    """Rows of the table, worst first, so that the best are drawn over the others.

    Attributes
    ----------
    names : tuple of str
        The parameters.
    rows : ndarray of float64, shape (k, parameters + 1)
        Their values, and the metric.
    known : int
        Combinations they were taken from.
    """

    names: tuple[str, ...]
    rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    known: int


def sampled(run: Run, by: str, source: str, names: tuple[str, ...]) -> Sampled:
    """Return the 60 best combinations and at most 240 others, evenly spaced by rank."""
    (known,) = run.sql(f'select count("{by}") from results where source = {text(source)}')[1][0]
    step = max(1, math.ceil((known - BEST) / (MOST - BEST)))
    columns = ", ".join(f'"{name}"::double as "{name}"' for name in names)
    order = "desc" if rising(by) else "asc"
    ranked = (
        f'select {columns}, "{by}"::double as value, row_number() over (order by "{by}" {order}, combo) as place '
        f'from results where source = {text(source)} and "{by}" is not null'
    )
    found = run.sql(
        f"select * exclude (place) from ({ranked}) where place <= {BEST} or (place - {BEST}) % {step} = 0 "
        "order by place desc"
    )[1]
    return Sampled(names, np.array(found, np.float64).reshape(len(found), len(names) + 1), int(known))


def parallel_figure(found: Sampled, by: str, form: str) -> Figure:
    """Return parallel coordinates, coloured by the metric; a parameter of few values is labelled by them."""
    value = found.rows[:, -1]
    dimensions = []
    for name, column in zip((*found.names, by), found.rows.T, strict=True):
        one: Figure = {"label": name, "values": column.astype(np.float32)}
        distinct = np.unique(column)
        if name != by and distinct.size <= LISTED:
            one |= {"tickvals": distinct.tolist(), "ticktext": [f"{tidy(float(v)):,.5g}" for v in distinct]}
        elif name == by:
            one |= {"tickformat": form}
        if distinct.size == 1:
            one["range"] = [float(distinct[0]) - 1.0, float(distinct[0]) + 1.0]
        dimensions.append(one)
    low, high = float(value.min()), float(value.max())
    reach = {"cmin": low, "cmax": high} if high > low else {"cmin": low - 1.0, "cmax": low + 1.0}
    return {
        "data": [
            {
                "type": "parcoords",
                "dimensions": dimensions,
                "labelangle": -25,
                "labelfont": {"size": 12, "color": INK},
                "tickfont": {"size": 11, "color": INK},
                "rangefont": {"size": 1, "color": "rgba(0,0,0,0)"},
                "line": {
                    "color": value.astype(np.float32),
                    "colorscale": SAFE,
                    **reach,
                },
            }
        ],
        "layout": {
            "height": 420,
            "margin": {"l": 44, "r": 56, "t": 78, "b": 24},
            "font": {"family": FONT, "size": 12, "color": INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
        },
    }
