"""A sweep on a cluster has the table of a local one, byte for byte, whatever becomes of its workers."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.research import request as request_module
from engine.research.cluster import cluster_evaluator, drive
from engine.research.cluster.connect import check_address, connected, slots
from engine.research.cluster.parcel import Parcel, parcel_of, sweep_of
from engine.research.cluster.pool import TRIES, replies
from engine.research.cluster.work import compute_part
from engine.research.parts import Parts
from engine.research.request import Request, job_of
from engine.research.run import resume_sweep, run_sweep
from engine.research.shard import Shard
from engine.research.sweep import sweep_bars
from engine.research.table import Run
from engine.simulate import Costs
from parquet_store import Failed, Store, Usage
from tests.data import ROOT
from tests.parquet_store.made import made_bars

RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not RAY or os.name != "posix", reason="Ray comes with the extra cluster")
# Ray leaves the sockets and log files of its processes to the collector
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MADE = "made:A/B:1h"
ROWS = 1_000
MINE = """
from engine.graph import Bar, Param, Signals, Strategy, ta


class Mine(Strategy):
    length = Param(7, low=2, high=500)

    def signals(self, bar: Bar) -> Signals:
        rsi = ta.rsi(bar.close, self.length)
        return Signals(entry=rsi < 30.0, exit=rsi > 50.0)
"""
REQUEST = Request(
    strategy="mean_reversion",
    values={
        "rsi_length": [float(v) for v in range(3, 15)],
        "oversold": [float(v) for v in range(20, 45)],
        "overbought": [float(v) for v in range(55, 75)],
        "stop_atr": [0.0, 2.0],
    },
    sources=(MADE,),
    costs=Costs(),
)
KIND = ("RAY_worker_niceness", "0")  # else Ray's workers give way to whatever else runs, such as the other tests
CHILD = """
import sys
from pathlib import Path
from tests.research import test_cluster
test_cluster.begin(Path(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*KIND)
        with connected("local") as module:
            yield module


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("cluster") / "store")
    made.append(MADE, made_bars(8_000, seed=3))
    return made


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_module, "LEAST", ROWS)
    monkeypatch.setattr(request_module, "PART_WORK", 1)


@pytest.fixture(scope="module")
def whole(store: Store) -> dict[str, bytes]:
    """The table of the sweep as this process computes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_module, "LEAST", ROWS)
        patch.setattr(request_module, "PART_WORK", 1)
        run_sweep(store, replace(REQUEST, name="whole"))
    found = table_of(store, "whole")
    assert len(found) == 12
    return found


def table_of(store: Store, name: str) -> dict[str, bytes]:
    folder = Run.open(store, name).folder / "results"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def workers_at(task: str, of: set[int]) -> list[int]:
    """Return those of some processes that are at work on a task, by the title Ray gives them."""
    found = []
    for pid in of:
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        except OSError:
            continue
        if title.startswith(f"ray::{task}"):
            found.append(pid)
    return found


def workers_of(driver: int) -> set[int]:
    """Return the Ray workers below a process."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, queue = set(), [driver]
    while queue:
        above = queue.pop()
        below = [pid for pid, parent in parents.items() if parent == above]
        found.update(below)
        queue += below
    return found


