"""The gate of the export: luck is refused by its numbers, a reason lets it through and stays with it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.manifest import load_manifest
from engine.research.export import export
from engine.research.run import Request, run_sweep
from engine.research.table import Run
from engine.simulate import Costs
from parquet_store import Failed, Store, Usage
from tests.parquet_store.made import made_bars

TURNS = str(Path(__file__).parent.parent / "made_strategies.py") + ":Turns"
SOURCE = "made:A/B:1h"
VALUES = {"rsi_length": [2.0, 3.0, 5.0], "low_level": [30.0, 45.0], "stop_atr": [0.0], "target_atr": [0.0]}


def run_of(folder: Path, rows: pl.DataFrame, fee: float) -> tuple[Store, Run]:
    store = Store(folder)
    store.append(SOURCE, rows)
    costs = Costs(fee=fee, slippage=0.0, short=True)
    run_sweep(store, Request(TURNS, VALUES, (SOURCE,), costs, name="first"))
    return store, Run.open(store, "first")


def turning(count: int) -> pl.DataFrame:
    """Return bars in which half of each move is undone within the next bar."""
    rows = made_bars(count)
    moves = np.log(rows["close"].to_numpy())
    lift = np.exp(-0.5 * np.concatenate([[moves[0]], moves[:-1]]))
    close = rows["close"].to_numpy() * lift
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return rows.with_columns(open=opened, close=close, high=high, low=low)


def test_a_candidate_that_may_be_luck_is_refused_with_its_numbers(tmp_path: Path) -> None:
    store, run = run_of(tmp_path, made_bars(900), 0.001)
    with pytest.raises(Failed) as caught:
        export(store, run)
    said = str(caught.value)
    assert "may well be luck after 6 trials" in said
    assert "deflated_sharpe" in said
    assert "expected above 0.95" in said
    assert '--despite "REASON"' in said
    assert "records the reason" in said
    assert not (run.folder / "manifest.json").exists()
    for empty in ("", "  \n"):
        with pytest.raises(Usage, match="an empty reason"):
            export(store, run, despite=empty)
    assert not (run.folder / "manifest.json").exists()


def test_a_reason_lets_it_through_and_the_manifest_keeps_both(tmp_path: Path) -> None:
    store, run = run_of(tmp_path, made_bars(900), 0.001)
    made = export(store, run, despite="to try it on paper")
    evidence = load_manifest(made.path).evidence
    assert evidence["despite"] == "to try it on paper"
    verdict = evidence["verdict"]
    assert verdict["passed"] is False
    assert verdict["trials"] == 6
    assert 0.0 <= verdict["spa_p"] <= 1.0
    assert verdict["resampled"]["repeats"] == 1_000
    assert verdict["params"] == made.params
    assert verdict["sharpe"] == made.metrics["sharpe"]
    assert verdict == made.verdict.as_json()
    assert export(store, run, despite="to try it on paper").digest == made.digest
    assert export(store, run, despite="another").digest != made.digest


def test_what_passes_needs_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, run = run_of(tmp_path, turning(3_000), 0.0)
    made = export(store, run)
    assert made.verdict.passed, made.verdict.conclusion
    evidence = json.loads(made.path.read_text())["evidence"]
    assert evidence["despite"] is None
    assert evidence["verdict"]["passed"] is True
    assert evidence["verdict"]["spa_p"] < 0.05
    # without arch the resampled part is left out, the gate stays
    monkeypatch.setattr("engine.research.export.find_spec", lambda name: None)
    bare = export(store, run)
    assert bare.verdict.passed
    assert math.isnan(bare.verdict.spa_p)


def test_every_candidate_is_judged_by_its_own_numbers(tmp_path: Path) -> None:
    store, run = run_of(tmp_path, turning(3_000), 0.0)
    rows: list[dict[str, Any]] = run.top(6)
    worst = rows[-1]
    params = {name: worst[name] for name in ("rsi_length", "low_level")}
    found = export(store, run, params=params, despite="the worst one")
    assert found.verdict.combo == worst["combo"]
    assert found.verdict.sharpe == pytest.approx(worst["sharpe"], rel=1e-9)
    assert found.verdict.deflated_sharpe < export(store, run).verdict.deflated_sharpe
