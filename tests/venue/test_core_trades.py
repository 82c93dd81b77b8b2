"""Matching against recorded trades and books: real ones, against loops written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.simulate import Costs
from engine.venue.core import Venue
from engine.venue.events import Traded
from engine.venue.market import Market
from engine.venue.order import Asked, Order
from engine.venue.recorded import Depth, Trades
from parquet_store.errors import Usage
from pipelines import Bars
from tests.data import DATA, needs_data

COSTS = Costs(fee=0.001, slippage=0.0005, price_tick=1e-6, quantity_step=1.0)
FINE = Costs(fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.00001)
MINUTE = 60_000
XRP = "XRP/ETH"


def read(name: str) -> pl.DataFrame:
    return pl.read_parquet(DATA / f"binance_{name}.parquet")


def bars_of(trades: Trades, symbol: str) -> Bars:
    """Return the one-minute bars the trades come to."""
    opens = trades.time_ms // MINUTE * MINUTE
    frame = pl.DataFrame({"ts": opens, "p": trades.price, "q": trades.quantity})
    rows = frame.group_by("ts", maintain_order=True).agg(
        open=pl.col("p").first(),
        high=pl.col("p").max(),
        low=pl.col("p").min(),
        close=pl.col("p").last(),
        v=pl.col("q").sum(),
    )
    columns = [rows[name].to_numpy() for name in ("open", "high", "low", "close", "v")]
    return Bars.from_arrays(f"made:{symbol}:1m", "1m", rows["ts"].to_numpy(), *columns)


def xrp(**more: Any) -> tuple[Venue, Trades, Bars]:
    trades = Trades.from_frame(read("XRP-ETH_trades"))
    frame = read("XRP-ETH_1m")
    columns = [frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    bars = Bars.from_arrays("binance:XRP/ETH:1m", "1m", frame["ts"].to_physical().to_numpy(), *columns)
    venue = Venue({Market.of(XRP, COSTS): bars}, history=10, trades={XRP: trades}, **more)
    venue.open_account("k", "s", {"XRP": 1e9, "ETH": 1e9})
    return venue, trades, bars


def asked(symbol: str, side: Any, kind: Any, quantity: float, **more: Any) -> Asked:
    return Asked(symbol, side, kind, quantity, **more)


@needs_data
def test_recorded_trades_are_told_once_each_when_they_happen_and_come_to_the_stored_bars() -> None:
    venue, trades, bars = xrp()
    told: list[tuple[int, int]] = []
    venue.listen(
        lambda event: told.append((event.trade.trade_id, venue.time_ms)) if isinstance(event, Traded) else None
    )
    tape, at = venue.tapes[XRP], 10
    while at < 400 and venue.open_bar():
        assert tape.candle(at).open == bars.open[at] == tape.last
        assert max(one.time_ms for one in tape.trades(50)) <= venue.time_ms
        venue.advance(int(bars.time[at]) + MINUTE // 2)
        shown, begin = tape.candle(at), int(trades.time_ms.searchsorted(bars.time[at]))
        until = int(trades.time_ms.searchsorted(bars.time[at] + MINUTE // 2, side="right"))
        seen = trades.price[begin : max(until, begin + 1)]  # the first trade is the open, whenever it comes
        assert (shown.high, shown.low, shown.close) == (seen.max(), seen.min(), seen[-1])
        venue.close_bar()
        closed = tape.candle(at)
        assert (closed.high, closed.close, closed.closed) == (bars.high[at], bars.close[at], True)
        at += 1
    first, after = trades.time_ms.searchsorted([bars.time[10], bars.time[399] + MINUTE])
    assert [one for one, _ in told] == trades.trade_id[first:after].tolist()
    assert [when for _, when in told] == trades.time_ms[first:after].tolist()


@needs_data
@pytest.mark.parametrize("latency_ms", [0, 700, 90_000])
def test_orders_fill_at_the_trades_a_naive_loop_finds(latency_ms: int) -> None:
    venue, trades, _ = xrp(latency_ms=latency_ms)
    account, draw = venue.accounts["k"], np.random.default_rng(3)
    placed: list[Order] = []
    for at in range(10, 210):
        if at % 5 == 0:
            last = venue.tapes[XRP].last
            for kind in ("market", "limit", "stop", "take_profit"):
                side = str(draw.choice(["buy", "sell"]))
                up = (side == "buy") == (kind == "stop")
                level = round(last * (1.001 if up else 0.999), 6)
                prices = {} if kind == "market" else {"price": level} if kind == "limit" else {"stop_price": level}
                placed.append(venue.place(account, asked(XRP, side, kind, 100.0, **prices)))
        venue.release()
    rows = list(zip(trades.time_ms.tolist(), trades.price.tolist(), strict=True))
    filled = 0
    for order in placed:
        one, expected = order.asked, None
        for time_ms, price in rows:
            if time_ms < order.time_ms + latency_ms or time_ms > venue.time_ms:
                continue
            buys = one.side == "buy"
            worse = price * (1.0005 if buys else 1.0 - 0.0005)
            if one.kind == "limit":
                hit = price < one.price if buys else price > one.price
                if hit:
                    expected = (time_ms, one.price)
            elif one.kind == "market":
                hit, expected = True, (time_ms, worse)
            else:
                hit = price >= one.stop_price if buys == (one.kind == "stop") else price <= one.stop_price
                if hit:
                    expected = (time_ms, worse)
            if hit:
                break
        found = (order.executions[0].time_ms, order.executions[0].price) if order.executions else None
        if one.kind == "limit" and order.executions and not order.executions[0].maker:
            continue  # it took on arrival
        assert found == (None if expected is None else pytest.approx(expected, rel=1e-15)), one
        filled += found is not None
    assert filled > 60


@needs_data
def test_a_share_of_each_trade_fills_a_limit_in_parts() -> None:
    venue, trades, _ = xrp(fill_share=0.1)
    order = venue.place(
        venue.accounts["k"], asked(XRP, "sell", "limit", 5_000.0, price=round(venue.tapes[XRP].last * 1.0005, 6))
    )
    for _ in range(100):
        venue.release()
    assert len(order.executions) > 3
    assert all(one.price == order.asked.price and one.maker for one in order.executions)
    assert all(one.quantity <= 0.1 * trades.quantity[trades.time_ms == one.time_ms].max() for one in order.executions)


@needs_data
@pytest.mark.parametrize(("name", "least"), [("BTC-USDT_20240808", 400), ("BTC-USDT-PERP_20240808", 100)])
def test_the_recorded_book_is_the_best_bid_and_ask_recorded_beside_it(name: str, least: int) -> None:
    depth, best = (
        Depth.from_frame(read(f"{name}_l2").head(120_000)),
        read(f"{name}_bbo").unique("update_id", keep="last"),
    )
    known = {row[0]: row[1:] for row in best.select("update_id", "bid", "bid_amount", "ask", "ask_amount").iter_rows()}
    compared = 0
    for time_ms in np.unique(depth._time).tolist():
        depth.play(time_ms)
        if depth.update in known:
            bids, asks = depth.levels(1)
            assert (*bids[0], *asks[0]) == known[depth.update]
            compared += 1
    assert compared > least


@needs_data
def test_market_orders_walk_the_recorded_book() -> None:
    symbol = "BTC/USDT"
    trades, frame = Trades.from_frame(read("BTC-USDT_20240808_trades")), read("BTC-USDT_20240808_l2").head(60_000)
    bars = bars_of(trades, symbol)
    books = {symbol: Depth.from_frame(frame)}
    venue = Venue({Market.of(symbol, FINE): bars}, history=1, trades={symbol: trades}, books=books)
    account = venue.open_account("k", "s", {"USDT": 1e7, "BTC": 100.0})
    for side in ("buy", "sell"):
        order = venue.place(account, asked(symbol, side, "market", 3.0))
        tight = venue.place(account, asked(symbol, side, "limit", 50.0, price=round(venue.tapes[symbol].last, 2)))
        venue.open_bar()
        beside = Depth.from_frame(frame)
        beside.play(venue.time_ms)
        levels, rest, cost = beside.levels(1000)[0 if side == "sell" else 1], 3.0, 0.0
        for price, amount in levels:
            part = min(rest, amount)
            cost, rest = cost + part * price, rest - part
        assert len(order.executions) > 1
        assert order.state == "filled"
        assert order.spent == pytest.approx(cost, rel=1e-9)
        assert order.executions[0].price == levels[0][0]
        assert all(
            (one.price <= tight.asked.price) == (side == "buy") or one.price == tight.asked.price
            for one in tight.executions
        )
        bids, asks = venue.tapes[symbol].book()
        assert len(bids) == len(asks) == 20
        assert bids[0][0] < asks[0][0]
        venue.close_bar()
        if tight.open:
            venue.cancel(tight)


def test_a_bar_without_recorded_trades_plays_as_a_bar_and_wrong_trades_are_said() -> None:
    time = 1_600_000_020_000 // MINUTE * MINUTE + MINUTE * np.arange(3)
    bars = Bars.from_arrays("made:x:1m", "1m", time, *np.array([(100.0, 110.0, 90.0, 100.0)] * 3).T, np.ones(3))
    trades = Trades(time[2:] + 5, np.array([7]), np.array([100.0]), np.array([1.0]), np.array([1]))
    venue = Venue({Market.of(XRP, COSTS): bars}, history=1, trades={XRP: trades})
    account = venue.open_account("k", "s", {"ETH": 1e4})
    orders = [venue.place(account, asked(XRP, "buy", "limit", 1.0, price=price)) for price in (95.0, 85.0)]
    market = venue.place(account, asked(XRP, "buy", "market", 1.0))
    assert venue.release()
    assert [one.state for one in (*orders, market)] == ["filled", "new", "filled"]
    late = venue.place(account, asked(XRP, "buy", "market", 1.0))
    assert venue.release()
    assert (late.executions[0].time_ms, orders[1].state) == (time[2] + 5, "new")
    with pytest.raises(Usage, match="never fall"):
        Trades(np.array([2, 1]), np.array([1, 2]), np.ones(2), np.ones(2), np.ones(2, np.int64))
    with pytest.raises(Usage, match="no snapshot"):
        Depth.from_frame(pl.DataFrame({"kind": ["update"], "last_update_id": [1]}))
