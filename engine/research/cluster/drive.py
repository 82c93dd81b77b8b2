"""The driver of a sweep on a cluster: bars go out once, parts are computed anywhere and end up in the run's folder."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.research.cluster.connect import connected
from engine.research.cluster.parcel import parcel_of
from engine.research.cluster.pool import replies
from engine.research.cluster.work import compute_part
from engine.research.parts import Parts
from engine.research.request import Job, Request
from parquet_store.errors import Usage
from parquet_store.layout import TEMPORARY, leftovers
from parquet_store.write import make_folder, telling_disk_errors, write_whole
from pipelines import Bars

__all__ = ["bytes_of", "compute_on_cluster"]


def compute_on_cluster(
    parts: Parts, job: Job, request: Request, missing: list[int], counted: Callable[[int], None]
) -> None:
    """Let the workers of a cluster compute the missing parts of a run; the files are those of a local sweep.

    The bars are put into Ray's object store once.  A worker that sees the run's folder writes its parts itself; the
    others return the bytes of the file, and they are written here.  A part whose worker died is computed again.  What
    is written stays whatever happens, and the run can be gone on with here, locally or on another cluster.

    Parameters
    ----------
    parts : Parts
        The run's folder, held by this process alone.
    job : Job
    request : Request
        ``cluster`` is the address, ``threads`` the processors of one part (1 if not given), ``memory`` the bytes for
        columns and bitmaps of one part.
    missing : list of int
    counted : callable
        Called with the number of combinations of each part that ends.

    Raises
    ------
    Usage
        Ray is not installed, the address is none, or what the sweep itself refuses.
    Failed
        No cluster answers, the connection is lost, workers have other versions, or a part's workers die again and
        again.
    """
    if request.cluster is None:
        raise Usage("no cluster given: expected local or ray://HOST:10001")
    threads = request.threads or 1
    series = [bars for bars, count in zip(job.series, job.plan["parts"], strict=True) for _ in range(count)]
    with connected(request.cluster, sum(map(bytes_of, job.series))) as ray, _marked(parts) as mark:
        data = {id(bars): ray.put(bars) for bars in job.series}
        parcel = ray.put(parcel_of(job, threads, request.memory, parts.folder, mark))
        task = ray.remote(compute_part).options(num_cpus=threads, max_retries=0)
        unseen: set[int] = set()  # said to be written, but not seen here

        def submit(part: int) -> Any:
            return task.remote(parcel, data[id(series[part])], part, part in unseen)

        left = missing
        while left:
            for part, reply in replies(ray, submit, left, threads, "part"):
                if reply.error is not None:
                    raise reply.error
                if reply.content is not None:
                    _write(parts, part, reply.content)
                elif not parts.part(part).is_file():
                    unseen.add(part)
                    continue
                counted(reply.rows)
            left = [part for part in left if part in unseen and not parts.part(part).is_file()]


def bytes_of(bars: Bars) -> int:
    """Return how much room bars take in an object store."""
    return sum(getattr(bars, name).nbytes for name in ("number", "time", "open", "high", "low", "close", "volume"))


def _write(parts: Parts, part: int, content: bytes) -> None:
    with telling_disk_errors(parts.folder):
        make_folder(parts.part(part).parent)
        write_whole(parts.part(part), lambda file: file.write(content))


@contextmanager
def _marked(parts: Parts) -> Iterator[str]:
    """Put a file into the run's folder that shows workers that it is this folder; sweep up behind the dead ones."""
    mark: Path = parts.folder / f".{uuid.uuid4().hex}{TEMPORARY}"
    with telling_disk_errors(parts.folder):
        mark.touch()
    try:
        yield mark.name
    finally:
        for path in leftovers(parts.folder):
            path.unlink(missing_ok=True)
