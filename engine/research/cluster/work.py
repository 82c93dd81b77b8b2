"""What a worker does: one part of a run, or one batch of free points, by the code of a local sweep."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.research.cluster.parcel import Parcel, compile_once, how, reachable, sweep_of
from engine.research.parts import PLAN, Parts
from engine.research.request import Job
from engine.research.run import found_of, write_part
from engine.research.shard import Shard
from engine.research.sweep import Found, sweep_bars
from parquet_store.errors import LockstepError
from pipelines import Bars

__all__ = ["Reply", "compute_part", "evaluate_points"]


@dataclass(frozen=True)
class Reply:
    """What a worker answers.

    Attributes
    ----------
    rows : int
        Combinations computed.
    content : bytes, optional
        The part's file, where the worker could not write it itself.
    found : Found, optional
        Of free points.
    error : LockstepError, optional
        What the user should read; such an error is no failure of the worker.
    """

    rows: int = 0
    content: bytes | None = None
    found: Found | None = None
    error: LockstepError | None = None


def compute_part(parcel: Parcel, bars: Bars, part: int, send: bool = False) -> Reply:
    """Compute one part and write it to the run's folder if that is reachable, else return its bytes.

    Parameters
    ----------
    parcel : Parcel
    bars : Bars
        The series that the part belongs to.
    part : int
    send : bool
        Return the bytes in any case.
    """
    try:
        sweep = sweep_of(parcel)
        if parcel.plan["backend"] == "events":
            compile_once(bars, sweep, parcel)
        job = Job(sweep, [bars] * len(parcel.plan["parts"]), parcel.plan)  # it is asked for this part alone
        begin, end = job.where(part)[1:]
        rows = 0

        def counted(more: int) -> None:
            nonlocal rows
            rows += more

        with _folder(parcel, send or not reachable(parcel)) as (folder, own):
            parts = Parts(folder)
            write_part(parts, part, job, found_of(bars, job, how(parcel), sweep.space.shards(begin, end), counted))
            return Reply(rows, content=parts.part(part).read_bytes() if own else None)
    except LockstepError as error:
        return Reply(error=error)


def evaluate_points(
    parcel: Parcel, bars: Bars, columns: dict[str, NDArray[np.float64]], bounds: NDArray[np.int64] | None
) -> Reply:
    """Compute free points: ``columns`` holds each parameter's value of each point."""
    try:
        sweep = sweep_of(parcel)
        compile_once(bars, sweep, parcel)
        size = len(next(iter(columns.values())))
        shard = Shard.of_points(np.arange(size), columns)
        (found,) = sweep_bars(
            bars, sweep, [shard], bounds=bounds, threads=parcel.threads, budget=parcel.memory
        )  # fmt: skip
        return Reply(size, found=found)
    except LockstepError as error:
        return Reply(error=error)


@contextmanager
def _folder(parcel: Parcel, own: bool) -> Iterator[tuple[Path, bool]]:
    """Yield the run's folder, or one of the worker's own that is gone afterwards."""
    if not own:
        yield Path(parcel.folder), False
        return
    with tempfile.TemporaryDirectory(prefix="lockstep-part-") as name:
        (Path(name) / PLAN).write_text(json.dumps(parcel.plan))
        yield Path(name), True
