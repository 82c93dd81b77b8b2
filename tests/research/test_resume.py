"""A sweep that is killed at any moment goes on, and its table is that of an undisturbed run, byte for byte."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.research import request as request_module
from engine.research.parts import LIST, SUMS
from engine.research.run import Request, resume_sweep, run_sweep
from engine.research.table import Run, runs
from engine.simulate import Costs
from parquet_store import Failed, Store, Usage
from tests.data import ROOT
from tests.parquet_store.made import made_bars

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

MADE = "made:A/B:1h"
ROWS = 1_000  # of a part: many parts, so that a kill falls into any state of one
KILLS = int(os.environ.get("LOCKSTEP_KILLS", "8"))  # twenty take a minute
REQUEST = Request(
    strategy="mean_reversion",
    values={
        "rsi_length": [float(v) for v in range(3, 23)],
        "oversold": [float(v) for v in range(20, 45)],
        "overbought": [55.0, 60.0, 70.0],
        "band_width": [1.0, 1.5],
        "stop_atr": [0.0, 2.0],
    },
    sources=(MADE,),
    costs=Costs(),
)
FORKS = """
import os, sys
from pathlib import Path
import duckdb, numpy, pandas, polars, pyarrow.dataset
from engine.kernels import STEPS
from engine.kernels.column import column
from tests.research import test_resume

