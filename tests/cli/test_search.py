"""``lockstep search``: what it prints, what it refuses, and what can be done with what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.simulate import METRICS
from tests.cli.conftest import MADE

pytest.importorskip("optuna")

Document = Callable[..., dict[str, Any]]
LINE = (
    "search", "mean_reversion", "--data", MADE, "--param", "rsi_length=2:12", "--param", "oversold=35:50", "--param",
    "overbought=55", "--param", "band_width=0.5,1", "--param", "stop_atr=0", "--param", "var_limit=0", "--param",
    "kelly_fraction=0", "--batch", "16", "--threads", "1",
)  # fmt: skip


def test_a_search_gives_its_best_its_verdict_and_its_warnings(store: Path, document: Document) -> None:
    found = document(*LINE, "--trials", "40", "--name", "first")
    assert (found["search"], found["run"], found["trials"], found["sampler"]) == ("first", "first", 40, "tpe")
    assert found["complete"] + found["pruned"] + found["failed"] == 40
    assert set(found["best"]["metrics"]) == set(METRICS)
    assert {"trials", "pbo", "deflated_sharpe", "expected_max_sharpe", "spa_p", "plateau", "passed"} <= set(
        found["verdict"]
    )
    assert found["verdict"]["trials"] == 40
    assert "less than 2" in found["warnings"][0]
    assert "after 40 trials" in found["warnings"][1]
    assert (store / "searches" / "first" / "study.sqlite").exists()


def test_what_a_search_leaves_can_be_asked_proved_exported_and_replayed(store: Path, document: Document) -> None:
    found = document(*LINE, "--trials", "40", "--name", "first")
    rows = document("results", "first", "--top", "3")["rows"]
    assert rows[0]["sharpe"] == found["best"]["metrics"]["sharpe"]
    document("export", "first", "--to", "chosen.json", status=1)
    made = document("export", "first", "--to", "chosen.json", "--despite", "to see it run")
    assert made["params"] == found["best"]["params"]
    assert made["verdict"]["trials"] == 40
    assert document("prove", "first", "--cuts", "2", "--starts", "1")["lookahead"] == []
    assert document("replay", "chosen.json")["mismatches"] == 0
    assert "is a search's" in document("sweep", "--resume", "first", status=2)["error"]


def test_a_search_is_reported(store: Path, document: Document) -> None:
    pytest.importorskip("plotly")
    document(*LINE, "--trials", "30", "--name", "first")
    assert Path(document("report", "first")["report"]).stat().st_size > 10_000


def test_the_same_command_goes_on_to_more_trials(store: Path, document: Document) -> None:
    document(*LINE, "--trials", "20", "--name", "first")
    found = document(*LINE, "--trials", "40", "--name", "first", "--resume")
    other = document(*LINE, "--trials", "40", "--name", "second")
    assert (found["best"], found["trials"]) == (other["best"], 40)
    assert other["verdict"]["trials"] == 40  # the same plan counts once
    assert 'did you mean "first"?' in document(*LINE, "--name", "frist", "--resume", status=2)["error"]


def test_the_words_for_people_name_front_and_warnings(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ("--objective", "sharpe", "--objective", "trades:min", "--trials", "32", "--name", "first")
    assert main([*LINE, *more]) == 0
    said = capsys.readouterr().out
    for words in ("32 trials for sharpe (max) and trades (min) by nsga2", "no other one beats", "buy and hold"):
        assert words in said
    assert "WARNING: the history has 1.64 years" in said
    assert "how likely is it luck?" in said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--objective", "sharp"), 'unknown objective "sharp": did you mean "sharpe"?'),
        (("--objective", "trades:mix"), 'did you mean "min"'),
        (("--objective", "calmar", "--objective", "calmar"), "given twice"),
        (("--objective", "turnover", "--fee", "0"), "--fee is 0"),
        (("--sampler", "tpi"), 'did you mean "tpe"'),
        (("--sampler", "cmaes", "--objective", "sharpe", "--objective", "calmar"), "cmaes has one objective"),
        (("--param", "rsi_lenght=3:9"), 'did you mean "rsi_length"?'),
        (("--where", "rsi_length < oversol"), 'did you mean "oversold"?'),
        (("--where", "rsi_length > 99"), "no combination is left"),
        (("--data", "made:*:1h"), "matches none"),
        (("--storage", "sqlit:///x"), "cannot be opened"),
        (("--name", "a/b"), "expected 1 to 100 letters"),
    ],
)
def test_what_cannot_be_is_refused(store: Path, more: tuple[str, ...], words: str, document: Document) -> None:
    status = 1 if "--storage" in more else 2
    assert words in document(*LINE, "--trials", "4", *more, status=status)["error"]
    assert not list((store / "runs").glob("*/plan.json"))


def test_nothing_to_search_is_said(store: Path, document: Document) -> None:
    found = document("search", "mean_reversion", "--data", MADE, "--param", "rsi_length=5", status=2)
    assert "nothing to search" in found["error"]
