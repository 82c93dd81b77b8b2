"""``lockstep walk-forward``: what it prints, what it keeps, and that a kill leaves it whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.cli import main
from engine.research.luck import Ledger
from engine.research.walk import load_walk, newest_walk, walks
from engine.simulate import METRICS, Costs
from engine.strategies import STRATEGIES
from parquet_store import Failed, Store
from parquet_store.moments import moment_ms
from pipelines import load_bars
from tests.cli.conftest import MADE
from tests.parquet_store.made import made_bars

Document = Callable[..., dict[str, Any]]
OTHER = "made:C/D:1d"
GRID = (
    "--param", "rsi_length=2,3,5", "--param", "oversold=35,45,55", "--param", "overbought=55", "--param",
    "band_width=0.5", "--param", "stop_atr=0", "--param", "var_limit=0", "--param", "kelly_fraction=0",
)  # fmt: skip
WALK = ("walk-forward", "mean_reversion", "--data", MADE, *GRID)


@pytest.fixture
def two(store: Path) -> Path:
    """The store with a second series."""
    Store(store).append(OTHER, made_bars(500, "1d", start="2021-01-01", seed=4))
    return store


def test_a_walk_gives_the_keys_others_rely_on(store: Path, document: Document) -> None:
    found = document(*WALK, "--folds", "5", "--name", "first")
    assert {"walk", "folds", "oos", "efficiency", "efficiency_sharpe", "benchmark", "source"} <= set(found)
    assert (found["walk"], found["source"], found["combos"], len(found["folds"])) == ("first", MADE, 9, 5)
    assert set(found["oos"]) == set(found["benchmark"]) == set(METRICS)
    growth = 1.0
    for k, fold in enumerate(found["folds"], 1):
        assert fold["fold"] == k
        assert fold["train"][0].startswith("2020-01-01T00:00")
        assert fold["train_bars"] == 300 + 60 * (k - 1)
        assert fold["test_bars"] == 60
        assert set(fold["params"]) == set(STRATEGIES["mean_reversion"].params)
        assert set(fold["in_sample"]) == {"annual_return", "sharpe", "trades"}
        growth *= 1.0 + fold["out_of_sample"]["total_return"]
    assert growth - 1.0 == pytest.approx(found["oos"]["total_return"])
    inside, outside = found["in_sample"], found["out_of_sample"]
    if inside["annual_return"] > 0:
        assert found["efficiency"] == pytest.approx(outside["annual_return"] / inside["annual_return"])
    assert found["plan"] != found["digest"]


def test_what_is_kept_can_be_read_again(store: Path, document: Document) -> None:
    told = document(*WALK, "--folds", "4", "--rolling", "--purge", "3", "--name", "kept")
    walk = load_walk(store / "walks" / "kept")
    assert walk.as_json() == told
    course, trades = walk.course(MADE), walk.trades(MADE)
    assert course.columns == ["time", "fold", "equity", "return", "position", "buy_and_hold"]
    bars = load_bars(Store(store), MADE)
    assert course["time"].to_physical().to_list() == bars.time[300:].tolist()
    assert course["fold"].value_counts().sort("fold")["count"].to_list() == [75] * 4
    assert course["equity"][-1] / 10_000.0 - 1.0 == pytest.approx(told["oos"]["total_return"])
    assert course["buy_and_hold"][-1] / 10_000.0 - 1.0 == pytest.approx(told["benchmark"]["total_return"])
    growth = (1.0 + course["return"]).product()
    assert growth - 1.0 == pytest.approx(told["oos"]["total_return"])
    assert len(trades) == told["oos"]["trades"] > 0
    assert trades["profit"].sum() == pytest.approx(course["equity"][-1] - 10_000.0)
    spans = course.group_by("fold").agg(pl.col("time").min().alias("first"), pl.col("time").max().alias("last"))
    inside = trades.join(spans, on="fold").select(
        (pl.col("entry_time") >= pl.col("first")) & (pl.col("exit_time") <= pl.col("last"))
    )
    assert inside.to_series().all()
    assert set(trades["reason"]) <= {"signal", "stop", "target", "max_hold", "window_end"}


def test_the_table_says_how_it_went(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WALK, "--folds", "3", "--train", "0.4", "--name", "first"]) == 0
    said = capsys.readouterr().out
    assert "9 combinations in 3 folds, out of sample 2020-08-28 to 2021-08-22 (360 bars)" in said
    assert "2020-01-01 to 2020-08-27" in said
    assert "oversold=" in said
    assert "overbought=" not in said  # it does not vary
    for words in ("out of sample", "buy and hold", "efficiency", "of 3 test windows earned", "max_drawdown"):
        assert words in said
    assert f"walk-forward first is in {store / 'walks' / 'first'}" in said


def test_each_series_walks_by_itself(two: Path, document: Document) -> None:
    both = document(*WALK, "--data", OTHER, "--folds", "3", "--name", "both")
    assert [item["source"] for item in both["walks"]] == [MADE, OTHER]
    assert "oos" not in both
    for source, item in zip((MADE, OTHER), both["walks"], strict=True):
        line = [OTHER if word == MADE and source == OTHER else word for word in WALK]
        alone = document(*line, "--folds", "3")
        assert alone["walks"] == [item]
    assert load_walk(two / "walks" / "both").course(OTHER).height == 250


def test_a_name_stands_for_one_plan(store: Path, document: Document, capsys: pytest.CaptureFixture[str]) -> None:
    document(*WALK, "--folds", "3", "--name", "first")
    files = {path: path.read_bytes() for path in (store / "walks" / "first").glob("*.*")}
    times = {path: path.stat().st_mtime_ns for path in files}
    document(*WALK, "--folds", "3", "--name", "first")
    assert {path: path.stat().st_mtime_ns for path in files} == times
    for other in (("--folds", "4"), ("--folds", "3", "--fee", "0.002"), ("--folds", "3", "--by", "return")):
        assert main([*WALK, *other, "--name", "first"]) == 2
        assert "walk-forward first exists with another plan" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in files} == files
    for path in files:
        if path.suffix in (".parquet", ".json"):
            path.unlink()
            document(*WALK, "--folds", "3", "--name", "first")
            assert path.read_bytes() == files[path]


def test_every_combination_counts_as_a_trial_once(store: Path, document: Document) -> None:
    def trials() -> int:
        first, last = (moment_ms(text) for text in ("2020-01-01", "2030-01-01"))
        assert first is not None
        assert last is not None
        return Ledger(store).trials(MADE, first, last).trials

    document(*WALK, "--folds", "3", "--name", "first")
    assert trials() == 9
    document(*WALK, "--folds", "5", "--rolling", "--name", "second")  # the same sweep, cut otherwise
    assert trials() == 9
    document("sweep", "mean_reversion", "--data", MADE, *GRID, "--name", "swept")
    assert trials() == 9
    document(*WALK, "--folds", "3", "--param", "oversold=30", "--name", "third")
    assert trials() == 9 + 12


def test_the_newest_walk_of_a_strategy_and_series_is_found(two: Path, document: Document) -> None:
    place = Store(two)
    assert newest_walk(place, "mean_reversion", MADE) is None
    for k, (name, source) in enumerate((("b", MADE), ("a", MADE), ("c", OTHER))):
        line = [source if word == MADE else word for word in WALK]
        document(*line, "--folds", "3", "--name", name)
        os.utime(two / "walks" / name / "walk.json", ns=(k, k))
    assert walks(place) == ["a", "b", "c"]
    found = newest_walk(place, "mean_reversion", MADE)
    assert found is not None
    assert found.name == "a"
    (two / "walks" / "a" / "walk.json").write_text("{")
    found = newest_walk(place, "mean_reversion", MADE)
    assert found is not None
    assert found.name == "b"
    assert newest_walk(place, "ibs_band", MADE) is None
    with pytest.raises(Failed, match="not a walk-forward"):
        load_walk(two / "walks" / "a")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--train", "590"), "600 bars do not hold a training window of 590 and 10 test windows"),
        (("--train", "two"), '--train "two": expected bars (500), a share of all bars (0.5) or a time (2y'),
        (("--by", "sharp"), 'unknown way to choose "sharp": did you mean "sharpe"?'),
        (("--param", "rsi_lenght=3"), 'did you mean "rsi_length"?'),
        (("--train", "10"), "fold 1, 10 training bars (2020-01-01 00:00 to 2020-01-10 00:00): no combination holds"),
        (("--min-trades", "400"), "has 400 trades; ask for fewer"),
        (("--name", "a/b"), "expected 1 to 100 letters"),
        (("--folds", "0"), "--folds 0: expected at least 1"),
    ],
)
def test_what_cannot_be_is_refused(
    store: Path, more: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WALK, *more]) == 2
    found = capsys.readouterr()
    assert words in found.err
    assert found.err.startswith("error: ")
    assert walks(Store(store)) == []


KILLED = """
import os, signal, sys
from engine.cli import main
from engine.research.walk import keep

