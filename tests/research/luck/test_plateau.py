"""Neighbours in a grid and in a random sample, against a search over every combination."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.research.luck.plateau import MOST, grid_neighbours, nearest, neighbours_of, plateau_of
from engine.research.space import Draw, Space
from tests.research.made_strategies import LongTurns


def space_of(*sizes: int, shuffled: bool = False) -> Space:
    rng = np.random.default_rng(sum(sizes))
    values = {f"p{k}": np.arange(size) * 1.5 for k, size in enumerate(sizes)}
    if shuffled:
        values = {name: rng.permutation(v) for name, v in values.items()}
    return Space(values)


def steps(space: Space, a: int, b: int) -> tuple[int, int]:
    """Return (largest step, parameters that differ) between two combinations, in ranks of the values."""
    one, other = space.row(a), space.row(b)
    ranks = [abs(np.sum(v < one[name]) - np.sum(v < other[name])) for name, v in space.values.items()]
    return int(max(ranks)), int(np.count_nonzero(ranks))


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("sizes", [(5,), (1, 4, 1), (3, 4, 2), (2, 2, 2, 3), (1, 1)])
def test_neighbours_are_all_within_one_step_in_every_parameter(sizes: tuple[int, ...], shuffled: bool) -> None:
    space = space_of(*sizes, shuffled=shuffled)
    every = range(space.size)
    for combo in every:
        expected = [other for other in every if other != combo and steps(space, combo, other)[0] == 1]
        assert grid_neighbours(space, combo).tolist() == expected


def test_with_many_parameters_those_that_differ_in_few_come_first() -> None:
    eight, nine = space_of(*[3] * 8), space_of(*[3] * 9)
    middle = (3**8 - 1) // 2
    assert grid_neighbours(eight, middle).size == 3**8 - 1 == MOST - 1
    found = grid_neighbours(nine, (3**9 - 1) // 2)
    assert found.size == sum(math.comb(9, k) * 2**k for k in range(1, 5))
    assert {steps(nine, (3**9 - 1) // 2, other)[1] for other in found[::40].tolist()} <= {1, 2, 3, 4}


def test_only_neighbours_that_were_swept_count() -> None:
    space = space_of(5, 5)
    swept = np.array([6, 7, 8, 12, 13, 24], np.int64)  # a constraint keeps these
    assert swept[neighbours_of(space, 12, swept)].tolist() == [6, 7, 8, 13]
    assert neighbours_of(space_of(1, 1), 0, np.array([0])).size == 0
    assert neighbours_of(space, 12, np.array([12])).size == 0


def test_points_of_a_random_sample_have_the_nearest_as_neighbours() -> None:
    space = space_of(1000, 1000, 7, 1)
    rng = np.random.default_rng(1)
    swept = np.unique(rng.integers(0, space.size, 500))
    for combo in swept[[0, 100, 250, 499]].tolist():
        found = neighbours_of(space, combo, swept)
        assert found.size == 32
        assert combo not in swept[found]
        columns = [space.shard_of(swept).column(name) for name in space.values]
        at = int(np.flatnonzero(swept == combo)[0])
        ranks = [np.array([np.unique(c[c < x]).size for x in c]) / max(1, np.unique(c).size - 1) for c in columns]
        distance = np.max([np.abs(rank - rank[at]) for rank in ranks], axis=0)
        expected = sorted((d, k) for k, d in enumerate(distance) if k != at)[:32]
        assert found.tolist() == [k for _, k in expected]
    few = swept[:5]
    assert sorted(nearest(space, int(few[2]), few).tolist()) == [0, 1, 3, 4]


def test_points_drawn_from_intervals_have_neighbours_too() -> None:
    draw = Draw(200, 3, {"low_level": (20.0, 45.0), "stop_atr": (0.5, 4.0)})
    space = Space.of(LongTurns, {"rsi_length": [5.0, 7.0]}, draw=draw)
    swept = np.concatenate([shard.combo for shard in space.shards()])
    found = neighbours_of(space, int(swept[10]), swept)
    assert found.size == 32
    own, theirs = space.row(int(swept[10])), [space.row(int(swept[k])) for k in found]
    assert all(row["rsi_length"] == own["rsi_length"] for row in theirs)
    assert max(abs(row["low_level"] - own["low_level"]) for row in theirs) < 12.0


def test_the_score_is_the_median_and_what_never_trades_counts_as_nothing() -> None:
    nan = math.nan
    found = plateau_of(np.array([0.5, 0.7, 0.1]), np.array([0.2, 0.3, -0.1]))
    assert (found.score, found.neighbours) == (0.5, 3)
    assert found.earning == pytest.approx(2 / 3)
    needle = plateau_of(np.array([0.9, nan, nan]), np.array([0.2, 0.0, 0.0]))
    assert needle.score == 0.0
    assert needle.earning == pytest.approx(1 / 3)
    none = plateau_of(np.zeros(0), np.zeros(0))
    assert none.neighbours == 0
    assert math.isnan(none.score)
    assert math.isnan(none.earning)
