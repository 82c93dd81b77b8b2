"""Perpetuals at the exchange: positions, margin, funding, liquidation, against a naive ledger and figures by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.simulate import Costs
from engine.venue.account import Account
from engine.venue.core import Venue
from engine.venue.events import FundingPaid, Liquidated, PositionChanged
from engine.venue.funding import Funding
from engine.venue.market import Market
from engine.venue.order import Asked, Order, Rejected
from parquet_store.errors import Usage
from pipelines import Bars
from tests.venue.client import HOUR, made_bars

SYMBOL = "BTC/USDT:USDT"
FREE = Costs(fee=0.0, slippage=0.0, price_tick=0.01, quantity_step=0.001, leverage=10.0, short=True)
PAID = Costs(
    fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.001, min_notional=5.0, leverage=5.0, short=True
)
START = 1_600_000_000_000 // (8 * HOUR) * 8 * HOUR


def bars_of(*rows: tuple[float, float, float, float], volume: float = 40.0) -> Bars:
    """Return hourly bars of (open, high, low, close), the first as history at 100."""
    columns = np.array([(100.0, 100.0, 100.0, 100.0), *rows]).T
    time = START + HOUR * np.arange(len(rows) + 1)
    return Bars.from_arrays("made:x:1h", "1h", time, *columns, np.full(len(rows) + 1, volume))


def flat(count: int) -> list[tuple[float, float, float, float]]:
    return [(100.0, 100.0, 100.0, 100.0)] * count


def venue_of(*rows: tuple[float, float, float, float], cash: float = 1000.0, **more: Any) -> tuple[Venue, Account]:
    costs = more.pop("costs", FREE)
    venue = Venue({Market.of(SYMBOL, costs): bars_of(*rows)}, history=1, **more)
    return venue, venue.open_account("k", "s", {"USDT": cash})


def asked(side: Any, kind: Any, quantity: float = 1.0, **more: Any) -> Asked:
    return Asked(SYMBOL, side, kind, quantity, **more)


def refused(venue: Venue, account: Account, order: Asked) -> str:
    with pytest.raises(Rejected) as found:
        venue.place(account, order)
    return found.value.reason


@pytest.mark.parametrize("seed", range(4))
def test_wallet_entry_and_profit_are_those_of_a_naive_ledger(seed: int) -> None:
    bars = made_bars(120, seed)
    times = bars.time[20::8]
    rates = np.random.default_rng(seed).normal(0.0, 1e-3, times.size)
    venue = Venue({Market.of(SYMBOL, PAID): bars}, history=20, funding={SYMBOL: (times, rates)}, fill_share=0.05)
    account, draw = venue.open_account("k", "s", {"USDT": 2_000.0}), np.random.default_rng(seed)
    paid: list[FundingPaid] = []
    venue.listen(lambda event: paid.append(event) if isinstance(event, FundingPaid) else None)
    while True:
        last = venue.mark_price(SYMBOL)
        side, kind = str(draw.choice(["buy", "sell"])), str(draw.choice(["market", "limit", "stop"]))
        up = (side == "buy") == (kind == "stop")
        level = round(last * (1.005 if up else 0.995), 2)
        prices = {} if kind == "market" else {"price": level} if kind == "limit" else {"stop_price": level}
        reduces = bool(draw.random() < 0.3)
        try:
            venue.place(
                account, asked(side, kind, round(float(draw.uniform(0.2, 9.0)), 3), reduce_only=reduces, **prices)
            )
        except Rejected as found:
            if found.reason not in ("margin", "reduce_only"):
                raise
        if not venue.release():
            break
    wallet, held, entry = 2_000.0, 0.0, 0.0
    fills = sorted((one for order in account.orders.values() for one in order.executions), key=lambda one: one.trade_id)
    assert len(fills) > 40
    for one in fills:
        signed, before = one.quantity if one.side == "buy" else -one.quantity, held
        wallet -= 0.001 * one.quantity * one.price
        if before * signed < 0.0:
            closed = min(abs(before), abs(signed))
            wallet += closed * (one.price - entry) * math.copysign(1.0, before)
        held = round(before + signed, 3)
        if before * signed >= 0.0:
            entry = (abs(before) * entry + abs(signed) * one.price) / abs(held)
        elif before * held < 0.0:
            entry = one.price
    wallet += sum(one.amount for one in paid)
    position = venue.position(account, SYMBOL)
    assert position.quantity == pytest.approx(held, abs=1e-9)
    assert not held or position.entry_price == pytest.approx(entry, rel=1e-9)
    assert account.total("USDT") == pytest.approx(wallet, rel=1e-9)
    assert venue.unrealized(account, SYMBOL) == pytest.approx(held * (bars.close[-1] - entry), abs=1e-6)
    assert len(paid) > 5
    assert any(one.amount > 0.0 for one in paid)


def test_margin_is_bound_by_orders_and_positions_and_its_figures_are_those_by_hand() -> None:
    venue, account = venue_of((100, 110, 100, 110), (110, 110, 110, 110))
    venue.place(account, asked("buy", "market", 20.0))
    assert (account.locked["USDT"], account.free["USDT"]) == (200.0, 800.0)  # 2,000 at leverage 10
    venue.release()
    found = venue.margin(account)
    assert (found.wallet, found.unrealized, found.initial) == (1000.0, 200.0, 220.0)
    assert found.maintenance == pytest.approx(20 * 110 * 0.004)
    assert found.available == 980.0
    venue.place(account, asked("sell", "limit", 50.0, price=120.0))  # turns the position to 30 short at most
    assert venue.margin(account).initial == pytest.approx((50 * 120 - 20 * 110) / 10)
    assert refused(venue, account, asked("buy", "market", 90.0)) == "margin"
    venue.place(account, asked("buy", "market", 60.0))
    assert venue.margin(account).initial == pytest.approx(80 * 110 / 10)


def test_leverage_is_within_the_market_and_what_is_held_must_be_carried() -> None:
    venue, account = venue_of(*flat(2))
    venue.set_leverage(account, SYMBOL, 20.0)
    venue.place(account, asked("buy", "market", 150.0))
    venue.release()
    assert (venue.margin(account).initial, venue.position(account, SYMBOL).leverage) == (750.0, 20.0)
    for leverage, reason in ((0.5, "leverage"), (126.0, "leverage"), (10.0, "margin")):
        with pytest.raises(Rejected) as found:
            venue.set_leverage(account, SYMBOL, leverage)
        assert found.value.reason == reason
    assert venue.position(account, SYMBOL).leverage == 20.0
    venue.set_leverage(account, SYMBOL, 16.0)
    assert venue.margin(account).initial == 937.5


def test_orders_that_only_reduce_are_cut_to_the_position_and_go_with_it() -> None:
    venue, account = venue_of(*flat(2), (100, 100, 90, 90), (90, 90, 90, 90))
    assert refused(venue, account, asked("sell", "market", reduce_only=True)) == "reduce_only"
    venue.place(account, asked("buy", "market", 2.0))
    venue.release()
    assert refused(venue, account, asked("buy", "market", reduce_only=True)) == "reduce_only"
    large = venue.place(account, asked("sell", "limit", 5.0, price=130.0, reduce_only=True))
    all_of_it = venue.place(account, asked("sell", "stop", 0.0, stop_price=95.0, close_position=True))
    assert account.locked["USDT"] == pytest.approx(20.0), "they bind nothing"
    part = venue.place(account, asked("sell", "market", 0.5, reduce_only=True))
    venue.release()
    assert (part.state, large.state, all_of_it.state) == ("filled", "new", "new")
    venue.release()
    assert (all_of_it.state, all_of_it.filled, all_of_it.executions[0].price) == ("filled", 1.5, 95.0)
    assert (large.state, venue.position(account, SYMBOL).quantity) == ("expired", 0.0)
    assert account.cash["USDT"] == 1000.0 - 1.5 * 5.0


def test_a_reduce_only_order_larger_than_the_position_fills_what_is_held_and_expires() -> None:
    venue, account = venue_of(*flat(2))
    venue.place(account, asked("sell", "market", 2.0))
    venue.release()
    order = venue.place(account, asked("buy", "market", 3.0, reduce_only=True))
    venue.release()
    assert (order.state, order.filled, venue.position(account, SYMBOL).quantity) == ("expired", 2.0, 0.0)


def test_a_reversal_is_a_close_and_an_entry_even_if_the_entry_arrives_first() -> None:
    venue, account = venue_of(*flat(2))
    venue.place(account, asked("buy", "market", 2.0))
    venue.release()
    entry = venue.place(account, asked("sell", "market", 3.0))
    leave = venue.place(account, asked("sell", "market", 2.0, reduce_only=True))
    venue.release()
    assert (leave.state, entry.state, venue.position(account, SYMBOL).quantity) == ("filled", "filled", -3.0)


@pytest.mark.parametrize("side", [1, -1])
def test_a_position_whose_margin_is_gone_is_closed_at_the_liquidation_price(side: int) -> None:
    bar = (100.0, 101.0, 80.0, 85.0) if side > 0 else (100.0, 120.0, 99.0, 115.0)
    venue, account = venue_of(*flat(1), bar, (90, 90, 90, 90))
    told: list[Any] = []
    venue.listen(told.append)
    way, back = ("buy", "sell") if side > 0 else ("sell", "buy")
    venue.place(account, asked(way, "market", 80.0))
    venue.release()
    # 1,000 + 80 s (x - 100) = 0.004 * 80 x
    level = 7000.0 / (80.0 - 0.32) if side > 0 else 9000.0 / 80.32
    assert venue.liquidation_price(account, SYMBOL) == pytest.approx(level)
    resting = venue.place(account, asked(back, "take_profit", 80.0, stop_price=100.0 + side * 30, reduce_only=True))
    venue.release()
    (gone,) = [event for event in told if isinstance(event, Liquidated)]
    assert (gone.quantity, gone.price) == (side * 80.0, pytest.approx(level, abs=0.005))
    last = list(account.orders.values())[-1]
    assert (last.liquidation, last.asked.client_id.startswith("autoclose"), last.state) == (True, True, "filled")
    assert (resting.state, venue.position(account, SYMBOL).quantity) == ("canceled", 0.0)
    assert account.cash["USDT"] == pytest.approx(0.004 * 80 * level, abs=0.5)
    assert math.isnan(venue.liquidation_price(account, SYMBOL))


def test_a_stop_nearer_than_the_liquidation_comes_first_and_a_farther_one_too_late() -> None:
    states = []
    for level in (90.0, 85.0):
        venue, account = venue_of(*flat(1), (100, 101, 70, 75), (75, 75, 75, 75))
        venue.place(account, asked("buy", "market", 80.0))
        venue.release()  # liquidated at 87.85
        stop = venue.place(account, asked("sell", "stop", 80.0, stop_price=level, reduce_only=True))
        venue.release()
        states.append((stop.state, len(account.orders)))
    assert states == [("filled", 2), ("canceled", 3)]


def test_an_open_beyond_the_liquidation_price_costs_no_more_than_the_wallet() -> None:
    venue, account = venue_of(*flat(1), (50, 50, 50, 50), (50, 50, 50, 50))
    venue.place(account, asked("buy", "market", 80.0))
    venue.release()
    venue.open_bar()
    assert (account.cash["USDT"], venue.position(account, SYMBOL).quantity) == (0.0, 0.0)
    assert list(account.orders.values())[-1].executions[0].price == 50.0


def test_a_mark_series_decides_on_profit_and_liquidation() -> None:
    marks = Bars.from_arrays("m", "1h", START + HOUR * np.arange(3), *np.full((4, 3), 100.0), np.zeros(3))
    venue, account = venue_of((100, 100, 100, 100), (100, 101, 60, 70), marks={SYMBOL: marks})
    venue.place(account, asked("buy", "market", 80.0))
    venue.release()
    venue.release()
    assert (venue.tapes[SYMBOL].last, venue.mark_price(SYMBOL)) == (70.0, 100.0)
    assert (venue.position(account, SYMBOL).quantity, venue.unrealized(account, SYMBOL)) == (80.0, 0.0)


def test_funding_is_paid_at_its_times_by_who_holds_then() -> None:
    at = START + HOUR * np.array([2, 3, 10])
    venue, account = venue_of(
        *flat(2), (100, 110, 100, 110), (120, 120, 120, 120), funding={SYMBOL: (at, [0.001, -0.002, 0.5])}
    )
    told: list[Any] = []
    venue.listen(told.append)
    assert venue.funding(SYMBOL) == Funding(0.0, int(at[0]), 4 * HOUR)
    venue.place(account, asked("buy", "market", 4.0))
    venue.release()
    venue.place(account, asked("sell", "market", 4.0, reduce_only=True))
    venue.open_bar()
    (paid,) = [event for event in told if isinstance(event, FundingPaid)]
    assert (paid.amount, paid.time_ms) == (-0.4, at[0]), "paid before the close at the same open"
    venue.close_bar()
    venue.place(account, asked("sell", "market", 5.0))
    venue.release()
    assert venue.funding_history(SYMBOL) == [(int(at[0]), 0.001), (int(at[1]), -0.002)]
    assert len(account.funding) == 1, "nothing was held at the second"
    assert account.cash["USDT"] == 1000.0 - 0.4 + 500.0
    assert (venue.funding(SYMBOL).rate, venue.funding(SYMBOL).next_ms) == (-0.002, at[2])


def test_events_tell_every_change_of_a_position() -> None:
    venue, account = venue_of(*flat(3))
    told: list[float] = []
    venue.listen(lambda event: told.append(event.position.quantity) if isinstance(event, PositionChanged) else None)
    for side, quantity in (("buy", 2.0), ("sell", 3.0), ("buy", 1.0)):
        venue.place(account, asked(side, "market", quantity))
        venue.release()
    assert told == [2.0, -1.0, 0.0]


def test_a_market_that_is_not_traded_takes_and_fills_nothing() -> None:
    from dataclasses import replace

    venue, account = venue_of(*flat(2))
    order: Order = venue.place(account, asked("buy", "market"))
    venue.change(replace(venue.tapes[SYMBOL].market, trading=False))
    assert refused(venue, account, asked("buy", "market")) == "trading"
    venue.release()
    assert order.state == "new"
    venue.change(replace(venue.tapes[SYMBOL].market, trading=True))
    venue.release()
    assert order.state == "filled"


def test_wrong_contracts_and_funding_are_said() -> None:
    with pytest.raises(Usage, match="perpetual settled"):
        Market.of("BTC/USD:BTC", FREE)
    with pytest.raises(Usage, match="strictly increasing"):
        venue_of(*flat(1), funding={SYMBOL: ([5, 5], [0.1, 0.1])})
    with pytest.raises(Usage, match="contracts only"):
        Venue({Market.of("A/B", FREE): bars_of(*flat(1))}, funding={"A/B": ([], [])})
    with pytest.raises(Usage, match="latency"):
        venue_of(*flat(1), latency_ms=-1)
