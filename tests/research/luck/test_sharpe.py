"""What a Sharpe ratio is worth: the published example, other libraries, simulated luck."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.research.luck.sharpe import (
    EULER,
    deflated_sharpe,
    expected_max_sharpe,
    min_backtest_years,
    min_track_record,
    moments_of,
    probabilistic_sharpe,
)


def drawn(seed: int, count: int = 900) -> np.ndarray:
    """Return skewed returns with heavy tails."""
    rng = np.random.default_rng(seed)
    return 0.01 * (rng.standard_t(5, count) + 0.6 * rng.exponential(1.0, count) - 0.5)


def test_the_worked_example_of_the_deflated_sharpe_ratio_comes_out() -> None:
    # Bailey and Lopez de Prado 2014: five years of 250 days, 100 trials, variance 1/2 a year, skewness -3, kurtosis 10
    per_day = 2.5 / math.sqrt(250)
    assert round(expected_max_sharpe(100, 0.5 / 250), 4) == 0.1132
    assert round(deflated_sharpe(per_day, 100, 0.5 / 250, 1250, -3.0, 10.0), 4) == 0.9004


def test_the_worked_example_of_the_minimum_track_record_comes_out() -> None:
    # Bailey and Lopez de Prado 2012, daily normal returns: an annual 2 against 1 at 95 % takes 2.73 years
    days = min_track_record(2.0 / math.sqrt(250), 1.0 / math.sqrt(250))
    assert round(days / 250, 2) == 2.73


@pytest.mark.parametrize("seed", range(4))
def test_purgedcv_says_the_same(seed: int) -> None:
    import purgedcv

    returns = drawn(seed)
    own = moments_of(returns)
    shape = (own.skewness, own.kurtosis)
    for benchmark in (0.0, 0.02, -0.05):
        found = probabilistic_sharpe(own.sharpe, benchmark, own.bars, *shape)
        assert found == pytest.approx(purgedcv.probabilistic_sharpe_ratio(returns, benchmark), abs=4e-4)
    for trials, variance in ((1, 0.001), (2, 0.001), (50, 0.0004), (100_000, 0.0009)):
        found = deflated_sharpe(own.sharpe, trials, variance, own.bars, *shape)
        assert found == pytest.approx(purgedcv.deflated_sharpe_ratio(returns, trials, variance), abs=4e-4)
        assert min_backtest_years(trials) == pytest.approx(purgedcv.minimum_backtest_length(trials), rel=1e-9)


@pytest.mark.parametrize("trials", [2, 10, 1_000, 10**6])
def test_jsharpe_says_the_same(trials: int) -> None:
    import jsharpe

    assert expected_max_sharpe(trials, 0.03) == pytest.approx(
        jsharpe.expected_maximum_sharpe_ratio(trials, 0.03), rel=1e-9
    )
    # it takes the estimate's variance at the benchmark, and divides by the number of bars itself: the same at 0
    assert probabilistic_sharpe(0.0, 0.0, 500, -1.0, 7.0) == jsharpe.probabilistic_sharpe_ratio(0.0, 0.0, T=500) == 0.5
    found = probabilistic_sharpe(1e-6, -0.04, 501)
    assert found == pytest.approx(jsharpe.probabilistic_sharpe_ratio(1e-6, -0.04, variance=1 / 500), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_skfolio_says_the_same(seed: int) -> None:
    measures = pytest.importorskip("skfolio.measures", reason="skfolio is heavy and not in the extra dev")
    returns = drawn(seed)
    own = moments_of(returns)
    shape = (own.skewness, own.kurtosis)
    found = probabilistic_sharpe(own.sharpe, 0.01, own.bars, *shape)
    assert found == pytest.approx(measures.probabilistic_sharpe_ratio(returns, 0.01), abs=1e-3)
    trials = np.random.default_rng(seed).normal(0, 0.03, 40)
    luck = expected_max_sharpe(40, float(trials.var(ddof=1)))
    assert luck == pytest.approx(measures.expected_max_sharpe_ratio(40, float(trials.std(ddof=1))), rel=1e-9)
    deflated = deflated_sharpe(own.sharpe, 40, float(trials.var(ddof=1)), own.bars, *shape)
    assert deflated == pytest.approx(measures.deflated_sharpe_ratio(returns, trials), abs=2e-3)


def test_moments_are_scipys() -> None:
    from scipy import stats

    returns = drawn(9)
    own = moments_of(returns)
    assert own.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-12)
    assert own.skewness == pytest.approx(stats.skew(returns), rel=1e-10)
    assert own.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-10)
    for flat in (np.zeros(50), np.full(50, 0.1), np.zeros(1), np.zeros(0)):
        assert math.isnan(moments_of(flat).sharpe)


def test_the_expected_maximum_is_what_simulated_trials_show() -> None:
    from scipy import stats

    rng = np.random.default_rng(3)
    for trials in (5, 50, 500):
        seen = rng.normal(0.0, 0.2, (4_000, trials)).max(axis=1).mean()
        assert expected_max_sharpe(trials, 0.04) == pytest.approx(seen, rel=0.04)
    assert expected_max_sharpe(1, 0.04) == 0.0
    assert expected_max_sharpe(100, 0.0) == 0.0
    tail = [stats.norm.isf(1e-12), stats.norm.isf(1e-12 / math.e)]  # where 1 - 1 / trials has lost its digits
    assert expected_max_sharpe(1e12, 1.0) == pytest.approx(np.average(tail, weights=[1 - EULER, EULER]), rel=1e-12)


def test_the_probability_is_how_often_the_truth_is_above() -> None:
    # returns whose true Sharpe ratio is 0: the probability is below p in p of the samples
    rng = np.random.default_rng(4)
    found = []
    for _ in range(1_500):
        own = moments_of(rng.standard_t(6, 400))
        found.append(probabilistic_sharpe(own.sharpe, 0.0, own.bars, own.skewness, own.kurtosis))
    for p in (0.05, 0.5, 0.95):
        assert np.mean(np.array(found) < p) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 1_500))


def test_the_minimum_track_record_is_where_the_probability_reaches_the_confidence() -> None:
    for sharpe, benchmark, skewness, kurtosis in ((0.1, 0.0, -1.0, 6.0), (0.3, 0.1, 0.5, 3.0), (0.05, -0.05, 0.0, 9.0)):
        bars = min_track_record(sharpe, benchmark, skewness, kurtosis)
        assert probabilistic_sharpe(sharpe, benchmark, bars, skewness, kurtosis) == pytest.approx(0.95, abs=1e-12)
    assert min_track_record(0.1, 0.1) == math.inf
    assert min_track_record(0.1, 0.2) == math.inf


def test_the_minimum_backtest_is_the_length_at_which_luck_shows_the_sharpe_ratio() -> None:
    for trials in (2, 7, 45, 10_000):
        for sharpe in (0.5, 1.0, 2.0):
            years = min_backtest_years(trials, sharpe)
            assert expected_max_sharpe(trials, 1.0 / years) == pytest.approx(sharpe, rel=1e-12)
            assert years < 2.0 * math.log(trials) / sharpe**2
    assert min_backtest_years(1) == 0.0
    assert round(min_backtest_years(45), 1) == 5.0  # the paper: five years allow 45 trials


def test_what_is_unknown_stays_unknown() -> None:
    nan = math.nan
    for found in (
        probabilistic_sharpe(nan, 0.0, 100),
        probabilistic_sharpe(0.1, nan, 100),
        probabilistic_sharpe(0.1, 0.0, 1),
        probabilistic_sharpe(0.1, 0.0, 100, nan, 3.0),
        probabilistic_sharpe(2.0, 0.0, 100, 3.0, 1.0),  # a shape that cannot be
        expected_max_sharpe(0, 1.0),
        expected_max_sharpe(10, nan),
        deflated_sharpe(0.1, 10, nan, 100),
        min_track_record(nan, 0.0),
        min_backtest_years(0),
    ):
        assert math.isnan(found)


def test_both_tails_keep_their_digits() -> None:
    assert probabilistic_sharpe(-0.5, 0.0, 900) == pytest.approx(2.4e-46, rel=0.2)
    assert probabilistic_sharpe(0.5, 0.0, 900) == 1.0