column(STEPS["ema"], [numpy.ones(3)], (2,))  # the compiler is loaded, no thread is begun
for line in sys.stdin:  # a run's name each: a process of its own goes on with it
    child = os.fork()
    if child == 0:
        test_resume.begin(Path(sys.argv[1]), line.strip())
        os._exit(0)
    print("pid", child, flush=True)
    _, status = os.waitpid(child, 0)
    print("ended", os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.append(MADE, made_bars(4_000, seed=3))
    return made


@pytest.fixture(autouse=True)
def _small_parts() -> Iterator[None]:
    before = request_module.LEAST, request_module.PART_WORK
    request_module.LEAST, request_module.PART_WORK = ROWS, 1
    yield
    request_module.LEAST, request_module.PART_WORK = before


def begin(root: Path, name: str) -> None:
    """Sweep or go on, in a process of its own that says how far it is."""
    request_module.LEAST, request_module.PART_WORK = ROWS, 1
    store = Store(root)

    def told(done: int, total: int) -> None:
        print(done, flush=True)

    if name in runs(store):
        resume_sweep(store, name, told)
    else:
        run_sweep(store, replace(REQUEST, name=name), told)


def table_of(store: Store, name: str) -> dict[str, bytes]:
    folder = Run.open(store, name).folder / "results"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def forks(store: Store) -> Iterator[subprocess.Popen[str]]:
    """A process that forks one for each name it is given."""
    line = [sys.executable, "-c", FORKS, str(store.root)]
    with subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def killed(forks: subprocess.Popen[str], name: str, lines: int, after: float) -> bool:
    """Start or continue the run and kill it a while after it told so many lines; return whether it came to that."""
    assert forks.stdin is not None
    assert forks.stdout is not None
    forks.stdin.write(f"{name}\n")
    forks.stdin.flush()
    word, pid = forks.stdout.readline().split()
    assert word == "pid"
    told = ""
    for _ in range(lines):
        told = forks.stdout.readline()
        if told.startswith("ended"):
            break
    else:
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(int(pid), signal.SIGKILL)
    while not told.startswith("ended"):
        told = forks.stdout.readline()
        assert told
    status = int(told.split()[1])
    assert status in (0, -signal.SIGKILL)
    return status == -signal.SIGKILL


@pytest.mark.slow
def test_a_sweep_killed_again_and_again_has_the_table_of_an_undisturbed_one(
    store: Store, forks: subprocess.Popen[str]
) -> None:
    run_sweep(store, replace(REQUEST, name="whole"))
    whole = table_of(store, "whole")
    assert len(whole) == 6
    rng = random.Random(5)
    kills, names, partial = 0, ["run0"], 0
    while kills < KILLS:
        name = names[-1]
        if killed(forks, name, rng.randint(1, 4), rng.uniform(0.0, 0.03)):
            kills += 1
            there = len(Run(store.root / "runs" / name).done) if name in runs(store) else 0
            partial += 0 < there < len(whole)
        if name in runs(store) and Run(store.root / "runs" / name).finished:
            names.append(f"run{len(names)}")
    assert partial >= KILLS // 8  # the kills did fall into the work
    for name in names:
        if name in runs(store):
            summary = resume_sweep(store, name)
            assert summary.combos == 6_000
            assert table_of(store, name) == whole
            assert [path for path in (store.root / "runs" / name).rglob("*") if path.name.endswith(".tmp")] == []


def test_going_on_with_a_finished_run_says_the_same_again(store: Store) -> None:
    first = run_sweep(store, replace(REQUEST, name="done"))
    before = table_of(store, "done")
    again = resume_sweep(store, "done")
    assert again.as_json() == first.as_json()
    assert run_sweep(store, replace(REQUEST, name="done")).as_json() == first.as_json()
    assert table_of(store, "done") == before
    (store.root / "runs" / "done" / "summary.json").unlink()  # killed after the last part
    told = resume_sweep(store, "done").as_json()
    assert (told["combo_bars_per_second"], told["best"]) == (None, first.as_json()["best"])
    assert resume_sweep(store, "done").as_json() == told
    with pytest.raises(Usage, match='unknown run "dome": did you mean "done"'):
        resume_sweep(store, "dome")


def test_a_missing_part_is_made_again_and_changed_data_is_refused(store: Store) -> None:
    run_sweep(store, replace(REQUEST, name="holed"))
    before = table_of(store, "holed")
    run = Run.open(store, "holed")
    run.part(3).unlink()
    with pytest.raises(
        Usage, match=r"not finished, 5 of 6 parts are there; go on with `lockstep sweep --resume holed`"
    ):
        Run.open(store, "holed")
    resume_sweep(store, "holed")
    assert table_of(store, "holed") == before
    run.part(3).unlink()
    store.append(MADE, store.read(MADE)[100:101].with_columns(pl.col("volume") + 1.0))
    with pytest.raises(Failed, match=r"run holed: sources changed since it was begun"):
        resume_sweep(store, "holed")


def test_a_part_of_another_plan_is_refused(store: Store) -> None:
    run_sweep(store, replace(REQUEST, name="one"))
    run_sweep(store, replace(REQUEST, name="two", costs=Costs(fee=0.002)))
    one, two = Run.open(store, "one"), Run.open(store, "two")
    one.part(2).write_bytes(two.part(2).read_bytes())
    with pytest.raises(Failed, match=r"part-000002.parquet: belongs to another plan; remove the file"):
        Run.open(store, "one")


def test_block_sums_and_trade_lists_are_found_by_number(store: Store) -> None:
    run_sweep(store, replace(REQUEST, name="sums"))
    run = Run.open(store, "sums")
    frame = pl.read_parquet(run.files)
    scores = run.scores(MADE)
    np.testing.assert_array_equal(scores.combo, frame["combo"].to_numpy())
    np.testing.assert_array_equal(scores.lists, frame[LIST].to_numpy())
    np.testing.assert_array_equal(scores.sharpe, frame["sharpe"].to_numpy())
    wanted = np.array([5_999, 17, 2_345, 17, 0])
    found = run.block_sums(MADE, wanted)
    assert found.shape == (5, 16, 2)
    stored = np.array(frame[SUMS].to_list())
    np.testing.assert_array_equal(found.reshape(5, -1), stored[wanted])
    plan = json.loads((run.folder / "plan.json").read_text())
    assert plan["parts"] == [6]
    assert plan["part_rows"] == [1_000]
