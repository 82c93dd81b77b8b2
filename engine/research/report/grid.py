"""What a report says of the whole grid, computed by DuckDB over the result table; no row leaves it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from engine.graph.scalar import tidy
from engine.research.table import Run

__all__ = [
    "Axis",
    "Distribution",
    "Surface",
    "above",
    "axes_of",
    "by_source",
    "distribution",
    "influence",
    "rising",
    "surface",
]

MOST_CELLS, FEW_CELLS = 40, 12
SMALL = ("volatility", "max_drawdown_bars", "fees")
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
    best : dict of (int, ...) to float or None
        The best over all others.
    marked : tuple of int
        The cell that holds the given combination.
    """

    names: tuple[str, ...]
    labels: tuple[list[str], ...]
    cells: dict[tuple[int, ...], tuple[float | None, int]]
    spread: dict[tuple[int, ...], tuple[float | None, float | None]]
    best: dict[tuple[int, ...], float | None]
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


def rising(by: str) -> bool:
    """Return whether the best of a metric is its largest."""
    return by not in SMALL


def axes_of(run: Run, cells: int = MOST_CELLS) -> dict[str, Axis]:
    """Return an axis for each parameter that was swept, whether listed or drawn from an interval."""
    space = run.plan["space"]
    drawn = space["draw"]["intervals"] if space["draw"] else {}
    out = {}
    for name, values in space["values"].items():
        if name in drawn:
            low, high = drawn[name]
            whole = name in run.plan["whole"]
            out[name] = Axis(name, whole_values(low, high, cells) if whole else [], cells, (low, high))
        elif len(values) > 1:
            out[name] = Axis(name, values, cells)
    return out


def whole_values(low: float, high: float, most: int) -> list[float]:
    """Return the whole numbers of an interval; none where there are more than ``most``."""
    first, last = math.ceil(low), math.floor(high)
    return [float(k) for k in range(first, last + 1)] if last - first < most else []


def influence(run: Run, by: str, source: str) -> list[tuple[str, float]]:
    """Return every swept parameter and the variance of the metric's mean over its values, largest first.

    A parameter drawn from an interval counts by the cells of its axis.
    """
    out = []
    for name, axis in axes_of(run).items():
        key = axis.sql if axis.drawn else f'"{name}"'
        inner = f'select avg("{by}"::double) as mean from results where source = {text(source)} group by {key}'
        found = run.sql(f"select coalesce(var_pop(mean), 0) from ({inner})")[1][0][0]
        out.append((name, float(found)))
    return sorted(out, key=lambda item: -item[1])


def surface(
    run: Run, by: str, source: str, names: tuple[str, ...], params: dict[str, float], cells: int = MOST_CELLS
) -> Surface:
    """Return the metric over one or two parameters; more than ``cells`` values of one are put together in bins."""
    known = axes_of(run, cells)
    axes = [known[name] for name in names]
    keys = ", ".join(f"{axis.sql} as k{n}" for n, axis in enumerate(axes))
    found = run.sql(
        f'select {keys}, median("{by}"::double), count(*), quantile_cont("{by}"::double, 0.1), '
        f'quantile_cont("{by}"::double, 0.9), {"max" if rising(by) else "min"}("{by}"::double) '
        f"from results where source = {text(source)} group by all"
    )[1]
    n = len(axes)
    places = [tuple(int(k) for k in row[:n]) for row in found]
    return Surface(
        names,
        tuple(axis.labels for axis in axes),
        {place: (row[n], int(row[n + 1])) for place, row in zip(places, found, strict=True)},
        {place: (row[n + 2], row[n + 3]) for place, row in zip(places, found, strict=True)},
        {place: row[n + 4] for place, row in zip(places, found, strict=True)},
        tuple(axis.place(params[axis.name]) for axis in axes),
    )


class Axis:
    """One parameter's values in ascending order, in at most so many cells.

    Parameters
    ----------
    name : str
    values : list of float
        Empty where they are drawn from an interval without a list.
    cells : int
    drawn : (float, float), optional
        The ends of the interval.
    """

    def __init__(
        self, name: str, values: list[float], cells: int = MOST_CELLS, drawn: tuple[float, float] | None = None
    ) -> None:
        self.name, self.values, self.drawn = name, sorted(values), drawn is not None
        self.low, self.high = drawn if drawn is not None else (self.values[0], self.values[-1])
        if 0 < len(self.values) <= cells:
            self.listed, self.cells = True, len(self.values)
            self.labels = [f"{tidy(v):,.6g}" for v in self.values]
            # the table's numbers are those of the plan, so an exact list is safe
            known = ", ".join(repr(float(v)) for v in self.values)
            self.sql = f'list_position([{known}]::double[], "{name}"::double) - 1'
        else:
            self.listed, self.cells = False, min(cells, FEW_CELLS) if self.drawn else cells
            self.width = (self.high - self.low) / self.cells
            starts = [self.low + k * self.width for k in range(self.cells)]
            self.labels = [f"{s:,.4g} to {s + self.width:,.4g}" for s in starts]
            self.sql = f'greatest(0, least(floor(("{name}" - {self.low!r}) / {self.width!r})::int, {self.cells - 1}))'

    def place(self, value: float) -> int:
        """Return the cell of a value."""
        if self.listed:
            return min(range(self.cells), key=lambda k: abs(self.values[k] - value))
        return max(0, min(int((value - self.low) / self.width), self.cells - 1))


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
    """Return, for each series, median and best of the metric over all combinations and the row of one combination."""
    best = f'{"max" if rising(by) else "min"}("{by}"::double) as best'
    medians = f'select source, median("{by}"::double) as median, {best} from results group by source'
    names, rows = run.sql(
        f'select m.median as "median of all", m.best as "best of all", r.* from results r '
        f"join ({medians}) m on m.source = r.source where r.combo = {int(combo)} order by r.source"
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def text(value: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def above(run: Run, by: str, source: str, level: float) -> int:
    """Return how many combinations have a metric above a level."""
    found = run.sql(f'select count(*) from results where source = {text(source)} and "{by}"::double > {level!r}')
    return int(found[1][0][0])
