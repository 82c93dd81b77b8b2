"""A walk-forward on disk: ``walks/NAME`` in the store, ``walk.json`` written last, so that it is there whole or not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from engine.manifest import without_nan
from engine.research.luck.ledger import Ledger
from engine.research.request import Request, job_of
from engine.research.run import named_folder
from engine.research.sweep import BUDGET
from engine.research.walk.forward import walk_forward
from engine.research.walk.told import course_frame, swept_names, told_of, trades_frame
from engine.research.walk.windows import Scheme, folds_of
from parquet_store import Store
from parquet_store.errors import Failed, Usage
from parquet_store.write import sole_writer, telling_disk_errors, write_whole

__all__ = ["Walk", "load_walk", "newest_walk", "run_walk", "walks"]

VERSION = 1
TOLD, COURSE, TRADES = "walk.json", "oos.parquet", "trades.parquet"
Progress = Callable[[int, int], None]


class Walk:
    """A finished walk-forward on disk.

    Attributes
    ----------
    name : str
    folder : Path
    told : dict
        What ``walk.json`` holds: ``strategy``, ``scheme``, ``costs``, ``plan`` (digest of the sweep behind it) and
        for each series in ``walks`` its ``folds``, ``oos`` (metrics), ``benchmark``, ``efficiency``.
    """

    def __init__(self, folder: Path) -> None:
        self.name, self.folder = folder.name, folder
        path = folder / TOLD
        again = "remove the folder and walk forward again"
        try:
            self.told: dict[str, Any] = json.loads(path.read_text())
            self.sources = [item["source"] for item in self.told["walks"]]
            self.digest, self.strategy = str(self.told["digest"]), str(self.told["strategy"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failed(f"{path}: not a walk-forward ({error}); {again}") from error
        for file in (COURSE, TRADES):
            if not (folder / file).is_file():
                raise Failed(f"{folder / file}: missing; {again}")

    def of(self, source: str) -> dict[str, Any]:
        """Return what is told of one series."""
        return next(item for item in self.told["walks"] if item["source"] == source)

    def course(self, source: str) -> pl.DataFrame:
        """Return the stitched account out of sample, one row a bar.

        Columns ``time`` (open of the bar, UTC), ``fold`` (from 1), ``equity`` (at the close, quote currency),
        ``return``, ``position`` (base currency after the close, negative when short), ``buy_and_hold`` (equity).
        """
        return pl.read_parquet(self.folder / COURSE).filter(pl.col("source") == source).drop("source")

    def trades(self, source: str) -> pl.DataFrame:
        """Return the closed trades out of sample, with the fold each belongs to; ``window_end``: sold at its end."""
        return pl.read_parquet(self.folder / TRADES).filter(pl.col("source") == source).drop("source")

    def as_json(self) -> dict[str, Any]:
        """Return all that is told; the keys of a single series stand at the top too."""
        data = {"walk": self.name, **self.told, "folder": str(self.folder)}
        return data | (self.told["walks"][0] if len(self.sources) == 1 else {})


def walks(store: Store) -> list[str]:
    """Return the names of the walk-forwards of a store, sorted."""
    return sorted(path.parent.name for path in (store.root / "walks").glob(f"*/{TOLD}"))


def load_walk(folder: Path) -> Walk:
    """Return the walk-forward in a folder.

    Raises
    ------
    Failed
        There is none, or its files are damaged.
    """
    return Walk(folder)


def newest_walk(store: Store, strategy: str, source: str, plan: str = "") -> Walk | None:
    """Return the walk-forward of a strategy on a series that was written last, None if there is none.

    Parameters
    ----------
    store : Store
    strategy : str
        What a plan calls it: its name, or the whole path of a user's file with its class.
    source : str
    plan : str
        Digest of a sweep's plan: the last of those that walk through this very grid goes before all others.
    """
    other = None
    folders = [store.root / "walks" / name for name in walks(store)]
    for folder in sorted(folders, key=lambda folder: (folder / TOLD).stat().st_mtime_ns, reverse=True):
        try:
            found = Walk(folder)
        except Failed:
            continue
        if found.strategy == strategy and source in found.sources:
            if not plan or found.told["plan"] == plan:
                return found
            other = other or found
    return other


def run_walk(store: Store, request: Request, scheme: Scheme, progress: Progress | None = None) -> Walk:
    """Walk forward on every series of a request and keep the outcome; what is kept already is returned as it is.

    Every combination counts as a trial in the store's ledger, once for the same sweep.

    Parameters
    ----------
    store : Store
    request : Request
        What is swept, as for a sweep; ``verify``, ``cluster`` and ``backend`` do not enter.
    scheme : Scheme
    progress : callable, optional
        Called with (done, total) rows of the sweep behind it.

    Raises
    ------
    Usage
        Anything in the request is unknown or impossible, the windows do not fit, or a walk-forward of that name has
        another plan.
    Failed
        The disk is full, a stored file is damaged, or another process works on it.
    """
    job = job_of(store, request)
    for bars in job.series:
        folds_of(len(bars), bars.bars_per_year, scheme)  # before the first of them is swept
    digest = _digest(job.plan["digest"], scheme)
    name = f"{job.sweep.strategy.name}-{digest[:8]}" if request.name is None else request.name
    folder = store.root / "walks" / named_folder(store, name).name
    with sole_writer(folder, wait=False):
        before = _kept(folder, digest)
        if before is not None:
            return before
        total, done = job.sweep.space.count() * len(job.series), 0

        def counted(more: int) -> None:
            nonlocal done
            done += more
            if progress is not None:
                progress(done, total)

        made = []
        for bars in job.series:
            budget = BUDGET if request.memory is None else request.memory
            found = walk_forward(bars, job.sweep, scheme, threads=request.threads, budget=budget, progress=counted)
            Ledger(store.root).record(replace(found.trials, plan=job.plan["digest"]))
            made.append(found)
        told = {
            "version": VERSION,
            "digest": digest,
            "plan": job.plan["digest"],
            "strategy": job.plan["strategy"],
            "swept": swept_names(job.plan["space"]),
            "scheme": scheme.as_json(),
            "costs": job.plan["costs"],
            "sizing": job.plan["sizing"],
            "walks": [told_of(found) for found in made],
        }
        course, trades = (pl.concat([frame(found) for found in made]) for frame in (course_frame, trades_frame))
        text = json.dumps(without_nan(told), indent=1, allow_nan=False)
        with telling_disk_errors(folder):
            write_whole(folder / COURSE, lambda file: course.write_parquet(file))
            write_whole(folder / TRADES, lambda file: trades.write_parquet(file))
            write_whole(folder / TOLD, lambda file: file.write(text.encode()))
    return Walk(folder)


def _digest(plan: str, scheme: Scheme) -> str:
    text = json.dumps({"version": VERSION, "plan": plan, "scheme": scheme.as_json()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _kept(folder: Path, digest: str) -> Walk | None:
    """Return what is kept of this plan, None where nothing is; refuse another plan's place."""
    if not (folder / TOLD).exists():
        return None
    try:
        before = Walk(folder)
    except Failed:  # what cannot be read is made again
        return None
    if before.digest != digest:
        raise Usage(
            f"walk-forward {folder.name} exists with another plan (data, grid, windows, costs or kernels): "
            "give another --name"
        )
    return before
