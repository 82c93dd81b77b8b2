"""What a search leaves: its trials as a table, its points as a run like a sweep's, and a summary of both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.graph.scalar import tidy
from engine.manifest import without_nan
from engine.research.parts import LIST, PLAN, Parts
from engine.research.run import write_part
from engine.research.search.drive import WHY
from engine.research.search.evaluate import Figures
from engine.research.search.request import Task
from engine.research.summary import RunSummary, summarise
from engine.research.table import Run, runs_folder
from engine.simulate import METRICS
from engine.simulate.tally import WHOLE_METRICS
from parquet_store import Store, unknown
from parquet_store.errors import Failed
from parquet_store.write import sole_writer, telling_disk_errors, write_whole

__all__ = ["TOLD", "TRIALS", "front_of", "keep_run", "load_search", "searches", "told_of", "trials_frame"]

TOLD, TRIALS = "search.json", "trials.parquet"


def searches(store: Store) -> list[str]:
    """Return the names of the searches of a store, finished or not, sorted."""
    return sorted(path.parent.name for path in (store.root / "searches").glob(f"*/{PLAN}"))


@dataclass(frozen=True)
class Searched:
    """A search on disk: what was told of it, and all its trials."""

    folder: Path
    told: dict[str, Any]
    trials: pl.DataFrame


def load_search(folder: Path) -> Searched:
    """Return what a search left.

    Raises
    ------
    Usage
        There is none of that name (the nearest is offered).
    Failed
        It is not finished, or damaged.
    """
    if not (folder / PLAN).exists():
        names = sorted(path.parent.name for path in folder.parent.glob(f"*/{PLAN}"))
        raise unknown("search", folder.name, names)
    try:
        return Searched(folder, json.loads((folder / TOLD).read_text()), pl.read_parquet(folder / TRIALS))
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise Failed(
            f"search {folder.name}: not finished, or damaged ({error}); run the same lockstep search again"
        ) from error


def trials_frame(task: Task, figures: Figures, trials: Sequence[Any], keys: Sequence[bytes]) -> pl.DataFrame:
    """Return one row a trial: number, state, early score, objectives, parameters, metrics, hash of the trades.

    ``state`` is ``complete``, ``pruned`` (poor over the early bars, or broken) or ``failed``; ``why`` says what is
    wrong with points without an objective.  Metrics are null where a point was not run over all bars or where they
    are undefined.
    """
    states = {1: "complete", 2: "pruned", 3: "failed"}
    found: dict[str, Any] = {
        "number": np.arange(len(trials)),
        "state": [states[int(trial.state)] for trial in trials],
        "why": [trial.user_attrs.get(WHY) for trial in trials],
        "early": pl.Series([trial.intermediate_values.get(0) for trial in trials], dtype=pl.Float64),
    }
    params = np.array([figures.columns[key] for key in keys])
    for k, name in enumerate(task.job.sweep.space.values):
        column = pl.Series(params[:, k])
        found[name] = column.cast(pl.Int64) if name in task.job.sweep.space.whole else column
    full = [key if key in figures.full else None for key in keys]
    for k, name in enumerate(METRICS):
        column = pl.Series([None if key is None else float(figures.metrics(key)[k]) for key in full], dtype=pl.Float64)
        column = column.fill_nan(None)
        boolean = column.cast(pl.Boolean) if name == "open_trade" else column
        found[name] = column.cast(pl.Int64) if name in WHOLE_METRICS else boolean
    for k, one in enumerate(task.objectives):
        complete = [trial.values[k] if states[int(trial.state)] == "complete" else None for trial in trials]
        found[f"objective_{k}_{one.name}"] = pl.Series(complete, dtype=pl.Float64)
    found[LIST] = pl.Series([None if key is None else figures.trade_list(key) for key in full], dtype=pl.UInt64)
    return pl.DataFrame(found)


def front_of(values: NDArray[np.float64], large: Sequence[bool]) -> NDArray[np.int64]:
    """Return the places of the points no other one dominates, the best by the first objective first.

    Parameters
    ----------
    values : ndarray of float64, shape (m, objectives)
        Every one known.
    large : sequence of bool, shape (objectives,)
        Whether larger is better.

    Notes
    -----
    One point dominates another if it is at least as good in every objective and better in one; of equal points the
    first is kept.
    """
    signed = np.where(np.array(large), -values, values)
    order = np.lexsort([*signed.T[::-1]])  # stable: what comes later cannot dominate what came before
    front: list[int] = []
    for place in order.tolist():
        if not front or not (signed[front] <= signed[place]).all(axis=1).any():
            front.append(place)
    return np.array(front, np.int64)


def keep_run(
    store: Store, name: str, task: Task, figures: Figures, keys: Sequence[bytes], seconds: float
) -> RunSummary:
    """Write the distinct points that completed as a run, so that report, export and prove work on it.

    Parameters
    ----------
    keys : sequence of bytes
        Of the completed trials, in their order.
    seconds : float
        Spent on evaluating.
    """
    distinct = list(dict.fromkeys(keys))
    shard, order = task.axes.shard(figures.table(distinct))
    found = figures.found(distinct, shard, order)
    folder = runs_folder(store) / name
    with sole_writer(folder, wait=False):
        if not (folder / PLAN).exists():
            text = json.dumps(task.job.plan, indent=1, allow_nan=False)
            with telling_disk_errors(folder):
                write_whole(folder / PLAN, lambda file: file.write(text.encode()))
        write_part(Parts(folder), 0, task.job, iter([found]))
        run = Run(folder)
        made = summarise(store, run, task.job, max(1, figures.runs), max(seconds, 1e-9), None, None)
        text = json.dumps(made.as_json(), indent=1)
        with telling_disk_errors(folder):
            write_whole(folder / "summary.json", lambda file: file.write(text.encode()))
    return made


def told_of(
    name: str, task: Task, trials: pl.DataFrame, run: RunSummary, address: str, seconds: dict[str, float]
) -> dict[str, Any]:
    """Return what a search tells, as plain data."""
    complete = trials.filter(pl.col("state") == "complete").unique(list(task.axes.space.values), keep="first")
    complete = complete.sort("number")
    named = [f"objective_{k}_{one.name}" for k, one in enumerate(task.objectives)]
    values = complete.select(named).to_numpy()
    front = front_of(values, [one.large for one in task.objectives])
    rows = []
    for place in front.tolist():
        row = complete.row(place, named=True)
        rows.append(
            {
                "number": row["number"],
                "params": {key: tidy(row[key]) for key in task.axes.space.values},
                "objectives": {one.name: row[key] for one, key in zip(task.objectives, named, strict=True)},
                "metrics": {key: row[key] for key in METRICS},
            }
        )
    counts = {str(state): count for state, count in trials["state"].value_counts().iter_rows()}
    source = task.job.series[0].source
    told: dict[str, Any] = {
        "search": name,
        "run": run.run,
        "plan": task.digest,
        "strategy": task.job.plan["strategy"],
        "source": source,
        **{key: task.job.plan["search"][key] for key in ("objectives", "sampler", "seed", "batch", "pruning")},
        "trials": trials.height,
        "complete": counts.get("complete", 0),
        "pruned": counts.get("pruned", 0),
        "failed": counts.get("failed", 0),
        "points": run.combos,
        "sampled": task.axes.sampled,
        "best": rows[0],
        "front": rows if len(task.objectives) > 1 else None,
        "benchmark": run.benchmark[source],
        "sources": run.sources,
        "warnings": run.verdict["warnings"],
        "verdict": run.verdict,
        "seconds": seconds,
        "storage": address,
    }
    plain: dict[str, Any] = without_nan(told)
    return plain
