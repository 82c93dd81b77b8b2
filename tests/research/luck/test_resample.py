"""SPA and the step-wise test against one written out in loops, intervals against what is known of them."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.graph import bind
from engine.research.luck.resample import (
    block_length,
    bootstrap,
    drawdown_of,
    growths_of,
    interval,
    long_run_variance,
    put_together,
    resample,
    reshuffle,
    returns_of,
    superiority,
)
from engine.simulate import Costs, simulate_program
from engine.strategies import STRATEGIES
from tests.research.made_strategies import LongTurns
from tests.simulate.drawn import made_bars


def naive_spa(models: NDArray[np.float64], block: int, repeats: int, seed: int) -> float:
    """Return Hansen's consistent p-value against cash, formula by formula."""
    rng = np.random.default_rng(seed)
    n, k = models.shape
    mean = models.mean(axis=0)
    omega = np.empty(k)
    for j in range(k):
        away = models[:, j] - mean[j]
        total = float(np.mean(away * away))
        for i in range(1, n):
            kappa = (n - i) / n * (1 - 1 / block) ** i + i / n * (1 - 1 / block) ** (n - i)
            total += 2 * kappa * float(away[: n - i] @ away[i:]) / n
        omega[j] = math.sqrt(total)
    statistic = max(0.0, max(math.sqrt(n) * mean[j] / omega[j] for j in range(k)))
    threshold = math.sqrt(2 * math.log(math.log(n)))
    centre = [mean[j] if math.sqrt(n) * mean[j] / omega[j] >= -threshold else 0.0 for j in range(k)]
    beyond = 0
    for _ in range(repeats):
        places = np.empty(n, np.int64)
        for t in range(n):
            fresh = t == 0 or rng.random() < 1 / block
            places[t] = rng.integers(n) if fresh else (places[t - 1] + 1) % n
        drawn = models[places].mean(axis=0)
        beyond += max(0.0, max(math.sqrt(n) * (drawn[j] - centre[j]) / omega[j] for j in range(k))) > statistic
    return beyond / repeats


@pytest.mark.parametrize("lift", [0.0, 0.0002, 0.0003])
def test_spa_is_the_one_written_out(lift: float) -> None:
    rng = np.random.default_rng(2)
    scale = np.array([0.01, 0.02, 0.002, 0.03])  # very different ones: only over their deviations can they be compared
    models = rng.normal(0.0, scale, (160, 4)) - models_mean(rng)
    models[:, 2] += lift
    found = superiority(models, np.zeros(160), 4.0, 3_000, 1)
    assert found.p == pytest.approx(naive_spa(models, 4, 3_000, 5), abs=4 * math.sqrt(0.25 / 3_000) + 0.01)


