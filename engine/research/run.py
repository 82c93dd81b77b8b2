"""One sweep from request to result: load, check, sweep every series, write the table, verify, summarise."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.graph.program import Sizing
from engine.graph.resolve import signals_digest, steps_of
from engine.graph.scalar import tidy
from engine.research.rows import batch, table_schema
from engine.research.space import Shard, Space
from engine.research.summary import RunSummary, summarise, verified_before
from engine.research.sweep import Sweep, sweep_bars, warm_up
from engine.research.table import Run, runs, runs_folder
from engine.simulate import Costs
from engine.strategies import find_strategy
from parquet_store import Store, unknown
from parquet_store.errors import Failed, Usage
from parquet_store.write import sole_writer, telling_disk_errors, write_whole
from pipelines import Bars, load_bars

__all__ = ["BACKENDS", "Request", "Run", "RunSummary", "run_sweep", "runs"]

BACKENDS = ("events", "vectorbt")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What ``lockstep sweep`` asks for.

    Attributes
    ----------
    strategy : str
        A name, or ``path/file.py:Class``.
    values : dict of str to list of float
        Values of the parameters that are swept or fixed; the others stay at their defaults.
    where : tuple of str
        Constraints between parameters.
    sources : tuple of str
        Series, ``venue:SYMBOL:timeframe``.
    costs : Costs
    short : bool or None
        Whether positions may be short; None: where the symbol is a perpetual.
    sizing : Sizing, optional
        Overrides the strategy's own rule.
    verify : int
        Combinations to be checked against VectorBT, drawn at random.
    """

    strategy: str
    values: dict[str, list[float]]
    sources: tuple[str, ...]
    costs: Costs
    where: tuple[str, ...] = ()
    sizing: Sizing | None = None
    name: str | None = None
    backend: str = "events"
    verify: int = 0
    start: str | None = None
    end: str | None = None
    yes: bool = False
    threads: int | None = None


def run_sweep(store: Store, request: Request, progress: Progress | None = None) -> RunSummary:
    """Run a sweep and leave its table in the store.

    Parameters
    ----------
    store : Store
    request : Request
    progress : callable, optional
        Called with (done, total) rows.

    Raises
    ------
    Usage
        Anything in the request is unknown or impossible, or a run of that name has another plan.
    Failed
        The disk is full, or a stored file is damaged; an earlier run of that name is intact then.
    """
    if request.backend not in BACKENDS:
        raise unknown("backend", request.backend, BACKENDS)
    strategy = find_strategy(request.strategy)
    space = Space.of(strategy, request.values, request.where, request.yes)
    if not request.sources:
        raise Usage("no data given: add --data venue:SYMBOL:timeframe")
    series = [load_bars(store, source, request.start, request.end) for source in dict.fromkeys(request.sources)]
    sweep = Sweep(strategy, space, request.costs, request.sizing)
    if request.verify > 0 or request.backend == "vectorbt":
        from engine.research import vectorbt

        vectorbt.require()
    plan = plan_of(request, sweep, series)
    name = f"{strategy.name}-{plan['digest'][:8]}" if request.name is None else request.name
    folder = named_folder(store, name)
    refuse_other(folder, plan)
    if request.backend == "events":
        warm_up(series[0], sweep)
    start = time.perf_counter()
    rows = 0

    def write(file: Any) -> None:
        nonlocal rows
        schema = table_schema(strategy, plan)
        # statistics leave NaN out, and readers that trust them take NaN for a number
        exact = [field.name for field in schema if not pa.types.is_floating(field.type)]
        with pq.ParquetWriter(file, schema, compression="zstd", write_statistics=exact) as writer:
            for bars in series:
                for shard, found in computed(bars, sweep, request, counted):
                    writer.write_batch(batch(bars.source, shard, found, schema, strategy))
                    rows += len(shard)

    total, done = space.count() * len(series), 0

    def counted(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done, total)

    with sole_writer(folder), telling_disk_errors(folder):
        refuse_other(folder, plan)  # again: another process may have been first
        write_whole(folder / "results.parquet", write)
    seconds = time.perf_counter() - start
    verified = verified_before(folder, plan["digest"])
    if request.verify > 0:
        from engine.research import vectorbt

        verified = vectorbt.verify(series, sweep, request.verify, int(plan["digest"][:8], 16))
    summary = summarise(Run(folder), series, sweep, rows, seconds, verified)
    with telling_disk_errors(folder):
        text = json.dumps(summary.as_json(), indent=1)
        write_whole(folder / "summary.json", lambda file: file.write(text.encode()))
    return summary


def computed(
    bars: Bars, sweep: Sweep, request: Request, progress: Callable[[int], None]
) -> Iterator[tuple[Shard, Any]]:
    """Yield shards with their metrics from the backend asked for."""
    if request.backend == "vectorbt":
        from engine.research import vectorbt

        return vectorbt.sweep_bars(bars, sweep, progress=progress)
    found = sweep_bars(bars, sweep, threads=request.threads, progress=progress)
    return ((item.shard, item.metrics) for item in found)


def plan_of(request: Request, sweep: Sweep, series: list[Bars]) -> dict[str, Any]:
    """Return what determines a sweep's table, as plain data with its digest."""
    costs = sweep.costs
    plan: dict[str, Any] = {
        "version": 1,
        "strategy": strategy_address(request.strategy),
        "graph": signals_digest(sweep.drawn),
        "space": sweep.space.as_json(),
        "sources": [
            {
                "source": bars.source,
                "fingerprint": bars.fingerprint,
                "bars": len(bars),
                "first": int(bars.time[0]),
                "last": int(bars.time[-1]),
                "bars_per_year": tidy(bars.bars_per_year),
                "calendar": bars.calendar,
            }
            for bars in series
        ],
        "costs": costs.as_json(),
        "sizing": None if sweep.sizing is None else sweep.sizing.as_json(),
        "backend": request.backend,
        "kernels": steps_of(sweep.drawn),
    }
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"), allow_nan=False)
    plan["digest"] = hashlib.sha256(text.encode()).hexdigest()
    return plan


def strategy_address(name: str) -> str:
    """Return a strategy's name, a user's file by its whole path, so that it is found from any folder."""
    path, colon, attribute = name.rpartition(":")
    return f"{Path(path).resolve()}:{attribute}" if colon else name


def named_folder(store: Store, name: str) -> Path:
    """Return the folder of a run, its name checked."""
    legal = 0 < len(name) <= 100 and all(c.isalnum() or c in "._-" for c in name) and not name.startswith(".")
    if not legal:
        raise Usage(f'run name "{name}": expected 1 to 100 letters, digits, "-", "_" and "."')
    return runs_folder(store) / name


def refuse_other(folder: Path, plan: dict[str, Any]) -> None:
    """Refuse to put another sweep in the place of a finished one."""
    if not (folder / "results.parquet").exists():
        return
    try:
        before = Run(folder).plan.get("digest")
    except Failed:  # a damaged table is worth nothing: replace it
        return
    if before != plan["digest"]:
        raise Usage(f"run {folder.name} exists with another plan (data, grid, costs or kernels): give another --name")
