"""A finished sweep on disk: one Parquet file, one row a combination and series, its plan in the file's metadata."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.graph.program import Sizing
from engine.graph.scalar import tidy
from engine.research.space import Space
from engine.simulate import METRICS, Costs
from parquet_store import Store, unknown
from parquet_store.errors import Failed, Usage
from parquet_store.query import run as read_only

__all__ = ["PLAN_KEY", "Run", "runs"]

PLAN_KEY = b"lockstep.plan"


def runs_folder(store: Store) -> Path:
    """Return the folder of all sweeps of a store."""
    return store.root / "runs"


def runs(store: Store) -> list[str]:
    """Return the names of the finished sweeps of a store, sorted."""
    return sorted(path.parent.name for path in runs_folder(store).glob("*/results.parquet"))


class Run:
    """A finished sweep.

    Attributes
    ----------
    name : str
    table : Path
        The Parquet file.
    plan : dict
        What was run: strategy, space, sources with fingerprints, costs, sizing, backend, kernels, digest.
    """

    def __init__(self, folder: Path) -> None:
        self.name, self.folder, self.table = folder.name, folder, folder / "results.parquet"
        try:
            metadata = pq.read_schema(self.table).metadata or {}
            self.plan: dict[str, Any] = json.loads(metadata[PLAN_KEY])
        except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
            raise Failed(f"{self.table}: not a result table ({error}); run the sweep again") from error

    @classmethod
    def open(cls, store: Store, name: str) -> Run:
        """Return the sweep of that name, or the error with the nearest one."""
        if name not in runs(store):
            raise unknown("run", name, runs(store))
        return cls(runs_folder(store) / name)

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
        """The space it covered."""
        import numpy as np

        values = {name: np.array(v, np.float64) for name, v in self.plan["space"]["values"].items()}
        return Space(values, tuple(self.plan["space"]["where"]))

    @property
    def sources(self) -> list[str]:
        """The series it covered."""
        return [item["source"] for item in self.plan["sources"]]

    @property
    def columns(self) -> list[str]:
        """The names of the table's columns."""
        return list(pq.read_schema(self.table).names)

    def sql(self, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return (column names, rows) of a DuckDB query over the table ``results``, in which NaN is NULL.

        Raises
        ------
        Usage
            The query cannot be run or does more than read; the message lists the columns.
        """
        import duckdb

        schema = pq.read_schema(self.table)
        shown = ", ".join(
            f'case when isfinite("{f.name}") then "{f.name}" end as "{f.name}"'
            if pa.types.is_floating(f.type)
            else f'"{f.name}"'
            for f in schema
        )
        connection = duckdb.connect()
        try:
            path = str(self.table).replace("'", "''")
            connection.execute(f"create view results as select {shown} from read_parquet('{path}')")
            found = read_only(connection, text)
            return list(found.columns), found.fetchall()
        except Usage as error:
            raise Usage(f"{str(error).splitlines()[0]}; columns of results: {', '.join(schema.names)}") from error
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
        tests = []
        for name, value in params.items():
            if name not in values:
                raise unknown(f"parameter of {self.plan['strategy']}", name, values)
            near = [v for v in values[name] if math.isclose(v, value, rel_tol=1e-12, abs_tol=1e-15)]
            if not near:
                raise Usage(f"parameter {name} = {tidy(value)}: not in the run; it covered {shorten(values[name])}")
            tests.append(f'"{name}" = {near[0]!r}')
        for name, known in values.items():
            if name not in params and len(known) > 1:
                raise Usage(f"parameter {name}: not given, and the run covered {shorten(known)}; add {name}=...")
        found = self.top(1, "total_return", " and ".join(tests) or None, source)
        if not found:
            raise Usage(f"run {self.name}: no combination with these parameters; a constraint excludes it")
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
