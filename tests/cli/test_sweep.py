"""``lockstep sweep`` to ``lockstep replay``: one small grid on made bars, all the way, and what is refused."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.graph import bind
from engine.simulate import METRICS, Costs, simulate_program
from engine.strategies import STRATEGIES
from parquet_store import Store
from pipelines import load_bars
from tests.cli.conftest import MADE
from tests.parquet_store.made import made_bars

Document = Callable[..., dict[str, Any]]
GRID = (
    "--param", "rsi_length=3,5:9:2", "--param", "oversold=30,45", "--param", "overbought=55", "--param", "band_width=1",
    "--param", "var_limit=0", "--param", "kelly_fraction=0",
)  # fmt: skip
SWEEP = ("sweep", "mean_reversion", "--data", MADE, *GRID)
DESPITE = ("--despite", "it is a test")


@pytest.fixture
def swept(store: Path) -> Path:
    """The store with one run, ``first``."""
    assert main([*SWEEP, "--name", "first"]) == 0
    return store


def test_a_sweep_gives_the_keys_others_rely_on(store: Path, document: Document) -> None:
    found = document(*SWEEP, "--name", "first")
    assert {"run", "combos", "bars", "seconds", "combo_bars_per_second", "verified", "best"} <= set(found)
    assert (found["run"], found["combos"], found["bars"], found["verified"]) == ("first", 8, 600, None)
    assert found["combo_bars_per_second"] == pytest.approx(8 * 600 / found["seconds"])
    assert set(found["best"]["params"]) == set(STRATEGIES["mean_reversion"].params)
    assert set(found["best"]["metrics"]) == set(METRICS)


def test_the_best_row_is_that_of_the_plain_simulation(store: Path, document: Document) -> None:
    best = document(*SWEEP, "--fee", "0.002", "--slippage", "0", "--initial-cash", "500")["best"]
    made = STRATEGIES["mean_reversion"]
    bars = load_bars(Store(store), MADE)
    costs = Costs(fee=0.002, slippage=0.0, initial_cash=500.0)
    every = [
        simulate_program(bind(made(), {**best["params"], "rsi_length": rsi, "oversold": low}), bars, costs).metrics
        for rsi in (3, 5, 7, 9)
        for low in (30, 45)
    ]
    expected = max(every, key=lambda metrics: metrics["sharpe"] if math.isfinite(metrics["sharpe"]) else -math.inf)
    assert expected["trades"] > 0
    for name in METRICS:
        assert best["metrics"][name] == pytest.approx(expected[name], rel=1e-10, abs=1e-12, nan_ok=True)


def test_results_are_listed_ranked_filtered_and_asked(swept: Path, document: Document) -> None:
    (run,) = document("results")["runs"]
    assert run == {"run": "first", "strategy": "mean_reversion", "sources": [MADE], "rows": 8, "backend": "events"}
    rows = document("results", "first", "--by", "total_return")["rows"]
    returns = [row["total_return"] for row in rows]
    assert len(rows) == 8
    assert returns == sorted(returns, reverse=True)
    assert len(document("results", "first", "--top", "3")["rows"]) == 3
    least = sorted(row["trades"] for row in rows)[4]
    filtered = document("results", "first", "--where", f"trades >= {least}")["rows"]
    assert sorted(row["trades"] for row in filtered) == [
        row for row in sorted(r["trades"] for r in rows) if row >= least
    ]
    asked = document("results", "first", "--sql", "select count(*) n, max(total_return) best from results")
    assert asked["rows"] == [{"n": 8, "best": max(returns)}]


def test_an_unknown_figure_comes_last_and_never_wins(store: Path, document: Document) -> None:
    # with oversold=1 no entry ever happens: no deviation, no Sharpe ratio
    line = [text.replace("oversold=30,45", "oversold=1,45") for text in SWEEP]
    found = document(*line, "--name", "some")
    assert found["best"]["params"]["oversold"] == 45
    assert found["best"]["metrics"]["sharpe"] is not None
    rows = document("results", "some")["rows"]
    assert [row["sharpe"] is None for row in rows] == [False] * 4 + [True] * 4


def test_one_row_is_exported_replayed_and_drawn(swept: Path, tmp_path: Path, document: Document) -> None:
    exported = document("export", "first", "--by", "total_return", "--to", "chosen.json", *DESPITE)
    assert Path(exported["manifest"]).name == "chosen.json"
    assert json.loads((tmp_path / "chosen.json").read_text())["digest"] == exported["digest"]
    best = document("results", "first", "--by", "total_return", "--top", "1")["rows"][0]
    assert exported["metrics"]["trades"] == best["trades"]
    for source in (("--data", MADE), ()):
        replayed = document("replay", "chosen.json", *source)
        assert (replayed["bars"], replayed["trades"], replayed["mismatches"]) == (600, best["trades"], 0)
    drawn = document("report", "first", "--to", "page.html")
    assert Path(drawn["report"]).read_text().lstrip().lower().startswith("<!doctype html>")
    other = document("report", "first", "--by", "cagr", "--to", "other.html")
    assert "by cagr" in Path(other["report"]).read_text()


def test_an_export_that_may_be_luck_is_refused_and_a_reason_is_kept(
    swept: Path, tmp_path: Path, document: Document
) -> None:
    line = ("export", "first", "--by", "total_return", "--to", "chosen.json")
    refused = document(*line, status=1)["error"]
    assert "deflated_sharpe" in refused
    assert "--despite" in refused
    assert not (tmp_path / "chosen.json").exists()
    assert "empty reason" in document(*line, "--despite", " ", status=2)["error"]
    found = document(*line, *DESPITE)
    assert found["despite"] == "it is a test"
    assert found["verdict"]["passed"] is False
    assert json.loads((tmp_path / "chosen.json").read_text())["evidence"]["despite"] == "it is a test"


def test_export_takes_the_combination_that_is_named(swept: Path, document: Document) -> None:
    exported = document("export", "first", "--params", "rsi_length=7,oversold=45", "--to", "chosen.json", *DESPITE)
    assert (exported["params"]["rsi_length"], exported["params"]["oversold"]) == (7, 45)


def test_a_replay_that_differs_fails(
    swept: Path, document: Document, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.execution import PaperBroker

    document("export", "first", "--by", "total_return", "--to", "chosen.json", *DESPITE)
    right = PaperBroker.open
    monkeypatch.setattr(PaperBroker, "open", lambda self, price, *rest: right(self, price * 1.001, *rest))
    assert document("replay", "chosen.json", status=1)["mismatches"] > 0
    assert main(["replay", "chosen.json"]) == 1
    found = capsys.readouterr()
    assert ", 0 mismatches" not in found.out
    assert "equity differs at bar" in found.err


def test_a_manifest_with_one_byte_changed_is_refused(
    swept: Path, tmp_path: Path, document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    document("export", "first", "--by", "total_return", "--to", "chosen.json", *DESPITE)
    path = tmp_path / "chosen.json"
    whole = path.read_bytes()
    for at in range(0, len(whole), len(whole) // 25):
        changed = bytearray(whole)
        changed[at] ^= 1
        path.write_bytes(bytes(changed))
        assert main(["replay", "chosen.json"]) == 1
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert "chosen.json" in said
        assert "internal error" not in said
    path.write_bytes(whole)
    assert main(["replay", "chosen.json"]) == 0


def test_a_replay_on_changed_data_is_refused(
    swept: Path, document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    document("export", "first", "--by", "total_return", "--to", "chosen.json", *DESPITE)
    Store(swept).append(MADE, made_bars(600, "1d", start="2020-01-01", seed=1))
    assert main(["replay", "chosen.json"]) == 1
    assert "changed since the export" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--param", "rsi_lenght=3"), 'did you mean "rsi_length"'),
        (("--param", "rsi_length=1"), "expected a whole number from 2 to"),
        (("--param", "rsi_length=9:3:1"), "has no values"),
        (("--param", "band_length=x"), "expected a number or start:stop:step"),
        (("--where", "rsi_length > 100"), "no combination is left"),
        (("--where", "rsi_lenth > 3"), 'did you mean "rsi_length"'),
        (
            ("--param", "band_length=2:1000:1", "--param", "var_length=20:5000:1", "--param", "stop_atr=0.1:20:0.001"),
            "--yes",
        ),
        (("--fee", "2"), "fee is 2"),
        (("--fee", "nan"), "fee is nan"),
        (("--sizing", "kely"), 'did you mean "kelly"'),
        (("--backend", "vectorbot"), 'did you mean "vectorbt"'),
        (("--size-at", "fil"), 'did you mean "fill"'),
        (("--data", "made:A/C:1d"), 'did you mean "made:A/B:1d"'),
        (("--data", "here"), "is no source of bars"),
        (("--name", "../up"), "run name"),
        (("--start", "2031-01-01"), "no bars from 2031-01-01"),
        (("--start", "soon"), "is no time"),
        (("--threads", "0"), "--threads"),
    ],
)
def test_a_sweep_that_cannot_be_meant_is_wrong_usage_and_leaves_nothing(
    more: tuple[str, ...], message: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SWEEP, *more]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
    assert not list((store / "runs").glob("*"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("results frst", 'did you mean "first"'),
        ("results first --by sharp", 'did you mean "sharpe"'),
        ("results first --where nothing>3", "nothing"),
        ("results first --sql selec", "columns of results"),
        ("results --where trades>3", "give the run"),
        ("results first --sql x --where y", "exclude each other"),
        ("export first --by shape", 'did you mean "sharpe"'),
        ("export first --params rsi_lengt=3", 'did you mean "rsi_length"'),
        ("export first --params rsi_length=4,oversold=30", "not in the run"),
        ("export first --params rsi_length", "expected name=value"),
        ("export first --params rsi_length=3 --by sharpe", "exclude each other"),
        ("export first --source made:A/X:1d", 'did you mean "made:A/B:1d"'),
        ("report frst", 'did you mean "first"'),
        ("replay nowhere.json", "no such file"),
    ],
)
def test_what_a_run_has_not_is_wrong_usage(
    line: str, message: str, swept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(line.split()) == 2
    assert message in capsys.readouterr().err


def test_another_plan_does_not_take_the_place_of_a_run(swept: Path, document: Document) -> None:
    part = swept / "runs" / "first" / "results" / "part-000000.parquet"
    before = part.read_bytes()
    assert "another --name" in document(*SWEEP, "--name", "first", "--fee", "0.003", status=2)["error"]
    assert document(*SWEEP, "--name", "first")["combos"] == 8
    assert part.read_bytes() == before


def test_a_damaged_run_is_said_and_the_others_are_listed(
    swept: Path, document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SWEEP, "--name", "second"]) == 0
    table = swept / "runs" / "first" / "results" / "part-000000.parquet"
    table.write_bytes(table.read_bytes()[:1000])
    assert [run["run"] for run in document("results")["runs"]] == ["second"]
    assert main(["results", "first"]) == 1
    assert str(table) in capsys.readouterr().err


def test_size_at_fill_is_for_research_only(store: Path, document: Document) -> None:
    document(*SWEEP, "--name", "first", "--size-at", "fill")
    assert "--size-at decision" in document("export", "first", "--by", "total_return", status=2)["error"]


def test_a_strategy_and_steps_of_the_users_own(store: Path, tmp_path: Path, document: Document) -> None:
    (tmp_path / "mine.py").write_text(
        '''"""A rule of my own."""
from engine.graph import Bar, Param, Signals, Strategy, ta


class Cross(Strategy):
    """Two averages."""

    fast = Param(5, low=2, high=50)
    slow = Param(20, low=2, high=200)

    def signals(self, bar: Bar) -> Signals:
        above = ta.sma(bar.close, self.fast) > ta.sma(bar.close, self.slow)
        return Signals(entry=above, exit=~above)
'''
    )
    (described,) = document("strategies", "mine.py:Cross")["strategies"]
    assert [one["name"] for one in described["parameters"]] == ["fast", "slow"]
    line = ("sweep", "mine.py:Cross", "--data", MADE, "--param", "fast=5,10,20", "--param", "slow=10,20")
    assert document(*line, "--where", "fast < slow", "--name", "cross")["combos"] == 3
    document("export", "cross", "--by", "total_return", "--to", "cross.json", *DESPITE)
    assert document("replay", "cross.json")["mismatches"] == 0
    assert 'did you mean "Cross"' in document("strategies", "mine.py:Crss", status=2)["error"]


def test_people_read_the_best_beside_the_median_and_buy_and_hold(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SWEEP, "--name", "first"]) == 0
    found = capsys.readouterr()
    assert "run first: 8 combinations, 600 bars" in found.out
    assert "buy and hold" in found.out
    assert "best by Sharpe, on made:A/B:1d: rsi_length=" in found.out
    assert found.err == ""
    assert main(["results", "first", "--top", "2"]) == 0
    header = capsys.readouterr().out.splitlines()[1]
    assert "rsi_length" in header
    assert "overbought" not in header  # only what was swept


def test_verify_counts_what_vectorbt_makes_otherwise(
    store: Path, document: Document, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.research import vectorbt

    assert document(*SWEEP, "--name", "first", "--verify", "3")["verified"]["mismatches"] == 0
    monkeypatch.setattr(vectorbt, "verify", functools.partial(vectorbt.verify, told=Costs(fee=0.002)))
    wrong = document(*SWEEP, "--name", "first", "--verify", "3", status=1)["verified"]
    assert wrong["checked"] == 3
    assert wrong["mismatches"] > 0
    assert main([*SWEEP, "--name", "first", "--verify", "3"]) == 1
    found = capsys.readouterr()
    assert "verified with VectorBT: 3 combinations checked" in found.out
    assert "combination " in found.err
