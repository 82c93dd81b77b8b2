"""One search from request to result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.research.parts import PLAN
from engine.research.run import named_folder, refuse_other
from engine.research.search.drive import Driver
from engine.research.search.evaluate import Columns, Evaluate, Figures, local_evaluator
from engine.research.search.keep import TOLD, TRIALS, keep_run, load_search, told_of, trials_frame
from engine.research.search.request import Search, Task, task_of
from engine.research.search.storage import Kept, shown_address, sqlite_address
from engine.research.sweep import Found, warm_up
from parquet_store import Store
from parquet_store.errors import Failed, Usage
from parquet_store.write import sole_writer, telling_disk_errors, write_whole
from pipelines import Bars

__all__ = ["run_search"]


def run_search(
    store: Store,
    search: Search,
    progress: Callable[[int, int], None] | None = None,
    evaluate: Evaluate | None = None,
) -> dict[str, Any]:
    """Search, and leave the trials in the store; a search of that name with the same plan is gone on with.

    Parameters
    ----------
    store : Store
    search : Search
    progress : callable, optional
        Called with (done, total) trials.
    evaluate : callable, optional
        What evaluates a batch of points; this machine, or the cluster the request names, if not given.

    Returns
    -------
    dict
        As ``search.json`` holds it.

    Raises
    ------
    Usage
        Anything asked for is unknown or impossible, or a search or a run of that name has another plan.
    Failed
        No trial has a defined objective, the storage fails, or another process works on the search; the trials made
        so far stay.
    """
    task = task_of(store, search)
    asked = search.request
    name = f"{task.job.sweep.strategy.name}-search-{task.digest[:8]}" if asked.name is None else asked.name
    run_folder = named_folder(store, name)
    folder = store.root / "searches" / name
    address_of(folder, task, search.storage)  # says more of another plan than what follows
    refuse_other(run_folder, task.job.plan)
    with sole_writer(folder, wait=False):
        address = address_of(folder, task, search.storage)
        kept = Kept(address, name, task.digest, [one.direction for one in task.objectives])
        keep_plan(folder, task, search.storage)
        before = told_before(folder)
        begin = time.perf_counter()
        with evaluator(task, evaluate) as at_work:
            timed = Timed(at_work)
            figures = Figures(task.job, timed, task.objectives)
            driver = Driver(store, task, figures, kept)
            stored = len(driver.trials)
            if before is not None and stored >= search.trials and before["trials"] == stored:
                return before
            driver.run(search.trials, progress)
        spent = time.perf_counter() - begin
        keys = driver.keys(driver.trials)
        done = [key for key, trial in zip(keys, driver.trials, strict=True) if int(trial.state) == 1]
        frame = trials_frame(task, figures, driver.trials, keys)
        with telling_disk_errors(folder):
            write_whole(folder / TRIALS, lambda file: frame.write_parquet(file))
        if not done:
            raise Failed(
                f"search {name}: none of {len(keys):,} trials has a defined {task.objectives[0].name}; widen the "
                "parameters or loosen --where"
            )
        run = keep_run(store, name, task, figures, done, timed.seconds)
        seconds = {"evaluating": timed.seconds, "proposing_and_storing": max(0.0, spent - timed.seconds)}
        told = told_of(name, task, frame, run, kept.address, seconds)
        text = json.dumps(told, indent=1, allow_nan=False)
        with telling_disk_errors(folder):
            write_whole(folder / TOLD, lambda file: file.write(text.encode()))
    return told


def address_of(folder: Path, task: Task, given: str | None) -> str:
    """Return the address of the storage: what is given, else what the search began with, else its own SQLite file."""
    path = folder / PLAN
    own = sqlite_address(folder)
    if path.exists():
        try:
            before = json.loads(path.read_text())
        except ValueError as error:
            raise Failed(f"{path}: cannot be read ({error}); search again under another --name") from error
        if before.get("digest") != task.digest:
            raise Usage(
                f"search {folder.name} exists with another plan (data, parameters, objectives, sampler, seed, batch, "
                "costs or kernels): give another --name"
            )
        shown = before.get("storage")
        if given is None and shown is not None:
            if "***" in shown:
                raise Usage(f"search {folder.name} began in {shown}: give --storage again, its password is not kept")
            return str(shown)
        if given is not None and shown_address(given) != (shown or own):
            raise Usage(f"search {folder.name} began in {shown or own}, not in {shown_address(given)}")
        return given or own
    return given or own


def keep_plan(folder: Path, task: Task, storage: str | None) -> None:
    """Write the plan of a new search, and where its trials are kept."""
    if (folder / PLAN).exists():
        return
    plan = task.job.plan | {"storage": None if storage is None else shown_address(storage)}
    text = json.dumps(plan, indent=1, allow_nan=False)
    with telling_disk_errors(folder):
        write_whole(folder / PLAN, lambda file: file.write(text.encode()))


def told_before(folder: Path) -> dict[str, Any] | None:
    """Return what an earlier call told, None if there was none or its files are damaged."""
    try:
        return load_search(folder).told
    except Failed:
        return None


@contextmanager
def evaluator(task: Task, given: Evaluate | None) -> Iterator[Evaluate]:
    """Yield what evaluates points: what is given, a cluster's workers, or this machine."""
    asked = task.search.request
    if given is not None:
        yield given
    elif asked.cluster is not None:
        from engine.research.cluster.points import cluster_evaluator

        with cluster_evaluator(task.job, asked.cluster, asked.threads, asked.memory) as made:
            yield made
    else:
        warm_up_points(task)
        yield local_evaluator(task.job, asked.threads, asked.memory)


def warm_up_points(task: Task) -> None:
    """Compile what is not compiled yet, on the first values of every parameter."""
    from dataclasses import replace

    first = {name: values[:1] for name, values in task.axes.space.values.items()}
    warm_up(task.job.series[0], replace(task.job.sweep, space=type(task.axes.space)(first)))


class Timed:
    """Evaluates as another one does, and counts the seconds."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate, self.seconds = evaluate, 0.0

    def __call__(self, columns: Columns, bars: Bars | None = None) -> Found:
        """Evaluate."""
        begin = time.perf_counter()
        try:
            return self._evaluate(columns, bars)
        finally:
            self.seconds += time.perf_counter() - begin
