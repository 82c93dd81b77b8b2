"""Bars built of trades: against the venue's own, against Polars, and whatever the order the trades come in."""

from __future__ import annotations

import math
import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parquet_store.errors import Usage
from parquet_store.timeframe import Timeframe
from pipelines.candles import BuiltCandle, Candle, CandleBuilder, LateTrade, Trade
from tests.data import DATA, needs_data

MINUTE = 60_000_000_000


def real(name: str, time: str = "ts") -> list[Trade]:
    frame = pl.read_parquet(DATA / name).select("trade_id", pl.col(time).dt.epoch("ns"), "price", "amount")
    return [Trade(*row) for row in frame.iter_rows()]


def build(trades: list[Trade], timeframe: str, until_ns: int, **how: int) -> list[BuiltCandle]:
    builder = CandleBuilder(timeframe, **{"since_ns": 0, **how})
    found = [one for trade in trades for one in builder.add(trade)] + builder.at(until_ns)
    assert not [one for one in found if isinstance(one, LateTrade)]
    return [one for one in found if isinstance(one, BuiltCandle)]


def oracle(trades: list[Trade], timeframe: str) -> pl.DataFrame:
    """Group the trades by the minutes of Polars' own calendar."""
    frame = pl.DataFrame(
        [(t.time_ns, t.trade_id, t.price, t.quantity) for t in trades],
        schema={"time": pl.Int64, "id": pl.Int64, "price": pl.Float64, "quantity": pl.Float64},
        orient="row",
    )
    frame = frame.with_columns(pl.col("time").cast(pl.Datetime("ns"))).sort("time", "id")
    price = pl.col("price")
    return frame.group_by_dynamic("time", every=timeframe).agg(
        price.first().alias("open"),
        price.max().alias("high"),
        price.min().alias("low"),
        price.last().alias("close"),
        pl.col("quantity").sum().alias("volume"),
        pl.len().alias("trades"),
    )


def rows(candles: list[Candle]) -> pl.DataFrame:
    names = ("open_ns", "open", "high", "low", "close", "volume")
    return pl.DataFrame([[getattr(c, name) for name in names] for c in candles], schema=list(names), orient="row")


def assert_equal(candles: list[Candle], wanted: pl.DataFrame) -> None:
    found = rows(candles)
    assert found["open_ns"].to_list() == wanted["time"].dt.epoch("ns").to_list()
    for name in ("open", "high", "low", "close"):
        assert found[name].to_list() == wanted[name].to_list(), name
    assert np.allclose(found["volume"], wanted["volume"], rtol=1e-12, atol=0)


