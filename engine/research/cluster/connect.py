"""The way to Ray: a cluster that runs, or a local one that starts and ends with the sweep."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from parquet_store.errors import Failed, Usage

__all__ = ["check_address", "connected", "ends_with_us", "require", "slots"]

ADDRESS = re.compile(r"local|auto|(ray://)?[A-Za-z0-9._-]+:\d+|(ray://)?\[[0-9a-fA-F:]+\]:\d+")
ANSWER_SECONDS = 10.0
CLIENT_TRIES = 3
SERVER_DIED = "Initialization failure from server"  # a race in Ray's client server, ray-project/ray#63202
STORE_LEAST = 100 * 2**20  # bytes; Ray itself wants 75 MB

_own: list[str] = []  # the address, while a cluster that was started here runs


def require() -> None:
    """Raise ``Usage`` if Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise Usage('--cluster needs Ray: pip install "lockstep-engine[cluster]"')


def check_address(address: str) -> None:
    """Raise ``Usage`` if this cannot be the address of a cluster."""
    if not ADDRESS.fullmatch(address):
        raise Usage(
            f'--cluster "{address}": expected local, ray://HOST:10001, or HOST:6379 on a machine of the cluster'
        )


@contextmanager
def connected(address: str, size: int = 0) -> Iterator[Any]:
    """Connect to a cluster, or start a local one, and yield the module ``ray``; afterwards let go of it.

    A connection that exists already, as in a notebook, is used and left as it is.

    Parameters
    ----------
    address : str
        ``local``, ``ray://host:10001``, ``host:6379`` or ``auto``.
    size : int
        Bytes that will be put into the object store; a local one is made to hold them twice.

    Raises
    ------
    Usage
        Ray is not installed, or the address is none.
    Failed
        No cluster answers there.
    """
    check_address(address)
    require()
    _answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing about a sweep is told to anyone
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its coming default, which it else warns of
    import ray

    if ray.is_initialized():
        yield ray
        return
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address == "local":
        store = max(STORE_LEAST, 2 * size + STORE_LEAST // 2)
        quiet |= {"include_dashboard": False, "num_cpus": os.cpu_count() or 1, "object_store_memory": store}
    before = signal.getsignal(signal.SIGTERM)
    _begin(ray, address, quiet)
    try:
        if address == "local":
            _own.append(address)
        yield ray
    except ConnectionError as error:
        raise Failed(
            f"--cluster {address}: the connection was lost ({_first(error)}); what was written stays"
        ) from error
    finally:
        _own.clear()
        ray.shutdown()
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)  # Ray puts its own in its place


def ends_with_us() -> bool:
    """Return whether the cluster was started by ``connected`` and ends with it, and all its tasks then too."""
    return bool(_own)


def slots(ray: Any, threads: int) -> int:
    """Return how many tasks of so many threads the cluster can run at one time, now.

    Raises
    ------
    Usage
        No machine of it has so many processors.
    """
    alive = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    if alive and max(alive) < threads:
        raise Usage(f"--threads {threads}: the largest machine of the cluster has {max(alive):g} processors for Ray")
    return max(1, sum(int(count // threads) for count in alive))


def _begin(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    for left in reversed(range(CLIENT_TRIES if address.startswith("ray://") else 1)):
        try:
            with _no_notices():
                ray.init(address, **quiet)
            return
        except (ConnectionError, OSError, RuntimeError, TimeoutError, ValueError) as error:
            ray.shutdown()
            hint = f"is Ray {ray.__version__} running there, and does it know RAY_AUTH_TOKEN?"
            if SERVER_DIED in str(error):
                if left:
                    continue
                hint = "start the cluster's head with GRPC_ENABLE_FORK_SUPPORT=0 in its environment"
            raise Failed(f"--cluster {address}: {_first(error)}; {hint}") from error


@contextmanager
def _no_notices() -> Iterator[None]:
    """Keep Ray from starting the thread that prints of dead workers to stdout, where a JSON document may have to be."""
    from ray._private import worker

    before = getattr(worker, "listen_error_messages", None)
    if before is None:
        yield
        return
    worker.listen_error_messages = lambda *_: None
    try:
        yield
    finally:
        worker.listen_error_messages = before


def _answers(address: str) -> None:
    """Raise ``Failed`` where nothing listens; Ray itself would try for minutes."""
    if address in ("local", "auto"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise Failed(
            f"--cluster {address}: nothing answers there ({error.args[-1]}); start Ray on that machine with "
            "`ray start --head`, or give another address"
        ) from error


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
