"""The engine's simulation and the naive one against VectorBT, trade for trade, on real bars."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.graph import Sizing
from engine.research.vectorbt import trade_mismatches
from engine.research.vectorbt_orders import Outcome, Unsayable, orders
from engine.research.vectorbt_sizes import quantities_of
from engine.simulate import REASONS, Costs, Decisions, simulate
from parquet_store import Usage
from pipelines import Bars
from tests.data import needs_data
from tests.naive import indicators
from tests.naive.simulation import Result
from tests.simulate.drawn import HOUR, assert_alike, real_bars, run_naive

pytestmark = pytest.mark.skipif(find_spec("vectorbt") is None, reason="vectorbt comes with the extra research")

# name -> first bar
SLICES = {
    "binance_BTC-USDT_1h.parquet": 20_000,
    "binance_ETH-USDT_1h.parquet": 9_000,
    "binance_DOGE-USDT_1h.parquet": 12_000,  # the wild start of 2021
    "binance_SOL-USDT_5m.parquet": 3_000,
    "binance_BTC-USDT-PERP_1m.parquet": 1_000,
    "bitfinex_ETH-USD_1m.parquet": 50_000,  # minutes are missing
    "yahoo_SPY_1d_raw.parquet": 2_500,
    "yahoo_QQQ_1d_adj.parquet": 200,  # gaps every night
}
LENGTH = 1_500
COLUMNS = 66
WHOLE = Sizing.of("all_in", fraction=1.0)


def draw(rng: np.random.Generator, bars: Bars, reach: npt.NDArray[np.float64]) -> Decisions:
    """Draw decisions of one density, with or without shorts, stop, target and trailing."""
    n = len(bars)
    density = rng.choice([0.02, 0.1, 0.3])
    long_entry, long_exit, short_entry, short_exit = (rng.random(n) < density for _ in range(4))
    stop = reach * rng.choice([0.3, 1.0, 2.5]) if rng.random() < 0.75 else None
    trailing = stop is not None and rng.random() < 0.4
    target = reach * rng.choice([0.5, 1.5, 4.0]) if rng.random() < 0.6 else None
    # what VectorBT cannot say: one side enters, the other has its entry and its exit
    long_entry &= ~(long_exit & short_entry & ~short_exit)
    short_entry &= ~(short_exit & long_entry & ~long_exit)
    if trailing:  # both sides at one close is what VectorBT cannot say under slippage
        short_entry &= ~long_entry
    if rng.random() < 0.4:
        short_entry, short_exit = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    return Decisions(long_entry, long_exit, short_entry, short_exit, stop, target, trailing)


def mismatch(mine: Result, theirs: Outcome, cash: float) -> str:
    """Name the first difference of the naive loop beyond 1e-9 relative, or nothing."""
    trades = [*mine.trades, *([mine.open_trade] if mine.open_trade else [])]
    for i, (a, b) in enumerate(zip(trades, theirs.trades, strict=False)):
        exact = (a.entry_bar, a.exit_bar, a.side) == (b.entry_bar, b.exit_bar, b.side)
        near = all(
            math.isclose(getattr(a, name), getattr(b, name), rel_tol=1e-9)
            for name in ("quantity", "entry_price", "exit_price")
        )
        scale = 1e-9 * a.quantity * a.entry_price
        if not (exact and near and abs(a.profit - b.profit) <= scale and abs(a.fees - b.fees) <= scale):
            return f"trade {i}: {a} is not {b}"
    if len(trades) != len(theirs.trades):
        return f"{len(trades)} trades, not {len(theirs.trades)}"
    off = np.abs(mine.equity - theirs.equity).max()
    return "" if off <= 1e-9 * max(cash, mine.equity.max()) else f"equity is off by {off}"


def batch(name: str, seed: int) -> tuple[Bars, list[Decisions], list[Costs]]:
    bars = real_bars(name, SLICES[name], LENGTH)
    rng = np.random.default_rng(seed)
    # off every tick: where a price touches a level exactly, the two ways to compute the level round differently
    reach = indicators.atr(bars.high, bars.low, bars.close, 14) * 1.000_037
    decisions = [draw(rng, bars, reach) for _ in range(COLUMNS)]
    rates = [(0.0, 0.0), (0.0004, 0.0002), (0.001, 0.0005)]
    costs = []
    for _ in range(COLUMNS):
        fee, slippage = rates[rng.integers(3)]
        costs.append(Costs(fee=fee, slippage=slippage, initial_cash=10_000.0, size_at="fill", short=True))
    return bars, decisions, costs


@functools.cache
def told(seed: int, name: str) -> list[Outcome]:
    """Return what VectorBT trades on a batch; one call serves both comparisons."""
    return orders(*batch(name, seed))


@needs_data
@pytest.mark.parametrize(("seed", "name"), list(enumerate(SLICES)))
def test_every_trade_of_the_engine_is_vectorbts(seed: int, name: str) -> None:
    bars, decisions, costs = batch(name, seed)
    mine = [simulate(bars, d, c, WHOLE) for d, c in zip(decisions, costs, strict=True)]
    assert min(result.equity.min() for result in mine) > 0.0  # beyond that VectorBT covers a short only in part
    found = [m for a, b in zip(mine, told(seed, name), strict=True) if (m := trade_mismatches(a, b))]
    assert not found, f"{len(found)} of {COLUMNS}: {found[0]}"
    trades = np.concatenate([result.trades for result in mine])
    reasons = [REASONS[reason] for reason in trades["reason"]]
    assert min(reasons.count(reason) for reason in ("signal", "stop", "target")) > 50
    assert min((trades["side"] > 0).sum(), (trades["side"] < 0).sum()) > 300
    assert trades.size > 2_000


@needs_data
@pytest.mark.parametrize(("seed", "name"), list(enumerate(SLICES)))
def test_every_trade_of_the_naive_loop_is_vectorbts(seed: int, name: str) -> None:
    bars, decisions, costs = batch(name, seed)
    mine = [run_naive(bars, d, c, WHOLE) for d, c in zip(decisions, costs, strict=True)]
    theirs = told(seed, name)
    found = [m for a, b, c in zip(mine, theirs, costs, strict=True) if (m := mismatch(a, b, c.initial_cash))]
    assert not found, f"{len(found)} of {COLUMNS}: {found[0]}"
    reasons = [trade.reason for result in mine for trade in result.trades]
    assert min(reasons.count(reason) for reason in ("signal", "stop", "target")) > 50
    assert sum(len(result.trades) for result in mine) > 2_000


@needs_data
def test_both_engines_trade_alike() -> None:
    pytest.importorskip("vectorbt_rust")
    bars, decisions, costs = batch("yahoo_QQQ_1d_adj.parquet", 99)
    numba, rust = (orders(bars, decisions, costs, engine=engine) for engine in ("numba", "rust"))
    for a, b in zip(numba, rust, strict=True):
        assert a.trades.tobytes() == b.trades.tobytes()
        np.testing.assert_array_equal(a.equity, b.equity)


SIZINGS: list[tuple[Sizing, dict[str, Any]]] = [
    (Sizing.of("all_in"), {}),
    (Sizing.of("fixed_fraction", fraction=0.3), {"quantity_step": 0.001}),
    (Sizing.of("fixed_ratio", delta=50.0, unit=0.02), {"contract_size": 0.01, "quantity_step": 1.0}),
    (Sizing.of("atr_risk", risk=0.01), {"min_notional": 500.0}),
    (Sizing.of("kelly", fraction=0.5), {}),
    (Sizing.of("kelly", fraction=0.5), {"size_at": "fill"}),
]


@needs_data
@pytest.mark.parametrize(("sizing", "venue"), SIZINGS, ids=lambda x: getattr(x, "kind", None))
def test_sizes_of_the_rules_trade_alike_when_handed_over(sizing: Sizing, venue: dict[str, Any]) -> None:
    bars, decisions, costs = batch("binance_ETH-USDT_1h.parquet", 7)
    chosen = [i for i, d in enumerate(decisions) if d.stop is not None][:12]
    decisions = [decisions[i] for i in chosen]
    costs = [replace(costs[i], **({"size_at": "decision"} | venue)) for i in chosen]
    engine = [simulate(bars, d, c, sizing) for d, c in zip(decisions, costs, strict=True)]
    slow = [run_naive(bars, d, c, sizing) for d, c in zip(decisions, costs, strict=True)]
    sizes, said = [], []
    for k, one in enumerate(engine):
        try:
            sizes.append(quantities_of(one, decisions[k], sizing, costs[k]))
            said.append(k)
        except Unsayable:  # a shadow that turned: the naive loop alone knows it
            assert sizing.kind == "kelly"
            assert_alike(one, slow[k])
    assert len(said) > 6
    engine, slow, decisions, costs = ([x[k] for k in said] for x in (engine, slow, decisions, costs))
    theirs = orders(bars, decisions, costs, sizes)
    found = [m for a, b in zip(engine, theirs, strict=True) if (m := trade_mismatches(a, b))]
    found += [[m] for a, b, c in zip(slow, theirs, costs, strict=True) if (m := mismatch(a, b, c.initial_cash))]
    assert not found, found[0]
    assert sum(result.trades.size for result in engine) > 100


@needs_data
def test_a_missed_entry_and_an_invented_one_are_seen() -> None:
    bars, decisions, costs = batch("binance_BTC-USDT_1h.parquet", 5)
    sizing = Sizing.of("fixed_fraction", fraction=0.5)
    d, c = decisions[1], replace(costs[1], size_at="decision")
    engine = simulate(bars, d, c, sizing)
    assert engine.trades.size > 20
    handed = quantities_of(engine, d, sizing, c)
    assert trade_mismatches(engine, orders(bars, [d], c, [handed])[0]) == []
    at = int(engine.trades[5]["entry_bar"]) - 1
    for side in ("long_entry", "short_entry"):
        flags = getattr(d, side).copy()
        flags[at] = False
        missed = simulate(bars, replace(d, **{side: flags}), c, sizing)
        if missed.trades.tobytes() != engine.trades.tobytes():
            # what the engine would have done had it missed one entry: VectorBT sees the decisions themselves
            assert trade_mismatches(missed, orders(bars, [d], c, [quantities_of(missed, d, sizing, c)])[0])


@needs_data
def test_a_wrong_fee_slippage_or_cash_is_seen() -> None:
    bars, decisions, costs = batch("binance_BTC-USDT_1h.parquet", 5)
    decisions, costs = decisions[:5], costs[:5]
    mine = [simulate(bars, d, c, WHOLE) for d, c in zip(decisions, costs, strict=True)]
    for wrong in (
        [replace(c, fee=c.fee + 1e-5) for c in costs],
        [replace(c, slippage=c.slippage + 1e-5) for c in costs],
        [replace(c, initial_cash=10_001.0) for c in costs],
    ):
        theirs = orders(bars, decisions, wrong)
        assert all(trade_mismatches(a, b) for a, b in zip(mine, theirs, strict=True))
        slow = [run_naive(bars, d, c, WHOLE) for d, c in zip(decisions, costs, strict=True)]
        assert all(mismatch(a, b, 10_000.0) for a, b in zip(slow, theirs, strict=True))


def tiny(**more: Any) -> tuple[Bars, Decisions]:
    o = np.array([100.0, 100.0, 112.0, 100.0])
    low, one = np.array([99.0, 99.0, 90.0, 99.0]), np.ones(4)
    bars = Bars.from_arrays("made:A/B:1h", "1h", np.arange(4) * HOUR, o, o + 1.0, low, o, one, bars_per_year=8_766.0)
    yes = np.array([True, False, False, False])
    return bars, Decisions(yes, ~yes & False, ~yes & False, ~yes & False, np.full(4, 5.0), np.full(4, 10.0), **more)


PLAIN = Costs(fee=0.0, slippage=0.0, initial_cash=1_000.0, short=True)


def test_a_target_that_gaps_beats_a_stop_touched_later() -> None:
    bars, decisions = tiny()
    (outcome,) = orders(bars, [decisions], PLAIN)
    assert [(t.entry_bar, t.exit_bar, t.exit_price) for t in outcome.trades] == [(1, 2, 112.0)]
    assert outcome.equity.tolist() == pytest.approx([1_000, 1_000, 1_120, 1_120])


def unsayable() -> dict[str, tuple[Bars, Decisions, Costs, str]]:
    """Return what VectorBT has no words for, each with what the refusal says."""
    bars, d = tiny()
    yes, no = d.long_entry, d.long_exit
    return {
        "a longest hold": (bars, replace(d, max_hold=1), PLAIN, "cannot say max_hold;"),
        "ticks of levels": (bars, d, replace(PLAIN, price_tick=3.0), "cannot say price_tick with a stop or target;"),
        "leverage": (bars, d, replace(PLAIN, leverage=2.0), "cannot say leverage;"),
        "both sides at one close, trailing, with slippage": (
            bars,
            replace(d, short_entry=yes, trailing=True),
            replace(PLAIN, slippage=0.001),
            "both sides enter at the close of bar 0",
        ),
        "an entry beside its own exit, while the other side enters": (
            bars,
            Decisions(yes, yes, yes, no),
            PLAIN,
            "bar 0 one side enters and the other has both",
        ),
    }


@pytest.mark.parametrize("name", unsayable())
def test_what_vectorbt_cannot_say_is_refused_and_held_to_the_naive_loop(name: str) -> None:
    bars, decisions, costs, message = unsayable()[name]
    with pytest.raises(Unsayable, match=message) as caught:
        orders(bars, [decisions], costs)
    assert isinstance(caught.value, Usage)
    for sizing in (WHOLE, Sizing.of("fixed_fraction", fraction=1.5)):
        assert_alike(simulate(bars, decisions, costs, sizing), run_naive(bars, decisions, costs, sizing))


def test_a_short_that_loses_more_than_the_account_is_covered_only_in_part() -> None:
    o = np.array([100.0, 100.0, 300.0, 300.0, 300.0])
    bars = Bars.from_arrays("made:A/B:1h", "1h", np.arange(5) * HOUR, o, o, o, o, o, bars_per_year=8_766.0)
    flags = [np.array([k == at for k in range(5)]) for at in (9, 0, 1)]
    decisions = Decisions(flags[0], flags[0], flags[1], flags[2])
    plain = simulate(bars, decisions, replace(PLAIN, size_at="fill"), WHOLE)
    assert_alike(plain, run_naive(bars, decisions, replace(PLAIN, size_at="fill"), WHOLE))
    assert plain.trades["profit"].tolist() == [-2_000.0]
    assert trade_mismatches(plain, orders(bars, [decisions], PLAIN)[0])


def test_no_combination_is_no_call() -> None:
    assert orders(tiny()[0], [], PLAIN) == []
