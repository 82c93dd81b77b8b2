"""Coinbase is asked through CCXT like the others: its client ids, market buys, stops, pages and missing candles."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.execution import coinbase
from engine.execution.client import client_of
from engine.execution.exchange import Exchange
from engine.execution.orders import Balance, OrderRequest
from engine.execution.outcome import AskAgain, Refused, Stopped, Unknown
from engine.execution.trade_candles import TradeCandles
from engine.settings import Credentials, Secret
from engine.venue.core import Venue
from engine.venue.server import wall_ms
from parquet_store.errors import Failed
from pipelines import Bars
from tests.execution.test_exchange import settings_for
from tests.venue.coinbase_client import KEY, SECRET, SYMBOL, AnyServer, Server, made_secret, made_venue

pytest.importorskip("ccxt")
KEYS = Credentials(Secret(KEY), Secret(SECRET), None)
BUY = OrderRequest(SYMBOL, "buy", "market", 1.5, "lock0001")


def asked(venue: Venue, question: Callable[[Exchange, AnyServer], Awaitable[None]], keys: Credentials = KEYS) -> None:
    """Ask a served venue, as a bot would."""

    async def run() -> None:
        async with Server(venue) as server:
            settings = settings_for(server.rest_url, server.stream_url, name="coinbase")
            async with Exchange(client_of(settings, keys), (keys.secret.reveal(), keys.key.reveal())) as exchange:
                await question(exchange, server)

    asyncio.run(run())


def test_an_order_is_placed_found_by_its_client_id_filled_and_told() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: AnyServer) -> None:
        rules = exchange.rules(SYMBOL)
        assert (rules.price_tick, rules.quantity_step, rules.min_notional, rules.taker_fee) == (0.01, 0.001, 5.0, 0.001)
        sent = await exchange.place(BUY)
        assert (sent.status, sent.filled, sent.client_id, sent.quantity) == ("open", 0.0, "lock0001", 1.5)
        (order,) = venue.accounts[KEY].orders.values()
        assert (order.asked.client_id, order.asked.kind, order.asked.quantity) == ("lock0001", "market", 1.5)
        assert [x.client_id for x in await exchange.open_orders(SYMBOL)] == ["lock0001"]
        venue.open_bar()
        done = await exchange.find(BUY)
        assert done is not None
        price = venue.tapes[SYMBOL].bars.open[20] * 1.0005
        assert (done.status, done.filled, done.average_price) == ("filled", 1.5, pytest.approx(price))
        assert done.venue_id == sent.venue_id
        (fill,) = await exchange.fills(SYMBOL)
        assert (fill.venue_id, fill.price, fill.quantity, fill.side) == (done.venue_id, price, 1.5, "buy")
        assert (fill.fee, fill.fee_currency) == (pytest.approx(0.001 * 1.5 * price), "USD")
        balances = {x.currency: x for x in await exchange.balances()}
        assert balances["BTC"] == Balance("BTC", 6.5, 0.0)
        assert [row[4] for row in await exchange.candles(SYMBOL, "1h")][:20] == venue.tapes[SYMBOL].bars.close[
            :20
        ].tolist()

    asked(venue, question)


def test_an_order_the_venue_does_not_know_is_none_and_a_canceled_one_says_so() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: AnyServer) -> None:
        assert await exchange.find(BUY) is None
        resting = replace(BUY, kind="limit", price=venue.tapes[SYMBOL].last * 0.5, client_id="lock0002")
        sent = await exchange.place(resting)
        (balance,) = [x for x in await exchange.balances() if x.currency == "USD"]
        assert balance.used > 0.0
        await exchange.cancel(SYMBOL, sent.venue_id, sent.client_id)
        found = await exchange.find(resting)
        assert found is not None
        assert (found.status, found.filled) == ("canceled", 0.0)
        with pytest.raises(Unknown, match="the order may still stand"):
            await exchange.cancel(SYMBOL, sent.venue_id, sent.client_id)

    asked(venue, question)


@pytest.mark.parametrize(("kind", "factor"), [("stop", 0.97), ("take_profit", 1.01), ("stop_limit", 0.97)])
def test_a_stop_is_a_stop_limit_and_fills_where_a_stop_would(kind: Any, factor: float) -> None:
    venue = made_venue()
    level = round(venue.tapes[SYMBOL].last * factor, 2)

    async def question(exchange: Exchange, _: AnyServer) -> None:
        request = OrderRequest(SYMBOL, "sell", kind, 1.0, "stop1", stop_price=level, reduce_only=True)
        if kind == "stop_limit":
            request = replace(request, price=level - 1.0)
        sent = await exchange.place(request)
        assert (sent.status, sent.kind) == ("open", kind)
        (order,) = venue.accounts[KEY].orders.values()
        assert order.asked.stop_price == level
        limit = level - 1.0 if kind == "stop_limit" else level * (1.0 - coinbase.STOP_ROOM)
        assert order.asked.price == pytest.approx(limit, abs=0.006)
        bars = venue.tapes[SYMBOL].bars
        touched = bars.high >= level if factor > 1.0 else bars.low <= level
        at = next(at for at in range(20, len(bars)) if touched[at])
        while order.open and venue.release():
            pass
        done = await exchange.find(request)
        assert done is not None
        beyond = max(level, bars.open[at]) if factor > 1.0 else min(level, bars.open[at])
        assert (done.status, done.filled) == ("filled", 1.0)
        assert done.average_price == pytest.approx(beyond * 0.9995)

    asked(venue, question)


def test_lists_longer_than_a_page_are_read_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coinbase, "PAGE", 3)
    venue = made_venue()

    async def question(exchange: Exchange, _: AnyServer) -> None:
        orders = [replace(BUY, kind="limit", quantity=0.1, price=60.0 + k, client_id=f"page{k}") for k in range(7)]
        for one in orders:
            await exchange.place(one)
        assert sorted(x.client_id for x in await exchange.open_orders(SYMBOL)) == [one.client_id for one in orders]
        oldest = await exchange.find(orders[0])
        assert oldest is not None
        assert oldest.client_id == "page0"
        assert await exchange.find(orders[0], since_ms=venue.time_ms + 1) is None
        for k in range(7):
            await exchange.place(replace(BUY, side="sell", quantity=0.1, client_id=f"sell{k}"))
        venue.open_bar()
        fills = await exchange.fills(SYMBOL)
        assert [int(x.trade_id.split("-")[-1], 16) for x in fills] == list(range(1, 8))
        one = await exchange.fills_of(SYMBOL, fills[4].venue_id)
        assert one == [fills[4]]
        monkeypatch.setattr(coinbase, "MOST_PAGES", 2)
        with pytest.raises(Stopped, match="more than 6 rows"):
            await exchange.fills(SYMBOL)

    asked(venue, question)


def test_candles_are_asked_for_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coinbase, "WINDOW", 7)
    venue = made_venue(history=150)
    bars = venue.tapes[SYMBOL].bars

    async def question(exchange: Exchange, _: AnyServer) -> None:
        since = int(bars.time[100])
        assert await exchange.candles(SYMBOL, "1h", since, 30) == rows_of(bars, 100, 130)
        assert await exchange.candles(SYMBOL, "1h", since, 1000, int(bars.time[103])) == rows_of(bars, 100, 107)
        assert await exchange.candles(SYMBOL, "1h", int(bars.time[145]), 40) == rows_of(bars, 145, 150)
        assert (await exchange.candles(SYMBOL, "1h"))[-1] == rows_of(bars, 149, 150)[0]

    asked(venue, question)


def test_the_venues_clock_is_read_to_the_millisecond() -> None:
    stands_ms = wall_ms() // 1000 * 1000 + 777

    async def run() -> None:
        async with Server(made_venue(), clock=lambda: stands_ms) as server:
            client = client_of(settings_for(server.rest_url, server.stream_url, name="coinbase"), KEYS)
            async with Exchange(client) as exchange:
                before_ms = wall_ms()
                ahead_ms = await exchange.ahead_ns() / 1e6
                assert stands_ms - wall_ms() - 1 <= ahead_ms <= stands_ms - before_ms + 1

    asyncio.run(run())


def test_orders_come_by_the_stream_as_they_were_sent() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: AnyServer) -> None:
        assert await asyncio.wait_for(exchange.watch_orders(), 5) == [], "none is open at first"
        watched = asyncio.create_task(exchange.watch_orders())
        await asyncio.sleep(0.05)
        sent = await exchange.place(BUY)
        (seen,) = await asyncio.wait_for(watched, 5)
        told = (seen.client_id, seen.venue_id, seen.status, seen.quantity, seen.filled, seen.kind)
        assert told == ("lock0001", sent.venue_id, "open", 1.5, 0.0, "market")
        watched = asyncio.create_task(exchange.watch_orders())
        await asyncio.sleep(0.05)
        venue.open_bar()
        (seen,) = await asyncio.wait_for(watched, 5)
        price = venue.tapes[SYMBOL].bars.open[20] * 1.0005
        assert (seen.status, seen.quantity, seen.filled, seen.average_price) == ("filled", 1.5, 1.5, price)

    asked(venue, question)


def test_what_the_venue_refuses_is_this_order_only_and_a_wrong_key_stops_everything() -> None:
    venue = made_venue()
    poor = replace(BUY, kind="limit", quantity=900.0, price=50.0)

    async def too_much(exchange: Exchange, _: AnyServer) -> None:
        with pytest.raises(Refused, match="no order was placed") as told:
            await exchange.place(poor)
        assert (told.value.outcome.reason, told.value.outcome.code) == (
            "InsufficientFunds",
            "PREVIEW_INSUFFICIENT_FUND",
        )
        with pytest.raises(Refused, match="PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"):
            await exchange.place(OrderRequest(SYMBOL, "sell", "stop", 1.0, "s", stop_price=500.0))
        post = replace(BUY, kind="limit", quantity=1.0, price=venue.tapes[SYMBOL].last * 1.1, post_only=True)
        with pytest.raises(Refused, match="PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"):
            await exchange.place(post)
        other = made_secret()
        exchange.client.secret = other
        with pytest.raises(Stopped, match="trading stops") as stopped:
            await exchange.place(BUY)
        assert other.splitlines()[1] not in str(stopped.value)
        assert venue.accounts[KEY].orders == {}

    asked(venue, too_much)


def test_an_order_whose_answer_is_lost_is_unknown_and_then_found() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: AnyServer) -> None:
        true_fetch = exchange.client.fetch

        async def lost(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            from ccxt import RequestTimeout

            await true_fetch(url, method, headers, body)
            raise RequestTimeout(f"coinbase {method} {url}")

        exchange.client.fetch = lost
        with pytest.raises(Unknown, match="asked for by client id lock0001, not sent again"):
            await exchange.place(BUY)
        exchange.client.fetch = true_fetch
        found = await exchange.find(BUY)
        assert found is not None
        assert found.status == "open"

    asked(venue, question)


# --- candles of trades


def rows_of(bars: Bars, first: int, after: int) -> list[list[float]]:
    return [
        [getattr(bars, name)[at] for name in ("time", "open", "high", "low", "close", "volume")]
        for at in range(first, after)
    ]


def test_the_candles_built_of_the_stream_are_the_bars_bit_for_bit() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def question(exchange: Exchange, _: AnyServer) -> None:
        shown = await asyncio.wait_for(exchange.watch_candles(SYMBOL, "1h"), 5)
        assert shown == rows_of(bars, 8, 20), "of the fifty trades shown at first, the whole bars"
        for at in range(20, 40):
            venue.open_bar()
            (forming,) = await asyncio.wait_for(exchange.watch_candles(SYMBOL, "1h"), 5)
            assert forming == [bars.time[at], *[bars.open[at]] * 4, bars.volume[at] / 4.0]
            venue.close_bar()
            seen: list[float] = []
            while seen != rows_of(bars, at, at + 1)[0]:
                (seen,) = await asyncio.wait_for(exchange.watch_candles(SYMBOL, "1h"), 5)

    asked(venue, question)


def test_after_a_lost_connection_no_trade_is_counted_twice_and_none_is_missed() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def question(exchange: Exchange, server: AnyServer) -> None:
        held: dict[float, list[float]] = {}

        async def watch_until(at: int) -> None:
            while held.get(bars.time[at - 1]) != rows_of(bars, at - 1, at)[0]:
                try:
                    rows = await asyncio.wait_for(exchange.watch_candles(SYMBOL, "1h"), 5)
                except AskAgain:
                    continue
                held.update((row[0], row) for row in rows)

        await watch_until(20)
        venue.open_bar()
        for again in range(3):
            (line,) = exchange.client.clients.values()
            await line.connection.close()  # in the middle of a bar; the first trades shown after are known ones
            played = 2 if again == 0 else 20  # the second time, more than is shown: bars are asked for
            for _ in range(played):
                venue.release()
                venue.open_bar()
            await watch_until(venue.tapes[SYMBOL].shown)
        known = [held[row[0]] for row in rows_of(bars, 8, venue.tapes[SYMBOL].shown)]
        assert known == rows_of(bars, 8, venue.tapes[SYMBOL].shown)

    asked(venue, question)


def trades_of(venue: Venue, *bars: int) -> list[dict[str, Any]]:
    tape = venue.tapes[SYMBOL]
    return [
        {"id": str(one.trade_id), "timestamp": one.time_ms, "price": one.price, "amount": one.quantity}
        for at in bars
        for one in tape.trades_of(at)
    ]


def test_trades_in_any_order_and_again_make_the_same_candles() -> None:
    venue = made_venue(history=100)
    bars = venue.tapes[SYMBOL].bars
    built = TradeCandles("1h")
    built.take(trades_of(venue, 10, 11)[::-1])
    assert built.changed() == rows_of(bars, 11, 12), "the first bar is not known to be whole"
    built.take(trades_of(venue, 11, 10))
    assert built.changed() == []
    built.take([*trades_of(venue, 12)[::-1], *trades_of(venue, 10, 12, 11)])
    assert built.changed() == rows_of(bars, 12, 13)
    assert built.due_ms is None


def test_a_bar_of_which_trades_are_missing_is_never_given_but_asked_for() -> None:
    venue = made_venue(history=100)
    bars = venue.tapes[SYMBOL].bars
    built = TradeCandles("1h")
    built.take(trades_of(venue, 10, 11))
    built.changed()
    gap = trades_of(venue, 12)
    built.take(gap[:1])
    assert [row[0] for row in built.changed()] == [bars.time[12]]
    built.take(gap[2:])  # the second trade was lost
    assert built.changed() == []
    assert built.due_ms == bars.time[12]
    half = [bars.time[12], bars.open[12], bars.open[12], bars.open[12], bars.open[12], 1.0]
    built.answered([half])
    assert (built.changed(), built.due_ms) == ([half], None)
    built.take(trades_of(venue, 13)[:1])
    assert built.due_ms == bars.time[12], "it is over: asked for once more"
    assert [row[0] for row in built.changed()] == [bars.time[13]]
    built.answered(rows_of(bars, 12, 14))
    assert built.changed() == rows_of(bars, 12, 13), "the next one is known by its trades"
    built.take(trades_of(venue, 13)[1:])
    assert (built.changed(), built.due_ms) == (rows_of(bars, 13, 14), None)
    built.take(trades_of(venue, 17)[2:])  # three bars and a half were lost
    assert (built.changed(), built.due_ms) == ([], bars.time[13])
    built.answered(rows_of(bars, 13, 18))
    assert built.changed() == rows_of(bars, 14, 18), "the first is as it was"
    built.take(trades_of(venue, 18))
    assert built.due_ms == bars.time[17]


def test_an_answer_that_fails_loses_no_candle() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def question(exchange: Exchange, _: AnyServer) -> None:
        await asyncio.wait_for(exchange.watch_candles(SYMBOL, "1h"), 5)
        venue.release()
        skipped = exchange._built[SYMBOL, "1h"]
        venue.open_bar()
        gap = trades_of(venue, 20)
        skipped.take(gap[:1])
        skipped.changed()
        skipped.take([*gap[3:], *trades_of(venue, 21)[:1]])
        true_fetch = exchange.client.fetch

        async def down(*what: Any, **more: Any) -> Any:
            from ccxt import ExchangeNotAvailable

            raise ExchangeNotAvailable("coinbase GET candles 503")

        exchange.client.fetch = down
        with pytest.raises(AskAgain):
            await exchange.watch_candles(SYMBOL, "1h")
        exchange.client.fetch = true_fetch
        rows = await exchange.watch_candles(SYMBOL, "1h")
        assert rows[0] == rows_of(bars, 20, 21)[0]
        assert rows[1] == [bars.time[21], *[bars.open[21]] * 4, bars.volume[21] / 4.0]

    asked(venue, question)


def test_a_trade_without_a_number_is_told_and_one_without_a_price_puts_its_bar_in_doubt() -> None:
    venue = made_venue(history=100)
    built = TradeCandles("1h")
    with pytest.raises(Failed, match="expected a whole number"):
        built.take([trades_of(venue, 10)[0] | {"id": "a-b"}])
    built.take(trades_of(venue, 10))
    wrong = trades_of(venue, 11)
    built.take([wrong[0] | {"price": 0.0}, *wrong[1:]])
    assert built.due_ms == venue.tapes[SYMBOL].bars.time[11]
    assert built.changed() == []
    assert math.isfinite(built.due_ms)