@needs_ray
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
def test_a_sweep_whose_workers_are_killed_equals_the_local_one(
    store: Store,
    whole: dict[str, bytes],
    ray: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    killed: list[int] = []
    begun = threading.Event()

    def kill() -> None:
        begun.wait(60.0)
        until = time.monotonic() + 60.0
        while len(killed) < 2 and time.monotonic() < until:
            for pid in workers_at("compute_part", workers_of(os.getpid()) - set(killed))[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.01)

    told: list[int] = []

    def progress(done: int, total: int) -> None:
        told.append(done)
        if done:
            begun.set()

    killer = threading.Thread(target=kill)
    killer.start()
    with caplog.at_level(logging.INFO, logger="engine.research.cluster.pool"):
        summary = run_sweep(store, replace(REQUEST, name="killed", cluster="local"), progress)
    killer.join()
    assert len(killed) == 2
    assert sum("is computed again" in message for message in caplog.messages) >= 1
    assert summary.combos == 12_000
    assert told == [ROWS * k for k in range(13)]  # a part counts once, however often it was begun
    assert table_of(store, "killed") == whole
    assert capfd.readouterr().out == ""  # a JSON document would have to be the only thing there
    assert not [path for path in (store.root / "runs" / "killed").rglob("*") if path.name.endswith(".tmp")]


@needs_ray
def test_another_machine_needs_neither_the_folder_nor_the_strategys_file(
    store: Store, tmp_path: Path, ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine_here.py"
    mine.write_text(MINE)
    request = replace(REQUEST, strategy=f"{mine}:Mine", values={"length": [float(v) for v in range(2, 402)]})
    monkeypatch.setattr(request_module, "LEAST", 100)
    run_sweep(store, replace(request, name="here"))

    @contextmanager
    def unseen(parts: Parts) -> Iterator[str]:
        yield "a-mark-that-is-not-there"

    def elsewhere(*given: Any) -> Parcel:
        made = parcel_of(*given)
        return replace(made, plan=made.plan | {"strategy": "/no/such/place/mine_there.py:Mine"})

    monkeypatch.setattr(drive, "_marked", unseen)
    monkeypatch.setattr(drive, "parcel_of", elsewhere)
    run_sweep(store, replace(request, name="there", cluster="local"))
    assert len(table_of(store, "here")) == 4
    assert table_of(store, "there") == table_of(store, "here")


@needs_ray
def test_parts_that_did_not_arrive_are_sent_as_bytes(
    store: Store, whole: dict[str, bytes], tmp_path: Path, ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan.json").write_bytes((store.root / "runs" / "whole" / "plan.json").read_bytes())

    def astray(*given: Any) -> Parcel:
        made = parcel_of(*given)
        (tmp_path / made.mark).touch()
        return replace(made, folder=str(tmp_path))

    monkeypatch.setattr(drive, "parcel_of", astray)
    run_sweep(store, replace(REQUEST, name="astray", cluster="local"))
    assert table_of(store, "astray") == whole
    assert {path.name for path in (tmp_path / "results").iterdir()} == set(whole)


@needs_ray
def test_the_sweeps_own_errors_come_back_as_they_are(store: Store, tmp_path: Path, ray: Any) -> None:
    file = tmp_path / "shorts.py"
    both = MINE.replace("Mine", "Shorts").replace(
        "rsi > 50.0)", "rsi > 50.0, short_entry=rsi > 70.0, short_exit=rsi < 50.0)"
    )
    file.write_text(both)
    request = replace(REQUEST, strategy=f"{file}:Shorts", values={"length": [3.0, 4.0]})
    messages = []
    for how in (None, "local"):
        with pytest.raises(Usage, match="goes short, a spot market does not") as caught:
            run_sweep(store, replace(request, name=f"shorts-{how}", cluster=how))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@needs_ray
def test_a_task_whose_workers_always_die_is_given_up(ray: Any) -> None:
    def die(key: int) -> int:
        if key == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return key

    task = ray.remote(die).options(max_retries=0)
    with pytest.raises(Failed, match=rf"part 1: its worker died {TRIES} times, the last time with WorkerCrashedError"):
        list(replies(ray, lambda key: task.remote(key), range(3), 1, "part"))


@needs_ray
def test_an_error_of_the_code_is_raised_as_itself(ray: Any) -> None:
    def divide(key: int) -> float:
        return 1 / key

    task = ray.remote(divide).options(max_retries=0)
    with pytest.raises(ZeroDivisionError):
        list(replies(ray, lambda key: task.remote(key), [1, 0], 1))


@needs_ray
def test_more_threads_than_a_machine_has_are_refused(ray: Any) -> None:
    assert slots(ray, 1) == (os.cpu_count() or 1)
    with pytest.raises(Usage, match=r"--threads 999: the largest machine of the cluster has"):
        slots(ray, 999)


@needs_ray
def test_points_come_to_what_they_come_to_here(store: Store, ray: Any) -> None:
    job = job_of(store, REQUEST)
    rng = np.random.default_rng(7)
    size = 500
    columns = {name: np.full(size, values[0]) for name, values in job.sweep.space.values.items()}
    columns |= {
        "rsi_length": rng.integers(3, 40, size).astype(float),
        "oversold": np.round(rng.uniform(15, 45, size), 6),
    }
    third = job.series[0].slice(0, len(job.series[0]) // 3)
    with cluster_evaluator(job, "local") as evaluate:
        for bars, found in ((job.series[0], evaluate(columns)), (third, evaluate(columns, third))):
            shard = Shard.of_points(np.arange(size), columns)
            (here,) = sweep_bars(bars, job.sweep, [shard], threads=1)
            assert np.isfinite(here.metrics).any()
            for name in ("metrics", "sums", "lists"):
                assert getattr(found, name).tobytes() == getattr(here, name).tobytes()
            np.testing.assert_array_equal(found.shard.column("oversold"), columns["oversold"])


def test_a_worker_with_other_code_is_refused(store: Store) -> None:
    job = job_of(store, REQUEST)
    parcel = parcel_of(job, 1, None)
    other = replace(parcel, versions=("kernels 0123", *parcel.versions[1:]))
    reply = compute_part(other, job.series[0], 0)
    assert isinstance(reply.error, Failed)
    assert "kernels 0123 here and kernels" in str(reply.error)
    assert "install the same lockstep-engine" in str(reply.error)
    changed = replace(parcel, plan=parcel.plan | {"graph": "0" * 64, "digest": "other"})
    with pytest.raises(Failed, match="mean_reversion means something else there"):
        sweep_of(changed)


def test_an_address_that_is_none_is_refused() -> None:
    for address in ("local", "auto", "ray://head:10001", "10.0.0.1:6379", "ray://[::1]:10001"):
        check_address(address)
    for address in ("", "locale", "http://head:1", "ray://head", "head", "ray://:10001"):
        with pytest.raises(Usage, match="expected local, ray://HOST:10001"):
            check_address(address)


@needs_ray
def test_a_cluster_that_is_not_there_is_said_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        start = time.monotonic()
        with (
            pytest.raises(Failed, match=r"nothing answers there \(Connection refused\)"),
            connected(f"ray://127.0.0.1:{port}"),
        ):
            pass
        assert time.monotonic() - start < 20.0


def test_without_ray_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Usage, match=r'pip install "lockstep-engine\[cluster\]"'), connected("local"):
        pass


def begin(root: Path, name: str) -> None:
    """Sweep on a local cluster, in a process of its own that says how far it is and ends as the command does."""
    from engine.cli import app

    request_module.LEAST, request_module.PART_WORK = ROWS, 1
    words = ["sweep", "mean_reversion", "--data", MADE, "--name", name, "--cluster", "local", "--store", str(root)]
    for key, values in REQUEST.values.items():
        words += ["--param", f"{key}={','.join(map(str, values))}"]
    raise SystemExit(app.run(words))


@needs_ray
def test_a_sweep_that_was_interrupted_is_gone_on_with_locally(store: Store, whole: dict[str, bytes]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store.root), "stopped"],
        cwd=ROOT, env=os.environ | dict([KIND]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    results = store.root / "runs" / "stopped" / "results"
    until = time.monotonic() + 120.0
    while not list(results.glob("part-*.parquet")) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "interrupted: what was stored before is intact" in said
    assert "Traceback" not in said
    done = len(Parts(results.parent).done)
    assert 0 < done < len(whole)
    resume_sweep(store, "stopped")
    assert table_of(store, "stopped") == whole
