"""Decisions traded on the venue against the simulation: every trade, every bit."""

from __future__ import annotations

import numpy as np
import pytest

from engine.graph import Sizing
from engine.simulate import REASONS, Costs, simulate
from tests.data import needs_data
from tests.simulate.drawn import made_bars, made_decisions, real_bars
from tests.venue.trader import Trader, trades_of

PERPETUAL = Costs(
    fee=0.0005, slippage=0.0002, price_tick=0.01, quantity_step=0.001, min_notional=5.0, leverage=3.0, short=True
)
CONTRACTS = Costs(
    fee=0.0005, slippage=0.0004, price_tick=0.01, quantity_step=1.0, contract_size=0.01, leverage=1.0, short=True
)
SPOT = Costs(fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.001, min_notional=5.0)
SIZINGS = {
    "all": Sizing.of("all_in", fraction=1.0),
    "levered": Sizing.of("fixed_fraction", fraction=2.9),
    "risk": Sizing.of("atr_risk", risk=0.02),
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizing", sorted(SIZINGS))
def test_made_decisions_on_a_perpetual_trade_as_the_simulation_does_to_the_bit(seed: int, sizing: str) -> None:
    rng = np.random.default_rng([seed, len(sizing)])
    bars = made_bars(rng, 400, tick=0.01)
    costs = CONTRACTS if seed % 3 == 2 else PERPETUAL
    stop, target = seed % 2 == 0 or sizing == "risk", seed % 3 == 0
    decisions = made_decisions(rng, bars, 0.1, stop=stop, target=target, max_hold=7 if seed == 4 else 0)
    expected = simulate(bars, decisions, costs, SIZINGS[sizing])
    trader = Trader("A/USDT:USDT", bars, decisions, costs, SIZINGS[sizing])
    assert trader.run() == trades_of(expected, REASONS)
    assert len(trader.trades) > 20
    assert {one[2] for one in trader.trades} == {1, -1}
    if not trader.side:
        assert trader.account.cash["USDT"] == expected.equity[-1]


@pytest.mark.parametrize("seed", range(4))
def test_made_decisions_on_a_spot_market_trade_as_the_simulation_does_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bars = made_bars(rng, 300, tick=0.01)
    decisions = made_decisions(rng, bars, 0.1, short=False, stop=seed % 2 == 0, max_hold=0 if seed else 5)
    expected = simulate(bars, decisions, SPOT, SIZINGS["all"])
    found = Trader("A/USDT", bars, decisions, SPOT, SIZINGS["all"]).run()
    assert found == trades_of(expected, REASONS)
    assert len(found) > 10


@needs_data
@pytest.mark.parametrize("name", ["binance_BTC-USDT-PERP_1h.parquet", "binance_ETH-USDT-PERP_1m.parquet"])
def test_decisions_over_real_perpetuals_trade_as_the_simulation_does_to_the_bit(name: str) -> None:
    rng = np.random.default_rng(5)
    bars = real_bars(name, 9_000, 1_500)
    decisions = made_decisions(rng, bars, 0.05, stop=True, target=True)
    expected = simulate(bars, decisions, PERPETUAL, SIZINGS["levered"])
    found = Trader("A/USDT:USDT", bars, decisions, PERPETUAL, SIZINGS["levered"]).run()
    assert found == trades_of(expected, REASONS)
    assert len(found) > 50
