"""One sweep from request to result: plan it, compute the parts that are missing, verify, judge, summarise."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.research.parts import PLAN, SUMS, Parts
from engine.research.request import Job, Request, job_of, resumed
from engine.research.rows import batch, table_schema
from engine.research.shard import Shard
from engine.research.summary import RunSummary, summarise, told_before
from engine.research.sweep import BUDGET, Found, sweep_bars, warm_up
from engine.research.table import Run, runs, runs_folder
from parquet_store import Store, unknown
from parquet_store.errors import Failed, Usage
from parquet_store.write import make_folder, sole_writer, telling_disk_errors, write_whole
from pipelines import Bars

__all__ = ["BACKENDS", "Request", "Run", "RunSummary", "resume_sweep", "run_sweep", "runs", "write_part"]

BACKENDS = ("events", "vectorbt")
Progress = Callable[[int, int], None]


def run_sweep(store: Store, request: Request, progress: Progress | None = None) -> RunSummary:
    """Run a sweep and leave its table in the store; a run of that name with the same plan is gone on with.

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
        The disk is full, a stored file is damaged, or another process works on the run; what was finished of it
        stays.
    """
    if request.backend not in BACKENDS:
        raise unknown("backend", request.backend, BACKENDS)
    job = job_of(store, request)
    digest = job.plan["digest"]
    name = f"{job.sweep.strategy.name}-{digest[:8]}" if request.name is None else request.name
    return _complete(store, named_folder(store, name), job, request, progress)


def resume_sweep(
    store: Store, name: str, progress: Progress | None = None, request: Request | None = None
) -> RunSummary:
    """Go on with a run that was stopped, from its own plan; a finished one is summarised again.

    ``request`` may say how (threads, memory, cluster, verify), not what.

    Raises
    ------
    Usage
        There is no run of that name.
    Failed
        What its plan says changed since.
    """
    if name not in runs(store):
        raise unknown("run", name, runs(store))
    folder = runs_folder(store) / name
    plan = Parts(folder).plan
    job = resumed(store, plan, name)
    how = request or Request(plan["strategy"], {}, (), job.sweep.costs)
    return _complete(store, folder, job, replace(how, backend=plan["backend"]), progress)


def _complete(store: Store, folder: Path, job: Job, request: Request, progress: Progress | None) -> RunSummary:
    if request.verify > 0 or request.backend == "vectorbt":
        from engine.research import vectorbt

        vectorbt.require()
    refuse_other(folder, job.plan)
    with sole_writer(folder, wait=False):
        refuse_other(folder, job.plan)  # again: another process may have been first
        if not (folder / PLAN).exists():
            text = json.dumps(job.plan, indent=1, allow_nan=False)
            with telling_disk_errors(folder):
                write_whole(folder / PLAN, lambda file: file.write(text.encode()))
        parts = Parts(folder)
        missing = [part for part in range(sum(job.plan["parts"])) if part not in parts.done]
        made, seconds = compute_missing(parts, job, request, missing, progress)
        run = Run(folder)
        run.check()
        before = told_before(folder, job.plan["digest"])
        if not missing and before is not None and request.verify == 0 and request.lists == Request.lists:
            return before
        verified = before.verified if before is not None else None
        if request.verify > 0:
            verified = vectorbt.verify(job.series, job.sweep, request.verify, int(job.plan["digest"][:8], 16))
        summary = summarise(store, run, job, made, seconds, verified, before, request.lists)
        text = json.dumps(summary.as_json(), indent=1)
        with telling_disk_errors(folder):
            write_whole(folder / "summary.json", lambda file: file.write(text.encode()))
    return summary


def compute_missing(
    parts: Parts, job: Job, request: Request, missing: list[int], progress: Progress | None
) -> tuple[int, float]:
    """Compute and write parts; return how many rows were computed, and the seconds without compiling."""
    if not missing:
        return 0, 0.0
    total = job.sweep.space.count() * len(job.series)
    done = first = parts.rows_there()

    def counted(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done, total)

    counted(0)
    if request.backend == "events" and request.cluster is None:
        warm_up(job.series[0], job.sweep)
    start = time.perf_counter()
    if request.cluster is not None:
        from engine.research.cluster import compute_on_cluster

        compute_on_cluster(parts, job, request, missing, counted)
    else:
        for part in missing:
            bars, begin, end = job.where(part)
            shards = job.sweep.space.shards(begin, end)
            write_part(parts, part, job, found_of(bars, job, request, shards, counted))
    return done - first, time.perf_counter() - start


def found_of(
    bars: Bars, job: Job, request: Request, shards: Iterator[Shard], counted: Callable[[int], None]
) -> Iterator[Found]:
    """Yield what the backend asked for finds."""
    if request.backend == "vectorbt":
        from engine.research import vectorbt

        return vectorbt.sweep_bars(bars, job.sweep, shards, progress=counted)
    budget = BUDGET if request.memory is None else request.memory
    return sweep_bars(bars, job.sweep, shards, threads=request.threads, budget=budget, progress=counted)


def write_part(parts: Parts, part: int, job: Job, found: Iterator[Found]) -> None:
    """Write one part, whole or not at all."""
    bars, _, _ = job.where(part)
    strategy = job.sweep.strategy
    schema = table_schema(strategy, job.plan["blocks"], job.plan["digest"])
    # statistics leave NaN out, and readers that trust them take NaN for a number
    exact = [field.name for field in schema if not pa.types.is_floating(field.type) and field.name != SUMS]
    packed = {field.name: "zstd" for field in schema if field.name != SUMS} | {f"{SUMS}.list.element": "none"}

    def write(file: Any) -> None:
        with pq.ParquetWriter(
            file, schema, compression=packed, write_statistics=exact, use_dictionary=["source", *strategy.params]
        ) as writer:
            for item in found:
                writer.write_batch(batch(bars.source, item, schema, strategy))

    with telling_disk_errors(parts.folder):
        make_folder(parts.part(part).parent)
        write_whole(parts.part(part), write)


def named_folder(store: Store, name: str) -> Path:
    """Return the folder of a run, its name checked."""
    legal = 0 < len(name) <= 100 and all(c.isalnum() or c in "._-" for c in name) and not name.startswith(".")
    if not legal:
        raise Usage(f'run name "{name}": expected 1 to 100 letters, digits, "-", "_" and "."')
    return runs_folder(store) / name


def refuse_other(folder: Path, plan: dict[str, Any]) -> None:
    """Refuse to put another sweep in the place of one that exists."""
    if not (folder / PLAN).exists():
        return
    try:
        before = Parts(folder).plan["digest"]
    except Failed:  # without a plan its parts are worth nothing
        (folder / PLAN).unlink()
        return
    if before != plan["digest"]:
        raise Usage(f"run {folder.name} exists with another plan (data, grid, costs or kernels): give another --name")
