"""The paper broker is the simulation's account, one bar at a time."""

from __future__ import annotations

import numpy as np
import pytest

from engine.execution import PaperBroker
from engine.graph import Bar, Signals, bind
from engine.simulate import Costs, simulate_program
from tests.graph.drawing import Drawn, made_bars, program_of

FREE = Costs(fee=0.0, slippage=0.0, short=True)
NONE = (False, False, False, False)


def test_an_order_fills_at_the_next_open_and_not_before() -> None:
    broker = PaperBroker(program_of(entry=Bar().close > 0), FREE)
    broker.open(10.0, 11.0, 9.0)
    broker.close(10.0, (True, False, False, False), np.nan, np.nan)
    assert broker.quantity == 0.0
    broker.open(12.0, 12.0, 12.0)
    assert broker.quantity == pytest.approx(10_000 * 0.995 / 10.0 * min(1.0, 10_000 / (12 * 995.0)), rel=1e-3)
    broker.close(12.0, (False, True, False, False), np.nan, np.nan)
    assert broker.equity == pytest.approx(10_000.0)
    broker.open(15.0, 15.0, 15.0)
    broker.close(15.0, NONE, np.nan, np.nan)
    assert broker.quantity == 0.0
    trade = broker.trades[0]
    assert (trade["entry_bar"], trade["exit_bar"], trade["entry_price"], trade["exit_price"]) == (1, 2, 12.0, 15.0)
    assert broker.equity == pytest.approx(10_000.0 + 3.0 * trade["quantity"])
    assert broker.bars == 3


def test_a_gap_through_the_stop_fills_at_the_open() -> None:
    broker = PaperBroker(program_of(entry=Bar().close > 0, stop=Bar().close), FREE)
    broker.open(10.0, 10.0, 10.0)
    broker.close(10.0, (True, False, False, False), 2.0, np.nan)
    broker.open(10.0, 10.0, 9.0)
    broker.close(9.0, NONE, np.nan, np.nan)
    broker.open(7.0, 7.5, 6.0)
    assert broker.trades["exit_price"].tolist() == [7.0]
    assert broker.trades["reason"].tolist() == [1]


def test_a_short_position_is_a_negative_quantity_and_profits_from_a_fall() -> None:
    broker = PaperBroker(program_of(short_entry=Bar().close > 0), FREE)
    broker.open(10.0, 10.0, 10.0)
    broker.close(10.0, (False, False, True, False), np.nan, np.nan)
    broker.open(10.0, 10.0, 10.0)
    broker.close(8.0, NONE, np.nan, np.nan)
    assert broker.quantity < 0.0
    assert broker.equity == pytest.approx(10_000.0 - 2.0 * broker.quantity)


def test_hundreds_of_trades_are_all_kept() -> None:
    always = Signals(entry=Bar().close > 0, max_hold=1)
    program, bars = bind(Drawn(always)), made_bars(3, 900)
    broker = PaperBroker(program, FREE)
    for t in range(900):
        broker.open(float(bars.open[t]), float(bars.high[t]), float(bars.low[t]))
        broker.close(float(bars.close[t]), (True, False, False, False), np.nan, np.nan)
    expected = simulate_program(program, bars, FREE)
    assert broker.trades.size > 300
    assert broker.trades.tobytes() == expected.trades.tobytes()
    assert broker.equity == expected.equity[-1]


def test_two_brokers_share_no_account() -> None:
    program = program_of(entry=Bar().close > 0)
    one, other = PaperBroker(program, FREE), PaperBroker(program, FREE)
    one.open(10.0, 10.0, 10.0)
    one.close(10.0, (True, False, False, False), np.nan, np.nan)
    one.open(10.0, 10.0, 10.0)
    assert one.quantity > 0.0
    assert (other.quantity, other.equity, other.bars, other.trades.size) == (0.0, 10_000.0, 0, 0)
