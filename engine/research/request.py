"""What a sweep is asked for, and its plan: everything that determines its table, as plain data with a digest."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.graph.program import Sizing
from engine.graph.resolve import signals_digest, steps_of
from engine.graph.scalar import tidy
from engine.research.space import Draw, Space
from engine.research.sweep import BLOCKS, Sweep
from engine.simulate import Costs
from engine.strategies import find_strategy
from parquet_store import Series, Store
from parquet_store.errors import Failed, Usage
from pipelines import Bars, load_bars

__all__ = ["Job", "Request", "job_of", "resumed"]

PART_WORK = 1 << 31  # combination-bars of a part: a second or two of work
LEAST, MOST = 1 << 12, 1 << 18  # combinations of a part
PARTS = 1024


@dataclass(frozen=True)
class Request:
    """What ``lockstep sweep`` asks for.

    Attributes
    ----------
    strategy : str
        A name, or ``path/file.py:Class``.
    values : dict of str to list of float
        Values of the parameters that are swept or fixed; the others stay at their defaults.
    intervals : dict of str to (low, high)
        Parameters that are drawn from an interval; needs ``sample``.
    where : tuple of str
        Constraints between parameters.
    when : tuple of (str, str)
        (parameter, condition): varied only where the condition holds.
    sample, seed : int
        Run that many combinations drawn at random; 0: all.
    sources : tuple of str
        Series, ``venue:SYMBOL:timeframe``; ``*`` stands for any text.
    timeframes : tuple of str
        Each source at these timeframes instead of its own.
    costs : Costs
    sizing : Sizing, optional
        Overrides the strategy's own rule.
    verify : int
        Combinations to be checked against VectorBT, drawn at random.
    memory : int, optional
        Bytes for columns and bitmaps at one time.
    lists : int
        Distinct trade lists that are cross-validated for the verdict; 0: all.
    cluster : str, optional
        ``local`` or a Ray address.
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
    start: str | int | None = None
    end: str | int | None = None
    yes: bool = False
    threads: int | None = None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    when: tuple[tuple[str, str], ...] = ()
    sample: int = 0
    seed: int = 0
    timeframes: tuple[str, ...] = ()
    memory: int | None = None
    lists: int = 4096
    cluster: str | None = None


@dataclass(frozen=True)
class Job:
    """A sweep that is ready to run: its bars loaded, its plan made."""

    sweep: Sweep
    series: list[Bars]
    plan: dict[str, Any]

    def where(self, part: int) -> tuple[Bars, int, int]:
        """Return the series and the positions (first, one past the last) of one part."""
        for bars, parts, rows in zip(self.series, self.plan["parts"], self.plan["part_rows"], strict=True):
            if part < parts:
                return bars, part * rows, min((part + 1) * rows, self.sweep.space.positions)
            part -= parts
        raise IndexError(part)


def job_of(store: Store, request: Request) -> Job:
    """Check a request, load its bars and make its plan.

    Raises
    ------
    Usage
        Anything in the request is unknown or impossible.
    """
    strategy = find_strategy(request.strategy)
    if request.intervals and not request.sample:
        raise Usage(f"parameter {next(iter(request.intervals))}: an interval needs --sample N, the points to draw")
    draw = Draw(request.sample, request.seed, request.intervals) if request.sample else None
    space = Space.of(strategy, request.values, request.where, request.yes, when=request.when, draw=draw)
    sources = sources_of(store, request)
    series = [load_bars(store, source, request.start, request.end) for source in sources]
    sweep = Sweep(strategy, space, request.costs, request.sizing)
    return Job(sweep, series, plan_of(request, sweep, series))


def sources_of(store: Store, request: Request) -> list[str]:
    """Return the series a request names, wildcards and timeframes resolved."""
    from fnmatch import fnmatchcase

    from pipelines import ensure_timeframe

    if not request.sources:
        raise Usage("no data given: add --data venue:SYMBOL:timeframe")
    found: list[str] = []
    for source in request.sources:
        if "*" not in source:
            found.append(source)
            continue
        known = [str(series) for series in store.series()]
        matching = [name for name in known if fnmatchcase(name, source.replace("[", "[[]"))]
        if not matching:
            raise Usage(f"{source}: matches none of the {len(known)} stored series; lockstep data list shows them")
        found += matching
    if request.timeframes:
        found = [str(ensure_timeframe(store, Series.parse(s), t)) for s in found for t in request.timeframes]
    return list(dict.fromkeys(found))


def plan_of(request: Request, sweep: Sweep, series: list[Bars]) -> dict[str, Any]:
    """Return what determines a sweep's table, as plain data with its digest."""
    rows = [part_rows(sweep.space.positions, len(bars)) for bars in series]
    plan: dict[str, Any] = {
        "version": 2,
        "strategy": strategy_address(request.strategy),
        "graph": signals_digest(sweep.drawn),
        "space": sweep.space.as_json(),
        "whole": sorted(sweep.space.whole),
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
        "blocks": BLOCKS,
        "part_rows": rows,
        "parts": [-(-sweep.space.positions // count) for count in rows],
        "costs": sweep.costs.as_json(),
        "sizing": None if sweep.sizing is None else sweep.sizing.as_json(),
        "backend": request.backend,
        "kernels": steps_of(sweep.drawn),
    }
    # in the order of the parameters, which numbers the combinations
    text = json.dumps(plan, separators=(",", ":"), allow_nan=False)
    plan["digest"] = hashlib.sha256(text.encode()).hexdigest()
    return plan


def part_rows(positions: int, bars: int) -> int:
    """Return how many combinations a part has: a second or two of work, and not too many files."""
    wanted = min(max(PART_WORK // bars, LEAST), MOST)
    return max(wanted, math.ceil(positions / PARTS))


def strategy_address(name: str) -> str:
    """Return a strategy's name, a user's file by its whole path, so that it is found from any folder."""
    path, colon, attribute = name.rpartition(":")
    return f"{Path(path).resolve()}:{attribute}" if colon else name


def resumed(store: Store, plan: dict[str, Any], name: str) -> Job:
    """Return the job of a plan that was begun.

    Raises
    ------
    Failed
        The strategy, its kernels or the stored bars changed since.
    """
    if "search" in plan:
        raise Usage(f"run {name} is a search's: go on with the lockstep search that made it, with more --trials")
    sources = plan["sources"]
    request = Request(
        strategy=plan["strategy"],
        values={},
        sources=tuple(item["source"] for item in sources),
        costs=Costs.from_json(plan["costs"]),
        sizing=None if plan["sizing"] is None else Sizing.from_json(plan["sizing"]),
        backend=plan["backend"],
    )
    strategy = find_strategy(request.strategy)
    whole = frozenset(name for name, param in strategy.params.items() if param.whole)
    space = Space.from_json(plan["space"], whole)
    series = [load_bars(store, item["source"], item["first"], item["last"] + 1) for item in sources]
    sweep = Sweep(strategy, space, request.costs, request.sizing)
    again = plan_of(request, sweep, series)
    if again["digest"] != plan["digest"]:
        changed = [key for key in again if key != "digest" and again[key] != plan.get(key)]
        raise Failed(
            f"run {name}: {' and '.join(changed) or 'its plan'} changed since it was begun, so its parts would not "
            "fit together; sweep again under another name"
        )
    return Job(sweep, series, plan)
