"""The plan of a shard: each distinct piece of work once, and the same columns as each program on its own."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Param, Signals, Strategy, bind, columns, ta
from engine.research.instances import Instances, compress
from engine.research.plan import plan
from engine.research.prepare import pieces, prepare, shapes
from engine.research.space import Shard, Space
from engine.research.sweep import Sweep
from engine.research.tiles import Tiles
from engine.simulate import Costs, decisions_of
from engine.strategies import STRATEGIES
from parquet_store import Usage
from tests.research.made_strategies import KellyTurns, Turns
from tests.research.swept import assert_swept_is_plain, pack
from tests.simulate.drawn import made_bars

COSTS = Costs(short=True)
MEAN_REVERSION = STRATEGIES["mean_reversion"]


def only(sweep: Sweep) -> Shard:
    (shard,) = sweep.space.shards()
    return shard


def steps_of_work(work) -> list[str]:  # type: ignore[no-untyped-def]
    return [node.step for node in work.program.nodes]


def test_distinct_nodes_are_computed_once_over_the_grid() -> None:
    grid = {
        "rsi_length": [5, 10, 14, 20, 30],
        "band_length": [10, 20, 30, 40, 50],
        "band_width": [1.0, 1.5, 2.0, 2.5, 3.0],
        "oversold": [float(x) for x in range(20, 36, 2)],
        "overbought": [float(x) for x in range(60, 80, 2)],
        "stop_atr": [0.0],
        "var_limit": [0.0],
        "kelly_fraction": [0.0],
    }
    sweep = Sweep(MEAN_REVERSION, Space.of(MEAN_REVERSION, grid), COSTS)
    assert sweep.space.size == 10_000
    ((shape, places),) = shapes(sweep.drawn, sweep.sizing, only(sweep))
    assert places.size == 10_000
    work = plan(only(sweep), shape)
    steps = steps_of_work(work)
    assert steps.count("rsi") == 5
    assert steps.count("moments") == 5
    assert steps.count("multiply") == steps.count("add") == steps.count("subtract") == 25
    assert len(steps) == 5 + 5 + 3 * 25
    keys = [(node.step, node.inputs, node.params) for node in work.program.nodes]
    assert len(set(keys)) == len(keys)
    # comparisons: rsi against levels, close against bands; then entries and exits; short sides and constants
    entries, exits = 5 * 8 * 25, 5 * 10 * 25
    assert len(work.tasks) <= 2 * 25 + 90 + entries + exits + 2
    assert len(np.unique(work.streams[:, 0])) == entries
    assert len(np.unique(work.streams[:, 1])) == exits


def test_switches_make_shapes_that_share_out_the_combinations() -> None:
    values = {"stop_atr": [0.0, 1.0, 2.0], "target_atr": [0.0, 3.0], "fraction": [0.0, 0.5], "rsi_length": [3, 5]}
    sweep = Sweep(KellyTurns, Space.of(KellyTurns, values), COSTS)
    shard = only(sweep)
    found = list(shapes(sweep.drawn, sweep.sizing, shard))
    assert len(found) == 8
    assert sorted(np.concatenate([places for _, places in found]).tolist()) == list(range(sweep.space.size))
    for shape, places in found:
        rows = [sweep.space.row(int(k)) for k in shard.combo[places]]
        assert {bool(row["stop_atr"]) for row in rows} == {"stop" in shape.nodes}
        assert {bool(row["target_atr"]) for row in rows} == {"target" in shape.nodes}
        assert {bool(row["fraction"]) for row in rows} == {shape.size.kind == "kelly"}


@pytest.mark.parametrize("budget", [1, 400_000, 1 << 30])
def test_pieces_keep_to_the_budget_and_to_each_programs_columns(budget: int) -> None:
    bars = made_bars(np.random.default_rng(1), 700)
    values = {
        "stop_atr": [0.0, 1.0, 2.0],
        "target_atr": [0.0, 3.0],
        "rsi_length": [3, 5, 8],
        "trailing": [0, 1],
        "max_hold": [0, 3],
        "low_level": [30.0, 40.0],
    }
    sweep = Sweep(Turns, Space.of(Turns, values), COSTS)
    seen: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        for part, here, shape, work in pieces(bars, sweep.drawn, sweep.sizing, only(sweep), budget):
            assert work.bytes(len(bars)) <= budget or all(np.ptp(part.digits[name]) == 0 for name in work.owned)
            np.testing.assert_array_equal(part.combo, here)
            seen += part.combo.tolist()
            ready = prepare(bars, work, shape, pool, 2)
            for k, combo in list(enumerate(part.combo.tolist()))[:: 1 if budget > 1 else 5]:
                program = bind(Turns(), sweep.space.row(combo))
                wanted = decisions_of(columns(program, bars))
                flags = (wanted.long_entry, wanted.long_exit, wanted.short_entry, wanted.short_exit)
                for row, flag in zip(work.streams[k], flags, strict=True):
                    np.testing.assert_array_equal(ready.bitmaps[row], pack(flag))
                for place, factor, distance in zip(
                    work.distances[k], work.factors[k], (wanted.stop, wanted.target), strict=True
                ):
                    assert (place < 0) == (distance is None)
                    if distance is not None:
                        assert (factor * ready.values[place, : len(bars)]).tobytes() == distance.tobytes()
                assert work.rules[k].tolist() == [wanted.trailing, wanted.max_hold]
                np.testing.assert_array_equal(work.sizings[k], [*(v for _, v in program.sizing.numbers), 0.0, 0.0][:2])
    assert sorted(seen) == list(range(sweep.space.size))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2**32 - 1)), max_size=5), st.integers(1, 60))
def test_joint_instances_are_the_distinct_tuples(parts: list[tuple[int, int]], size: int) -> None:
    drawn = [(np.random.default_rng(seed).integers(0, levels, size), levels) for levels, seed in parts]
    ids, count = compress(drawn, size)
    first = Instances(ids, count, frozenset()).first
    tuples = list(zip(*(part.tolist() for part, _ in drawn), strict=True)) or [()] * size
    assert count == len(set(tuples)) == first.size == int(ids.max()) + 1
    for combo, place in enumerate(ids.tolist()):
        assert tuples[combo] == tuples[first[place]]
        assert first[place] <= combo


def test_joint_instances_of_many_levels_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    size = 20_000
    drawn = [(rng.integers(0, 10**6, size), 10**6) for _ in range(5)]
    drawn[1] = drawn[0]
    ids, count = compress(drawn, size)
    assert count == len(set(zip(*(part.tolist() for part, _ in drawn), strict=True)))
    np.testing.assert_array_equal(ids[Instances(ids, count, frozenset()).first], np.arange(count))


class Odd(Strategy):
    """Lengths and levels that are arithmetic on parameters."""

    length = Param(4, low=0, high=50)
    share = Param(0.5, low=0.0, high=4.0)

    def signals(self, bar):  # type: ignore[no-untyped-def]
        average = ta.sma(bar.close, self.length * self.share)
        return Signals(
            entry=bar.close > average * (1.0 + self.share / 100.0), exit=bar.close < average, max_hold=self.length / 2
        )


def test_arithmetic_on_parameters_is_each_programs_own() -> None:
    bars = made_bars(np.random.default_rng(2), 300)
    sweep = Sweep(Odd, Space.of(Odd, {"length": [4, 8, 12], "share": [0.25, 0.5, 1.0]}), COSTS)
    assert assert_swept_is_plain(bars, sweep) > 20
    work = plan(only(sweep), next(iter(shapes(sweep.drawn, sweep.sizing, only(sweep))))[0])
    assert steps_of_work(work).count("sma") == len({a * b for a in (4, 8, 12) for b in (0.25, 0.5, 1.0)})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"length": [4], "share": [0.3]}, r"sma: length is 1.2, expected a whole number"),
        ({"length": [0]}, r"sma: length is 0, expected a whole number from 1"),
        ({"length": [5], "share": [1.0]}, r"max_hold is 2.5, expected a whole number"),
    ],
)
def test_a_length_that_does_not_come_out_whole_is_refused(values: dict[str, list[float]], message: str) -> None:
    sweep = Sweep(Odd, Space.of(Odd, values), COSTS)
    with pytest.raises(Usage, match=message):
        list(pieces(made_bars(np.random.default_rng(2), 50), sweep.drawn, sweep.sizing, only(sweep), 1 << 30))


def test_memory_is_counted_as_it_is_taken() -> None:
    bars = made_bars(np.random.default_rng(1), 1_000)
    sweep = Sweep(Turns, Space.of(Turns, {"rsi_length": [3, 5, 8]}), COSTS)
    with ThreadPoolExecutor(1) as pool:
        for _, _, shape, work in pieces(bars, sweep.drawn, sweep.sizing, only(sweep), 1 << 30):
            ready = prepare(bars, work, shape, pool, 1)
            bench = Tiles(bars, work.program, work.tile(len(bars)), {}, 1).bench
            assert bench.shape == (work.outputs, 1_024)
            taken = ready.values.nbytes + ready.bitmaps.nbytes + bench.nbytes
            assert taken == work.bytes(len(bars))
            assert math.isfinite(taken)
