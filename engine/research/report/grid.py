"""What a report says of the whole grid, computed by DuckDB over the result table; no row leaves it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from engine.graph.scalar import tidy
from engine.research.table import Run

__all__ = ["Distribution", "Surface", "by_source", "distribution", "influence", "surface"]

MOST_CELLS = 40
BINS, FEWEST_BINS = 60, 8
NEAR = 3.0  # times the width of the middle 99.8 %: a tail beyond is drawn in the last bar


@dataclass(frozen=True)
class Surface:
    """The metric over two parameters (or one): the median over all the others.

    Attributes
    ----------
    names : tuple of str
        The parameters, the most influential first: along x, then along y.
    labels : tuple of list of str
        Of the cells along each.
    cells : dict of (int, ...) to (float or None, int)
        Place to median (None where no combination has a known one) and number of combinations.
    spread : dict of (int, ...) to (float or None, float or None)
        The tenth and the ninetieth percentile.
    marked : tuple of int
        The cell that holds the given combination.
    """

    names: tuple[str, ...]
    labels: tuple[list[str], ...]
    cells: dict[tuple[int, ...], tuple[float | None, int]]
    spread: dict[tuple[int, ...], tuple[float | None, float | None]]
    marked: tuple[int, ...]


@dataclass(frozen=True)
class Distribution:
    """A histogram of the metric over all combinations.

    Attributes
    ----------
    low, width : float
        Start of the first bar, width of each.
    counts : list of int
    known, unknown, beyond : int
        Combinations with the metric, without it, and outside the axis (counted in the outermost bars).
    """

    low: float
    width: float
    counts: list[int]
    known: int
    unknown: int
    beyond: int


def influence(run: Run, by: str, source: str) -> list[tuple[str, float]]:
    """Return every parameter with several values and the variance of the metric's mean over them, largest first."""
    out = []
    for name, values in run.plan["space"]["values"].items():
        if len(values) > 1:
            inner = f'select avg("{by}"::double) as mean from results where source = {text(source)} group by "{name}"'
            found = run.sql(f"select coalesce(var_pop(mean), 0) from ({inner})")[1][0][0]
            out.append((name, float(found)))
    return sorted(out, key=lambda item: -item[1])


def surface(run: Run, by: str, source: str, names: tuple[str, ...], params: dict[str, float]) -> Surface:
    """Return the metric over one or two parameters; more than 40 values of one are put together in bins."""
    axes = [Axis(name, run.plan["space"]["values"][name]) for name in names]
    keys = ", ".join(f"{axis.sql} as k{n}" for n, axis in enumerate(axes))
    found = run.sql(
        f'select {keys}, median("{by}"::double), count(*), quantile_cont("{by}"::double, 0.1), '
        f'quantile_cont("{by}"::double, 0.9) '
        f"from results where source = {text(source)} group by all"
    )[1]
    n = len(axes)
    places = [tuple(int(k) for k in row[:n]) for row in found]
    return Surface(
        names,
        tuple(axis.labels for axis in axes),
        {place: (row[n], int(row[n + 1])) for place, row in zip(places, found, strict=True)},
        {place: (row[n + 2], row[n + 3]) for place, row in zip(places, found, strict=True)},
        tuple(axis.place(params[axis.name]) for axis in axes),
    )


class Axis:
    """One parameter's values in ascending order, in at most 40 cells."""

    def __init__(self, name: str, values: list[float]) -> None:
        self.name, self.values = name, sorted(values)
        self.low, self.high = self.values[0], self.values[-1]
        self.cells = min(len(self.values), MOST_CELLS)
        if self.cells == len(self.values):
            self.labels = [f"{tidy(v):,.6g}" for v in self.values]
            # the table's numbers are those of the plan, so an exact list is safe
            known = ", ".join(repr(float(v)) for v in self.values)
            self.sql = f'list_position([{known}]::double[], "{name}"::double) - 1'
        else:
            self.width = (self.high - self.low) / self.cells
            starts = [self.low + k * self.width for k in range(self.cells)]
            self.labels = [f"{s:,.4g} to {s + self.width:,.4g}" for s in starts]
            self.sql = f'least(floor(("{name}" - {self.low!r}) / {self.width!r})::int, {self.cells - 1})'

    def place(self, value: float) -> int:
        """Return the cell of a value."""
        if self.cells == len(self.values):
            return min(range(self.cells), key=lambda k: abs(self.values[k] - value))
        return min(int((value - self.low) / self.width), self.cells - 1)


def distribution(run: Run, by: str, source: str) -> Distribution:
    """Return the histogram of a metric over the combinations of one series."""
    where = f"from results where source = {text(source)}"
    value = f'"{by}"::double'
    (known, total, least, most, low, high), *_ = run.sql(
        f"select count({value}), count(*), min({value}), max({value}), quantile_cont({value}, 0.001), "
        f"quantile_cont({value}, 0.999) {where}"
    )[1]
    if not known:
        return Distribution(0.0, 1.0, [], 0, int(total), 0)
    middle = high - low
    start = least if low - least <= NEAR * middle else low
    stop = most if most - high <= NEAR * middle else high
    bins = min(BINS, max(FEWEST_BINS, int(2 * math.sqrt(known))))
    width = (stop - start) / bins
    if width <= abs(start) * 1e-12:  # all alike
        return Distribution(start - 0.5, 1.0, [int(known)], int(known), int(total - known), 0)
    place = f"greatest(0, least({bins - 1}, floor(({value} - {start!r}) / {width!r})))::int"
    counts = [0] * bins
    for k, count in run.sql(f"select {place}, count(*) {where} and {value} is not null group by all")[1]:
        counts[int(k)] = int(count)
    beyond = run.sql(f"select count(*) {where} and ({value} < {start!r} or {value} > {stop!r})")[1][0][0]
    return Distribution(start, width, counts, int(known), int(total - known), int(beyond))


def by_source(run: Run, by: str, combo: int) -> list[dict[str, Any]]:
    """Return, for each series, the median of the metric over all combinations and the row of one combination."""
    medians = f'select source, median("{by}"::double) as median from results group by source'
    names, rows = run.sql(
        f'select m.median as "median of all", r.* from results r join ({medians}) m on m.source = r.source '
        f"where r.combo = {int(combo)} order by r.source"
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def text(value: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"
