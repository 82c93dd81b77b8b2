"""A search finds what the grid finds, with the sweep's figures; what it visits counts, keeps constraints, is drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.research.luck import Ledger
from engine.research.run import Request, run_sweep
from engine.research.search import Search, figures_of, load_search, run_search
from engine.research.search.evaluate import pruned
from engine.research.search.keep import front_of
from engine.research.search.plots import importance
from engine.research.table import Run
from engine.simulate import METRICS, Costs
from parquet_store import Failed, Store, Usage
from pipelines import load_bars
from tests.parquet_store.made import made_bars

pytest.importorskip("optuna")

MADE = "made:A/B:1d"
FIXED = {"overbought": [60.0], "stop_atr": [0.0], "var_limit": [0.0], "kelly_fraction": [0.0]}
GRID = Request(
    strategy="mean_reversion",
    values=FIXED | {"rsi_length": [float(v) for v in range(2, 14)], "oversold": [30.0, 35.0, 40.0, 45.0]}
    | {"band_width": [0.5, 1.0]},
    sources=(MADE,),
    costs=Costs(),
    threads=1,
)  # fmt: skip
FREE = replace(
    GRID, values=FIXED | {"band_width": [0.5, 1.0, 1.75]}, intervals={"rsi_length": (2, 20), "oversold": (25, 50)}
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.append(MADE, made_bars(900, "1d", start="2019-01-01", seed=5))
    return made


def trials(store: Store, name: str) -> pl.DataFrame:
    return load_search(store.root / "searches" / name).trials


def counted(store: Store) -> int:
    return Ledger(store.root).trials(MADE, 0, 1 << 60).trials


def test_the_optimum_of_the_grid_is_found_with_the_sweeps_figures(store: Store) -> None:
    swept = run_sweep(store, replace(GRID, name="grid"))
    grid = Run.open(store, "grid")
    told = run_search(store, Search(replace(GRID, name="found"), trials=160, batch=16, seed=1, pruning=False))
    assert told["best"]["metrics"]["sharpe"] == swept.best["metrics"]["sharpe"]
    assert told["points"] < swept.combos == 96
    found = Run.open(store, "found")
    rows = found.sql("select * from results order by combo")[1]
    assert len(rows) == told["points"]
    wanted = {row[1]: row for row in grid.sql("select * from results")[1]}
    assert all(row == wanted[row[1]] for row in rows)  # numbers of the grid, every parameter, metric and trade list
    combos = np.array([row[1] for row in rows])
    assert np.array_equal(found.block_sums(MADE, combos), grid.block_sums(MADE, combos))
    assert found.space.shard_of(combos).column("rsi_length").tolist() == [row[2] for row in rows]


def test_free_points_have_the_figures_a_sweep_of_them_has(store: Store) -> None:
    run_search(store, Search(replace(FREE, name="free"), trials=48, batch=16))
    rows = trials(store, "free").filter(pl.col("state") == "complete").unique("rsi_length").rows(named=True)
    for row in rows[:3]:
        values = {name: [float(row[name])] for name in ("rsi_length", "oversold", "band_width")}
        best = run_sweep(store, replace(GRID, values=FIXED | values)).best
        for name in METRICS:
            assert best["metrics"][name] == row[name], name
    run = Run.open(store, "free")
    best = run.best()
    names = ("rsi_length", "oversold", "band_width")
    assert run.find({name: best[name] for name in names})["combo"] == best["combo"]
    assert run.space.row(best["combo"]) == {name: float(best[name]) for name in run.space.values}


def test_constraints_hold_and_broken_points_cost_nothing(store: Store) -> None:
    asked = replace(FREE, where=("oversold > 2.5 * rsi_length",), name="kept")
    told = run_search(store, Search(asked, trials=64, batch=16, pruning=False))
    frame = trials(store, "kept")
    broken = frame.filter(pl.col("why") == "breaks a constraint")
    assert broken.height > 0
    assert (broken["oversold"] <= 2.5 * broken["rsi_length"]).all()
    assert set(broken["state"]) == {"pruned"}
    assert broken["sharpe"].null_count() == broken.height
    whole = frame.filter(pl.col("state") == "complete")
    assert (whole["oversold"] > 2.5 * whole["rsi_length"]).all()
    run = Run.open(store, "kept")
    assert run.sql("select count(*) from results where oversold <= 2.5 * rsi_length")[1] == [(0,)]
    assert counted(store) == told["verdict"]["trials"] <= 64 - broken.height


def test_trials_that_are_poor_early_are_pruned_and_count_all_the_same(store: Store) -> None:
    told = run_search(store, Search(replace(FREE, name="cut"), trials=64, batch=16, sampler="random", seed=2))
    frame = trials(store, "cut")
    assert told["pruned"] > 5
    assert frame.head(16).filter(pl.col("early").is_not_null())["state"].unique().to_list() == ["complete"]
    first = frame.head(16).filter(pl.col("state") == "complete")["early"].drop_nulls().median()
    for row in frame.slice(16, 16).rows(named=True):
        assert (row["state"] == "complete") == (row["early"] is not None and row["early"] >= first)
    everything = frame.select(list(Run.open(store, "cut").space.values)).unique().height
    assert counted(store) == everything == 64
    bars = load_bars(store, MADE)
    row = next(row for row in frame.rows(named=True) if row["state"] == "pruned" and row["early"] is not None)
    values = {name: [float(row[name])] for name in ("rsi_length", "oversold", "band_width")}
    early = replace(GRID, values=FIXED | values, end=int(bars.time[300]))
    assert run_sweep(store, early).best["metrics"]["sharpe"] == row["early"]


def test_pruning_is_that_of_optunas_median_pruner() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(0)
    ends = optuna.study.StudyDirection
    for direction, large in ((ends.MAXIMIZE, True), (ends.MINIMIZE, False)):
        for count in (0, 4, 5, 20):
            study = optuna.create_study(direction=direction, pruner=optuna.pruners.MedianPruner())
            completed = rng.normal(size=count)
            for value in completed:
                trial = study.ask()
                trial.report(float(value), 0)
                study.tell(trial, float(value))
            early = rng.normal(size=20)
            wanted = []
            for value in early:
                trial = study.ask()
                trial.report(float(value), 0)
                wanted.append(trial.should_prune())
            assert pruned(early, completed, large).tolist() == wanted
            # what is undefined early is pruned there too, with a warning of NumPy's
            assert pruned(np.array([np.nan]), completed, large).tolist() == [count >= 5]


def test_no_point_of_the_front_is_dominated(store: Store) -> None:
    asked = Search(replace(FREE, name="front"), ("sharpe", "max_drawdown", "turnover"), trials=96, batch=24, seed=1)
    told = run_search(store, asked)
    assert told["sampler"] == "nsga2"
    assert [one["direction"] for one in told["objectives"]] == ["maximize", "maximize", "minimize"]
    frame = trials(store, "front").filter(pl.col("state") == "complete")
    years = (told["verdict"]["years"],)
    assert frame["objective_2_turnover"].to_numpy() == pytest.approx(frame["fees"].to_numpy() / 0.001 / years[0])
    signed = frame.select(-pl.col("sharpe"), -pl.col("max_drawdown"), "objective_2_turnover").to_numpy()
    numbers = frame["number"].to_list()
    front = {row["number"] for row in told["front"]}
    assert front
    for number, own in zip(numbers, signed, strict=True):
        beaten = ((signed <= own).all(axis=1) & (signed < own).any(axis=1)).any()
        if number in front:
            assert not beaten
        elif not beaten:  # left out only as the equal of one that is there
            equal = [n for n, row in zip(numbers, signed, strict=True) if (row == own).all()]
            assert front & set(equal)


def test_a_front_is_what_a_comparison_of_all_pairs_gives() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 12, (200, 2)).astype(float)
    found = {tuple(row) for row in values[front_of(values, [True, False])]}
    signed = values * [-1, 1]
    wanted = {
        tuple(values[k])
        for k in range(200)
        if not ((signed <= signed[k]).all(axis=1) & (signed < signed[k]).any(axis=1)).any()
    }
    assert found == wanted


def test_a_name_stands_for_one_plan_and_a_finished_search_is_told_again(store: Store) -> None:
    asked = Search(replace(FREE, name="one"), trials=20, batch=10)
    told = run_search(store, asked)
    assert run_search(store, asked) == told
    for other in (
        replace(asked, seed=9),
        replace(asked, batch=11),
        replace(asked, objectives=("calmar",)),
        replace(asked, request=replace(asked.request, costs=Costs(fee=0.002))),
    ):
        with pytest.raises(Usage, match=r"search one exists with another plan .*seed, batch"):
            run_search(store, other)
    with pytest.raises(Usage, match="began in"):
        run_search(store, replace(asked, storage="sqlite:///elsewhere.db"))
    run_sweep(store, replace(GRID, name="swept", values=FIXED))
    with pytest.raises(Usage, match="another plan"):
        run_search(store, replace(asked, request=replace(FREE, name="swept")))


def test_the_charts_of_a_search_hold_its_trials(store: Store) -> None:
    pytest.importorskip("plotly")
    run_search(store, Search(replace(FREE, name="drawn"), ("sharpe", "max_drawdown"), trials=48, batch=16))
    made = figures_of(store.root / "searches" / "drawn")
    assert [title for title, _, _ in made] == [
        "Search history", "Which parameters matter", "Trials as lines", "Pareto front",
    ]  # fmt: skip
    frame = trials(store, "drawn").filter(pl.col("state") == "complete")
    drawn: dict[str, Any] = {title: figure for title, _, figure in made}
    points, best = drawn["Search history"].data
    assert list(points.y) == frame["sharpe"].to_list()
    assert best.y[-1] == frame["sharpe"].max()
    told = json.loads((store.root / "searches" / "drawn" / "search.json").read_text())
    assert sorted(drawn["Pareto front"].data[1].customdata) == sorted(row["number"] for row in told["front"])
    assert {item.label for item in drawn["Trials as lines"].data[0].dimensions} == {
        "rsi_length", "oversold", "band_width", "sharpe",
    }  # fmt: skip


def test_importance_is_the_share_of_variance_a_parameter_explains() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 4, 4_000), rng.uniform(0, 1, 4_000)
    value = 3.0 * a + rng.normal(size=4_000)
    frame = pl.DataFrame({"state": ["complete"] * 4_000, "a": a, "b": b, "y": value})
    shares = importance(frame, ["b", "a"], "y")
    assert list(shares) == ["a", "b"]
    assert shares["a"] == pytest.approx(9 * 1.25 / (9 * 1.25 + 1), abs=0.02)
    assert shares["b"] < 0.02


def test_nothing_defined_is_said(store: Store) -> None:
    never = replace(GRID, values=FIXED | {"rsi_length": [2.0, 3.0, 4.0], "var_limit": [0.5], "var_length": [890.0]})
    with pytest.raises(Failed, match="none of 6 trials has a defined sharpe"):
        run_search(store, Search(replace(never, name="never"), trials=6, batch=3))
    frame = pl.read_parquet(store.root / "searches" / "never" / "trials.parquet")
    assert frame["why"].to_list() == ["undefined"] * 6
    assert counted(store) == frame.select("rsi_length").n_unique()
