"""The exchange itself: what fills, when, at what price, and that no money is made or lost."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from engine.venue.core import Venue
from engine.venue.market import Market, plain, whole
from engine.venue.order import FINAL, MOVES, Asked, Order, Rejected
from parquet_store.errors import Usage
from pipelines import Bars
from tests.data import DATA, needs_data
from tests.venue.client import COSTS, HOUR, KEY, made_bars, made_venue

SYMBOL = "BTC/USDT"


def asked(side: Any, kind: Any, quantity: float = 1.0, **more: Any) -> Asked:
    return Asked(SYMBOL, side, kind, quantity, **more)


def bars_of(*rows: tuple[float, float, float, float]) -> Bars:
    """Return hourly bars of (open, high, low, close), the first as history."""
    columns = np.array([(100.0, 100.0, 100.0, 100.0), *rows]).T
    time = 1_600_000_000_000 // HOUR * HOUR + HOUR * np.arange(len(rows) + 1)
    return Bars.from_arrays("made:BTC/USDT:1h", "1h", time, *columns, np.full(len(rows) + 1, 40.0))


def naive(order: Asked, after: list[tuple[float, float, float, float]], fee_slip: float) -> tuple[int, float] | None:
    """Return (bar, price) of an order's fill, by rules written out one by one."""
    buy = order.side == "buy"
    worse = 1.0 + fee_slip if buy else 1.0 - fee_slip
    for at, (open, high, low, _) in enumerate(after):
        if order.kind == "market":
            return at, open * worse
        if order.kind == "limit":
            if (open <= order.price) if buy else (open >= order.price):
                return at, open
            if (low <= order.price) if buy else (high >= order.price):
                return at, order.price
            continue
        upward = buy == (order.kind == "stop")  # the price must rise to the level
        if (open >= order.stop_price) if upward else (open <= order.stop_price):
            return at, open * worse
        if (high >= order.stop_price) if upward else (low <= order.stop_price):
            return at, order.stop_price * worse
    return None


@pytest.mark.parametrize("seed", range(8))
def test_resting_orders_fill_where_a_naive_loop_says(seed: int) -> None:
    bars = made_bars(80, seed)
    venue = made_venue(bars)
    account, draw = venue.accounts[KEY], np.random.default_rng(seed)
    last = venue.tapes[SYMBOL].last
    placed: list[tuple[Order, Asked]] = []
    for side, kind in itertools.product(("buy", "sell"), ("market", "limit", "stop", "take_profit")):
        for _ in range(3):
            away = last * float(draw.uniform(0.002, 0.08))
            up = (side == "buy") == (kind == "stop")
            level = round(last + away if up else last - away, 2)
            prices = {} if kind == "market" else {"price": level} if kind == "limit" else {"stop_price": level}
            order = asked(side, kind, 0.1, **prices)
            placed.append((venue.place(account, order), order))
    while venue.release():
        pass
    after = [tuple(float(getattr(bars, n)[at]) for n in ("open", "high", "low", "close")) for at in range(20, 80)]
    filled = 0
    for order, said in placed:
        expected = naive(said, after, COSTS.slippage)  # type: ignore[arg-type]
        found = None
        if order.executions:
            (done,) = order.executions
            found = (done.time_ms - int(bars.time[20])) // HOUR, done.price
            filled += 1
        assert found == expected, said
        assert order.open == (expected is None)
    assert filled >= 6


def test_money_and_coins_are_only_moved_and_the_locks_end_with_the_orders() -> None:
    venue = made_venue(fill_share=0.02)
    account, draw = venue.accounts[KEY], np.random.default_rng(7)
    for _ in range(100):
        side, kind = draw.choice(["buy", "sell"]), draw.choice(["market", "limit", "stop"])
        last = venue.tapes[SYMBOL].last
        up = (side == "buy") == (kind == "stop")
        level = round(last * (1.01 if up else 0.99), 2)
        prices = {} if kind == "market" else {"price": level} if kind == "limit" else {"stop_price": level}
        try:
            venue.place(account, asked(str(side), str(kind), round(float(draw.uniform(0.2, 2.0)), 3), **prices))
        except Rejected as refused:
            if refused.reason != "balance":
                raise
        venue.release()
        assert min(*account.free.values(), *account.locked.values()) >= -1e-9
    orders = list(account.orders.values())
    done = [one for order in orders for one in order.executions]
    assert len(done) > len([order for order in orders if order.executions]), "some filled in parts"
    coins = 5.0 + sum(one.quantity if one.side == "buy" else -one.quantity for one in done)
    cash = 10_000.0 - sum((1 if one.side == "buy" else -1) * one.price * one.quantity + one.fee for one in done)
    assert account.total("BTC") == pytest.approx(coins, rel=1e-12)
    assert account.total("USDT") == pytest.approx(cash, rel=1e-12)
    assert [one.trade_id for one in sorted(done, key=lambda one: one.trade_id)] == list(range(1, len(done) + 1))
    for order in orders:
        if order.open:
            venue.cancel(order)
        assert order.locked == 0.0
    assert max(account.locked.values()) < 1e-9


def test_a_stop_sent_after_the_open_acts_in_the_range_of_the_same_bar() -> None:
    venue = Venue({Market.of(SYMBOL, COSTS): bars_of((100, 104, 90, 102), (102, 103, 101, 102))}, history=1)
    account = venue.open_account(KEY, "s", {"USDT": 1000.0})
    entry = venue.place(account, asked("buy", "market"))
    venue.open_bar()
    assert entry.state == "filled"
    stop = venue.place(account, asked("sell", "stop", stop_price=95.0))
    venue.close_bar()
    assert (stop.state, stop.executions[0].price) == ("filled", 95.0 * (1.0 - COSTS.slippage))


