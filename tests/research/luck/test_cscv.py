"""The probability of backtest overfitting against a naive one on raw returns, and another library's."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.research.luck.cscv import Overfitting, cross_validate
from engine.research.sweep import block_bounds


def sums_of(returns: NDArray[np.float64], blocks: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return block sums and block lengths of returns, one row a list."""
    bounds = block_bounds(returns.shape[1], blocks)
    parts = [returns[:, a:b] for a, b in itertools.pairwise(bounds)]
    return np.stack([np.stack([p.sum(axis=1), (p * p).sum(axis=1)], axis=1) for p in parts], axis=1), np.diff(bounds)


def validated(returns: NDArray[np.float64], blocks: int = 16, threads: int = 1) -> Overfitting:
    found = cross_validate(*sums_of(returns, blocks), threads)
    assert found is not None
    return found


def naive(returns: NDArray[np.float64], blocks: int) -> tuple[list[float], list[tuple[float, float]]]:
    """Return (logits, pairs) of the procedure as it is written, on whole returns."""
    bounds = block_bounds(returns.shape[1], blocks)
    cut = [list(range(a, b)) for a, b in itertools.pairwise(bounds.tolist())]

    def sharpe(row: NDArray[np.float64]) -> float:
        deviation = row.std(ddof=1)
        return float(row.mean() / deviation) if deviation > 0 else 0.0

    logits, pairs = [], []
    for chosen in itertools.combinations(range(blocks), blocks // 2):
        inside = [t for b in chosen for t in cut[b]]
        outside = [t for b in range(blocks) if b not in chosen for t in cut[b]]
        here = [sharpe(row[inside]) for row in returns]
        there = [sharpe(row[outside]) for row in returns]
        best = here.index(max(here))
        below = sum(x < there[best] for x in there)
        equal = sum(x == there[best] for x in there)
        w = (below + (equal + 1) / 2) / (len(returns) + 1)
        logits.append(math.log(w / (1 - w)))
        pairs.append((here[best], there[best]))
    return logits, pairs


@pytest.mark.parametrize(("lists", "bars", "blocks"), [(2, 40, 8), (3, 57, 8), (7, 131, 8), (11, 200, 10), (4, 16, 4)])
def test_it_is_the_naive_procedure_on_whole_returns(lists: int, bars: int, blocks: int) -> None:
    returns = np.random.default_rng(lists).normal(0.0005, 0.01, (lists, bars))
    found = validated(returns, blocks)
    logits, pairs = naive(returns, blocks)
    np.testing.assert_allclose(found.logits, logits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.pairs, pairs, rtol=1e-8, atol=1e-12)
    assert found.pbo == np.mean(np.array(logits) <= 0)
    assert found.lists == lists


def test_all_12_870_splits_of_16_blocks_are_the_naive_ones() -> None:
    returns = np.random.default_rng(5).normal(0.0, 0.01, (3, 48))
    found = validated(returns)
    logits, pairs = naive(returns, 16)
    assert found.logits.size == math.comb(16, 8) == 12_870
    np.testing.assert_allclose(found.logits, logits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.pairs, pairs, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_purgedcv_says_the_same(seed: int) -> None:
    import purgedcv

    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0, 0.01, (6, 64)) + rng.normal(0.0, 0.002, (6, 1))
    found = validated(returns, 8)
    other = purgedcv.probability_of_backtest_overfitting(returns, n_splits=8)
    assert found.logits.size == other.n_combos
    assert found.pbo == pytest.approx(other.pbo)
    assert found.slope == pytest.approx(other.slope, rel=1e-8)


def test_threads_do_not_change_a_bit() -> None:
    sums, lengths = sums_of(np.random.default_rng(6).normal(0.0, 0.01, (50, 500)), 16)
    one, two, three = (cross_validate(sums, lengths, threads) for threads in (1, 2, 3))
    assert one is not None
    for other in (two, three):
        assert other is not None
        assert other.logits.tobytes() == one.logits.tobytes()
        assert other.pairs.tobytes() == one.pairs.tobytes()


def test_skill_is_told_from_none() -> None:
    rng = np.random.default_rng(7)
    noise = rng.normal(0.0, 0.01, (60, 1_600))
    assert 0.25 < validated(noise).pbo < 0.85
    skilled = noise.copy()
    skilled[17] += 0.002
    found = validated(skilled)
    assert found.pbo < 0.01
    assert found.losing < 0.01
    # what wins one half by construction loses the other: opposite signs in every pair of blocks
    signs = rng.permuted(np.tile(np.repeat([1.0, -1.0], 8), (60, 1)), axis=1)
    turning = noise * 0.1 + 0.01 * np.repeat(signs, 100, axis=1)
    worse = validated(turning)
    assert worse.pbo > 0.95
    assert worse.slope < -0.5


def test_a_list_without_deviation_counts_as_0_and_ties_have_the_middle_rank() -> None:
    rng = np.random.default_rng(8)
    returns = np.zeros((4, 80))
    returns[1] = rng.normal(-0.01, 0.001, 80)
    found = validated(returns, 8)
    # rows 0, 2 and 3 never trade and are the best in-sample; the first is chosen; out of sample three are equal
    w = (1 + (3 + 1) / 2) / 5
    np.testing.assert_allclose(found.logits, math.log(w / (1 - w)))
    assert not found.pairs.any()
    assert math.isnan(found.slope)
    logits, _ = naive(returns, 8)
    np.testing.assert_allclose(found.logits, logits)


def test_of_two_that_are_equal_in_sample_the_first_is_chosen() -> None:
    rng = np.random.default_rng(10)
    returns = np.stack([rng.normal(0.02, 0.01, 80), rng.normal(-0.02, 0.01, 80), np.zeros(80)])
    returns[1, :40] = returns[0, :40]
    found = validated(returns, 8)
    assert found.pairs[0, 1] > 1.0  # in the first four blocks both are the best, in the others the first alone
    assert validated(returns[[1, 0, 2]], 8).pairs[0, 1] < -1.0


def test_one_list_or_too_few_bars_cannot_be_said() -> None:
    rng = np.random.default_rng(9)
    assert cross_validate(*sums_of(rng.normal(0, 0.01, (1, 100)), 16)) is None
    assert cross_validate(*sums_of(rng.normal(0, 0.01, (0, 100)), 16)) is None
    assert cross_validate(*sums_of(rng.normal(0, 0.01, (5, 10)), 16)) is None
    assert cross_validate(*sums_of(rng.normal(0, 0.01, (5, 32)), 16)) is not None
