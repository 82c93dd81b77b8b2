"""The check of a sweep by VectorBT, and VectorBT as a backend of a sweep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.graph import Sizing
from engine.research import vectorbt
from engine.research.space import Space
from engine.research.sweep import Sweep
from engine.simulate import METRICS, Costs
from parquet_store import Usage
from pipelines import Bars
from tests.data import needs_data
from tests.research.made_strategies import FractionTurns, KellyTurns, LongTurns, RatioTurns, RiskTurns, Turns
from tests.research.swept import rows_of, space_of
from tests.simulate.drawn import made_bars, real_bars

pytestmark = [pytest.mark.xdist_group("vectorbt")]
pytest.importorskip("vectorbt")

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
    some = Space.of(Turns, {"rsi_length": range(2, 30), "max_hold": range(0, 30)}, ["max_hold > rsi_length"])
    kept = [int(c) for shard in some.shards() for c in shard.combo]
    drawn = vectorbt.draw(some, 25, 3)
    assert len(set(drawn)) == 25
    assert set(drawn) < set(kept)
    assert vectorbt.draw(some, 10**6, 3) == kept


@needs_data
@pytest.mark.parametrize(
    "sweep",
    [
        Sweep(Turns, space_of(Turns, rsi_length=[5, 9, 14], trailing=[0, 1], **REACH), COSTS),
        Sweep(KellyTurns, space_of(KellyTurns, rsi_length=[3, 9], **REACH), COSTS),
    ],
    ids=["turns", "kelly"],
)
def test_the_backend_gives_the_rows_of_the_events(sweep: Sweep) -> None:
    (bars, _) = series()
    combos, rows = rows_of(bars, sweep)
    done: list[int] = []
    budget = 5 * vectorbt.BYTES * len(bars)  # five combinations a call
    parts = list(vectorbt.sweep_bars(bars, sweep, progress=done.append, budget=budget))
    theirs = np.concatenate([found for _, found in parts])
    np.testing.assert_array_equal(np.concatenate([shard.combo for shard, _ in parts]), combos)
    assert sum(done) == len(combos)
    assert max(done) <= 5
    for k, name in enumerate(METRICS):
        np.testing.assert_allclose(theirs[:, k], rows[:, k], rtol=1e-6, atol=1e-9, err_msg=name)
    assert rows[:, METRICS.index("trades")].min() > 10


def test_the_backend_refuses_what_it_cannot_say() -> None:
    bars = made_bars(np.random.default_rng(1), 300)
    with pytest.raises(Usage, match=r"cannot say max_hold.*use --backend events"):
        list(vectorbt.sweep_bars(bars, Sweep(Turns, space_of(Turns, max_hold=[3]), COSTS)))
    with pytest.raises(Usage, match="a spot market does not"):
        list(vectorbt.sweep_bars(bars, Sweep(Turns, space_of(Turns), Costs())))
