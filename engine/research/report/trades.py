"""The report's charts of trades: all of them on the close, and the last ones bar by bar with what was compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.drive import Columns
from engine.research.report.lines import Lines, ref_text
from engine.research.report_style import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    Figure,
    axis,
    layout,
    line,
    log_ticks,
    note,
    shorten,
)
from engine.simulate import REASONS, Simulation

__all__ = ["detail_figure", "trades_figure"]

MOST_MARKS, DETAIL_BARS = 1_000, 240
LEVELS = ("#c77700", "#7c5cbf", "#0f8b8d", "#b0568e", "#5c7a29", "#8a6d3b")


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
            "type": "candlestick",
            "x": time,
            "name": "Bars",
            "showlegend": False,
            **{field: getattr(bars, field)[part] for field in ("open", "high", "low", "close")},
            "increasing": {"line": {"color": "#8fa3b5", "width": 1}, "fillcolor": "#ffffff"},
            "decreasing": {"line": {"color": "#8fa3b5", "width": 1}, "fillcolor": "#b6c3cf"},
        }
    ]
    for ref, colour in zip(lines.levels, LEVELS, strict=False):
        name = shorten(ref_text(found.program, ref))
        data.append(line(time, found.read(ref)[part], name, colour, width=1.2, hovertemplate="%{y:,.6g}"))
    trades = np.concatenate([made.trades, made.open_trade])
    inside = trades[(trades["entry_bar"] >= begin) & (trades["entry_bar"] < end) & (trades["exit_bar"] < end)]
    data += marks(made, inside)
    count = len(lines.panels)
    share = 0.0 if count == 0 else min(0.24, 0.54 / count)
    made_layout = layout(440 + 130 * count, xaxis=axis(type="date", rangeslider={"visible": False}))
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
        made_layout["annotations"].append(note(texts, top, 16))
        made_layout[f"yaxis{k + 2}"] = axis(domain=[top - share + 0.055, top], nticks=4, tickformat=",.4~g")
        for level in panel.thresholds:
            shapes.append(
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "yref": name,
                    "y0": level,
                    "y1": level,
                    "line": {"color": RED, "width": 1, "dash": "dot"},
                }
            )
    made_layout["shapes"] = shapes
    made_layout["xaxis"]["anchor"] = f"y{count + 1}" if count else "y"
    return {"data": data, "layout": made_layout}


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
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y.astype(np.float64),
        "name": name,
        "text": text,
        "marker": {
            "symbol": symbol,
            "size": 9 if "tri" in symbol else 7,
            "color": colour,
            "line": {"width": 1, "color": "#fff"},
        },
        "hovertemplate": "%{text}<extra></extra>",
    }


def entered(trades: NDArray[Any]) -> list[str]:
    """Return what hovering over an entry says."""
    return [f"entry, {t['quantity']:,.6g} at {t['entry_price']:,.6g}" for t in trades]


def left(trades: NDArray[Any]) -> list[str]:
    """Return what hovering over an exit says."""
    return [
        f"exit ({REASONS[int(t['reason'])].replace('_', ' ')}) at {t['exit_price']:,.6g}, profit {t['profit']:+,.2f}"
        for t in trades
    ]