write, left = keep.write_whole, int(sys.argv[1])

def dying(path, content):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    def half(file):
        content(file)
        if left == 0 and path.suffix == ".parquet":
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    write(path, half)

keep.write_whole = dying
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_walk_that_is_killed_while_it_is_written_is_not_there(store: Path, document: Document) -> None:
    whole = (*WALK, "--folds", "3")
    document(*whole, "--name", "whole")
    files = {path.name: path.read_bytes() for path in (store / "walks" / "whole").glob("*.parquet")}
    for step in (1, 2):
        line = [sys.executable, "-c", KILLED, str(step), *whole, "--name", f"killed{step}"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert walks(Store(store)) == ["whole"]
        folder = store / "walks" / f"killed{step}"
        assert any(path.name.endswith(".tmp") for path in folder.iterdir())
        told = document(*whole, "--name", f"killed{step}")
        assert {path.name: path.read_bytes() for path in folder.glob("*.parquet")} == files
        assert not any(path.name.endswith(".tmp") for path in folder.iterdir())
        assert told["oos"] == json.loads((store / "walks" / "whole" / "walk.json").read_text())["walks"][0]["oos"]
        (folder / "walk.json").unlink()


def test_costs_and_sizes_are_those_of_a_sweep(store: Path, document: Document) -> None:
    line = (*WALK, "--folds", "2", "--fee", "0.002", "--slippage", "0", "--initial-cash", "500")
    found = document(*line, "--sizing", "fixed_fraction:fraction=0.5", "--name", "costs")
    assert found["costs"] == Costs(fee=0.002, slippage=0.0, initial_cash=500.0).as_json()
    assert found["sizing"] == {"kind": "fixed_fraction", "fraction": 0.5}
    trades = load_walk(store / "walks" / "costs").trades(MADE)
    first = trades.row(0, named=True)
    assert first["quantity"] * first["entry_price"] == pytest.approx(250.0, rel=0.05)
    assert first["fees"] == pytest.approx(0.002 * first["quantity"] * (first["entry_price"] + first["exit_price"]))
