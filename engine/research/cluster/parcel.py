"""What travels to the workers: the plan, the text of a user's strategy, and the versions that make equal bytes."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.graph.program import Sizing
from engine.graph.resolve import signals_digest, steps_of
from engine.jit import cache_folder, kernel_sources
from engine.research.request import Job, Request
from engine.research.space import Space
from engine.research.sweep import BUDGET, Sweep, warm_up
from engine.simulate import Costs
from engine.strategies import find_strategy
from parquet_store.errors import Failed
from parquet_store.write import write_whole
from pipelines import Bars

__all__ = ["Parcel", "compile_once", "parcel_of", "sweep_of", "versions"]

_sweeps: dict[str, Sweep] = {}  # of this process, by the digest of the plan


@dataclass(frozen=True)
class Parcel:
    """What a worker needs beside the bars.

    Attributes
    ----------
    plan : dict
        As the run's folder holds it.
    text : bytes, optional
        The file of a user's strategy.
    folder : str
        The run's folder, as the driver calls it; empty if nothing is to be written.
    mark : str
        Name of a file in it that shows a worker that it sees the same folder.
    versions : tuple of str
        The driver's: what a worker must have too, so that results are equal to the byte.
    threads, memory : int
        Of one task.
    """

    plan: dict[str, Any]
    text: bytes | None
    folder: str
    mark: str
    versions: tuple[str, ...]
    threads: int
    memory: int


def parcel_of(job: Job, threads: int | None, memory: int | None, folder: Path | None = None, mark: str = "") -> Parcel:
    """Return what is sent to the workers of a job."""
    path, colon, _ = str(job.plan["strategy"]).rpartition(":")
    return Parcel(
        job.plan,
        Path(path).read_bytes() if colon else None,
        "" if folder is None else str(folder.resolve()),
        mark,
        versions(),
        threads or 1,
        BUDGET if memory is None else memory,
    )


def versions() -> tuple[str, ...]:
    """Return the versions that the bytes of a table depend on; the first is a digest of all compiled code."""
    import numba
    import numpy as np
    import pyarrow as pa

    digest = hashlib.sha256()
    for path in kernel_sources():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    python = ".".join(platform.python_version_tuple()[:2])
    return (
        f"kernels {digest.hexdigest()[:12]}",
        f"python {python}",
        f"numba {numba.__version__}",
        f"numpy {np.__version__}",
        f"pyarrow {pa.__version__}",
    )


def sweep_of(parcel: Parcel) -> Sweep:
    """Return the sweep of a parcel, on a worker.

    Raises
    ------
    Failed
        The worker has other versions, or the strategy means something else here.
    """
    plan = parcel.plan
    found = _sweeps.get(plan["digest"])
    if found is not None:
        return found
    here = versions()
    if here != parcel.versions:
        told = ", ".join(f"{a} here and {b} there" for a, b in zip(parcel.versions, here, strict=True) if a != b)
        raise Failed(
            f"worker {platform.node()}: {told}; install the same lockstep-engine and requirements.lock on every "
            "machine of the cluster, else tables would not be equal"
        )
    strategy = find_strategy(_address(parcel))
    space = Space.from_json(plan["space"], frozenset(plan["whole"]))
    sizing = None if plan["sizing"] is None else Sizing.from_json(plan["sizing"])
    made = Sweep(strategy, space, Costs.from_json(plan["costs"]), sizing)
    if signals_digest(made.drawn) != plan["graph"] or steps_of(made.drawn) != plan["kernels"]:
        raise Failed(
            f"worker {platform.node()}: {plan['strategy']} means something else there: a step or a file that it "
            "imports differs; make them equal on every machine of the cluster"
        )
    _sweeps.clear()
    _sweeps[plan["digest"]] = made
    return made


def _address(parcel: Parcel) -> str:
    """Return where a worker finds the strategy: at its own place if that file is there, else in a copy."""
    told = str(parcel.plan["strategy"])
    if parcel.text is None:
        return told
    path, _, attribute = told.rpartition(":")
    place = Path(path)
    try:
        there = place.read_bytes() == parcel.text
    except OSError:
        there = False
    if not there:
        # beside the compiled code: private to the user, and the same place for each worker of the machine
        folder = cache_folder().parent / f"strategies-{hashlib.sha256(parcel.text).hexdigest()[:16]}"
        place = folder / place.name
        if not place.exists():
            text = parcel.text
            write_whole(place, lambda file: file.write(text))
    known = sys.modules.get(place.stem)
    if known is not None and Path(getattr(known, "__file__", None) or "").parent.name.startswith("strategies-"):
        del sys.modules[place.stem]  # an earlier version of it, of another sweep
    return f"{place}:{attribute}"


def compile_once(bars: Bars, sweep: Sweep, parcel: Parcel) -> None:
    """Let one worker of each machine compile, while the others of it wait for the compiled code.

    What is left to compile after that (shapes of columns that first show up later) each worker finds by itself.
    """
    import filelock

    told = repr((parcel.versions, parcel.plan["graph"], parcel.plan["sizing"], platform.node()))
    marker = cache_folder() / f"{hashlib.sha256(told.encode()).hexdigest()[:16]}.warm"
    if marker.exists():
        return
    with filelock.FileLock(marker.with_suffix(".lock")):
        if not marker.exists():
            warm_up(bars, sweep)
            marker.touch()


def reachable(parcel: Parcel) -> bool:
    """Return whether the run's folder, the very one of the driver, can be written to from here."""
    folder = Path(parcel.folder)
    return bool(parcel.folder) and (folder / parcel.mark).is_file() and os.access(folder, os.W_OK)


def how(parcel: Parcel) -> Request:
    """Return the request that says how one task computes."""
    plan = parcel.plan
    return Request(
        plan["strategy"], {}, (), Costs.from_json(plan["costs"]), backend=plan["backend"], threads=parcel.threads,
        memory=parcel.memory,
    )  # fmt: skip
