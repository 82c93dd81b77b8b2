"""How every chart of the report looks, and how a long series is thinned without losing its extremes."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AMBER",
    "BLUE",
    "FONT",
    "GREEN",
    "GREY",
    "INK",
    "MUTED",
    "RED",
    "Figure",
    "axis",
    "decimate",
    "layout",
    "line",
    "log_ticks",
    "note",
    "shorten",
]

MOST_POINTS = 2_000
WIDE = 4.0  # times its lowest value: what a logarithmic axis spans before its ticks are of certain digits
INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, GREY, AMBER, GREEN, RED = "#2563a8", "#9aa5b1", "#c77700", "#1d7a46", "#b3382c"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
Figure = dict[str, Any]


def decimate(values: NDArray[np.float64], points: int = MOST_POINTS) -> NDArray[np.int64]:
    """Return at most ``points`` places of a series, increasing: of each stretch its smallest and its largest value.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        NaN is unknown; a stretch without a known value keeps its first place, so that the gap stays.
    points : int
        At least 4.

    Returns
    -------
    ndarray of int64
        The first, the last, the smallest and the largest of all are among them.
    """
    n = values.size
    if n <= points:
        return np.arange(n)
    low, high = np.where(np.isnan(values), np.inf, values), np.where(np.isnan(values), -np.inf, values)
    edges = np.linspace(0, n, points // 2).astype(np.int64)
    kept = [0, n - 1]
    for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        kept += [a + int(low[a:b].argmin()), a + int(high[a:b].argmax())]
    return np.unique(np.array(kept, np.int64))


def line(x: NDArray[Any], y: NDArray[np.float64], name: str, colour: str, **more: Any) -> Figure:
    """Return a decimated line."""
    at = decimate(y)
    style = {"color": colour, "width": more.pop("width", 1.5)}
    if "dash" in more:
        style["dash"] = more.pop("dash")
    trace = {"type": "scatter", "mode": "lines", "x": x[at].astype(np.float64), "y": y[at], "line": style}
    return trace | {"name": html.escape(name)} | more


def layout(height: int, **more: Any) -> Figure:
    """Return what all charts share."""
    made: Figure = {
        "height": height,
        "margin": {"l": 58, "r": 14, "t": 34, "b": 36},
        "font": {"family": FONT, "size": 12, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "hoverlabel": {"font": {"family": FONT, "size": 12}},
        "legend": {"orientation": "h", "x": 0, "y": 1.01, "xanchor": "left", "yanchor": "bottom", "font": {"size": 12}},
    }
    return made | more


def axis(**more: Any) -> Figure:
    """Return one axis in the common style."""
    return {"gridcolor": GRID, "zeroline": False, "linecolor": GRID, "tickcolor": GRID, "ticks": "outside"} | more


def log_ticks(low: float, high: float) -> list[float]:
    """Return round values for a logarithmic axis from ``low`` to ``high``, at most nine, none near another.

    Where the axis spans little they are evenly spaced, else of the digits 1, 3 or 1, 2, 5 and so on.
    """
    if high < WIDE * low:
        return even_ticks(low, high)
    decades = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [d * 10.0**e for e in decades for d in digits if low * 0.98 <= d * 10.0**e <= high * 1.02]
        if len(ticks) >= 4:
            return ticks[:: -(-len(ticks) // 9)]
    return even_ticks(low, high)


def even_ticks(low: float, high: float) -> list[float]:
    """Return evenly spaced round values from ``low`` to ``high``, at most seven."""
    if not high > low:
        return [low]
    size = 10.0 ** np.floor(np.log10((high - low) / 7))
    step = next(size * k for k in (1, 2, 2.5, 5, 10) if np.floor(high / size / k) - np.ceil(low / size / k) < 7)
    return [float(k * step) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def note(text: str, y: float, shift: int = 0) -> Figure:
    """Return a small caption inside the top left corner of a panel whose upper edge is at ``y``."""
    return {
        "text": html.escape(text),
        "xref": "paper",
        "yref": "paper",
        "x": 0.006,
        "y": y,
        "xanchor": "left",
        "yanchor": "top",
        "yshift": shift,
        "showarrow": False,
        "font": {"size": 11, "color": MUTED},
        "bgcolor": "rgba(255,255,255,0.75)",
    }


def shorten(text: str, most: int = 44) -> str:
    """Return a text of bounded length."""
    return text if len(text) <= most else text[: most - 1] + "\u2026"
