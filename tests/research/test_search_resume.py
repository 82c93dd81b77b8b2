"""A search gives the same trials however it was stopped, also by a kill, and in whatever storage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.research.search import Search, load_search, run_search, searches
from engine.research.table import Run
from parquet_store import Failed, Store, Usage
from tests.data import ROOT
from tests.parquet_store.made import made_bars
from tests.research.test_search import FREE, MADE, counted, trials

pytest.importorskip("optuna")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.append(MADE, made_bars(900, "1d", start="2019-01-01", seed=5))
    return made


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "cmaes"])
def test_the_same_seed_gives_the_same_trials_however_it_was_stopped(store: Store, sampler: str) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    asked = Search(replace(FREE, name="whole"), trials=70, batch=16, sampler=sampler, seed=3)
    run_search(store, asked)
    for total in (20, 45, 70):
        some = replace(asked.request, name="parts", threads=1 + total % 2)
        run_search(store, replace(asked, request=some, trials=total))
    assert trials(store, "parts").equals(trials(store, "whole"))
    other = Search(replace(FREE, name="other"), trials=70, batch=16, sampler=sampler, seed=4)
    run_search(store, other)
    assert not trials(store, "other").equals(trials(store, "whole"))


KILLED = """
import os, signal, sys
from pathlib import Path
from engine.research.search import drive, run_search, storage
from parquet_store import Store
from tests.research import test_search as made

append, left = storage.Kept.append, int(sys.argv[2])

def dying(self, trials, before):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, trials, before)

storage.Kept.append = dying
run_search(Store(Path(sys.argv[1])), made.Search(made.replace(made.FREE, name="killed"), trials=80, batch=16, seed=7))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_search_that_is_killed_goes_on_to_the_trials_of_an_undisturbed_one(store: Store) -> None:
    for batches in (1, 2):
        line = [sys.executable, "-c", KILLED, str(store.root), str(batches)]
        done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert searches(store) == ["killed"]
    before = counted(store)
    assert 0 < before <= 3 * 16
    with pytest.raises(Failed, match="not finished"):
        load_search(store.root / "searches" / "killed")
    with pytest.raises(Usage, match="search killed: not finished; run the same lockstep search again"):
        Run.open(store, "killed")
    asked = Search(replace(FREE, name="killed"), trials=80, batch=16, seed=7)
    run_search(store, asked)
    run_search(store, replace(asked, request=replace(FREE, name="whole")))
    assert trials(store, "killed").equals(trials(store, "whole"))
    assert trials(store, "killed").height == 80


def test_any_storage_of_optuna_may_keep_the_trials(store: Store, tmp_path: Path) -> None:
    import optuna

    run_search(store, Search(replace(FREE, name="own"), trials=24, batch=8))
    for name, address in (("sql", f"sqlite:///{tmp_path}/x.db"), ("log", f"journal:{tmp_path}/x.log")):
        for total in (12, 24):
            asked = Search(replace(FREE, name=name), trials=total, batch=8, storage=address)
            run_search(store, asked)
        assert trials(store, name).equals(trials(store, "own"))
    study = optuna.load_study(study_name="sql", storage=f"sqlite:///{tmp_path}/x.db")
    frame = trials(store, "sql")
    assert len(study.trials) == 24
    for trial, row in zip(study.trials, frame.rows(named=True), strict=True):
        assert trial.state.name.lower() == row["state"]
        assert trial.params["rsi_length"] == row["rsi_length"]
        if row["state"] == "complete":
            assert trial.value == row["sharpe"]
