"""The report's charts: Plotly figures of bounded size, in one calm style; long series keep their extremes."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.drive import Columns
from engine.research.report_grid import Distribution, Surface
from engine.research.report_lines import Lines, ref_text
from engine.simulate import REASONS, Simulation

__all__ = ["course_figure", "decimate", "detail_figure", "distribution_figure", "surface_figure", "trades_figure"]

MOST_POINTS, MOST_MARKS, DETAIL_BARS = 5_000, 1_000, 360
INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, GREY, AMBER, GREEN, RED = "#2563a8", "#9aa5b1", "#c77700", "#1d7a46", "#b3382c"
LEVELS = ("#c77700", "#7c5cbf", "#0f8b8d", "#b0568e", "#5c7a29", "#8a6d3b")
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
                time, drawdown(made), name, colour, width=1.1, yaxis="y2", showlegend=False, legendgroup=name,
                hovertemplate="%{x|%Y-%m-%d %H:%M}: %{y:.1%}",
                **({"fill": "tozeroy", "fillcolor": "rgba(37,99,168,0.18)"} if name == "Winner" else {}),
            )
        )  # fmt: skip
    every = np.concatenate([s[0].equity for s in series.values()])
    ticks = log_ticks(float(every[every > 0].min()), float(every.max())) if (every > 0).any() else []
    return {
        "data": data,
        "layout": layout(
            520,
            xaxis=axis(type="date", anchor="y2"),
            yaxis=axis(type="log", domain=[0.36, 1.0], tickvals=ticks, ticktext=[f"{t:,.6g}" for t in ticks]),
            yaxis2=axis(domain=[0.0, 0.27], tickformat=".0%", rangemode="tozero"),
            annotations=[
                note("Equity at the close, logarithmic", 1.0, 2),
                note("Drawdown from the highest close", 0.27, 14),
            ],
        ),
    }


def drawdown(made: Simulation) -> NDArray[np.float64]:
    """Return the fraction below the highest equity so far, the initial cash being the first."""
    peak = np.maximum.accumulate(np.maximum(made.equity, made.costs.initial_cash))
    return made.equity / peak - 1.0


def log_ticks(low: float, high: float) -> list[float]:
    """Return round values between two others for a logarithmic axis, four to nine of them where there is room."""
    decades = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(1 + k / 5 for k in range(45)), tuple(1 + k / 20 for k in range(180))):  # fmt: skip
        ticks = [d * 10.0**e for e in decades for d in digits if low * 0.98 <= d * 10.0**e <= high * 1.02]
        if len(ticks) >= 4:
            return ticks[:: max(1, len(ticks) // 8 + (len(ticks) > 9))] if len(ticks) > 9 else ticks
    return [low, high]


def note(text: str, y: float, shift: int = 2, size: int = 11) -> Figure:
    """Return a small caption inside the top left corner of a panel whose upper edge is at ``y``."""
    return {
        "text": html.escape(text), "xref": "paper", "yref": "paper", "x": 0.006, "y": y, "xanchor": "left", "yanchor": "top",
        "yshift": -shift if shift < 10 else shift, "showarrow": False, "font": {"size": size, "color": MUTED},
        "bgcolor": "rgba(255,255,255,0.75)",
    }  # fmt: skip


def marks(made: Simulation, trades: NDArray[Any]) -> list[Figure]:
    """Return entries and exits of trades as markers at their fill prices, exits by whether they won."""
    time = made.bars.time.astype(np.float64)
    out = []
    for side, name, symbol in ((1, "Long entry", "triangle-up"), (-1, "Short entry", "triangle-down")):
        some = trades[trades["side"] == side]
        if some.size:
            out.append(mark(time[some["entry_bar"]], some["entry_price"], name, symbol, BLUE, entered(some)))
    closed = trades[trades["exit_bar"] >= 0]
    for won, name, colour in ((True, "Exit with profit", GREEN), (False, "Exit with loss", RED)):
        some = closed[(closed["profit"] > 0.0) == won]
        if some.size:
            out.append(mark(time[some["exit_bar"]], some["exit_price"], name, "circle", colour, left(some)))
    return out


def mark(x: NDArray[Any], y: NDArray[Any], name: str, symbol: str, colour: str, text: list[str]) -> Figure:
    """Return one kind of marker."""
    return {
        "type": "scatter", "mode": "markers", "x": x, "y": y.astype(np.float64), "name": name, "text": text,
        "marker": {"symbol": symbol, "size": 9 if "tri" in symbol else 7, "color": colour, "line": {"width": 1, "color": "#fff"}},
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def entered(trades: NDArray[Any]) -> list[str]:
    """Return what hovering over an entry says."""
    return [f"entry, {t['quantity']:,.6g} at {t['entry_price']:,.6g}" for t in trades]


def left(trades: NDArray[Any]) -> list[str]:
    """Return what hovering over an exit says."""
    return [
        f"exit ({REASONS[int(t['reason'])].replace('_', ' ')}) at {t['exit_price']:,.6g}, profit {t['profit']:+,.2f}"
        for t in trades
    ]


def trades_figure(made: Simulation) -> Figure:
    """Return the close over the whole history with the last 1,000 trades."""
    bars = made.bars
    low, high = float(bars.close.min()), float(bars.close.max())
    ticks = log_ticks(low, high)
    shown = np.concatenate([made.trades[-MOST_MARKS:], made.open_trade])
    return {
        "data": [
            line(bars.time, bars.close, "Close", GREY, width=1.1, hovertemplate="%{x|%Y-%m-%d %H:%M}: %{y:,.6g}"),
            *marks(made, shown),
        ],
        "layout": layout(
            380, xaxis=axis(type="date"), yaxis=axis(type="log", tickvals=ticks, ticktext=[f"{t:,.6g}" for t in ticks])
        ),
    }


def window(made: Simulation) -> tuple[int, int]:
    """Return the bars [begin, end) of the chart in detail: up to a little past the last trade."""
    n = len(made.bars)
    last = int(made.trades["exit_bar"][-1]) + 20 if made.trades.size else n
    end = n if made.open_trade.size else min(n, max(last, min(n, DETAIL_BARS)))
    return max(0, end - DETAIL_BARS), end


def detail_figure(made: Simulation, found: Columns, lines: Lines) -> Figure:
    """Return the last trades bar by bar: candles, what fits on the price axis, and a panel for each other value."""
    begin, end = window(made)
    bars, part = made.bars, slice(begin, end)
    time = bars.time[part].astype(np.float64)
    data: list[Figure] = [
        {
            "type": "candlestick", "x": time, "name": "Bars", "showlegend": False,
            **{field: getattr(bars, field)[part] for field in ("open", "high", "low", "close")},
            "increasing": {"line": {"color": "#8fa3b5", "width": 1}, "fillcolor": "#ffffff"},
            "decreasing": {"line": {"color": "#8fa3b5", "width": 1}, "fillcolor": "#b6c3cf"},
        }
    ]  # fmt: skip
    for ref, colour in zip(lines.levels, LEVELS, strict=False):
        name = shorten(ref_text(found.program, ref))
        data.append(line(time, found.read(ref)[part], name, colour, width=1.2, hovertemplate="%{y:,.6g}"))
    trades = np.concatenate([made.trades, made.open_trade])
    inside = trades[(trades["entry_bar"] >= begin) & (trades["entry_bar"] < end) & (trades["exit_bar"] < end)]
    data += marks(made, inside)
    count = len(lines.panels)
    share = 0.0 if count == 0 else min(0.2, 0.45 / count)
    made_layout = layout(440 + 110 * count, xaxis=axis(type="date", rangeslider={"visible": False}))
    made_layout["yaxis"] = axis(domain=[count * share + (0.03 if count else 0.0), 1.0], tickformat=",.6~g")
    made_layout["annotations"], shapes = [], []
    for k, panel in enumerate(lines.panels):
        name = f"y{k + 2}"
        top = (count - k) * share - 0.03
        for n, ref in enumerate(panel.refs):
            text = shorten(ref_text(found.program, ref))
            colour = (BLUE, AMBER, GREY)[n % 3]
            data.append(line(time, found.read(ref)[part], text, colour, width=1.2, yaxis=name, showlegend=False))
        texts = " and ".join(shorten(ref_text(found.program, ref)) for ref in panel.refs)
        made_layout["annotations"].append(note(texts, top + 0.03, 2))
        made_layout[f"yaxis{k + 2}"] = axis(domain=[top - share + 0.06, top], nticks=4, tickformat=",.4~g")
        for level in panel.thresholds:
            shapes.append(
                {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": name, "y0": level, "y1": level,
                 "line": {"color": RED, "width": 1, "dash": "dot"}}
            )  # fmt: skip
    made_layout["shapes"] = shapes
    made_layout["xaxis"]["anchor"] = f"y{count + 1}" if count else "y"
    return {"data": data, "layout": made_layout}


def shorten(text: str, most: int = 44) -> str:
    """Return a text of bounded length."""
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def surface_figure(found: Surface, by: str, form: str) -> Figure:
    """Return a heatmap over two parameters, or a line with its spread over one."""
    if len(found.names) == 1:
        return curve_figure(found, by, form)
    shape = (len(found.labels[1]), len(found.labels[0]))
    z, counts = np.full(shape, np.nan), np.zeros(shape)
    for (x, y), (value, count) in found.cells.items():
        z[y, x], counts[y, x] = np.nan if value is None else value, count
    known = z[np.isfinite(z)]
    signed = bool(known.size) and known.min() < 0.0 < known.max()
    reach = float(np.abs(known).max()) if known.size else 1.0
    colours = [[0.0, "#b3382c"], [0.25, "#e3a39b"], [0.5, "#f7f5f0"], [0.75, "#8db6d9"], [1.0, "#1f5a96"]]
    x, y = found.marked
    heat: Figure = {
        "type": "heatmap", "x": found.labels[0], "y": found.labels[1], "z": z, "customdata": counts, "xgap": 1, "ygap": 1,
        "colorscale": colours if signed else [[0.0, "#eef3f8"], [1.0, "#1f5a96"]],
        "colorbar": {"thickness": 10, "outlinewidth": 0, "tickformat": form, "len": 0.9, "nticks": 6},
        "hoverongaps": False,
        "hovertemplate": f"{found.names[0]} %{{x}}, {found.names[1]} %{{y}}<br>median {by} %{{z:{form}}}, "
        "%{customdata:,} combinations<extra></extra>",
    }  # fmt: skip
    if signed:
        heat |= {"zmin": -reach, "zmax": reach}
    ring: Figure = {
        "type": "scatter", "mode": "markers", "x": [found.labels[0][x]], "y": [found.labels[1][y]], "name": "Winner",
        "marker": {"symbol": "circle-open", "size": 15, "color": INK, "line": {"width": 2.5}},
        "hovertemplate": "the winner's cell<extra></extra>",
    }  # fmt: skip
    return {
        "data": [heat, ring],
        "layout": layout(
            400,
            margin={"l": 66, "r": 10, "t": 12, "b": 52},
            showlegend=False,
            xaxis=axis(type="category", title={"text": found.names[0]}, showgrid=False, nticks=12, automargin=True),
            yaxis=axis(type="category", title={"text": found.names[1]}, showgrid=False, nticks=14, automargin=True),
        ),
    }


def curve_figure(found: Surface, by: str, form: str) -> Figure:
    """Return the median along one parameter with the span from the tenth to the ninetieth percentile."""
    places = sorted(found.cells)
    labels = [found.labels[0][k] for (k,) in places]
    low, high = ([found.spread[p][side] for p in places] for side in (0, 1))
    middle = [found.cells[p][0] for p in places]
    base: Figure = {"type": "scatter", "x": labels, "mode": "lines", "hoverinfo": "skip", "line": {"width": 0}}
    (marked,) = found.marked
    return {
        "data": [
            base | {"y": low, "showlegend": False},
            base | {"y": high, "fill": "tonexty", "fillcolor": "rgba(37,99,168,0.15)", "name": "10 % to 90 %"},
            {
                "type": "scatter", "x": labels, "y": middle, "mode": "lines+markers", "name": f"Median {by}",
                "line": {"color": BLUE, "width": 1.6}, "hovertemplate": f"{found.names[0]} %{{x}}: %{{y:{form}}}<extra></extra>",
            },
            {
                "type": "scatter", "mode": "markers", "x": [found.labels[0][marked]], "y": [found.cells[found.marked][0]],
                "name": "Winner's value", "marker": {"symbol": "circle-open", "size": 15, "color": INK, "line": {"width": 2.5}},
                "hoverinfo": "skip",
            },
        ],
        "layout": layout(
            400, xaxis=axis(type="category", title={"text": found.names[0]}, nticks=12), yaxis=axis(tickformat=form)
        ),
    }  # fmt: skip


def distribution_figure(found: Distribution, by: str, form: str, marked: dict[str, float]) -> Figure:
    """Return the histogram of the metric with a line for each marked figure."""
    centres = [found.low + (k + 0.5) * found.width for k in range(len(found.counts))]
    low, high = found.low, found.low + found.width * len(found.counts)
    colours = {"Winner": BLUE, "Median": INK, "Buy and hold": AMBER}
    data: list[Figure] = [
        {
            "type": "bar", "x": centres, "y": found.counts, "marker": {"color": "#c5d3e0"}, "name": "Combinations",
            "showlegend": False, "width": found.width * 0.94,
            "hovertemplate": f"{by} about %{{x:{form}}}: %{{y:,}} combinations<extra></extra>",
        }
    ]  # fmt: skip
    top = max(found.counts, default=1) * 1.04
    for name, value in marked.items():
        if not np.isfinite(value):
            continue
        at = min(max(value, low), high) if name == "Winner" else value
        data.append(
            {
                "type": "scatter", "mode": "lines", "x": [at, at], "y": [0, top], "name": name,
                "line": {"color": colours[name], "width": 2, "dash": "solid" if name == "Winner" else "dash"},
                "hovertemplate": f"{name}: {value:{form}}<extra></extra>",
            }
        )  # fmt: skip
    return {
        "data": data,
        "layout": layout(
            400,
            margin={"l": 58, "r": 14, "t": 34, "b": 52},
            bargap=0,
            xaxis=axis(title={"text": by}, tickformat=form),
            yaxis=axis(tickformat=",", title={"text": "combinations"}),
        ),
    }
