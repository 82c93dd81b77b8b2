"""A finished sweep as a table of one row a combination and series, and the questions it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.graph.program import Sizing
from engine.graph.scalar import tidy
from engine.research.parts import PLAN, Parts, Scores
from engine.research.space import Space
from engine.simulate import METRICS, Costs
from parquet_store import Store, unknown
from parquet_store.errors import Failed, Usage
from parquet_store.query import run as read_only

__all__ = ["Run", "Scores", "runs"]


def runs_folder(store: Store) -> Path:
    """Return the folder of all sweeps of a store."""
    return store.root / "runs"


def runs(store: Store) -> list[str]:
    """Return the names of the sweeps of a store, finished or not, sorted."""
    return sorted(path.parent.name for path in runs_folder(store).glob(f"*/{PLAN}"))


class Run(Parts):
    """A finished sweep."""

    @classmethod
    def open(cls, store: Store, name: str) -> Run:
        """Return the finished sweep of that name.

        Raises
        ------
        Usage
            There is none of that name (the nearest is offered), or it is not finished.
        Failed
            Its files are damaged.
        """
        if name not in runs(store):
            if (store.root / "searches" / name / PLAN).is_file():
                raise Usage(f"search {name}: not finished; run the same lockstep search again, it goes on where it was")
            raise unknown("run", name, runs(store))
        run = cls(runs_folder(store) / name)
        if not run.finished:
            done, total = len(run.done), sum(run.plan["parts"])
            raise Usage(
                f"run {name}: not finished, {done:,} of {total:,} parts are there; "
                f"go on with `lockstep sweep --resume {name}`"
            )
        run.check()
        return run

    @property
    def costs(self) -> Costs:
        """The costs it was run with."""
        return Costs.from_json(self.plan["costs"])

    @property
    def sizing(self) -> Sizing | None:
        """The size rule that overrode the strategy's own, None if none did."""
        return None if self.plan["sizing"] is None else Sizing.from_json(self.plan["sizing"])

    @cached_property
    def space(self) -> Space:
        """The space it covers; of a search's run, the points it visited."""
        if "search" in self.plan:
            from engine.research.search.points import visited_space

            return visited_space(self.plan, self.files)
        return Space.from_json(self.plan["space"], frozenset(self.plan["whole"]))

    def sql(self, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return (column names, rows) of a DuckDB query over the table ``results``, in which NaN is NULL.

        Raises
        ------
        Usage
            The query cannot be run or does more than read; the message lists the columns.
        """
        import duckdb

        shown = ", ".join(
            f'case when isfinite("{name}") then "{name}" end as "{name}"'
            if pa.types.is_floating(self.schema.field(name).type)
            else f'"{name}"'
            for name in self.columns
        )
        connection = duckdb.connect()
        try:
            paths = ", ".join("'" + str(path).replace("'", "''") + "'" for path in self.files)
            connection.execute(f"create view results as select {shown} from read_parquet([{paths}])")
            found = read_only(connection, text)
            return list(found.columns), found.fetchall()
        except Usage as error:
            raise Usage(f"{str(error).splitlines()[0]}; columns of results: {', '.join(self.columns)}") from error
        finally:
            connection.close()

    def top(
        self, n: int, by: str = "sharpe", where: str | None = None, source: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the ``n`` best rows by a metric, undefined ones last, ties in the order of the combinations.

        Drawdowns, being negative, are best when nearest to 0; ``volatility``, ``max_drawdown_bars`` and ``fees`` are
        best when small.
        """
        metric(by)
        order = "asc" if by in ("volatility", "max_drawdown_bars", "fees") else "desc"
        tests = [f"({where})"] if where else []
        if source is not None:
            if source not in self.sources:
                raise unknown("source of the run", source, self.sources)
            tests.append("source = '" + source.replace("'", "''") + "'")
        filters = f"where {' and '.join(tests)}" if tests else ""
        names, rows = self.sql(
            f'select * from results {filters} order by "{by}" {order} nulls last, source, combo limit {int(n)}'
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def best(self, by: str = "sharpe", source: str | None = None) -> dict[str, Any]:
        """Return the best row by a metric."""
        found = self.top(1, by, source=source)
        if not found or found[0][by] is None:
            raise Failed(
                f"run {self.name}: {by} is undefined for every combination; choose another metric or wider ranges"
            )
        return found[0]

    def median(self, by: str = "sharpe", source: str | None = None) -> dict[str, Any]:
        """Return the row in the middle of those where the metric is defined (the lower one of two)."""
        metric(by)
        only = "" if source is None else "and source = '" + source.replace("'", "''") + "'"
        names, rows = self.sql(
            f'with known as (select * from results where "{by}" is not null {only}) select * from known '
            f'order by "{by}", source, combo limit 1 offset (select (count(*) - 1) // 2 from known)'
        )
        return dict(zip(names, rows[0], strict=True)) if rows else {}

    def find(self, params: Mapping[str, float], source: str | None = None) -> dict[str, Any]:
        """Return the row of the given parameters; those not given must have one value in the run."""
        values = self.plan["space"]["values"]
        intervals = self.space.draw.intervals if self.space.draw is not None else {}
        tests = []
        for name, value in params.items():
            if name not in values:
                raise unknown(f"parameter of {self.plan['strategy']}", name, values)
            if name in intervals:
                tests.append(f'abs("{name}" - {value!r}) <= 1e-12')
                continue
            near = [v for v in values[name] if math.isclose(v, value, rel_tol=1e-12, abs_tol=1e-15)]
            if not near:
                raise Usage(f"parameter {name} = {tidy(value)}: not in the run; it covered {shorten(values[name])}")
            tests.append(f'"{name}" = {near[0]!r}')
        for name, known in values.items():
            if name not in params and (len(known) > 1 or name in intervals):
                low, high = intervals.get(name, (0.0, 0.0))
                covered = f"{low:g} to {high:g}" if name in intervals else shorten(known)
                raise Usage(f"parameter {name}: not given, and the run covered {covered}; add {name}=...")
        found = self.top(1, "total_return", " and ".join(tests) or None, source)
        if not found:
            more = "; what was drawn has every digit that lockstep results --json shows" if intervals else ""
            raise Usage(
                f"run {self.name}: no combination with these parameters; a constraint or the draw excludes it{more}"
            )
        return found[0]


def metric(name: str) -> str:
    """Return the name if it is a metric, else the error with the nearest one."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return name


def shorten(values: list[Any]) -> str:
    """Return values as text, the middle of a long list left out."""
    shown = [str(tidy(v)) for v in values]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:4], "...", *shown[-2:]])
