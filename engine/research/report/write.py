"""The report of a sweep: one page that shows the winner beside buy and hold and beside the median combination.

The curves and trades come from the plain simulation of the stored bars; they must give the figures of the sweep's
table, or there is no report.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from engine.graph import bind, columns
from engine.graph.drive import Columns
from engine.graph.strategy import Strategy
from engine.research.luck import Verdict, judge_run
from engine.research.report.grid import Axis, Distribution, axes_of, distribution, influence
from engine.research.report.sections import charts_of, sections_of
from engine.research.report.text import values_text
from engine.research.table import Run, metric
from engine.research.walk import Walk, newest_walk
from engine.simulate import METRICS, Simulation, decisions_of, simulate, simulate_program
from engine.strategies import STRATEGIES, find_strategy
from parquet_store import Store
from parquet_store.errors import Failed, Usage
from parquet_store.write import telling_disk_errors, write_whole
from pipelines import Bars, load_bars

__all__ = ["Evidence", "gather", "write_report"]


@dataclass(frozen=True)
class Evidence:
    """Everything the page shows of one run.

    Attributes
    ----------
    run : Run
    by : str
        The metric that chose the winner.
    bars : Bars
        The series of the winner, exactly as it was swept.
    row, middle : dict
        The winner's and the median combination's row of the table.
    winner, median, hold : Simulation
        Their courses, and that of buy and hold under the same costs.
    found : Columns
        Every value of the winner's program.
    verdict : Verdict
        How likely the winner is luck, history resampled.
    walk : Walk or None
        The newest walk-forward of the strategy on the winner's series.
    """

    run: Run
    by: str
    bars: Bars
    row: dict[str, Any]
    middle: dict[str, Any]
    winner: Simulation
    median: Simulation
    hold: Simulation
    found: Columns
    verdict: Verdict
    walk: Walk | None

    @property
    def strategy(self) -> type[Strategy]:
        """The strategy swept."""
        return find_strategy(self.run.plan["strategy"])

    @property
    def values(self) -> dict[str, list[float]]:
        """The values of every parameter, in the strategy's order; one drawn from an interval has a stand-in."""
        known = self.run.plan["space"]["values"]
        return {name: known[name] for name in self.strategy.params}

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """Of every parameter that was swept."""
        return axes_of(self.run)

    @property
    def swept(self) -> list[str]:
        """The parameters that were swept, in the strategy's order."""
        return [name for name in self.values if name in self.axes]

    def covered(self, name: str) -> str:
        """Return what was tried of a parameter, as text."""
        axis = self.axes.get(name)
        if axis is not None and axis.drawn:
            return f"drawn from {axis.low:,.10g} to {axis.high:,.10g}"
        return values_text(self.values[name])

    @cached_property
    def ranked(self) -> list[str]:
        """The swept parameters, the one that moves the metric's mean most first."""
        return [name for name, _ in influence(self.run, self.by, self.bars.source)]

    @cached_property
    def spread(self) -> Distribution:
        """The metric over all combinations on the winner's series."""
        return distribution(self.run, self.by, self.bars.source)

    def params(self, row: dict[str, Any]) -> dict[str, float]:
        """Return the parameters of a row of the table."""
        return {name: float(row[name]) for name in self.values}


def write_report(store: Store, run: Run, to: Path | None = None, by: str = "sharpe") -> Path:
    """Write the report of a run as one HTML file that needs nothing else.

    Parameters
    ----------
    store : Store
        Holds the bars the run swept.
    run : Run
    to : Path, optional
        The file; ``report.html`` in the run's folder if not given.  An older one is replaced when the new is whole.
    by : str
        The metric that chooses the winner and the median combination.

    Returns
    -------
    Path
        Where it lies.

    Raises
    ------
    Usage
        An unknown metric, ``to`` is a folder, or Plotly is not installed.
    Failed
        The metric is undefined for every combination, the stored bars are not those of the run, the simulation does
        not give the table's figures, or the file cannot be written.
    """
    metric(by)
    path = run.folder / "report.html" if to is None else Path(to)
    if path.is_dir():
        raise Usage(f"{path} is a folder; expected the name of a file, for example {path / 'report.html'}")
    try:
        import plotly  # noqa: F401
    except ImportError as error:
        raise Usage(
            "the report needs plotly, which comes with the extra: pip install 'lockstep-engine[research]'"
        ) from error
    from engine.research.report.page import page
    from engine.research.report.searched import search_charts, search_section

    evidence = gather(store, run, by)
    charts = charts_of(evidence)
    searched = search_charts(store, evidence)
    text = page(
        f"{run.name}: {run.plan['strategy']}",
        sections_of(evidence, charts, search_section(*searched)),
        charts | searched[0],
    )
    with telling_disk_errors(path):
        write_whole(path, lambda file: file.write(text.encode()))
    return path


def gather(store: Store, run: Run, by: str) -> Evidence:
    """Return what the page shows, simulated again and checked against the table."""
    row = run.best(by)
    source = str(row["source"])
    middle = run.median(by, source)
    bars = swept_bars(store, run, source)
    names = list(run.plan["space"]["values"])
    strategy = find_strategy(run.plan["strategy"])()
    programs = [bind(strategy, {name: float(r[name]) for name in names}, run.sizing) for r in (row, middle)]
    found = columns(programs[0], bars)
    winner = simulate(bars, decisions_of(found), run.costs, programs[0].sizing)
    median = simulate_program(programs[1], bars, run.costs)
    if run.plan["backend"] == "events":
        for made, expected in ((winner, row), (median, middle)):
            agree(run, made, expected)
    hold = simulate_program(bind(STRATEGIES["buy_and_hold"]()), bars, run.costs)
    verdict = judge_run(store, run, bars, int(row["combo"]), resampled=find_spec("arch") is not None)
    walk = newest_walk(store, run.plan["strategy"], source, str(run.plan["digest"]))
    return Evidence(run, by, bars, row, middle, winner, median, hold, found, verdict, walk)


def swept_bars(store: Store, run: Run, source: str) -> Bars:
    """Return the bars a run swept, though the store may hold more by now.

    Raises
    ------
    Failed
        The stored bars of that range have other contents.
    """
    plan = next(item for item in run.plan["sources"] if item["source"] == source)
    bars = load_bars(store, source)
    begin, end = np.searchsorted(bars.time, [plan["first"], plan["last"] + 1]).tolist()
    bars = replace(bars.slice(begin, end), bars_per_year=float(plan["bars_per_year"]), calendar=plan["calendar"])
    if len(bars) == 0 or bars.fingerprint != plan["fingerprint"]:
        raise Failed(
            f"{source}: the stored bars of the run's range have changed ({len(bars):,} bars, the run swept "
            f"{plan['bars']:,} with fingerprint {plan['fingerprint'][:12]}); sweep again, then report"
        )
    return bars


def agree(run: Run, made: Simulation, row: dict[str, Any]) -> None:
    """Refuse a simulation whose figures are not those of the table."""
    for name in METRICS:
        expected = math.nan if row[name] is None else float(row[name])
        given = made.metrics[name]
        same = math.isclose(given, expected, rel_tol=1e-9, abs_tol=1e-11) or (
            math.isnan(given) and math.isnan(expected)
        )
        if not same:
            raise Failed(
                f"run {run.name}, combination {row['combo']}: {name} is {given!r} when simulated, {expected!r} in the "
                "table; the engine has changed since the sweep: sweep again, then report"
            )
