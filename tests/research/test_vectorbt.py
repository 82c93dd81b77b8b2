"""The check of a sweep by VectorBT, and VectorBT as a backend of a sweep."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from engine.graph import Bar, Param, Signals, Sizing, Strategy, ta
from engine.research import foreign, vectorbt
from engine.research.shard import Shard
from engine.research.space import Draw, Space
from engine.research.sweep import Found, Sweep, sweep_bars
from engine.research.vectorbt_sweep import BYTES
from engine.simulate import METRICS, Costs
from parquet_store import Usage
from pipelines import Bars
from tests.data import needs_data
from tests.research.made_strategies import FractionTurns, KellyTurns, LongTurns, RatioTurns, RiskTurns, Turns
from tests.research.swept import space_of
from tests.simulate.drawn import made_bars, real_bars

pytestmark = pytest.mark.skipif(find_spec("vectorbt") is None, reason="vectorbt comes with the extra research")

COSTS = Costs(short=True)
REACH = {"stop_atr": [0.0, 1.5003], "target_atr": [0.0, 3.0007]}


def series() -> list[Bars]:
    return [
        real_bars("binance_BTC-USDT_1h.parquet", 30_000, 1_000),
        real_bars("yahoo_QQQ_1d_adj.parquet", 700, 1_000),
    ]


@needs_data
@pytest.mark.parametrize(
    "sweep",
    [
        Sweep(Turns, space_of(Turns, rsi_length=[5, 9], trailing=[0, 1], **REACH), COSTS),
        Sweep(LongTurns, space_of(LongTurns, rsi_length=[5, 9], stop_atr=[0.0, 2.0003]), Costs()),
        Sweep(FractionTurns, space_of(FractionTurns, fraction=[0.5, 2.5], **REACH), replace(COSTS, size_at="fill")),
        Sweep(RatioTurns, space_of(RatioTurns, unit=[0.01, 0.02], **REACH), replace(COSTS, quantity_step=0.003)),
        Sweep(RiskTurns, space_of(RiskTurns, stop_atr=[1.5003], risk=[0.01, 0.03]), replace(COSTS, min_notional=50.0)),
        Sweep(KellyTurns, space_of(KellyTurns, fraction=[0.0, 0.5], rsi_length=[3, 9], **REACH), COSTS),
        Sweep(Turns, space_of(Turns, **REACH), replace(COSTS, size_at="fill"), Sizing.of("all_in", fraction=1.0)),
    ],
    ids=["turns", "long", "fraction", "ratio", "risk", "kelly", "its own sizes"],
)
def test_a_true_sweep_has_no_mismatch_and_a_wrong_fee_has_many(sweep: Sweep) -> None:
    found = vectorbt.verify(series(), sweep, 4, 11)
    assert found["mismatches"] == 0, found["details"]
    assert found["checked"] + found["unsaid"] == min(4, sweep.space.size)
    assert found["checked"] >= min(3, sweep.space.size)
    wrong = vectorbt.verify(series(), sweep, 4, 11, told=replace(sweep.costs, fee=sweep.costs.fee + 1e-4))
    assert wrong["checked"] == found["checked"]
    assert wrong["mismatches"] == wrong["checked"]
    assert len(wrong["details"]) <= 5
    assert any("in VectorBT" in line for line in wrong["details"])


@needs_data
def test_what_vectorbt_cannot_say_is_counted_apart() -> None:
    sweep = Sweep(Turns, space_of(Turns, max_hold=[0, 5]), COSTS)
    found = vectorbt.verify(series()[:1], sweep, 2, 1)
    assert (found["checked"], found["unsaid"], found["mismatches"]) == (1, 1, 0)
    assert any("cannot say max_hold" in line for line in found["details"])


def test_a_sweep_that_trades_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = Sweep(LongTurns, space_of(LongTurns, rsi_length=[5]), Costs())
    honest = vectorbt.trades_of

    def bent(*arguments: object) -> np.ndarray:
        trades = honest(*arguments).copy()
        trades["exit_price"][0] = np.nextafter(trades["exit_price"][0], np.inf)
        return trades

    monkeypatch.setattr(vectorbt, "trades_of", bent)
    found = vectorbt.verify([made_bars(np.random.default_rng(1), 300)], sweep, 1, 1)
    assert found["mismatches"] == 1
    assert "the sweep's trades differ from the plain simulation's" in found["details"][0]


def test_draws_are_seeded_distinct_and_keep_the_constraints() -> None:
    space = space_of(Turns, rsi_length=list(range(2, 30)), max_hold=list(range(0, 30)))
    assert vectorbt.draw(space, 25, 3) == vectorbt.draw(space, 25, 3) != vectorbt.draw(space, 25, 4)
    assert len(set(vectorbt.draw(space, 25, 3))) == 25
    assert vectorbt.draw(space, 10**6, 3) == list(range(space.size))
    given = {"rsi_length": range(2, 30), "max_hold": range(0, 30)}
    for some in (
        Space.of(Turns, given, ["max_hold > rsi_length"]),
        Space.of(Turns, given, when=[("max_hold", "rsi_length > 9")]),
        Space.of(Turns, given, draw=Draw(200, 5, {})),
        Space.of(Turns, {"rsi_length": range(2, 30)}, draw=Draw(200, 5, {"low_level": (5.0, 49.0)})),
    ):
        kept = [int(c) for shard in some.shards() for c in shard.combo]
        drawn = vectorbt.draw(some, 25, 3)
        assert vectorbt.draw(some, 25, 3) == drawn != vectorbt.draw(some, 25, 4)
        assert len(set(drawn)) == 25
        assert set(drawn) < set(kept)
        assert vectorbt.draw(some, 10**6, 3) == kept


def test_a_draw_is_even() -> None:
    some = Space.of(Turns, {"rsi_length": range(2, 30), "max_hold": range(0, 30)}, ["max_hold > rsi_length"])
    kept = [int(c) for shard in some.shards() for c in shard.combo]
    times = dict.fromkeys(kept, 0)
    for seed in range(1_000):
        for combo in vectorbt.draw(some, 40, seed):
            times[combo] += 1
    expected = 1_000 * 40 / len(kept)
    assert max(times.values()) < expected + 6 * expected**0.5
    assert min(times.values()) > expected - 6 * expected**0.5


SWEEPS = {
    "turns": Sweep(Turns, space_of(Turns, rsi_length=[5, 9, 14], trailing=[0, 1], **REACH), COSTS),
    "constraints": Sweep(
        Turns, space_of(Turns, ("rsi_length < low_level / 3",), rsi_length=[5, 9, 14], low_level=[20.0, 35.0]), COSTS
    ),
    "long": Sweep(LongTurns, space_of(LongTurns, rsi_length=[5, 9], stop_atr=[0.0, 2.0003]), Costs()),
    "fraction": Sweep(FractionTurns, space_of(FractionTurns, fraction=[0.5, 2.5], **REACH), COSTS),
    "ratio": Sweep(RatioTurns, space_of(RatioTurns, unit=[0.01, 0.02], **REACH), replace(COSTS, quantity_step=0.003)),
    "risk": Sweep(RiskTurns, space_of(RiskTurns, rsi_length=[5, 9], stop_atr=[1.5003], risk=[0.01, 0.03]), COSTS),
    "kelly": Sweep(KellyTurns, space_of(KellyTurns, rsi_length=[3, 9], **REACH), COSTS),
    "free": Sweep(Turns, space_of(Turns, **REACH), replace(COSTS, fee=0.0, slippage=0.0)),
    "never": Sweep(LongTurns, space_of(LongTurns, rsi_length=[14], low_level=[5.0, 40.0]), Costs()),
}


def whole(parts: Iterable[Found]) -> Found:
    """Return what is found of all shards together."""
    found = list(parts)
    rows = [np.concatenate([getattr(part, name) for part in found]) for name in ("metrics", "sums", "lists")]
    combos = np.concatenate([part.shard.combo for part in found])
    return Found(replace(found[0].shard, combo=combos), *rows)


@needs_data
@pytest.mark.parametrize("name", SWEEPS)
def test_the_backend_finds_what_the_events_find(name: str) -> None:
    sweep = SWEEPS[name]
    for bars in series():
        bounds = np.array([0, 1, 1, 250, 251, 600, len(bars)])
        ours = whole(sweep_bars(bars, sweep, bounds=bounds))
        done: list[int] = []
        budget = 5 * BYTES * len(bars)  # five combinations a call
        theirs = whole(vectorbt.sweep_bars(bars, sweep, bounds=bounds, progress=done.append, budget=budget))
        np.testing.assert_array_equal(theirs.shard.combo, ours.shard.combo)
        assert (sum(done), max(done) <= 5) == (len(ours.shard.combo), True)
        for k, metric in enumerate(METRICS):
            np.testing.assert_allclose(theirs.metrics[:, k], ours.metrics[:, k], 1e-9, 1e-11, err_msg=metric)
        np.testing.assert_allclose(theirs.sums, ours.sums, rtol=1e-9, atol=1e-11)
        np.testing.assert_array_equal(theirs.lists, ours.lists)
        assert len(set(ours.lists.tolist())) > 1
        assert ours.metrics[:, METRICS.index("trades")].max() > 10


def test_a_chunk_is_freed_before_the_next_one() -> None:
    import vectorbt as vbt

    bars, alive = made_bars(np.random.default_rng(1), 300), []
    sweep = Sweep(Turns, space_of(Turns, rsi_length=list(range(2, 14))), COSTS)

    def look(more: int) -> None:
        alive.append(sum(type(item) is vbt.Portfolio for item in gc.get_objects()))

    gc.collect()
    gc.disable()  # what is freed is freed by the sweep itself
    try:
        list(vectorbt.sweep_bars(bars, sweep, progress=look, budget=3 * BYTES * len(bars)))
    finally:
        gc.enable()
    assert alive == [0, 0, 0, 0]


def test_shards_may_be_of_points_that_no_grid_holds() -> None:
    bars = made_bars(np.random.default_rng(1), 600)
    space = space_of(Turns)
    columns = {name: np.repeat(values, 3) for name, values in space.values.items()}
    columns["low_level"] = np.array([31.25, 40.5, 44.75])
    shard = Shard.of_points(np.array([10**15, 10**15 + 1, 10**15 + 2]), columns)
    ours, theirs = (whole(way(bars, Sweep(Turns, space, COSTS), [shard])) for way in (sweep_bars, vectorbt.sweep_bars))
    np.testing.assert_allclose(theirs.metrics, ours.metrics, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(theirs.sums, ours.sums, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(theirs.lists, ours.lists)
    assert len(set(ours.lists.tolist())) == 3


@needs_data
def test_a_strategy_with_foreign_indicators_is_swept_alike() -> None:
    pytest.importorskip("talib")

    class Waves(Strategy):
        length = Param(7, low=2, high=50)

        def signals(self, bar: Bar) -> Signals:
            wave = foreign.talib("CCI", bar, timeperiod=self.length)
            return Signals(wave < -100.0, wave > 50.0, wave > 100.0, wave < -50.0, stop=2.0003 * ta.atr(bar, 14))

    sweep, bars = Sweep(Waves, space_of(Waves, length=[5, 9, 14]), COSTS), series()[0]
    ours, theirs = (whole(way(bars, sweep)) for way in (sweep_bars, vectorbt.sweep_bars))
    np.testing.assert_allclose(theirs.metrics, ours.metrics, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(theirs.lists, ours.lists)
    assert ours.metrics[:, METRICS.index("trades")].min() > 10


def test_the_backend_refuses_what_it_cannot_say() -> None:
    bars = made_bars(np.random.default_rng(1), 300)
    with pytest.raises(Usage, match=r"cannot say max_hold.*use --backend events"):
        list(vectorbt.sweep_bars(bars, Sweep(Turns, space_of(Turns, max_hold=[3]), COSTS)))
    with pytest.raises(Usage, match="a spot market does not"):
        list(vectorbt.sweep_bars(bars, Sweep(Turns, space_of(Turns), Costs())))
    with pytest.raises(Usage, match="1 bars; a sweep needs at least 2"):
        list(vectorbt.sweep_bars(bars.slice(0, 1), Sweep(Turns, space_of(Turns), COSTS)))
