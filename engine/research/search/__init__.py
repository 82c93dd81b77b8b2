"""Search: Optuna proposes points in batches, the sweep's kernels evaluate them, every one counts as a trial."""

from __future__ import annotations

from engine.research.search.evaluate import Evaluate
from engine.research.search.keep import load_search, searches
from engine.research.search.plots import figures_of
from engine.research.search.points import Visited, visited_space
from engine.research.search.request import Search
from engine.research.search.run import run_search

__all__ = ["Evaluate", "Search", "Visited", "figures_of", "load_search", "run_search", "searches", "visited_space"]