@needs_data
@pytest.mark.parametrize("timeframe", ["1m", "5m"])
def test_the_bars_of_real_trades_are_the_venues_own(timeframe: str) -> None:
    trades = real("binance_XRP-ETH_trades.parquet")
    wanted = pl.read_parquet(DATA / f"binance_XRP-ETH_{timeframe}.parquet").rename({"ts": "time"})
    built = build(trades, timeframe, trades[-1].time_ns)
    last = (built[-1].candle.open_ns // MINUTE, wanted["time"].dt.epoch("ns")[-1] // MINUTE)
    assert last[0] <= last[1], "the bar of the last trade is not over"
    assert_equal([one.candle for one in built], wanted[: len(built)])
    assert len(wanted) - len(built) == 1
    assert sum(one.missing for one in built) == 0


@needs_data
@pytest.mark.parametrize(
    ("name", "timeframe", "time"),
    [
        ("binance_BTC-USDT_20240808_trades.parquet", "1m", "ts_event"),
        ("binance_BTC-USDT_20240808_trades.parquet", "1s", "ts_event"),
        ("binance_BTC-USDT-PERP_20240808_trades.parquet", "15s", "ts_event"),
        ("binance_PEPE-USDT_trades.parquet", "1h", "ts"),
    ],
)
def test_the_bars_of_real_trades_are_those_of_polars(name: str, timeframe: str, time: str) -> None:
    trades = real(name, time)
    wanted = oracle(trades, timeframe)
    built = build(trades, timeframe, trades[-1].time_ns + 86_400_000_000_000, since_ns=0, lateness_ns=2 * MINUTE)
    assert_equal([one.candle for one in built], wanted)
    assert [one.trades for one in built] == wanted["trades"].to_list()


@needs_data
def test_mangled_real_trades_make_the_same_bits() -> None:
    trades = real("binance_BTC-USDT_20240808_trades.parquet", "ts_event")
    draw = random.Random(7)
    order = sorted(trades + draw.sample(trades, 500), key=lambda t: t.time_ns + draw.randrange(5_000_000_000))
    assert order != trades
    until = trades[-1].time_ns + 2 * MINUTE
    assert build(order, "1m", until, lateness_ns=5_000_000_000) == build(trades, "1m", until, lateness_ns=5_000_000_000)


def trade(number: int, seconds: float, price: float = 10.0, quantity: float = 1.0) -> Trade:
    return Trade(number, round(seconds * 1e9), price, quantity)


def test_a_bar_is_over_at_its_close_by_a_later_trade_or_by_time() -> None:
    builder = CandleBuilder("1m", since_ns=0)
    assert builder.add(trade(1, 10, 5.0)) == []
    assert builder.forming == Candle(0, 5.0, 5.0, 5.0, 5.0, 1.0)
    assert builder.add(trade(2, 59.999999999, 7.0, 2.0)) == []
    (built,) = builder.add(trade(3, 60))
    assert built == BuiltCandle(Candle(0, 5.0, 7.0, 5.0, 7.0, 3.0), 2, 0)
    assert builder.at(2 * MINUTE - 1) == []
    (built,) = builder.at(2 * MINUTE)
    assert isinstance(built, BuiltCandle)
    assert built.candle.open_ns == MINUTE
    assert (builder.forming, builder.over) == (None, 1)


def test_a_bar_without_a_trade_is_absent() -> None:
    builder = CandleBuilder("1m", since_ns=0)
    builder.add(trade(1, 10))
    assert [one.candle.open_ns for one in builder.add(trade(2, 250)) if isinstance(one, BuiltCandle)] == [0]
    assert builder.over == 3
    assert builder.at(20 * MINUTE)[0].candle.open_ns == 4 * MINUTE  # type: ignore[union-attr]
    assert builder.at(30 * MINUTE) == []
    assert builder.over == 29


def test_a_bar_whose_beginning_was_not_seen_is_not_built() -> None:
    for since, first in ((0, 0), (1, 1), (MINUTE, 1), (MINUTE + 1, 2)):
        builder = CandleBuilder("1m", since_ns=since)
        found = [one for k in range(5) for one in builder.add(trade(k, 60 * k + 1))]
        opens = [one.candle.open_ns // MINUTE for one in found if isinstance(one, BuiltCandle)]
        assert opens == list(range(first, 4)), since
        assert len(opens) == len(found)


def test_trades_of_one_moment_are_in_the_order_of_their_numbers() -> None:
    builder = CandleBuilder("1m", since_ns=0)
    for number, price in ((3, 3.0), (1, 1.0), (2, 2.0)):
        builder.add(trade(number, 5, price))
    assert builder.forming == Candle(0, 1.0, 3.0, 1.0, 3.0, 3.0)


def test_a_late_trade_is_told_and_a_repeated_one_counted() -> None:
    builder = CandleBuilder("1m", since_ns=0, kept_bars=2)
    builder.add(trade(1, 10))
    builder.add(trade(3, 70))
    late = trade(2, 50)
    assert builder.add(late) == [LateTrade(late, 0)]
    assert builder.add(trade(1, 10)) == []
    assert builder.add(trade(3, 70)) == []
    assert builder.repeated == 2
    builder.at(10 * MINUTE)
    assert builder.add(trade(3, 70)) == []
    assert builder.repeated == 3


def test_a_number_left_out_is_counted_in_the_bar_after_it() -> None:
    builder = CandleBuilder("1m", since_ns=0)
    found = [one for k, s in ((5, 1), (7, 2), (8, 61), (12, 121)) for one in builder.add(trade(k, s))]
    found += builder.at(9 * MINUTE)
    assert [one.missing for one in found if isinstance(one, BuiltCandle)] == [1, 0, 3]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_trade_without_a_price_is_refused(bad: float) -> None:
    builder = CandleBuilder("1m", since_ns=0)
    for one in (trade(1, 1, bad), trade(1, 1, 1.0, bad)):
        with pytest.raises(Usage, match="expected numbers above 0"):
            builder.add(one)
    assert builder.forming is None


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_order_and_no_repetition_within_the_lateness_changes_a_bar(data: st.DataObject) -> None:
    lateness = 30_000_000_000
    steps = data.draw(st.lists(st.integers(0, 90_000), min_size=1, max_size=40))
    prices = data.draw(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7]), min_size=len(steps), max_size=len(steps)))
    times = np.cumsum(steps) * 1_000_000
    trades = [Trade(k, int(t), p, p) for k, (t, p) in enumerate(zip(times, prices, strict=True))]
    again = data.draw(st.lists(st.sampled_from(trades), max_size=10))
    sent = trades + again
    delays = data.draw(st.lists(st.integers(0, lateness - 1), min_size=len(sent), max_size=len(sent)))
    arrived = [
        t for _, _, t in sorted((t.time_ns + d, k, t) for k, (t, d) in enumerate(zip(sent, delays, strict=True)))
    ]
    until = trades[-1].time_ns + 3 * MINUTE
    built = build(arrived, "1m", until, lateness_ns=lateness)
    assert built == build(trades, "1m", until)
    assert sum(one.trades for one in built) == len(trades)
    assert {Timeframe.parse("1m").number(t.time_ns // 1_000_000) for t in trades} == {
        one.candle.open_ns // MINUTE for one in built
    }


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_the_volume_is_the_exact_sum_rounded_once(quantities: list[float]) -> None:
    builder = CandleBuilder("1m", since_ns=0)
    for k, quantity in enumerate(quantities):
        builder.add(Trade(k, MINUTE + k, 1.0, quantity))
        forming = builder.forming
        assert forming is not None
        assert forming.volume == math.fsum(quantities[: k + 1])