def models_mean(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(0.0, 0.0002, 4)


def test_the_steps_are_the_librarys() -> None:
    from arch.bootstrap import StepM

    models = np.random.default_rng(11).normal(np.linspace(-0.02, 0.03, 12), 0.1, (250, 12))
    found = superiority(models, np.zeros(250), 3.0, 500, 4)
    lead = models / np.sqrt(long_run_variance(models, 3.0))
    library = StepM(np.zeros(250), -lead, 0.05, 3, 500, seed=4)
    library.compute()
    assert 0 < found.better == len(library.superior_models) < 12


def test_the_long_run_variance_is_that_of_resampled_means() -> None:
    rng = np.random.default_rng(3)
    shocks = rng.normal(0, 0.01, (301, 3))
    models = shocks[1:] + np.array([0.0, 0.6, -0.4]) * shocks[:-1]
    means = []
    for _ in range(4_000):
        fresh = rng.random(300) < 1 / 6
        fresh[0] = True
        start = np.maximum.accumulate(np.where(fresh, np.arange(300), 0))
        first = rng.integers(0, 300, 300)
        places = (first[start] + np.arange(300) - start) % 300
        means.append(models[places].mean(axis=0))
    np.testing.assert_allclose(long_run_variance(models, 6.0), 300 * np.var(means, axis=0), rtol=0.1)


def test_one_that_is_better_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(0.0, 0.01, (600, 20))
    nothing = superiority(noise - noise.mean(axis=0), np.zeros(600), 2.0, 400, 1)
    assert nothing.p > 0.5
    assert (nothing.better, nothing.candidate) == (0, False)
    better = noise.copy()
    better[:, [0, 7]] += 0.003
    found = superiority(better, np.zeros(600), 2.0, 400, 1)
    assert found.p < 0.01
    assert found.better >= 2
    assert found.candidate
    other = noise - noise.mean(axis=0)
    other[:, 7] += 0.004
    assert not superiority(other, np.zeros(600), 2.0, 400, 1).candidate
    every = noise + 0.01  # the second step finds all that are left
    every[:, :5] += 0.05
    assert superiority(every, np.zeros(600), 2.0, 400, 1).better == 20
    held = superiority(better, better[:, 7], 2.0, 400, 1)  # against itself one does not differ
    assert held.better == 0
    assert superiority(better, np.zeros(600), 2.0, 400, 1) == found
    assert math.isnan(superiority(np.zeros((600, 2)), np.zeros(600), 2.0, 400, 1).p)
    assert math.isnan(superiority(better[:5], np.zeros(5), 2.0, 400, 1).p)


def test_skill_less_shortlists_are_called_better_at_most_as_often_as_promised() -> None:
    rng = np.random.default_rng(5)
    runs = 60
    false = sum(superiority(rng.normal(0, 0.01, (120, 8)), np.zeros(120), 2.0, 200, k).p < 0.05 for k in range(runs))
    assert false <= 0.05 * runs + 3 * math.sqrt(0.05 * 0.95 * runs)


def test_the_bootstraps_sharpe_interval_is_as_wide_as_the_estimates_error() -> None:
    returns = np.random.default_rng(6).normal(0.001, 0.01, 1_000)
    sharpe, drawdown = bootstrap(returns, 1.0, 250.0, 800, 1)
    own = returns.mean() / returns.std(ddof=1) * math.sqrt(250)
    error = math.sqrt(250 / 1_000)
    assert sharpe.middle == pytest.approx(own, abs=0.1)
    assert sharpe.high - sharpe.low == pytest.approx(2 * 1.645 * error, rel=0.15)
    assert -1 <= drawdown.low < drawdown.middle < drawdown.high <= 0
    assert bootstrap(returns, 1.0, 250.0, 800, 1) == (sharpe, drawdown)
    assert math.isnan(bootstrap(np.zeros(50), 1.0, 250.0, 10, 1)[0].low)


def test_blocks_are_longer_where_returns_hang_together() -> None:
    rng = np.random.default_rng(7)
    alone = rng.normal(0, 1, 2_000)
    together = np.convolve(rng.normal(0, 1, 2_019), np.ones(20), "valid")
    assert 1.0 <= block_length(alone) < 10.0 < block_length(together) <= 1_000
    assert block_length(np.zeros(50)) == 1.0


def test_reshuffling_trades_gives_the_drawdowns_of_their_orders() -> None:
    growths = np.array([1.1, 0.8, 1.2])
    found = reshuffle(growths, 2_000, 1)
    assert found.low == pytest.approx(-0.2)
    assert found.high == pytest.approx(-0.2)
    losing = reshuffle(np.array([0.9, 0.9, 1.5]), 2_000, 1)
    assert losing.low == pytest.approx(-0.19)  # both losses in a row in four of six orders
    assert losing.high == pytest.approx(-0.1)
    assert math.isnan(reshuffle(np.array([1.1]), 10, 1).low)


def test_drawdowns_and_periods_are_what_they_say() -> None:
    assert drawdown_of(np.array([1.1, 0.5, 1.5, 0.9])) == pytest.approx(-0.5)
    assert drawdown_of(np.array([1.1, 1.2])) == 0.0
    assert drawdown_of(np.array([0.7])) == pytest.approx(-0.3)
    assert drawdown_of(np.array([1.2, -0.5, 3.0])) == -1.0
    returns = np.array([0.1, -0.2, 0.3, 0.4, 0.5])
    np.testing.assert_allclose(put_together(returns, 2), [1.1 * 0.8 - 1, 1.3 * 1.4 - 1, 0.5])
    np.testing.assert_allclose(put_together(returns, 1), returns)
    assert math.isnan(interval(np.array([np.nan])).low)


def test_returns_and_growths_are_the_accounts() -> None:
    bars = made_bars(np.random.default_rng(8), 900)
    plain = simulate_program(bind(LongTurns()), bars, Costs())
    returns = returns_of(plain)
    assert np.prod(1 + returns) == pytest.approx(plain.equity[-1] / 10_000, rel=1e-12)
    assert returns.sum() == pytest.approx(plain.tally[1], rel=1e-9)
    growths = growths_of(plain)
    assert growths.size == plain.trades.size > 5
    assert 10_000 * np.prod(growths) == pytest.approx(10_000 + plain.trades["profit"].sum(), rel=1e-12)
    broke = SimpleNamespace(equity=np.array([50.0, -10.0, -10.0]), costs=Costs(initial_cash=100.0))
    np.testing.assert_allclose(returns_of(cast(Any, broke)), [-0.5, -1.2, 0.0])


def test_a_whole_resampling_is_the_same_for_the_same_seed() -> None:
    bars = made_bars(np.random.default_rng(9), 1_000)
    hold = simulate_program(bind(STRATEGIES["buy_and_hold"]()), bars, Costs())
    shortlist = [
        simulate_program(bind(LongTurns(), {"low_level": level}), bars, Costs()) for level in (30.0, 40.0, 45.0)
    ]
    found = resample(shortlist, hold, repeats=50, periods=300)
    assert found == resample(shortlist, hold, repeats=50, periods=300)
    assert found != resample(shortlist, hold, repeats=50, periods=300, seed=1)
    assert (found.shortlist, found.repeats, found.period) == (3, 50, 4)
    for value in (found.cash.p, found.buy_and_hold.p):
        assert 0.0 <= value <= 1.0
