"""The charts of a search: its history, which parameters matter, its points as lines, its front."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.research.report_style import AMBER, BLUE, GREEN, GREY
from engine.research.search.keep import Searched, load_search

__all__ = ["figures_of", "importance"]

MOST = 2_000  # points of a chart
BINS = 12


def figures_of(folder: Path) -> list[tuple[str, str, Any]]:
    """Return the charts of a finished search: (title, what it shows in a sentence, Plotly figure).

    Parameters
    ----------
    folder : Path
        ``searches/NAME`` in the store.

    Raises
    ------
    Usage, Failed
        There is no such search, or it is damaged.
    """
    return list(charts(load_search(folder)))


def charts(search: Searched) -> Iterator[tuple[str, str, Any]]:
    """Yield the charts of a search."""
    first, large, column = objective(search, 0)
    yield (
        "Search history",
        f"Each point is a trial that was run over all bars, the line the best {first} so far; "
        f"{search.told['pruned']:,} trials were given up early.",
        history(search, first, large, column),
    )
    shares = importance(search.trials, search.told["sampled"], column)
    if shares:
        yield (
            "Which parameters matter",
            f"Share of the variance of {first} that a parameter alone explains (variance of the means of its "
            f"{BINS} bins). A sampler looks where it is good, so this tells of that region most.",
            bars_of(shares),
        )
    yield (
        "Trials as lines",
        f"Each line is a trial, the better its {first} the greener; at most {MOST:,} are drawn, the best among them.",
        parallel(search, first, large, column),
    )
    if len(search.told["objectives"]) > 1:
        second, _, other = objective(search, 1)
        yield (
            "Pareto front",
            f"{first} against {second}: no other trial beats those in colour in every objective.",
            front(search, (first, column), (second, other)),
        )


def objective(search: Searched, place: int) -> tuple[str, bool, str]:
    """Return the name of an objective, whether larger is better, and its column of the trials."""
    told = search.told["objectives"][place]
    return told["name"], told["direction"] == "maximize", f"objective_{place}_{told['name']}"


def completed(search: Searched) -> pl.DataFrame:
    """Return the completed trials in their order."""
    return search.trials.filter(pl.col("state") == "complete").sort("number")


def thinned(frame: pl.DataFrame, column: str, large: bool) -> pl.DataFrame:
    """Return at most so many rows as a chart has points: the best tenth of them, and every so-many-th other."""
    if frame.height <= MOST:
        return frame
    ranked = frame.sort(column, "number", descending=[large, False])
    best, others = ranked.head(MOST // 10), ranked.slice(MOST // 10).sort("number")
    step = -(-others.height // (MOST - best.height))
    return pl.concat([best, others.gather_every(step)]).sort("number")


def history(search: Searched, name: str, large: bool, column: str) -> Any:
    """Return the objective of each trial, and the best so far."""
    import plotly.graph_objects as go

    frame = completed(search)
    best = frame[column].cum_max() if large else frame[column].cum_min()
    some = thinned(frame, column, large)
    changed = np.flatnonzero(np.append(True, np.diff(best.to_numpy()) != 0.0))
    steps = np.append(changed, frame.height - 1)
    figure = go.Figure()
    figure.add_scatter(
        x=some["number"].to_list(), y=some[column].to_list(), mode="markers", name="trial",
        marker={"color": GREY, "size": 4},
    )  # fmt: skip
    figure.add_scatter(
        x=frame["number"].to_numpy()[steps].tolist(), y=best.to_numpy()[steps].tolist(), mode="lines",
        name="best so far", line={"color": BLUE, "shape": "hv"},
    )  # fmt: skip
    return styled(figure, "trial", name)


def importance(trials: pl.DataFrame, names: list[str], column: str) -> dict[str, float]:
    """Return the share of the variance of an objective that each parameter alone explains, largest first.

    Parameters
    ----------
    trials : DataFrame
        As ``trials.parquet`` holds it.
    names : list of str
        Parameters.
    column : str
        The objective's column.

    Notes
    -----
    The variance between the means of the parameter's values over that of all trials (the correlation ratio); values
    beyond 12 are put into 12 bins of as many trials each.  Empty with fewer than two trials, or without variance.
    """
    frame = trials.filter(pl.col("state") == "complete")
    values = frame[column].to_numpy()
    whole = float(values.var()) if values.size > 1 else 0.0
    if not whole > 0.0:
        return {}
    found = {name: between(frame[name].to_numpy().astype(np.float64), values) / whole for name in names}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def between(params: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the variance between the means of the groups of trials with the same, or nearly the same, value."""
    known, group = np.unique(params, return_inverse=True)
    if known.size > BINS:
        edges = np.unique(np.quantile(params, np.arange(1, BINS) / BINS))
        group = np.searchsorted(edges, params, side="right")
    counts = np.bincount(group)
    sums = np.bincount(group, weights=values)
    there = counts > 0
    means = sums[there] / counts[there]
    return float(np.sum(counts[there] * (means - values.mean()) ** 2) / values.size)


def bars_of(shares: dict[str, float]) -> Any:
    """Return shares as horizontal bars, the largest on top."""
    import plotly.graph_objects as go

    names = list(shares)[::-1]
    figure = go.Figure(
        go.Bar(
            x=[shares[name] for name in names], y=names, orientation="h", marker={"color": BLUE},
            text=[f"{100 * shares[name]:.1f} %" for name in names], textposition="outside", cliponaxis=False,
        )
    )  # fmt: skip
    made = styled(figure, "share of the variance", "")
    made.update_xaxes(tickformat=".0%", range=[0, 1.15 * max(shares.values())])
    made.update_yaxes(automargin=True)
    return made


def parallel(search: Searched, name: str, large: bool, column: str) -> Any:
    """Return each trial as a line over its parameters and the objective."""
    import plotly.graph_objects as go

    frame = thinned(completed(search), column, large).sort(column, descending=not large)  # the best are drawn last
    dimensions = [{"label": key, "values": frame[key].to_list()} for key in [*search.told["sampled"], column]]
    dimensions[-1]["label"] = name
    values = frame[column].to_list()
    scale = [[0.0, GREY], [0.7, AMBER], [1.0, GREEN]] if large else [[0.0, GREEN], [0.3, AMBER], [1.0, GREY]]
    figure = go.Figure(go.Parcoords(line={"color": values, "colorscale": scale}, dimensions=dimensions))
    figure.update_layout(margin={"l": 60, "r": 40, "t": 50, "b": 20})
    return figure


def front(search: Searched, first: tuple[str, str], second: tuple[str, str]) -> Any:
    """Return all completed trials over two objectives, those of the front in colour."""
    import plotly.graph_objects as go

    numbers = [row["number"] for row in search.told["front"]]
    frame = completed(search)
    best = frame.filter(pl.col("number").is_in(numbers))
    some = thinned(frame, first[1], True)
    figure = go.Figure()
    for label, rows, colour, size in (("trial", some, GREY, 4), ("front", best, GREEN, 7)):
        figure.add_scatter(
            x=rows[second[1]].to_list(), y=rows[first[1]].to_list(), mode="markers", name=label,
            marker={"color": colour, "size": size}, customdata=rows["number"].to_list(),
            hovertemplate=f"trial %{{customdata}}<br>{second[0]} %{{x}}<br>{first[0]} %{{y}}<extra></extra>",
        )  # fmt: skip
    return styled(figure, second[0], first[0])


def styled(figure: Any, across: str, up: str) -> Any:
    """Return a figure with named axes and the report's plain look."""
    figure.update_layout(
        template="plotly_white",
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(title=across)
    figure.update_yaxes(title=up)
    return figure
