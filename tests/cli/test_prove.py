"""``lockstep prove``: of a run, of a manifest, of a step that looks ahead, and what is refused."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.graph import Signals, bind
from engine.kernels.step import STEPS
from engine.manifest import write_manifest
from engine.simulate import Costs
from engine.strategies import find_strategy
from parquet_store import Store
from pipelines import load_bars
from tests.cli.conftest import MADE
from tests.parquet_store.made import made_bars

Document = Callable[..., dict[str, Any]]
SWEEP = (
    "sweep", "mean_reversion", "--data", MADE, "--param", "rsi_length=3,5", "--param", "oversold=45",
    "--param", "overbought=55", "--param", "band_width=1", "--param", "var_limit=0", "--param", "kelly_fraction=0",
)  # fmt: skip
PEEKING = '''"""An indicator that reads the memory of the node before it on busy days."""
from engine.graph import Bar, Param, Signals, Strategy, indicator, ta
from engine.kernels.memory import load


@indicator(outputs=("value",), state=(0.0,), ring=lambda: 1)
def peek(state, ring, average, volume):
    return state, load(ring, -3) if volume > 100.0 else average


class Peeks(Strategy):
    """Buy what will have risen."""

    length = Param(5, low=2, high=50)

    def signals(self, bar: Bar) -> Signals:
        level = peek(ta.ema(bar.close, self.length), bar.volume)
        return Signals(entry=bar.close < level, exit=bar.close > level)
'''


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a store of two runs, ``first`` and ``ahead``, and manifests of the two."""
    folder = tmp_path_factory.mktemp("made")
    store = Store(folder / ".lockstep")
    store.append(MADE, made_bars(600, "1d", start="2020-01-01"))
    (folder / "proven_peeks.py").write_text(PEEKING)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LOCKSTEP_STORE", raising=False)
        patch.chdir(folder)
        assert main([*SWEEP, "--name", "first"]) == 0
        assert main(["export", "first", "--by", "total_return", "--to", "chosen.json", "--despite", "a test"]) == 0
        peeks = ("sweep", "proven_peeks.py:Peeks", "--data", MADE, "--param", "length=5,9", "--name", "ahead")
        assert main(peeks) == 0
        # export would refuse it: its plain simulation is not what the sweep says
        program, bars = bind(find_strategy("proven_peeks.py:Peeks")()), load_bars(store, MADE)
        write_manifest(Path("ahead.json"), program, Costs(), bars, strategy="Peeks", params={}, evidence={})
    yield folder
    forget()


def forget() -> None:
    """Undo the import of the user's file."""
    sys.modules.pop("proven_peeks", None)
    STEPS.pop("proven_peeks:peek", None)


@pytest.fixture
def swept(made: Path, tmp_path: Path) -> Path:
    """The store of a copy of that folder, the one the command finds by itself."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / ".lockstep"


def test_a_run_is_proven_by_its_best_row(swept: Path, document: Document) -> None:
    found = document("prove", "first", "--by", "total_return", "--cuts", "5", "--starts", "3")
    best = document("results", "first", "--by", "total_return", "--top", "1")["rows"][0]
    assert found["lookahead"] == []
    assert (found["run"], found["source"], found["bars"], found["seed"]) == ("first", MADE, 600, 0)
    assert all(best[name] == value for name, value in found["params"].items())
    assert (len(found["cuts"]), len(found["starts"])) == (5, 3)
    assert found["reads"]["node 0 (rsi).rsi"] == f"close, length={best['rsi_length']}"
    assert all(bars is None or bars >= 0 for bars in found["warmup"].values())
    assert any(bars for bars in found["warmup"].values())
    assert {"entry", "exit", "stop"} <= set(found["decisions"])


def test_a_run_is_proven_by_the_row_that_is_named(swept: Path, document: Document) -> None:
    for length in (3, 5):
        found = document("prove", "first", "--params", f"rsi_length={length}", "--cuts", "1", "--starts", "1")
        assert found["reads"]["node 0 (rsi).rsi"] == f"close, length={length}"


def test_a_manifest_is_proven_on_its_own_data_and_on_other(swept: Path, document: Document) -> None:
    Store(swept).append("made:C/D:1d", made_bars(300, "1d", start="2020-01-01", seed=3))
    own = document("prove", "chosen.json", "--seed", "4")
    assert (own["lookahead"], own["manifest"], own["source"], own["bars"]) == ([], "chosen.json", MADE, 600)
    other = document("prove", "./chosen.json", "--data", "made:C/D:1d")
    assert (other["source"], other["bars"]) == ("made:C/D:1d", 300)
    run = document("prove", "first", "--by", "total_return", "--seed", "4")
    assert {key: run[key] for key in ("cuts", "warmup", "decisions")} == {
        key: own[key] for key in ("cuts", "warmup", "decisions")
    }


def test_people_get_a_table_and_plain_words(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["prove", "first", "--by", "total_return"]) == 0
    said = capsys.readouterr().out
    for text in ("bars to byte equality", "node 0 (rsi).rsi", "close, length=", "decision entry", "no look-ahead: "):
        assert text in said
    assert "warm-up at 10 later starts" in said
    assert "replay" in said.splitlines()[-1]


def test_a_step_that_looks_ahead_fails_and_is_named(
    swept: Path, document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document("prove", "ahead", "--by", "total_return", "--cuts", "8", status=1)
    first = found["lookahead"][0]
    assert (first["step"], first["output"], first["inherited"]) == ("proven_peeks:peek", "value", False)
    assert first["cut"] == found["cuts"][0]
    assert 0 <= first["bar"] < first["cut"]
    assert first["whole"] != first["alone"]
    assert main(["prove", "ahead", "--by", "total_return"]) == 1
    said = capsys.readouterr().out
    assert "LOOK-AHEAD: node 1 (proven_peeks:peek).value changed" in said
    assert f"at bar {first['bar']} (2020-" in said
    assert "no look-ahead" not in said


def test_a_strategy_that_changed_since_the_sweep_is_refused(
    swept: Path, made: Path, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    peeks = find_strategy(f"{made / 'proven_peeks.py'}:Peeks")
    monkeypatch.setattr(peeks, "signals", lambda self, bar: Signals(entry=bar.close > self.length))
    assert "changed since it was swept" in document("prove", "ahead", "--by", "total_return", status=1)["error"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("prove frst", 'did you mean "first"'),
        ("prove nowhere.json", "no such file"),
        ("prove first --by sharp", 'did you mean "sharpe"'),
        ("prove first --by sharpe --params rsi_length=3", "exclude each other"),
        ("prove first --params rsi_length=4", "not in the run"),
        ("prove first --source made:A/X:1d", 'did you mean "made:A/B:1d"'),
        ("prove first --data made:A/B:1d", "--data is for a manifest"),
        ("prove chosen.json --by sharpe", "a manifest has one program"),
        ("prove chosen.json --data made:A/X:1d", 'did you mean "made:A/B:1d"'),
        ("prove chosen.json --steps nowhere.py", "no such file"),
        ("prove first --cuts 0", "--cuts"),
        ("prove first --starts 0", "--starts"),
        ("prove first --seed -1", "--seed"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    line: str, message: str, swept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(line.split()) == 2
    assert message in capsys.readouterr().err


def test_a_manifest_with_own_steps_needs_their_file(swept: Path, document: Document) -> None:
    forget()
    assert "--steps proven_peeks.py" in document("prove", "ahead.json", status=2)["error"]
    found = document("prove", "ahead.json", "--steps", "proven_peeks.py", status=1)
    assert found["lookahead"][0]["step"] == "proven_peeks:peek"
    forget()
