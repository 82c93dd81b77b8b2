"""Tasks on a cluster: a bounded number under way, and again where a worker died."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from engine.research.cluster.connect import ends_with_us, slots
from parquet_store.errors import Failed

__all__ = ["TRIES", "replies"]

TRIES = 5  # of a task whose workers die, before it is given up
AHEAD = 2  # tasks under way for each that can run: a worker that ends one finds the next
LOOK_SECONDS = 5.0  # between two looks at how large the cluster is

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


def replies(
    ray: Any, submit: Callable[[K], Any], keys: Iterable[K], threads: int, kind: str = "task"
) -> Iterator[tuple[K, Any]]:
    """Run a task for each key and yield (key, what it returned) as they end.

    A task whose worker or machine died, or whose result was lost with it, is submitted again.  When the caller stops,
    for an error or Ctrl-C, the tasks under way are ended: here, or with the cluster if it ends with the sweep.

    Parameters
    ----------
    ray : module
    submit : callable
        Starts the task of a key; returns Ray's reference to its result.
    keys : iterable
    threads : int
        Processors each task takes.
    kind : str
        What a key names, for messages.

    Raises
    ------
    Failed
        The workers of one task died ``TRIES`` times.
    """
    from ray import exceptions

    lost = (
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.ObjectLostError,
        exceptions.LocalRayletDiedError,
    )
    waiting = iter(keys)
    running: dict[Any, K] = {}
    tries: dict[K, int] = {}
    room, looked = AHEAD * slots(ray, threads), time.monotonic()
    try:
        while True:
            if time.monotonic() - looked > LOOK_SECONDS:
                room, looked = AHEAD * slots(ray, threads), time.monotonic()
            for key in itertools.islice(waiting, max(0, room - len(running))):
                running[submit(key)] = key
            if not running:
                return
            ended, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
            for reference in ended:
                key = running.pop(reference)
                try:
                    reply = ray.get(reference)
                except lost as error:
                    tries[key] = tries.get(key, 0) + 1
                    if tries[key] >= TRIES:
                        raise Failed(_given_up(kind, key, error)) from error
                    log.info("%s %s: its worker died (%s); it is computed again", kind, key, type(error).__name__)
                    running[submit(key)] = key
                except exceptions.RayTaskError as error:
                    cause = error.cause
                    raise (cause if isinstance(cause, BaseException) else error) from error
                else:
                    yield key, reply
    finally:
        if not ends_with_us():  # else all end with it; and to cancel a task that is just done can bring the driver down
            for reference in running:
                ray.cancel(reference, force=True)


def _given_up(kind: str, key: Any, error: BaseException) -> str:
    said = (str(error).strip().splitlines() or [""])[0]
    return (
        f"{kind} {key}: its worker died {TRIES} times, the last time with {type(error).__name__} ({said}); the machine "
        "may be short of memory: give less with --memory, or look into the cluster's logs; what was written stays"
    )
