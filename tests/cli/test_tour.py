"""``lockstep tour``: the same way with a smaller grid; and the grid it really takes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main, tour
from engine.manifest import load_manifest
from engine.research.space import Space
from engine.strategies import find_strategy

pytestmark = pytest.mark.skipif(find_spec("arch") is None, reason="the sample comes with arch, of the extra research")
SMALL = (
    "rsi_length=3,8",
    "oversold=30,40",
    "overbought=55,80",
    "stop_atr=0,2",
    "var_limit=0,0.05",
    "kelly_fraction=0,1",
)


def test_the_grid_has_a_hundred_thousand_legal_combinations_and_every_switch() -> None:
    asked = tour.request()
    space = Space.of(find_strategy(asked.strategy), asked.values)
    assert space.size >= 100_000
    assert asked.verify == 25
    for name in ("stop_atr", "var_limit", "kelly_fraction"):
        assert 0.0 in asked.values[name]
        assert len(asked.values[name]) > 1


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink the grid to 64 combinations, of which 2 are verified, and trade 60 bars."""
    if find_spec("vectorbt") is None:
        pytest.skip("the check needs vectorbt, of the extra research")
    monkeypatch.setattr(tour, "GRID", SMALL)
    monkeypatch.setattr(tour, "VERIFIED", 2)
    monkeypatch.setattr(tour, "BARS", 60)


@pytest.mark.usefixtures("smaller")
def test_the_demo_goes_all_the_way_says_where_everything_is_and_can_be_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: Callable[..., dict[str, Any]]
) -> None:
    assert main(["tour", "--store", str(tmp_path / "a b")]) == 0
    said = capsys.readouterr().out
    assert "verified with VectorBT: 2 combinations checked, 0 mismatches" in said
    assert re.search(r"5,031 bars, \d+ trades, 0 mismatches", said)
    assert re.search(
        r"60 bars, \d+ trades closed; .*: 0 decisions, 0 values of nodes, 0 equities and 0 trades differ", said
    )
    assert "all equal to the backtest's, to the last bit" in re.sub(r"\s+", " ", said)
    assert "buy and hold" in said
    assert "how likely is it luck?" in said
    assert re.search(r"lockstep export \S+ is refused: .* may\s+well\s+be\s+luck", said, re.DOTALL)
    assert f'--despite "{tour.REASON}"' in said
    assert "median" in said
    files = {}
    for word in ("manifest", "report"):
        (path,) = re.findall(rf"^{word} +(/.*)$", said, re.MULTILINE)
        files[word] = Path(path)
        assert files[word].is_file()
        assert files[word].is_relative_to(tmp_path / "a b")
    (run,) = (tmp_path / "a b" / "runs").iterdir()
    assert f"lockstep results {run.name} --store '{tmp_path}/a b'" in said
    manifest = files["manifest"].read_bytes()
    best = json.loads((run / "summary.json").read_text())["best"]

    again = document("tour", "--store", str(tmp_path / "a b"))
    assert again["sweep"]["combos"] == 64
    assert again["replay"]["mismatches"] == 0
    assert again["live"]["bars"] == 60
    assert again["live"]["decisions"] == again["live"]["values"] == again["live"]["fills"] == 0
    assert Path(again["files"]["manifest"]) == files["manifest"]
    assert load_manifest(files["manifest"]).digest == again["export"]["digest"]
    assert math.isfinite(again["sweep"]["benchmark"][tour.SOURCE]["sharpe"])
    assert files["manifest"].read_bytes() == manifest
    assert again["sweep"]["best"] == best


@pytest.mark.usefixtures("smaller")
def test_the_demo_fails_if_a_check_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.execution import PaperBroker

    right = PaperBroker.open
    monkeypatch.setattr(PaperBroker, "open", lambda self, price, *rest: right(self, price * 1.001, *rest))
    assert main(["tour"]) == 1
    assert ", 0 mismatches\n\n4." not in capsys.readouterr().out
