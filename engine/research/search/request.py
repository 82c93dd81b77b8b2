"""What a search is asked for, and its plan: everything that determines its trials but how many there are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from engine.research.request import Job, Request, plan_of, sources_of
from engine.research.search.axes import Axes
from engine.research.search.objective import Objective, objectives_of
from engine.research.search.sampler import PRUNING, SAMPLERS
from engine.research.space import Draw, Space
from engine.research.sweep import Sweep
from engine.strategies import find_strategy
from parquet_store import Store
from parquet_store.errors import Usage, unknown
from pipelines import load_bars

__all__ = ["Search", "Task", "task_of"]

PROBE = 1_000  # points drawn to see that the constraints leave any


@dataclass(frozen=True)
class Search:
    """What ``lockstep search`` asks for.

    Attributes
    ----------
    request : Request
        Strategy, one source, values and intervals of the parameters, constraints, costs, name, threads, memory,
        cluster; what it says of samples and verification is left aside.
    objectives : tuple of str
        Metrics, as in ``sharpe`` or ``trades:min``; several make a front.
    trials : int
        In all, those of earlier calls included.
    batch : int
        Points that are proposed and evaluated at once.
    sampler : str
        ``tpe``, ``cmaes``, ``nsga2`` or ``random``; if not given ``tpe``, with several objectives ``nsga2``.
    seed : int
    pruning : bool
        Whether trials that are poor over the first third of the bars are given up.
    storage : str, optional
        URL of an Optuna storage; SQLite in the search's folder if not given.
    """

    request: Request
    objectives: tuple[str, ...] = ("sharpe",)
    trials: int = 1_000
    batch: int = 256
    sampler: str | None = None
    seed: int = 0
    pruning: bool = True
    storage: str | None = None


@dataclass(frozen=True)
class Task:
    """A search that is ready to run.

    Attributes
    ----------
    job : Job
        Its plan is that of the search; its one part will hold the points completed.
    """

    search: Search
    job: Job
    axes: Axes
    objectives: tuple[Objective, ...]
    sampler: str
    pruning: bool

    @property
    def digest(self) -> str:
        """Of the plan."""
        return str(self.job.plan["digest"])


def task_of(store: Store, search: Search) -> Task:
    """Check what is asked, load the bars and make the plan.

    Raises
    ------
    Usage
        Anything is unknown or impossible.
    """
    asked = search.request
    if search.sampler is not None and search.sampler not in SAMPLERS:
        raise unknown("sampler", search.sampler, SAMPLERS)
    if search.trials < 1 or search.batch < 1:
        raise Usage(f"--trials {search.trials} --batch {search.batch}: expected at least 1 of each")
    objectives = objectives_of(search.objectives, asked.costs)
    sampler = search.sampler or ("tpe" if len(objectives) == 1 else "nsga2")
    if sampler == "cmaes" and len(objectives) > 1:
        raise Usage("--sampler cmaes has one objective; with several use nsga2 or tpe")
    pruning = search.pruning and len(objectives) == 1 and sampler in PRUNING
    strategy = find_strategy(asked.strategy)
    draw = Draw(PROBE, search.seed, asked.intervals)
    space = Space.of(strategy, asked.values, asked.where, True, when=asked.when, draw=draw)
    space = replace(space, draw=replace(draw, count=0))  # its points are in the table
    axes = Axes(space)
    if not axes.sampled:
        raise Usage("nothing to search: give a parameter several values, as in --param rsi_length=5:30 or 5:30:1")
    sources = sources_of(store, asked)
    if len(sources) != 1:
        raise Usage(f"a search runs on one series, found {len(sources)}: {', '.join(sources[:4])}; give one --data")
    bars = load_bars(store, sources[0], asked.start, asked.end)
    sweep = Sweep(strategy, space, asked.costs, asked.sizing)
    plan: dict[str, Any] = plan_of(asked, sweep, [bars])
    del plan["digest"]
    plan |= {"parts": [1], "part_rows": [1 << 40], "search": {
        "objectives": [one.as_json() for one in objectives], "sampler": sampler, "seed": search.seed,
        "batch": search.batch, "pruning": pruning,
    }}  # fmt: skip
    text = json.dumps(plan, separators=(",", ":"), allow_nan=False)
    plan["digest"] = hashlib.sha256(text.encode()).hexdigest()
    return Task(search, Job(sweep, [bars], plan), axes, objectives, sampler, pruning)
