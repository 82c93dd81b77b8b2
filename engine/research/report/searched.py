"""The charts of the search a run comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.research.report.page import chart, quiet, section
from engine.research.report_style import FONT, INK, Figure
from parquet_store import Store
from parquet_store.errors import LockstepError

if TYPE_CHECKING:
    from engine.research.report.write import Evidence

__all__ = ["search_charts", "search_section"]

LONG, HEIGHT = 32, 380


def search_charts(store: Store, evidence: Evidence) -> tuple[dict[str, Figure], list[tuple[str, str, str]], str]:
    """Return (figures by name, (title, sentence, name) of each, why there is none) of a search's run."""
    if "search" not in evidence.run.plan:
        return {}, [], ""
    from engine.research.search.plots import figures_of

    try:
        found = figures_of(store.root / "searches" / evidence.run.name)
    except LockstepError as error:
        return {}, [], str(error)
    charts, told = {}, []
    for k, (title, text, figure) in enumerate(found):
        charts[f"search-{k}"] = as_figure(figure)
        told.append((title, text, f"search-{k}"))
    return charts, told, ""


def as_figure(figure: Any) -> Figure:
    """Return a Plotly figure in the page's look, long lists of numbers as arrays of 32 bits."""
    made = compact(figure.to_dict())
    made["layout"].pop("template", None)
    made["layout"] = {
        "height": HEIGHT,
        "font": {"family": FONT, "size": 12, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    } | made["layout"]
    return {"data": list(made["data"]), "layout": made["layout"]}


def compact(value: Any) -> Any:
    """Return plain data with every long list of numbers as an array."""
    if isinstance(value, dict):
        return {name: compact(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        if len(value) > LONG and all(isinstance(item, int | float) and item is not True for item in value):
            return np.asarray(value, np.float32)
        return [compact(item) for item in value]
    return value


def search_section(charts: dict[str, Figure], told: list[tuple[str, str, str]], why: str) -> list[str]:
    """Return the sections of a search, or why they are missing."""
    if why:
        return [section("The search", quiet(f"Its charts are missing: {why}."))]
    return [
        section(title, quiet(text), chart(name, int(charts[name]["layout"]["height"])), half=True)
        for title, text, name in told
    ]
