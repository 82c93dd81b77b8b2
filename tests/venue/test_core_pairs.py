"""Pairs of which one order cancels the other, orders that arrive late, and fills in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.simulate import Costs, formulas
from engine.venue.account import Account
from engine.venue.core import Venue
from engine.venue.events import OrderChanged
from engine.venue.market import Market
from engine.venue.order import Asked, Order, Rejected
from engine.venue.plainly import plainly
from pipelines import Bars
from tests.venue.client import HOUR

SYMBOL = "BTC/USDT"
COSTS = Costs(fee=0.0, slippage=0.0, price_tick=0.01, quantity_step=0.001)
START = 1_600_000_000_000 // HOUR * HOUR
Row = tuple[float, float, float, float]


def venue_of(*rows: Row, volume: float = 40.0, **more: Any) -> tuple[Venue, Account]:
    columns = np.array([(100.0, 100.0, 100.0, 100.0), *rows]).T
    time = START + HOUR * np.arange(len(rows) + 1)
    bars = Bars.from_arrays("made:x:1h", "1h", time, *columns, np.full(len(rows) + 1, volume))
    venue = Venue({Market.of(SYMBOL, COSTS): bars}, history=1, **more)
    return venue, venue.open_account("k", "s", {"USDT": 1000.0, "BTC": 2.0})


def asked(side: Any, kind: Any, quantity: float = 1.0, **more: Any) -> Asked:
    return Asked(SYMBOL, side, kind, quantity, **more)


def pair_of(venue: Venue, account: Account, quantity: float = 2.0) -> tuple[Order, Order]:
    stop = asked("sell", "stop", quantity, stop_price=95.0)
    return venue.place_pair(account, stop, asked("sell", "limit", quantity, price=105.0))


@pytest.mark.parametrize(
    "row",
    [(100, 104, 94, 100), (100, 106, 96, 100), (100, 106, 94, 100), (94, 106, 93, 100), (106, 107, 90, 100)],
)
def test_the_order_of_a_pair_that_fills_is_that_of_the_simulation(row: Row) -> None:
    venue, account = venue_of(row)
    stop, target = pair_of(venue, account)
    assert (account.locked["BTC"], account.free["BTC"]) == (2.0, 0.0), "bound once"
    venue.release()
    reason, price = plainly(formulas.protective_exit)(1.0, *row[:3], 95.0, 105.0)
    done, other = (stop, target) if reason == formulas.STOP else (target, stop)
    assert (done.state, done.executions[0].price, other.state, other.filled) == ("filled", price, "expired", 0.0)
    assert (account.cash["BTC"], account.locked["BTC"]) == (0.0, 0.0)


def test_cancelling_one_order_of_a_pair_cancels_the_other_and_frees_what_they_bind() -> None:
    for which in (0, 1):
        venue, account = venue_of((100, 101, 99, 100))
        pair = pair_of(venue, account)
        venue.cancel(pair[which])
        assert [one.state for one in pair] == ["canceled", "canceled"]
        assert account.free["BTC"] == 2.0
        with pytest.raises(Rejected):
            venue.cancel(pair[1 - which])


def test_a_pair_that_fills_in_part_goes_on_with_the_one_that_fills() -> None:
    venue, account = venue_of((100, 106, 100, 106), (106, 107, 90, 100), (106, 107, 106, 106), fill_share=0.02)
    stop, target = pair_of(venue, account)
    venue.release()
    assert (target.state, target.filled, stop.state) == ("partially_filled", 0.8, "expired")
    assert account.locked["BTC"] == pytest.approx(1.2)
    venue.release()
    venue.release()
    assert (target.state, target.filled, account.locked["BTC"]) == ("filled", 2.0, 0.0)


def test_a_pair_is_refused_whole_if_either_order_is() -> None:
    venue, account = venue_of((100, 101, 99, 100))
    stop, target = asked("sell", "stop", 2.0, stop_price=95.0), asked("sell", "limit", 2.0, price=105.0)
    from dataclasses import replace

    for first, second, reason in (
        (stop, replace(target, side="buy"), "pair"),
        (stop, replace(target, quantity=1.0), "pair"),
        (stop, stop, "pair"),
        (stop, asked("sell", "market", 2.0), "pair"),
        (stop, replace(target, price=99.0), "pair"),
        (replace(stop, stop_price=101.0), target, "trigger"),
        (stop, replace(target, price=105.001), "price"),
        (replace(stop, quantity=3.0), replace(target, quantity=3.0), "balance"),
        (replace(stop, client_id="a"), replace(target, client_id="a"), "duplicate"),
    ):
        with pytest.raises(Rejected) as found:
            venue.place_pair(account, first, second)
        assert found.value.reason == reason
        assert not account.orders
        assert account.free["BTC"] == 2.0


def test_an_order_that_arrives_after_the_open_meets_what_is_left_of_the_bar() -> None:
    # a rising bar goes open, low, high, close; its lows come after a third of the hour, its high after two thirds
    rows = (100.0, 110.0, 90.0, 108.0)
    for minutes, price in ((0, 100.0), (5, 90.0), (20, 90.0), (30, 110.0), (50, 108.0)):
        venue, account = venue_of(rows, (109, 109, 109, 109), latency_ms=minutes * 60_000)
        order = venue.place(account, asked("buy", "market"))
        venue.release()
        assert order.executions[0].price == price, minutes
    venue, account = venue_of(rows, (109, 109, 109, 109), latency_ms=61 * 60_000)
    order = venue.place(account, asked("buy", "market"))
    venue.release()
    assert order.state == "new"
    venue.release()
    assert order.executions[0].price == 109.0


def test_a_stop_that_arrives_late_misses_what_was_before() -> None:
    states = {}
    for minutes in (0, 30):
        venue, account = venue_of((100, 110, 90, 108), latency_ms=minutes * 60_000)
        stop = venue.place(account, asked("sell", "stop", stop_price=95.0))
        venue.release()
        states[minutes] = stop.state
    assert states == {0: "filled", 30: "new"}


def test_an_order_that_must_fill_at_once_and_arrives_within_a_bar_expires_in_it() -> None:
    venue, account = venue_of((100, 110, 90, 108), (80, 80, 80, 80), latency_ms=30 * 60_000)
    order = venue.place(account, asked("buy", "limit", price=89.0, time_in_force="ioc"))
    venue.open_bar()
    assert order.open
    venue.close_bar()
    assert (order.state, order.filled) == ("expired", 0.0)


def test_a_fill_in_parts_tells_each_part_and_adds_up() -> None:
    venue, account = venue_of(*[(100.0, 100.0, 100.0, 100.0)] * 4, fill_share=0.01)
    told: list[tuple[str, float]] = []
    venue.listen(
        lambda event: told.append((event.state, event.order.filled)) if isinstance(event, OrderChanged) else None
    )
    venue.place(account, asked("buy", "market", 1.0))
    while venue.release():
        pass
    assert told == [("new", 0.0), ("partially_filled", 0.4), ("partially_filled", 0.8), ("filled", pytest.approx(1.0))]
    assert account.cash["USDT"] == pytest.approx(900.0)
