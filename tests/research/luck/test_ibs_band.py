"""The published rule on QQQ and its neighbourhood: both Sharpe conventions, and what the verdict makes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.graph import bind
from engine.research.luck import Swept, judge
from engine.research.luck.judge import ranking, shortlist_of
from engine.research.luck.resample import resample, returns_of
from engine.research.space import Space
from engine.research.sweep import Sweep
from engine.simulate import Costs, simulate_program
from engine.strategies import STRATEGIES
from tests.data import needs_data
from tests.research.luck.made import swept_of
from tests.simulate.drawn import real_bars

RULE = STRATEGIES["ibs_band"]
PUBLISHED = {"range_length": 25.0, "high_length": 10.0, "width": 2.5, "strength": 0.3, "trend_length": 300.0}
AROUND = {
    "range_length": [23.0, 24.0, 25.0, 26.0, 27.0],
    "high_length": [8.0, 9.0, 10.0, 11.0, 12.0],
    "width": [2.3, 2.4, 2.5, 2.6, 2.7],
    "strength": [0.2, 0.25, 0.3, 0.35, 0.4],
    "trend_length": [200.0, 250.0, 300.0],
}
FREE = Costs(fee=0.0, slippage=0.0)  # as it was published

pytestmark = needs_data


@pytest.fixture(scope="module")
def swept() -> Swept:
    bars = real_bars("yahoo_QQQ_1d_adj.parquet", 0, 5_000)
    return swept_of(bars, Sweep(RULE, Space.of(RULE, AROUND), FREE))


def published(swept: Swept) -> int:
    space = swept.sweep.space
    (combo,) = (c for c in swept.combo.tolist() if space.row(c) == PUBLISHED)
    return int(combo)


def test_both_sharpe_conventions_are_told_and_only_one_is_the_headline(swept: Swept) -> None:
    found = judge(swept, combo=published(swept))
    plain = simulate_program(bind(RULE()), swept.bars, FREE)
    returns = returns_of(plain)
    held = returns[plain.invested]
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(252), rel=1e-9)
    assert found.sharpe_invested == pytest.approx(held.mean() / held.std(ddof=1) * math.sqrt(252), rel=1e-9)
    assert 0.7 < found.sharpe < 1.0
    assert 1.9 < found.sharpe_invested < 2.4  # the headline says 2.11
    told = {row.name: row for row in found.rows}
    assert told["sharpe"].value == found.sharpe
    assert told["sharpe_invested"].value == found.sharpe_invested
    assert "not what an account earns" in told["sharpe_invested"].meaning


def test_the_neighbourhood_of_1875_beats_luck_but_choosing_within_it_does_not(swept: Swept) -> None:
    assert swept.combo.size == 1_875
    for combo in (None, published(swept)):
        found = judge(swept, combo=combo)
        assert found.trials == 1_875
        assert found.distinct_lists > 1_500
        assert found.deflated_sharpe > 0.95
        assert found.plateau > 0.5
        assert found.neighbours_earning == 1.0
        assert found.pbo > 0.5  # alike as they are, the best of one half is a chance find
        assert not found.passed
        assert "which of them is best is chance" in found.conclusion
    assert judge(swept, combo=published(swept)).neighbours == 3**4 * 2 - 1  # the trend is at the edge of its values


def test_dearer_trading_and_more_trials_take_its_edge(swept: Swept) -> None:
    found = judge(swept, combo=published(swept))
    assert found.stress is not None
    assert 0.002 < found.stress.break_even < 0.01
    dear = swept_of(swept.bars, Sweep(RULE, swept.sweep.space, Costs()))
    costly = judge(dear, combo=published(dear))
    assert costly.sharpe < found.sharpe - 0.15
    assert costly.deflated_sharpe < 0.95


def test_its_mean_return_does_not_beat_holding(swept: Swept) -> None:
    order = ranking(swept.sharpe)
    combo = published(swept)
    shortlist, hold = shortlist_of(swept, order, combo, simulate_program(swept.program(combo), swept.bars, FREE), 12)
    found = resample(shortlist, hold, repeats=300, periods=1_100)
    assert found.cash.p < 0.05
    assert found.cash.candidate
    assert found.buy_and_hold.p > 0.1
    assert found.buy_and_hold.better == 0
    assert np.sign(found.sharpe.low) == 1.0
