"""Heatmaps of the metric over two parameters: the median or the best over all others, the plateau outlined."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.research.report.grid import Surface, rising
from engine.research.report_style import INK, Figure, axis, layout

__all__ = ["SHARE", "map_figure", "outline", "plateau"]

SHARE = 0.5
SIGNED = [[0.0, "#b3382c"], [0.25, "#e3a39b"], [0.5, "#f7f5f0"], [0.75, "#8db6d9"], [1.0, "#1f5a96"]]
PLAIN = [[0.0, "#eef3f8"], [1.0, "#1f5a96"]]
Flags = NDArray[np.bool_]


def map_figure(found: Surface, by: str, form: str, best: bool = False) -> Figure:
    """Return a heatmap over two parameters: in each cell the median, or the best, over all others."""
    shape = (len(found.labels[1]), len(found.labels[0]))
    z, counts = np.full(shape, np.nan), np.zeros(shape, np.int32)
    for (x, y), (value, count) in found.cells.items():
        shown = found.best[x, y] if best else value
        z[y, x], counts[y, x] = np.nan if shown is None else shown, count
    known = z[np.isfinite(z)]
    signed = bool(known.size) and known.min() < 0.0 < known.max()
    reach = float(np.abs(known).max()) if known.size else 1.0
    x, y = found.marked
    what = "best" if best else "median"
    heat: Figure = {
        "type": "heatmap",
        "x": found.labels[0],
        "y": found.labels[1],
        "z": z.astype(np.float32),
        "customdata": counts,
        "xgap": 1,
        "ygap": 1,
        "colorscale": SIGNED if signed else PLAIN,
        "colorbar": {"thickness": 10, "outlinewidth": 0, "tickformat": form, "len": 0.9, "nticks": 6},
        "hoverongaps": False,
        "hovertemplate": f"{found.names[0]} %{{x}}, {found.names[1]} %{{y}}<br>{what} {by} %{{z:{form}}}, "
        "%{customdata:,} combinations<extra></extra>",
    }
    if signed:
        heat |= {"zmin": -reach, "zmax": reach}
    data: list[Figure] = [heat]
    inside = plateau(z, (y, x)) if rising(by) else np.zeros(shape, np.bool_)
    if inside.any():
        cells = f"{int(inside.sum()):,} of {known.size:,} cells"
        style = {"color": INK, "width": 2.5}
        shapes = [{"type": "path", "path": outline(inside), "line": style, "layer": "above"}]
        # a shape has no place in the legend of a category axis, an empty line does
        data.append(
            {"type": "scatter", "mode": "lines", "x": [None], "y": [None], "name": f"Plateau: {cells}", "line": style}
        )
    else:
        shapes = []
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [found.labels[0][x]],
            "y": [found.labels[1][y]],
            "name": "Winner",
            "marker": {"symbol": "circle-open", "size": 14, "color": INK, "line": {"width": 2.5}},
            "hovertemplate": "the winner's cell<extra></extra>",
        }
    )
    return {
        "data": data,
        "layout": layout(
            440,
            margin={"l": 66, "r": 10, "t": 36, "b": 52},
            xaxis=axis(type="category", title={"text": found.names[0]}, showgrid=False, nticks=12, automargin=True),
            yaxis=axis(type="category", title={"text": found.names[1]}, showgrid=False, nticks=14, automargin=True),
            shapes=shapes,
        ),
    }


def plateau(z: NDArray[np.float64], start: tuple[int, int], share: float = SHARE) -> Flags:
    """Return the cells of the plateau a cell stands on.

    Parameters
    ----------
    z : ndarray of float64, shape (rows, columns)
        NaN is unknown.
    start : (int, int)
        Row and column of the cell.
    share : float

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        Those reached from the cell side by side over cells of at least ``share`` times its value; none where its
        value is unknown or not above 0.
    """
    inside = np.zeros(z.shape, np.bool_)
    value = z[start]
    if not (math.isfinite(value) and value > 0.0):
        return inside
    high = np.isfinite(z) & (np.where(np.isfinite(z), z, 0.0) >= share * value)
    waiting = [start]
    inside[start] = True
    while waiting:
        row, column = waiting.pop()
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= r < z.shape[0] and 0 <= c < z.shape[1] and high[r, c] and not inside[r, c]:
                inside[r, c] = True
                waiting.append((r, c))
    return inside


def outline(inside: Flags) -> str:
    """Return the edges between cells inside and outside as an SVG path, cell k reaching from k - 0.5 to k + 0.5."""
    padded = np.pad(inside, 1)
    edges = []
    for row, column in np.argwhere(padded[1:, :] != padded[:-1, :]).tolist():
        edges.append(((column - 1.5, row - 0.5), (column - 0.5, row - 0.5)))
    for row, column in np.argwhere(padded[:, 1:] != padded[:, :-1]).tolist():
        edges.append(((column - 0.5, row - 1.5), (column - 0.5, row - 0.5)))
    return " ".join(f"M{a[0]:g},{a[1]:g}L{b[0]:g},{b[1]:g}" for a, b in edges)