def test_an_open_beyond_the_stop_fills_at_the_open_and_a_stop_limit_then_waits_for_its_limit() -> None:
    rows = bars_of((90, 91, 89, 90), (90, 97, 90, 96))
    venue = Venue({Market.of(SYMBOL, COSTS): rows}, history=1)
    account = venue.open_account(KEY, "s", {"BTC": 2.0})
    stop = venue.place(account, asked("sell", "stop", stop_price=95.0))
    limited = venue.place(account, asked("sell", "stop_limit", stop_price=95.0, price=94.0))
    venue.release()
    assert stop.executions[0].price == 90.0 * (1.0 - COSTS.slippage)
    assert (limited.state, limited.triggered) == ("new", True)
    venue.release()
    assert limited.executions[0].price == 94.0


def test_a_buy_that_cash_no_longer_covers_shrinks_to_what_it_does() -> None:
    venue = Venue({Market.of(SYMBOL, COSTS): bars_of((110, 111, 109, 110))}, history=1)
    account = venue.open_account(KEY, "s", {"USDT": 1000.0})
    order = venue.place(account, asked("buy", "market", 9.9))
    venue.release()
    price = 110.0 * (1.0 + COSTS.slippage)
    assert (order.state, order.filled) == ("expired", np.floor(1000.0 / (price * 1.001) / 0.001) * 0.001)
    assert 0.0 <= account.total("USDT") < price * 0.0011


def test_orders_that_must_fill_at_once_expire_if_they_do_not() -> None:
    venue = Venue({Market.of(SYMBOL, COSTS): bars_of((100, 101, 99, 100), (100, 101, 80, 100))}, history=1)
    account = venue.open_account(KEY, "s", {"USDT": 1000.0})
    away = venue.place(account, asked("buy", "limit", price=90.0, time_in_force="ioc"))
    near = venue.place(account, asked("buy", "limit", price=100.0, time_in_force="fok"))
    venue.release()
    assert (away.state, near.state) == ("expired", "filled")


def test_a_final_state_is_never_left() -> None:
    order = Order(1, KEY, asked("buy", "market"), 0, True)
    assert set(FINAL) == {"filled", "canceled", "expired", "rejected"}
    for state in FINAL:
        order.state = state
        for other in MOVES:
            with pytest.raises(AssertionError):
                order.becomes(other, 1)


def test_the_same_orders_over_the_same_bars_give_the_same_events() -> None:
    def run() -> list[str]:
        venue, told = made_venue(), list[str]()
        venue.listen(lambda event: told.append(repr(event)))
        for k in range(60):
            if k % 3 == 0:
                venue.place(venue.accounts[KEY], asked("buy" if k % 2 else "sell", "market", 0.1))
            venue.release()
        return told

    first = run()
    assert first == run()
    assert len(first) > 300


def test_nothing_later_than_venue_time_can_be_read() -> None:
    venue = made_venue()
    tape = venue.tapes[SYMBOL]
    while venue.open_bar():
        at = tape.shown
        assert max(t.time_ms for t in tape.trades(10)) <= venue.time_ms
        forming = tape.candles(None, None, 1)[0]
        assert (forming.high, forming.low, forming.close) == (tape.bars.open[at],) * 3
        venue.close_bar()
        assert tape.candles(None, None, 1)[0].close == tape.bars.close[at] == tape.last


def test_wrong_use_is_said() -> None:
    venue = made_venue()
    with pytest.raises(Usage, match="no bar is open"):
        venue.close_bar()
    venue.open_bar()
    with pytest.raises(Usage, match="close it"):
        venue.open_bar()
    with pytest.raises(Usage, match="spot pair"):
        Market.of("BTC/USD:BTC", COSTS)
    with pytest.raises(Usage, match="history"):
        made_venue(history=200)


def test_numbers_are_written_so_that_they_read_back_the_same() -> None:
    for value in (0.1, 1e-8, 123456.78 * 1.0005, 3.0, 5e-324):
        assert float(plain(value)) == value
        assert "e" not in plain(value)
    assert whole(0.3, 0.1)
    assert whole(123456.78, 0.01)
    assert not whole(0.0005, 0.001)


@needs_data
def test_real_bars_reach_the_client_side_unchanged_and_a_market_order_fills_at_the_next_open() -> None:
    import polars as pl

    rows = pl.read_parquet(DATA / "binance_BTC-USDT_1h.parquet").head(500)
    columns = [rows[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    bars = Bars.from_arrays("binance:BTC/USDT:1h", "1h", rows["ts"].to_physical().to_numpy(), *columns)
    venue = Venue({Market.of(SYMBOL, COSTS): bars}, history=1)
    account = venue.open_account(KEY, "s", {"USDT": 1e6, "BTC": 100.0})
    orders = []
    for k in range(499):
        orders.append(venue.place(account, asked("buy" if k % 2 else "sell", "market", 0.01)))
        assert venue.release()
    assert not venue.release()
    for at, order in enumerate(orders, start=1):
        side = 1.0 if order.asked.side == "buy" else -1.0
        assert order.executions[0].price == bars.open[at] * (1.0 + side * COSTS.slippage)
        assert order.executions[0].time_ms == bars.time[at], "also after a hole in the data"
    shown = venue.tapes[SYMBOL].candles(None, None, 500)
    assert [(c.open_ms, c.close, c.volume) for c in shown] == list(
        zip(bars.time.tolist(), bars.close.tolist(), bars.volume.tolist(), strict=True)
    )
