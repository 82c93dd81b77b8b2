"""The gate keeps its promise: strategies without skill pass at most 5 % of the time, however many are tried."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from engine.research.luck import Ledger, Verdict, judge
from engine.research.space import Space
from engine.research.sweep import Sweep
from engine.simulate import Costs
from pipelines import Bars
from tests.research.luck.made import shuffled, swept_of
from tests.research.made_strategies import Turns

PROMISED = 0.05
FREE = Costs(fee=0.0, slippage=0.0, short=True)  # costs would make every strategy worse than one without skill
OFF = {"stop_atr": [0.0], "target_atr": [0.0]}
WIDE = {
    "rsi_length": [2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0],
    "low_level": [15.0, 30.0, 45.0],
    "high_level": [55.0, 70.0, 85.0],
    "stop_atr": [0.0, 1.0],
    "target_atr": [0.0],
}
ALIKE = {"rsi_length": [6.0, 7.0, 8.0], "low_level": [34.0, 35.0, 36.0], **OFF}


def verdicts(sample: Bars, values: dict[str, list[float]], runs: int, folder: Path, seed: int) -> list[Verdict]:
    """Sweep and judge histories in which nothing can be known in advance, each in a store of its own."""
    rng = np.random.default_rng(seed)
    space = Space.of(Turns, values)
    found = []
    for run in range(runs):
        swept = swept_of(shuffled(sample, rng, 600), Sweep(Turns, space, FREE))
        ledger = Ledger(folder / str(run))
        ledger.record(swept.entry("plan"))
        first, last = int(swept.bars.time[0]), int(swept.bars.time[-1])
        found.append(judge(swept, ledger.trials(swept.bars.source, first, last), threads=1))
    return found


def at_most(runs: int) -> float:
    """Return how many of so many runs may pass: what is promised and three binomial errors."""
    return PROMISED * runs + 3.0 * math.sqrt(runs * PROMISED * (1.0 - PROMISED))


def test_the_best_of_many_without_skill_looks_skilled_and_does_not_pass(sample: Bars, tmp_path: Path) -> None:
    runs = 90
    found = verdicts(sample, WIDE, runs, tmp_path, 1)
    assert all(verdict.trials == 126 and verdict.plans == 1 for verdict in found)
    naive = sum(verdict.probabilistic_sharpe > 0.95 for verdict in found)
    assert naive > 0.6 * runs, "the best of so many should look skilled to who does not count the trials"
    assert sum(verdict.passed for verdict in found) <= at_most(runs)
    assert sum(verdict.deflated_sharpe > 0.95 for verdict in found) <= at_most(runs)
    # what the best shows is what luck was said to show
    excess = [verdict.sharpe - verdict.expected_max_sharpe for verdict in found]
    assert abs(np.mean(excess)) < 0.25
    # choosing among nothing is as good as not choosing
    assert np.mean([verdict.pbo for verdict in found]) == pytest.approx(0.5, abs=0.1)


def test_a_few_that_are_all_alike_do_not_pass_either(sample: Bars, tmp_path: Path) -> None:
    runs = 60
    found = verdicts(sample, ALIKE, runs, tmp_path, 2)
    assert sum(verdict.passed for verdict in found) <= at_most(runs)
    assert sum(verdict.deflated_sharpe > 0.95 for verdict in found) <= at_most(runs)
    assert sum(verdict.probabilistic_sharpe > 0.95 for verdict in found) < 0.3 * runs


def test_what_has_skill_passes(sample: Bars, tmp_path: Path) -> None:
    # the same shuffled days, but each move is half undone by the next one: buying weakness works
    rng = np.random.default_rng(3)
    for run in range(3):
        bars = shuffled(sample, rng, 2_000)
        steps = np.diff(np.log(bars.close), prepend=math.log(100.0))
        lift = np.exp(-0.5 * np.concatenate([[0.0], np.cumsum(steps)[:-1]]))
        close, opened = bars.close * lift, bars.open * np.concatenate([[1.0], lift[:-1]])  # undone between the two
        high, low = np.maximum(opened, close), np.minimum(opened, close)
        turning = Bars.from_arrays(
            "made:SOME/B:1d", "1d", bars.time, opened, high, low, close, bars.volume,
            bars_per_year=252.0, calendar="sessions",
        )  # fmt: skip
        swept = swept_of(turning, Sweep(Turns, Space.of(Turns, WIDE), FREE))
        ledger = Ledger(tmp_path / str(run))
        ledger.record(swept.entry("plan"))
        found = judge(swept, ledger.trials(turning.source, int(bars.time[0]), int(bars.time[-1])), threads=1)
        assert found.passed, found.conclusion
