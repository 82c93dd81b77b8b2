"""What goes to which stream, and how values look there."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from engine.cli.asked import costs_of, sizing_of
from engine.cli.figures import compare, figure, params_text, rate
from engine.cli.options import grid, number_pairs, pairs
from engine.cli.output import Output, plain, shown
from engine.simulate import Costs
from parquet_store.errors import Usage


def test_json_has_null_for_what_it_has_no_number_for(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=True).document(
        {
            "nan": math.nan,
            "inf": [math.inf, -math.inf],
            "numpy": np.float64("nan"),
            "array": np.array([1, 2]),
            "whole": np.int64(3),
            "time": dt.datetime(2024, 3, 1, tzinfo=dt.UTC),
            "path": Path("/a/b"),
            "decimal": [Decimal("1.5"), Decimal(7), Decimal("NaN")],
            "bytes": b"\x01",
            "word": "é",
            "yes": True,
        }
    )
    found = capsys.readouterr()
    assert json.loads(found.out) == {
        "nan": None,
        "inf": [None, None],
        "numpy": None,
        "array": [1, 2],
        "whole": 3,
        "time": "2024-03-01T00:00:00+00:00",
        "path": "/a/b",
        "decimal": [1.5, 7, None],
        "bytes": "01",
        "word": "é",
        "yes": True,
    }
    assert found.err == ""


def test_with_json_words_and_tables_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(json=True)
    out.say("words")
    out.note("a note")
    out.table(["name", "n"], [["a", 1]])
    found = capsys.readouterr()
    assert found.out == ""
    assert "words\na note\n" in found.err
    assert "name" in found.err


def test_without_json_only_notes_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.say("words")
    out.note("a note")
    found = capsys.readouterr()
    assert (found.out, found.err) == ("words\n", "a note\n")


def test_nobody_watches_no_progress() -> None:
    with Output(json=True).progress("sweep", "bars") as progress:
        assert progress is None
    with Output().progress("sweep", "bars") as progress:  # stderr is captured, so it is no terminal
        assert progress is None


def test_a_terminal_gets_a_bar_with_its_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with Output().progress("sweep", "combinations") as progress:
        assert progress is not None
        for done in (100, 500, 1_000):
            progress(done, 1_000)
    found = capsys.readouterr()
    assert found.out == ""
    assert "sweep" in found.err
    assert "1,000 of 1,000" in found.err


def test_a_table_shows_text_as_it_is_and_stops_at_a_thousand_rows(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(["[b]x[/b]"], [[f"[red]{row}[/red]"] for row in range(1_200)])
    found = capsys.readouterr().out
    assert "[b]x[/b]" in found
    assert "[red]999[/red]" in found
    assert "[red]1000[/red]" not in found
    assert "... and 200 more rows; --json has them all" in found


def test_cells_are_for_people() -> None:
    assert [shown(x) for x in (None, True, 12_345, 1 / 3, math.nan, "a")] == [
        "-",
        "yes",
        "12,345",
        "0.333333",
        "-",
        "a",
    ]
    assert shown(dt.datetime(2024, 3, 1, 12, 30, tzinfo=dt.UTC)) == "2024-03-01 12:30"
    assert shown(dt.datetime(2024, 3, 1, 12, 30, 5)) == "2024-03-01 12:30:05"


def test_figures_are_percent_where_they_are_fractions() -> None:
    assert figure("total_return", 1.23456) == "123.46 %"
    assert figure("sharpe", 0.654) == "0.65"
    assert figure("trades", 1234.0) == "1,234"
    assert figure("max_drawdown", math.nan) == "-"
    assert figure("rsi_length", 14.0) == "14"
    assert [rate(x) for x in (4_800, 1.514e8, 8.2e9)] == ["4,800", "151 million", "8.2 billion"]
    assert params_text({"a": 14.0, "b": 0.5, "c": 3}) == "a=14,b=0.5,c=3"
    assert params_text({"a": 30.397718119745, "b": 1e-7}) == "a=30.397718119745,b=1e-07"  # to be found again


def test_compared_subjects_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    compare(Output(), {"one": {"sharpe": 1.0, "total_return": 0.5}, "two": {"sharpe": None}})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["one", "two"]
    assert ["sharpe", "1.00", "-"] in lines
    assert ["total_return", "50.00", "%", "-"] in lines


def test_plain_leaves_what_json_knows() -> None:
    content = {"a": [1, 2.5, None, "x", False]}
    assert plain(content) == content


def test_pairs_are_read_and_what_is_none_is_named() -> None:
    assert pairs("ts=when, close = last", "--columns", "x=y") == {"ts": "when", "close": "last"}
    assert number_pairs("a=1,b=2.5", "--params", "a=1") == {"a": 1.0, "b": 2.5}
    with pytest.raises(Usage, match='found "b", expected name=value, as in --columns x=y'):
        pairs("a=1,b", "--columns", "x=y")
    with pytest.raises(Usage, match='--params a: "x" is no number'):
        number_pairs("a=x", "--params", "a=1")


def test_a_parameter_given_again_adds_its_values() -> None:
    assert grid(["a=1,2", "b=20:40:10", "a=3"]) == {"a": [1.0, 2.0, 3.0], "b": [20.0, 30.0, 40.0]}
    with pytest.raises(Usage, match="expected name=values"):
        grid(["a"])


def test_sizings_are_checked_by_name() -> None:
    made = sizing_of("kelly:fraction=0.5,cap=0.2")
    assert made is not None
    assert (made.kind, dict(made.numbers)) == ("kelly", {"fraction": 0.5, "cap": 0.2})
    whole = sizing_of("all_in")
    assert whole is not None
    assert dict(whole.numbers) == {"fraction": 0.995}
    assert sizing_of(None) is None
    for text, message in [
        ("kely", 'did you mean "kelly"'),
        ("kelly:fractoin=1", 'did you mean "fraction"'),
        ("kelly:kind=1", 'unknown number of sizing kelly "kind"'),
        ("atr_risk", "risk not given"),
        ("kelly:fraction", "expected name=value"),
        ("kelly:fraction=-1", "expected a number above 0"),
    ]:
        with pytest.raises(Usage, match=message):
            sizing_of(text)


def test_costs_keep_their_defaults_and_only_perpetuals_may_be_short() -> None:
    assert costs_of(["a:B/C:1h"], None, {"fee": None, "slippage": None}) == Costs()
    assert costs_of(["a:B/C:1h"], None, {"fee": 0.0, "size_at": "fill"}) == Costs(fee=0.0, size_at="fill")
    assert costs_of(["a:B/C:C:1h"], None, {}).short is True
    assert costs_of(["a:B/C:C:1h", "a:B/C:1h"], None, {}).short is False
    assert costs_of(["a:B/C:C:1h"], False, {}).short is False
    assert costs_of(["a:B/C:1h"], True, {}).short is True


def test_the_help_tells_the_defaults_the_costs_have(capsys: pytest.CaptureFixture[str]) -> None:
    from engine.cli import main

    assert main(["sweep", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    made = Costs()
    assert f"Fraction of each fill; else {made.fee:g}." in text
    assert f"on each fill; else {made.slippage:g}." in text
    assert f"In quote currency; else {made.initial_cash:,.0f}." in text
    assert f"Largest notional over equity; else {made.leverage:g}." in text
    assert f"When a size is fixed; else {made.size_at}." in text
