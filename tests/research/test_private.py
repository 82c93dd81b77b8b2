"""Private streams against shared ones and against each program on its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.graph import Bar, Param, Signals, Strategy, bind, columns, ta
from engine.jit import compiled_bare
from engine.research import plan as planning
from engine.research.bitmap import words_of
from engine.research.lanes import asked_of
from engine.research.plan import Work, plan
from engine.research.prepare import Prepared, prepare, shapes
from engine.research.private import distance, fill_private, scratch_for
from engine.research.recipe import COMPARISONS, LOGIC, POINTWISE, SCALED
from engine.research.space import Shard, Space
from engine.research.sweep import Sweep, sweep_bars
from engine.research.words import FLAT
from engine.simulate import Costs, decisions_of
from engine.strategies import STRATEGIES
from parquet_store import Usage
from pipelines import Bars
from tests.research.made_strategies import Turns
from tests.research.swept import pack
from tests.simulate.drawn import made_bars

COUNTS = [2, 63, 64, 65, 129, 300, 1_024, 1_025, 2_100]


@compiled_bare
def private_stream(i, k, asked, scratch, out):  # type: ignore[no-untyped-def]
    fill_private(i, asked, scratch)
    row = asked.streams[i, k]
    found = asked.bitmaps[row] if row < len(asked.bitmaps) else scratch.words[asked.recipe.roots[k]]
    for j in range(out.size):
        out[j] = found[j]


@compiled_bare
def distances_of(i, k, terms, out):  # type: ignore[no-untyped-def]
    for t in range(out.size):
        out[t] = distance(i, k, terms, t)


def all_streams(ready: Prepared, bars: Bars, combos: NDArray[np.int64] | range) -> NDArray[np.uint64]:
    """Return the four streams of some combinations, made by one thread in this order."""
    asked, scratch = asked_of(ready), scratch_for(ready.work.recipe, len(bars))
    out = np.empty((len(combos), 4, words_of(len(bars))), np.uint64)
    for row, i in zip(out, combos, strict=True):
        for k in range(4):
            private_stream(int(i), k, asked, scratch, row[k])
    return out


def random_shard(strategy: type[Strategy], values: dict[str, list[float]], m: int, rng: np.random.Generator) -> Shard:
    """Return combinations that each draw a value of every parameter, or have their own where there are as many."""
    known = {
        name: np.array([param.check(v) for v in values.get(name, [param.default])])
        for name, param in strategy.params.items()
    }
    digits = {name: np.arange(m) if each.size == m else rng.integers(0, each.size, m) for name, each in known.items()}
    return Shard(np.arange(m), digits, known)


def prepared(bars: Bars, work: Work, strategy: type[Strategy], shard: Shard) -> Prepared:
    ((shape, _),) = shapes(strategy().drawn, None, shard)
    with ThreadPoolExecutor(2) as pool:
        return prepare(bars, work, shape, pool, 2)


def assert_private_is_shared(bars: Bars, strategy: type[Strategy], shard: Shard) -> tuple[Work, NDArray[np.uint64]]:
    """Hold the private streams to the shared ones and to the decisions of each program; return them."""
    ((shape, _),) = shapes(strategy().drawn, None, shard)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "FEW", 10**9)
        shared = plan(shard, shape)
        patch.setattr(planning, "FEW", 0)
        private = plan(shard, shape)
    assert (shared.streams < len(shared.tasks)).all()
    dense = prepared(bars, shared, strategy, shard).bitmaps[shared.streams]
    made = all_streams(prepared(bars, private, strategy, shard), bars, range(len(shard)))
    assert made.tobytes() == dense.tobytes()
    for i in range(0, len(shard), 3):
        row = {name: float(shard.column(name)[i]) for name in shard.digits}
        wanted = decisions_of(columns(bind(strategy(), row), bars))
        flags = (wanted.long_entry, wanted.long_exit, wanted.short_entry, wanted.short_exit)
        for found, flag in zip(made[i], flags, strict=True):
            np.testing.assert_array_equal(found, pack(flag))
    return private, made


@pytest.mark.parametrize("count", COUNTS)
def test_random_points_of_the_bands_are_each_programs_own(count: int) -> None:
    rng = np.random.default_rng(count)
    strategy, m = STRATEGIES["mean_reversion"], 30
    values = {
        "rsi_length": [3.0, 5.0],
        "band_length": [4.0, 9.0],
        "oversold": rng.uniform(20, 50, m).tolist(),
        "overbought": rng.uniform(50, 80, m).tolist(),
        "band_width": rng.uniform(0.3, 2.0, m).tolist(),
        "stop_atr": rng.uniform(0.5, 3.0, m).tolist(),
        "var_limit": [0.0],
        "kelly_fraction": [0.0],
    }
    shard = random_shard(strategy, values, m, rng)
    bars = made_bars(rng, count)
    work, made = assert_private_is_shared(bars, strategy, shard)
    assert {node.step for node in work.program.nodes} == {"rsi", "moments", "atr"}
    assert (work.streams[:, :2] >= len(work.tasks)).all()
    assert len(np.unique(work.streams[:, 0])) == m
    assert len(work.kept) == 2 + 2 * 2 + 1 + 1  # the RSIs, means and deviations, the close, the range
    assert count < 300 or made[:, :2].any()
    ready = prepared(bars, work, strategy, shard)
    for i in range(0, m, 7):
        row = {name: float(shard.column(name)[i]) for name in shard.digits}
        wanted = decisions_of(columns(bind(strategy(), row), bars)).stop
        assert wanted is not None
        found = np.empty(count)
        distances_of(i, 0, asked_of(ready).terms, found)
        assert found.tobytes() == wanted.tobytes()


def drawn_strategy(seed: int) -> type[Strategy]:
    """Return a strategy whose conditions are drawn: all arithmetic, all comparisons, constants, equal sides."""

    class Drawn(Strategy):
        a = Param(0.5, low=-1e308, high=1e308)
        b = Param(0.5, low=-1e308, high=1e308)
        length = Param(3, low=2, high=50)

        def signals(self, bar: Bar) -> Signals:
            rng = np.random.default_rng(seed)

            def number(depth: int):  # type: ignore[no-untyped-def]
                kind = rng.integers(0, 12 if depth else 4)
                if kind < 4:
                    leaves = (bar.close, ta.sma(bar.open, self.length), ta.rsi(bar.close, 4) - 50.0, bar.close * self.a)
                    return leaves[kind]
                x, y = number(depth - 1), (self.a, self.b, number(depth - 1))[rng.integers(0, 3)]
                if kind < 8:
                    return (x + y, y - x, x * y, x / y)[kind - 4]
                return (ta.min(x, y), ta.max(x, y), -x, abs(x))[kind - 8]

            def condition(depth: int):  # type: ignore[no-untyped-def]
                kind = rng.integers(0, 8 if depth else 6)
                if kind < 6:
                    x, y = number(2), (self.a, self.b, number(2))[rng.integers(0, 3)]
                    return (x < y, x <= y, x > y, x >= y, x == y, x != y)[kind]
                x, y = condition(depth - 1), condition(depth - 1)
                return x & y if kind == 6 else x | ~y

            return Signals(entry=condition(2), exit=condition(2), short_entry=condition(1), short_exit=condition(0))

    return Drawn


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(COUNTS[:-2]), st.integers(1, 12))
def test_any_arithmetic_is_done_as_its_steps_do_it(seed: int, count: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    strategy = drawn_strategy(seed)
    some = [0.0, -0.0, 1.0, 100.0, 1e308, -1e308, 5e-324, 50.0]
    values = {
        "a": [x if k % 2 else float(rng.normal()) for k, x in enumerate(rng.choice(some, m))],
        "b": rng.choice(some, m).tolist(),
        "length": [2.0, 7.0],
    }
    assert_private_is_shared(made_bars(rng, count), strategy, random_shard(strategy, values, m, rng))


def test_every_kind_of_arithmetic_is_drawn() -> None:
    seen: set[int] = set()
    for seed in range(60):
        strategy = drawn_strategy(seed)
        shard = random_shard(strategy, {"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 4.0]}, 3, np.random.default_rng(seed))
        ((shape, _),) = shapes(strategy().drawn, None, shard)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planning, "FEW", 0)
            seen.update(plan(shard, shape).recipe.steps[:, 0].tolist())
    assert seen >= {*COMPARISONS.values(), *LOGIC.values(), *POINTWISE.values(), *SCALED.values(), FLAT}


def test_a_stream_that_stays_is_not_mistaken_for_another() -> None:
    rng = np.random.default_rng(4)
    strategy, m = STRATEGIES["mean_reversion"], 40
    off = {"stop_atr": [0.0], "var_limit": [0.0], "kelly_fraction": [0.0]}
    values = {"oversold": rng.uniform(20, 50, 4).tolist(), "overbought": rng.uniform(50, 80, m).tolist()}
    shard = random_shard(strategy, off | values | {"band_width": [0.5, 1.0]}, m, rng)
    ((shape, _),) = shapes(strategy().drawn, None, shard)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "FEW", 0)
        work = plan(shard, shape, room=10)
    assert len(work.tasks) < 20
    bars = made_bars(rng, 700)
    ready = prepared(bars, work, strategy, shard)
    order = rng.permutation(np.repeat(np.arange(m), 3))
    found = all_streams(ready, bars, order)
    alone = np.concatenate([all_streams(ready, bars, range(i, i + 1)) for i in range(m)])
    assert found.tobytes() == alone[order].tobytes()


def test_a_sweep_of_random_points_is_that_of_shared_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    bars, m = made_bars(rng, 1_500), 300
    values = {
        "rsi_length": [3.0, 5.0, 9.0],
        "low_level": rng.uniform(20, 50, m).tolist(),
        "high_level": rng.uniform(50, 80, m).tolist(),
        "stop_atr": rng.uniform(0.5, 3.0, m).tolist(),
        "trailing": [0.0, 1.0],
    }
    sweep = Sweep(Turns, Space.of(Turns, {}), Costs(short=True))
    shard = random_shard(Turns, values, m, rng)

    def run(**options: int) -> tuple[bytes, bytes, bytes]:
        (found,) = sweep_bars(bars, sweep, [shard], **options)
        assert found.shard.combo.tolist() == list(range(m))
        assert (found.lists != 0).all()
        return found.metrics.tobytes(), found.sums.tobytes(), found.lists.tobytes()

    private = run(threads=1)
    assert run(threads=2) == private
    assert run(threads=2, budget=200_000) == private
    monkeypatch.setattr(planning, "FEW", 10**9)
    assert run(threads=2) == private


def test_private_shorts_are_refused_where_the_venue_lets_none() -> None:
    rng = np.random.default_rng(8)
    bars, m = made_bars(rng, 600), 100
    shard = random_shard(Turns, {"high_level": rng.uniform(60, 80, m).tolist()}, m, rng)
    sweep = Sweep(Turns, Space.of(Turns, {}), Costs())
    with pytest.raises(Usage, match="a spot market does not; use a perpetual"):
        list(sweep_bars(bars, sweep, [shard]))
    never = random_shard(Turns, {"high_level": (95.0 - rng.uniform(0, 1e-6, m)).tolist()}, m, rng)
    quiet = made_bars(rng, 40)
    assert len(list(sweep_bars(quiet, sweep, [never]))) == 1
