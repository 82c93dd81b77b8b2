"""The simulation of a portfolio against VectorBT with shared cash, on several real symbols."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from engine.graph import Sizing
from engine.simulate import Costs
from engine.simulate.portfolio import Leg, PortfolioSimulation, simulate_portfolio
from pipelines import Bars
from tests.data import needs_data
from tests.naive import indicators
from tests.research.test_vectorbt_orders import draw
from tests.simulate.drawn import real_bars

pytestmark = pytest.mark.skipif(find_spec("vectorbt") is None, reason="vectorbt comes with the extra research")

SYMBOLS = ("BTC", "ETH", "XRP", "LTC")


def aligned(count: int) -> list[Bars]:
    """Return the last bars of several symbols, of the moments all have."""
    whole = [real_bars(f"binance_{symbol}-USDT_1h.parquet", 0, 10**9) for symbol in SYMBOLS]
    common = whole[0].number
    for bars in whole[1:]:
        common = np.intersect1d(common, bars.number)
    common = common[-count:]
    found = []
    for bars in whole:
        at = np.searchsorted(bars.number, common)
        prices = [getattr(bars, name)[at] for name in ("open", "high", "low", "close", "volume")]
        found.append(Bars.from_arrays(bars.source, "1h", bars.time[at], *prices))
    return found


def run(seed: int, fraction: float, *, shorts: bool) -> tuple[PortfolioSimulation, object, list[Leg]]:
    from engine.research.vectorbt_orders import simulated

    rng = np.random.default_rng(seed)
    costs = Costs(fee=0.001, slippage=0.0005, short=True)
    legs = []
    for bars in aligned(1_500):
        reach = indicators.atr(bars.high, bars.low, bars.close, 14) * 1.000_037
        decisions = draw(rng, bars, reach)
        while not shorts and decisions.short_entry.any():
            decisions = draw(rng, bars, reach)
        legs.append(Leg(bars.source, bars, decisions, costs, Sizing.of("fixed_fraction", fraction=fraction)))
    mine = simulate_portfolio(legs, initial_cash=costs.initial_cash)
    quantities = [course.ordered for course in mine.legs]
    theirs = simulated([leg.bars for leg in legs], [leg.decisions for leg in legs], costs, quantities, together=True)
    return mine, theirs, legs


@needs_data
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("fraction", "shorts"), [(0.7, False), (0.1, True)])
def test_every_trade_and_the_equity_are_vectorbts(seed: int, fraction: float, shorts: bool) -> None:
    from engine.research.vectorbt_orders import BAR, ROWS, trades_of

    mine, theirs, _ = run(seed, fraction, shorts=shorts)
    outcomes = trades_of(theirs)
    equity = np.asarray(theirs.value()).reshape(-1)[BAR::ROWS]  # type: ignore[attr-defined]
    np.testing.assert_allclose(mine.equity, equity, rtol=1e-9)
    for course, theirs_of_it in zip(mine.legs, outcomes, strict=True):
        both = (course.all_trades, theirs_of_it)
        ours, found = (x[x["quantity"] * x["entry_price"] > 1e-6] for x in both)  # without the dust of rounding
        assert ours.size == found.size
        for name in ("entry_bar", "exit_bar", "side"):
            np.testing.assert_array_equal(ours[name], found[name])
        for name in ("quantity", "entry_price", "exit_price"):
            np.testing.assert_allclose(ours[name], found[name], rtol=1e-9)
    cut = sum(int((c.trades["quantity"] < c.ordered[c.trades["entry_bar"] - 1] * (1 - 1e-9)).sum()) for c in mine.legs)
    assert sum(c.trades.size for c in mine.legs) > 150
    assert cut > 10 or shorts  # what is left of the cash is what the last one gets
