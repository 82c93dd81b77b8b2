"""The naive simulation against VectorBT, trade for trade, on real bars."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from tests.data import DATA, needs_data
from tests.naive import indicators
from tests.naive.simulation import Bars, Decisions, Result, simulate
from tests.naive.sizing import Costs, Sizing
from tests.naive.vectorbt_oracle import Outcome, orders

pytestmark = [pytest.mark.xdist_group("vectorbt")]
pytest.importorskip("vectorbt")

# name, first bar, bars a year
SLICES = {
    "binance_BTC-USDT_1h.parquet": (20_000, 8_766.0),
    "binance_ETH-USDT_1h.parquet": (9_000, 8_766.0),
    "binance_DOGE-USDT_1h.parquet": (12_000, 8_766.0),  # the wild start of 2021
    "binance_SOL-USDT_5m.parquet": (3_000, 105_192.0),
    "binance_BTC-USDT-PERP_1m.parquet": (1_000, 525_960.0),
    "bitfinex_ETH-USD_1m.parquet": (50_000, 525_960.0),  # minutes are missing
    "yahoo_SPY_1d_raw.parquet": (2_500, 252.0),
    "yahoo_QQQ_1d_adj.parquet": (200, 252.0),  # gaps every night
}
LENGTH = 1_500
COLUMNS = 66
WHOLE = Sizing("all_in", fraction=1.0)


def read(name: str, length: int = LENGTH) -> Bars:
    frame = pl.read_parquet(DATA / name)
    first, year = SLICES[name]
    frame = frame.slice(min(first, max(0, len(frame) - length)), length)
    o, h, l, c = (frame[key].to_numpy().astype(np.float64) for key in ("open", "high", "low", "close"))
    return Bars(o, h, l, c, np.arange(len(c)), year, 3_600_000)


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
        return Decisions(long_entry, long_exit, None, None, stop, target, trailing)
    return Decisions(long_entry, long_exit, short_entry, short_exit, stop, target, trailing)


def mismatch(mine: Result, theirs: Outcome, cash: float) -> str:
    """Name the first difference beyond 1e-9 relative, or nothing."""
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
    bars = read(name)
    rng = np.random.default_rng(seed)
    # off every tick: where a price touches a level exactly, the two ways to compute the level round differently
    reach = indicators.atr(bars.high, bars.low, bars.close, 14) * 1.000_037
    decisions = [draw(rng, bars, reach) for _ in range(COLUMNS)]
    rates = [(0.0, 0.0), (0.0004, 0.0002), (0.001, 0.0005)]
    costs = []
    for _ in range(COLUMNS):
        fee, slippage = rates[rng.integers(3)]
        costs.append(Costs(fee=fee, slippage=slippage, initial_cash=10_000.0, size_at="fill"))
    return bars, decisions, costs


@needs_data
@pytest.mark.parametrize(("seed", "name"), list(enumerate(SLICES)))
def test_every_trade_on_real_bars_is_vectorbts(seed: int, name: str) -> None:
    bars, decisions, costs = batch(name, seed)
    mine = [simulate(bars, d, c, WHOLE) for d, c in zip(decisions, costs, strict=True)]
    assert min(result.equity.min() for result in mine) > 0.0  # beyond that VectorBT covers a short only in part
    theirs = orders(bars, decisions, costs)
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
        assert a.trades == b.trades
        np.testing.assert_array_equal(a.equity, b.equity)


SIZINGS: list[tuple[Sizing, dict[str, Any]]] = [
    (Sizing("all_in"), {}),
    (Sizing("fixed_fraction", fraction=0.3), {"quantity_step": 0.001}),
    (Sizing("fixed_ratio", delta=50.0, unit=0.02), {"contract_size": 0.01, "quantity_step": 1.0}),
    (Sizing("atr_risk", risk=0.01), {"min_notional": 500.0}),
    (Sizing("kelly", fraction=0.5), {}),
]


@needs_data
@pytest.mark.parametrize(("sizing", "venue"), SIZINGS, ids=[s.kind for s, _ in SIZINGS])
def test_sizes_fixed_at_the_decision_trade_alike_when_handed_over(sizing: Sizing, venue: dict[str, Any]) -> None:
    bars, decisions, costs = batch("binance_ETH-USDT_1h.parquet", 7)
    chosen = [i for i, d in enumerate(decisions) if d.stop is not None][:12]
    decisions = [decisions[i] for i in chosen]
    costs = [replace(costs[i], size_at="decision", **venue) for i in chosen]
    mine = [simulate(bars, d, c, sizing) for d, c in zip(decisions, costs, strict=True)]
    quantities = []
    for result in mine:
        amounts = np.full(len(bars), math.nan)
        for trade in [*result.trades, *([result.open_trade] if result.open_trade else [])]:
            amounts[trade.entry_bar - 1] = trade.quantity
        quantities.append(amounts)
    theirs = orders(bars, decisions, costs, quantities)
    found = [m for a, b, c in zip(mine, theirs, costs, strict=True) if (m := mismatch(a, b, c.initial_cash))]
    assert not found, found[0]
    assert sum(len(result.trades) for result in mine) > 100


@needs_data
def test_a_wrong_fee_is_seen() -> None:
    bars, decisions, costs = batch("binance_BTC-USDT_1h.parquet", 5)
    decisions, costs = decisions[:5], costs[:5]
    theirs = orders(bars, decisions, [replace(c, fee=c.fee + 1e-5) for c in costs])
    mine = [simulate(bars, d, c, WHOLE) for d, c in zip(decisions, costs, strict=True)]
    assert all(mismatch(a, b, c.initial_cash) for a, b, c in zip(mine, theirs, costs, strict=True))


def tiny(**more: Any) -> tuple[Bars, Decisions]:
    o = np.array([100.0, 100.0, 112.0, 100.0])
    bars = Bars(o, o + 1.0, np.array([99.0, 99.0, 90.0, 99.0]), o, np.arange(4), 365.25, 86_400_000)
    yes = np.array([True, False, False, False])
    return bars, Decisions(yes, ~yes & False, stop=np.full(4, 5.0), target=np.full(4, 10.0), **more)


def test_a_target_that_gaps_beats_a_stop_touched_later() -> None:
    bars, decisions = tiny()
    (outcome,) = orders(bars, [decisions], Costs(initial_cash=1_000.0))
    assert [(t.entry_bar, t.exit_bar, t.exit_price) for t in outcome.trades] == [(1, 2, 112.0)]
    assert outcome.equity.tolist() == pytest.approx([1_000, 1_000, 1_120, 1_120])


def test_what_vectorbt_cannot_say_is_refused() -> None:
    bars, decisions = tiny(max_hold=3)
    with pytest.raises(ValueError, match="cannot say max_hold or price_tick with a stop or target or leverage"):
        orders(bars, [decisions], Costs(price_tick=0.1, leverage=2.0))
    bars, decisions = tiny(trailing=True)
    decisions = replace(decisions, short_entry=decisions.long_entry)  # its exit is not given
    with pytest.raises(ValueError, match="both sides enter at the close of bar 0"):
        orders(bars, [decisions], Costs(slippage=0.001))
    yes = decisions.long_entry
    with pytest.raises(ValueError, match="bar 0 one side enters and the other has both"):
        orders(bars, [Decisions(yes, yes, yes, ~yes)], Costs())
    assert orders(bars, [], Costs()) == []
