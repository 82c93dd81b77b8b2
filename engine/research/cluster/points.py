"""Free points on a cluster: the objective of a search, evaluated in batches over the workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.research.cluster.connect import connected, slots
from engine.research.cluster.drive import bytes_of
from engine.research.cluster.parcel import parcel_of
from engine.research.cluster.pool import replies
from engine.research.cluster.work import evaluate_points
from engine.research.request import Job
from engine.research.shard import Shard
from engine.research.sweep import Found
from pipelines import Bars

__all__ = ["Evaluator", "cluster_evaluator"]

LEAST = 64  # points of a task: fewer cost more on the way than they take


class Evaluator:
    """Evaluates batches of points over the workers of a cluster; the figures are those of a local sweep."""

    def __init__(self, ray: Any, job: Job, threads: int, memory: int | None) -> None:
        self._ray, self._job, self._threads = ray, job, threads
        self._parcel = ray.put(parcel_of(job, threads, memory))
        self._task = ray.remote(evaluate_points).options(num_cpus=threads, max_retries=0)
        self._data: dict[tuple[str, str], Any] = {}

    def __call__(
        self,
        columns: Mapping[str, NDArray[np.float64]],
        bars: Bars | None = None,
        bounds: NDArray[np.int64] | None = None,
    ) -> Found:
        """Return what the points come to, in their order.

        Parameters
        ----------
        columns : mapping of str to ndarray of float64, shape (m,)
            Each parameter's value of each point.
        bars : Bars, optional
            The job's first series if not given; any other, as its first third, is put into the object store once.
        bounds : ndarray of int64, shape (blocks + 1,), optional
            As for ``sweep_bars``.

        Raises
        ------
        Usage, Failed
            As ``sweep_bars``, and when workers die again and again.
        """
        bars = self._job.series[0] if bars is None else bars
        known = bars.source, bars.fingerprint
        if known not in self._data:
            self._data[known] = self._ray.put(bars)
        data = self._data[known]
        whole = Shard.of_points(np.arange(len(next(iter(columns.values())))), columns)
        count = min(slots(self._ray, self._threads), max(1, len(whole) // LEAST))
        ends = np.arange(count + 1) * len(whole) // count

        def submit(k: int) -> Any:
            some = {name: column[ends[k] : ends[k + 1]] for name, column in columns.items()}
            return self._task.remote(self._parcel, data, some, bounds)

        found: dict[int, Found] = {}
        for k, reply in replies(self._ray, submit, range(count), self._threads, "batch"):
            if reply.error is not None:
                raise reply.error
            found[k] = reply.found
        pieces = [found[k] for k in range(count)]
        return Found(
            whole,
            np.concatenate([piece.metrics for piece in pieces]),
            np.concatenate([piece.sums for piece in pieces]),
            np.concatenate([piece.lists for piece in pieces]),
        )


@contextmanager
def cluster_evaluator(
    job: Job, address: str = "local", threads: int | None = None, memory: int | None = None
) -> Iterator[Evaluator]:
    """Connect to a cluster (or start a local one) and yield a callable that evaluates batches of points of a job.

    Parameters
    ----------
    job : Job
        Its strategy, costs and size rule are what is evaluated; its space plays no part.
    address : str
        As for ``--cluster``.
    threads : int, optional
        Processors of one batch; 1 if not given.
    memory : int, optional
        Bytes for columns and bitmaps of one batch.
    """
    with connected(address, 2 * sum(map(bytes_of, job.series))) as ray:
        yield Evaluator(ray, job, threads or 1, memory)
