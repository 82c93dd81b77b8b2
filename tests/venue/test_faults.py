"""Every kind of fault is seen by an unmodified CCXT client; none is in the table without a test here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.venue.faults import TABLE
from tests.venue.client import HOUR, made_venue
from tests.venue.faulty import LIMIT_MS, SYMBOL, Bench, faulty

ccxt = pytest.importorskip("ccxt")
Seen = Callable[[Bench, str], Awaitable[None]]
SEEN: dict[str, Seen] = {}
STARTS: dict[str, dict[str, Any]] = {}  # what the venue of a test has that is not usual


def sees(*names: str, **venue: Any) -> Callable[[Seen], Seen]:
    """Enter a test for these kinds."""

    def enter(test: Seen) -> Seen:
        for name in names:
            assert name not in SEEN, name
            SEEN[name] = test
            STARTS[name] = venue
        return test

    return enter


UNANSWERED = ("timeout_before_acceptance", "timeout_after_acceptance", "cancel_timeout", "no_answer", "slow_answer")


@pytest.mark.parametrize("name", [name for name, kind in TABLE.items() if "binance" in kind.protocols])
def test_a_client_sees_the_fault(name: str) -> None:
    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        limit_ms = LIMIT_MS if name in UNANSWERED else 10_000
        async with faulty(made_venue(**STARTS.get(name, {})), limit_ms=limit_ms) as bench:
            await SEEN[name](bench, name)
            assert {one.name for one in bench.faults.record} == {name}
            assert [one.number for one in bench.faults.record] == list(range(1, len(bench.faults.record) + 1))

    asyncio.run(run())


# --- the connection, and the machine behind it

TAKEN, NOT = True, False
PLACING: dict[str, tuple[str, bool]] = {  # what CCXT raises, and whether the venue has the order
    "timeout_before_acceptance": ("RequestTimeout", NOT),
    "timeout_after_acceptance": ("RequestTimeout", TAKEN),
    "no_answer": ("RequestTimeout", NOT),
    "reset_before": ("ExchangeNotAvailable", NOT),
    "reset_after": ("ExchangeNotAvailable", TAKEN),
    "reset_in_answer": ("ExchangeError", TAKEN),
    "server_error": ("OperationFailed", NOT),
    "bad_gateway": ("ExchangeNotAvailable", NOT),
    "unavailable": ("OperationFailed", NOT),
    "gateway_timeout": ("RequestTimeout", TAKEN),
    "unknown_outcome": ("RequestTimeout", TAKEN),
    "too_many_requests": ("DDoSProtection", NOT),
    "too_many_orders": ("DDoSProtection", NOT),
    "banned": ("DDoSProtection", NOT),
    "unknown_code": ("ExchangeError", NOT),
    "market_closed": ("MarketClosed", NOT),
    "maintenance": ("OnMaintenance", NOT),
    "refused_for_money": ("InsufficientFunds", NOT),
    "refused_but_taken": ("InsufficientFunds", TAKEN),
}


@sees(*PLACING)
async def placing_fails(bench: Bench, name: str) -> None:
    expected, taken = PLACING[name]
    bench.faults.arm(name)
    for _ in range(TABLE[name].times):
        with pytest.raises(ccxt.BaseError) as found:
            await bench.place()
        assert type(found.value).__name__ == expected
    assert ("c1" in bench.key.by_client_id) is taken
    assert (await bench.place("c2"))["status"] == "open", "then it is over"


@sees("truncated_body", "empty_body", "html_page")
async def an_answer_is_no_json(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    found: Any = None
    try:
        found = await bench.place()
    except (ccxt.BaseError, AttributeError, TypeError) as error:
        found = error
    assert not (isinstance(found, dict) and found.get("id")), "no order comes out of it"
    assert ("c1" in bench.key.by_client_id) is (name != "html_page")
    assert (await bench.place("c2"))["status"] == "open"


@sees("slow_answer")
async def an_answer_is_late(bench: Bench, name: str) -> None:
    loop = asyncio.get_running_loop()
    bench.faults.arm(name, size=40)
    begin = loop.time()
    assert (await bench.place())["status"] == "open"
    assert loop.time() - begin >= 0.04
    bench.faults.arm(name, size=400)
    with pytest.raises(ccxt.RequestTimeout):
        await bench.place("c2")


@sees("cancel_timeout")
async def a_cancel_is_not_answered(bench: Bench, name: str) -> None:
    order = await bench.place()
    bench.faults.arm(name)
    with pytest.raises(ccxt.RequestTimeout):
        await bench.client.cancel_order(order["id"], SYMBOL)
    assert (await bench.client.fetch_order(order["id"], SYMBOL))["status"] == "canceled"


@sees("login_refused")
async def a_right_key_is_refused(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        await bench.client.fetch_balance()
    assert (await bench.client.fetch_balance())["USDT"]["total"] == 10_000.0


@sees("empty_list")
async def a_list_is_empty(bench: Bench, name: str) -> None:
    await bench.place()
    bench.faults.arm(name)
    assert await bench.client.fetch_open_orders(SYMBOL) == []
    assert len(await bench.client.fetch_open_orders(SYMBOL)) == 1


# --- answers that are wrong but well formed


@sees("balance_zero")
async def balances_are_zero(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    found = await bench.client.fetch_balance()
    assert (found["USDT"]["total"], found["BTC"]["total"]) == (0.0, 0.0)
    assert (await bench.client.fetch_balance())["USDT"]["total"] == 10_000.0


@sees("fee_currency_changed", "fill_missing", "fill_listed_twice")
async def fills_are_shown_otherwise(bench: Bench, name: str) -> None:
    await bench.at_market()
    bench.venue.open_bar()
    bench.faults.arm(name, times=1)
    wrong = await bench.client.fetch_my_trades(SYMBOL)
    right = await bench.client.fetch_my_trades(SYMBOL)
    assert len(right) == 1
    if name == "fee_currency_changed":
        assert [one["fee"]["currency"] for one in (*wrong, *right)] == ["BNB", "USDT"]
    else:
        # CCXT itself drops a fill whose id it has: the message had it twice
        assert len(wrong) == (0 if name == "fill_missing" else 2)


@sees("price_zero", "price_spike")
async def prices_are_wrong(bench: Bench, name: str) -> None:
    true = await bench.client.fetch_order_book(SYMBOL, 5)
    bench.faults.arm(name, on="book")
    found = await bench.client.fetch_order_book(SYMBOL, 5)
    factor = 0.0 if name == "price_zero" else 10.0
    assert found["bids"][0][0] == pytest.approx(true["bids"][0][0] * factor)
    bench.faults.arm(name, on="ticker")
    found = await bench.client.fetch_ticker(SYMBOL)
    assert (found["last"] or 0.0) == pytest.approx(bench.last * factor)
    assert (await bench.client.fetch_ticker(SYMBOL))["last"] == bench.last


@sees("ticker_frozen")
async def the_ticker_stands_still(bench: Bench, name: str) -> None:
    bench.venue.release()
    before = bench.last
    bench.faults.arm(name)
    bench.venue.release()
    assert bench.last != before
    assert (await bench.client.fetch_ticker(SYMBOL))["last"] == before
    bench.faults.disarm(name)
    assert (await bench.client.fetch_ticker(SYMBOL))["last"] == bench.last


def changed(name: str, right: list[Any]) -> list[Any]:
    """Return what a client is shown in place of the right candles, all closed."""
    last = right[-1]
    return {
        "candles_old": right[:-2],
        "candles_skipped": [*right[:-2], last],
        "candles_repeated": [*right, last],
        "candles_corrected": [*right[:-1], [*last[:4], last[3], last[5]]],
        "candles_volume_shrinks": [*right[:-1], [*last[:5], last[5] * 0.5]],
        "candles_off_grid": [*right[:-1], [last[0] + 1000, *last[1:]]],
        "candles_future": [*right, [last[0] + 2 * HOUR, *last[1:]]],
        "candles_zero": [*right[:-1], [last[0], 0.0, 0.0, 0.0, 0.0, 0.0]],
    }[name]


@sees(
    "candles_old",
    "candles_skipped",
    "candles_repeated",
    "candles_corrected",
    "candles_volume_shrinks",
    "candles_off_grid",
    "candles_future",
    "candles_zero",
)
async def candles_are_shown_otherwise(bench: Bench, name: str) -> None:
    right = await bench.client.fetch_ohlcv(SYMBOL, "1h")
    bench.faults.arm(name)
    assert await bench.client.fetch_ohlcv(SYMBOL, "1h") == changed(name, right) != right
    assert await bench.client.fetch_ohlcv(SYMBOL, "1h") == right


@sees("market_unlisted")
async def the_market_is_gone(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    assert SYMBOL not in await bench.client.load_markets(True)
    bench.faults.disarm()
    assert SYMBOL in await bench.client.load_markets(True)


# --- orders, and what is said of them


@sees("order_not_found")
async def an_order_is_not_found_yet(bench: Bench, name: str) -> None:
    order = await bench.place()
    bench.faults.arm(name)
    for params in ({}, {"origClientOrderId": "c1"}):
        with pytest.raises(ccxt.OrderNotFound):
            await bench.client.fetch_order(order["id"] if not params else None, SYMBOL, params)
    assert (await bench.client.fetch_order(order["id"], SYMBOL))["status"] == "open"


@sees("open_order_missing", "open_order_twice")
async def open_orders_are_shown_otherwise(bench: Bench, name: str) -> None:
    ids = [(await bench.place(one))["id"] for one in ("c1", "c2")]
    bench.faults.arm(name, times=1)
    shown = [one["id"] for one in await bench.client.fetch_open_orders(SYMBOL)]
    assert sorted(shown) == (ids[:1] if name == "open_order_missing" else [*ids, ids[1]])
    assert [one["id"] for one in await bench.client.fetch_open_orders(SYMBOL)] == ids


@sees("order_state_old")
async def an_ended_order_is_shown_as_new(bench: Bench, name: str) -> None:
    order = await bench.at_market()
    bench.venue.open_bar()
    bench.faults.arm(name)
    old = await bench.client.fetch_order(order["id"], SYMBOL)
    assert (old["status"], old["filled"]) == ("open", 0.0)
    assert (await bench.client.fetch_order(order["id"], SYMBOL))["status"] == "closed"


@sees("cancel_not_done")
async def a_cancel_is_answered_but_not_done(bench: Bench, name: str) -> None:
    order = await bench.place()
    bench.faults.arm(name)
    assert (await bench.client.cancel_order(order["id"], SYMBOL))["status"] == "canceled"
    assert (await bench.client.fetch_order(order["id"], SYMBOL))["status"] == "open"
    assert (await bench.client.cancel_order(order["id"], SYMBOL))["status"] == "canceled"
    assert (await bench.client.fetch_balance())["USDT"]["used"] == 0.0


@sees("cancel_loses_to_fill", "partial_fill_then_cancel")
async def a_cancel_races_a_fill(bench: Bench, name: str) -> None:
    order = await bench.place()
    bench.faults.arm(name)
    if name == "cancel_loses_to_fill":
        with pytest.raises(ccxt.OrderNotFound):
            await bench.client.cancel_order(order["id"], SYMBOL)
    else:
        assert (await bench.client.cancel_order(order["id"], SYMBOL))["filled"] == 0.5
    found = await bench.client.fetch_order(order["id"], SYMBOL)
    assert (found["status"], found["filled"]) == (
        ("closed", 1.0) if name == "cancel_loses_to_fill" else ("canceled", 0.5)
    )
    assert (await bench.client.fetch_balance())["USDT"]["used"] == 0.0


@sees("fill_before_answer")
async def a_fill_is_told_before_the_answer(bench: Bench, name: str) -> None:
    await bench.watch("watch_orders", SYMBOL)
    bench.faults.arm(name)
    assert (await bench.place())["status"] == "open", "the answer is that of the moment it was taken"
    await bench.until(lambda: bench.reports("TRADE"))
    assert bench.reports("TRADE")[0]["c"] == "c1"
    assert (await bench.client.fetch_order(None, SYMBOL, {"origClientOrderId": "c1"}))["status"] == "closed"


# --- what the streams tell


@sees("fill_repeated", "fill_untold", "fill_late", "fill_before_new", "order_untold", "account_stream_silent")
async def orders_and_fills_are_told_otherwise(bench: Bench, name: str) -> None:
    await bench.watch("watch_orders", SYMBOL)
    bench.faults.arm(name)
    await bench.at_market()
    bench.venue.open_bar()
    if name == "fill_late":
        await asyncio.sleep(0.01)
        assert bench.reports("TRADE") == []
    bench.venue.close_bar()
    bench.faults.disarm()
    await bench.place("last")
    await bench.until(lambda: bench.reports() and bench.reports()[-1]["c"] == "last")
    expected = {
        "fill_repeated": ["NEW", "TRADE", "TRADE"],
        "fill_untold": ["NEW"],
        "fill_late": ["NEW", "TRADE"],
        "fill_before_new": ["TRADE", "NEW"],
        "order_untold": ["TRADE"],
        "account_stream_silent": [],
    }[name]
    assert [one["x"] for one in bench.reports()[:-1]] == expected
    assert len({one["t"] for one in bench.reports("TRADE")}) <= 1
    if name == "account_stream_silent":
        assert len(bench.events("outboundAccountPosition")) <= 1


@sees("fills_out_of_order", fill_share=0.02)
async def fills_are_told_out_of_order(bench: Bench, name: str) -> None:
    await bench.watch("watch_my_trades", SYMBOL)
    bench.faults.arm(name)
    await bench.at_market(amount=3.0)
    while bench.key.by_client_id["m1"].open:
        bench.venue.release()
    fills = len(bench.key.by_client_id["m1"].executions)
    assert fills > 1
    await bench.until(lambda: len(bench.reports("TRADE")) == fills)
    ids = [one["t"] for one in bench.reports("TRADE")]
    assert ids[:2] == [2, 1]
    assert sorted(ids) == list(range(1, fills + 1))


@sees("balance_untold", "balance_zero_told")
async def balances_are_told_otherwise(bench: Bench, name: str) -> None:
    await bench.watch("watch_balance")
    bench.faults.arm(name)
    await bench.place("c1")
    await bench.place("c2")
    free = bench.key.free["USDT"]
    told = bench.events("outboundAccountPosition")
    await bench.until(lambda: any(float(one["B"][-1]["f"]) == free for one in bench.events("outboundAccountPosition")))
    told = bench.events("outboundAccountPosition")
    assert len(told) == (1 if name == "balance_untold" else 2)
    if name == "balance_zero_told":
        assert {float(one["f"]) for one in told[0]["B"]} == {0.0}


CANDLES: dict[str, Callable[[Bench, list[Any]], bool]] = {
    "candle_repeated": lambda b, k: [x["t"] for x in k] == [b.time(0), b.time(0), b.time(1)] and k[0] == k[1],
    "candle_skipped": lambda b, k: [x["t"] for x in k] == [b.time(1)],
    "candle_late": lambda b, k: [x["t"] for x in k] == [b.time(0), b.time(1)],
    "candle_corrected": lambda b, k: (
        [x["t"] for x in k] == [b.time(0), b.time(0), b.time(1)] and k[0]["c"] == k[0]["l"] != k[1]["c"]
    ),
    "candle_off_grid": lambda b, k: [x["t"] for x in k] == [b.time(0) + 1000, b.time(1)],
    "candle_volume_shrinks": lambda b, k: float(k[0]["v"]) == pytest.approx(b.venue.tape(SYMBOL).bars.volume[20] * 0.1),
    "candle_zero": lambda b, k: {float(k[0][x]) for x in "ohlcv"} == {0.0},
    "candle_spike": lambda b, k: float(k[0]["h"]) == pytest.approx(b.venue.tape(SYMBOL).bars.high[20] * 10.0),
    "candle_future": lambda b, k: [x["t"] for x in k] == [b.time(0), b.time(1)],
    "candle_open_untold": lambda b, k: [x["t"] for x in k] == [b.time(0), b.time(1)],
}


@sees(*CANDLES)
async def candles_are_told_otherwise(bench: Bench, name: str) -> None:
    watching = await bench.watch("watch_ohlcv", SYMBOL, "1h")
    bench.faults.arm(name)
    for _ in range(2):
        bench.venue.release()
    await bench.until(lambda: bench.klines() and bench.klines()[-1]["t"] == bench.time(1))
    await watching
    assert CANDLES[name](bench, bench.klines())
    every = [one["t"] for one in bench.klines(closed=None)]
    a, b = bench.time(0), bench.time(1)
    assert every == {
        "candle_repeated": [a, a, a, b, b],
        "candle_skipped": [a, b, b],
        "candle_late": [a, b, a, b],
        "candle_corrected": [a, a, b, a, b],
        "candle_off_grid": [a, a + 1000, b, b],
        "candle_future": [a, a, a + 2 * HOUR, b, b],
        "candle_open_untold": [a, b, b],
    }.get(name, [a, a, b, b])


@sees("trade_repeated", "trade_skipped", "trades_out_of_order", "trade_zero")
async def trades_are_told_otherwise(bench: Bench, name: str) -> None:
    watching = await bench.watch("watch_trades", SYMBOL)
    bench.faults.arm(name)
    bench.venue.release()
    await bench.until(lambda: bench.events("trade") and bench.events("trade")[-1]["t"] == 84)
    await watching
    ids = [one["t"] for one in bench.events("trade")]
    assert (
        ids
        == {
            "trade_repeated": [81, 81, 82, 83, 84],
            "trade_skipped": [82, 83, 84],
            "trades_out_of_order": [82, 81, 83, 84],
            "trade_zero": [81, 82, 83, 84],
        }[name]
    )
    assert (float(bench.events("trade")[0]["p"]) == 0.0) is (name == "trade_zero")


@sees("book_gap")
async def the_book_has_a_gap(bench: Bench, name: str) -> None:
    task = await bench.watch("watch_order_book", SYMBOL)
    bench.venue.open_bar()
    assert (await asyncio.wait_for(task, 3))["bids"]
    bench.faults.arm(name)
    again = asyncio.ensure_future(bench.client.watch_order_book(SYMBOL))
    bench.tasks.append(again)
    bench.venue.close_bar()
    bench.venue.open_bar()

    async def watched() -> None:
        await again  # an update of before may have come first
        for _ in range(3):
            await bench.client.watch_order_book(SYMBOL)

    with pytest.raises(ccxt.BaseError):
        await asyncio.wait_for(watched(), 10)


@sees("book_crossed")
async def the_book_is_crossed(bench: Bench, name: str) -> None:
    task = await bench.watch("watch_order_book", SYMBOL)
    bench.faults.arm(name)
    bench.venue.open_bar()
    await bench.until(lambda: bench.events("depthUpdate"))
    (told,) = bench.events("depthUpdate")
    bids = [float(p) for p, q in told["b"] if float(q)]
    asks = [float(p) for p, q in told["a"] if float(q)]
    assert min(bids) > max(asks)
    await asyncio.wait_for(task, 3)


@sees("market_data_silent", "market_data_stale")
async def market_data_stops(bench: Bench, name: str) -> None:
    await bench.watch("watch_ohlcv", SYMBOL, "1h")
    bench.faults.arm(name)
    for _ in range(2):
        bench.venue.open_bar()
        bench.venue.close_bar()
    expected = [] if name == "market_data_silent" else [bench.time(0), bench.time(0), bench.time(1)]
    await bench.until(lambda: len(bench.klines(closed=None)) >= len(expected))
    await asyncio.sleep(0.01)
    assert [one["t"] for one in bench.klines(closed=None)] == expected
    bench.faults.disarm()
    bench.venue.open_bar()
    await bench.until(lambda: bench.klines(closed=None) and bench.klines(closed=None)[-1]["t"] >= bench.time(1))


@sees("ticker_stream_frozen")
async def the_ticker_stream_stands_still(bench: Bench, name: str) -> None:
    bench.venue.release()
    before = bench.last
    task = await bench.watch("watch_ticker", SYMBOL)
    bench.faults.arm(name)
    bench.venue.open_bar()
    assert (await asyncio.wait_for(task, 3))["last"] == before != bench.last


# --- one connection


@sees("stream_dropped", "stream_closed", "message_cut", "message_split")
async def a_connection_ends(bench: Bench, name: str) -> None:
    task = await bench.watch("watch_ohlcv", SYMBOL, "1h")
    bench.faults.arm(name)
    bench.venue.open_bar()
    with pytest.raises(ccxt.NetworkError) as found:
        await asyncio.wait_for(task, 3)
    assert (name == "stream_closed") is ("1012" in str(found.value))
    assert bench.klines(closed=None) == []
    again = asyncio.ensure_future(bench.client.watch_ohlcv(SYMBOL, "1h"))
    bench.tasks.append(again)
    if name == "message_split":
        # the rest of the message is no JSON: CCXT's reading loop may die of it, as a client must know
        rest = await bench.until(lambda: next((one for one in bench.heard if isinstance(one, str)), None))
        with pytest.raises(ValueError):
            json.loads(rest)
        return
    await bench.until(lambda: len(bench.acknowledged()) == 2)
    bench.venue.close_bar()
    assert (await asyncio.wait_for(again, 3))[-1][0] == bench.time(0)


@sees("stream_silent", "stream_stale", "message_repeated", "messages_swapped")
async def a_connection_tells_otherwise(bench: Bench, name: str) -> None:
    await bench.watch("watch_ohlcv", SYMBOL, "1h")
    bench.faults.arm(name, **({"size": 2} if name == "stream_stale" else {}))
    bench.venue.release()
    bench.venue.release()
    a, b = bench.time(0), bench.time(1)
    expected = {
        "stream_silent": [],
        "stream_stale": [a, a],
        "message_repeated": [a, a, a, b, b],
        "messages_swapped": [a, a, b, b],
    }[name]
    await bench.until(lambda: len(bench.klines(closed=None)) >= len(expected))
    await asyncio.sleep(0.01)
    told = bench.klines(closed=None)
    assert [one["t"] for one in told] == expected
    if name == "messages_swapped":
        assert [one["x"] for one in told] == [True, False, False, True]


@sees("message_garbage")
async def a_message_is_no_json(bench: Bench, name: str) -> None:
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context.get("exception")))
    await bench.watch("watch_ohlcv", SYMBOL, "1h")
    bench.faults.arm(name)
    bench.venue.open_bar()
    await bench.until(lambda: problems)
    assert isinstance(problems[0], ValueError), "CCXT does not catch it: its reading of this connection ends"
    assert bench.klines(closed=None) == []


@sees("subscription_unanswered")
async def a_subscription_is_not_done(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    bench.tasks.append(asyncio.ensure_future(bench.client.watch_ohlcv(SYMBOL, "1h")))
    await bench.until(lambda: bench.faults.record)
    bench.venue.open_bar()
    await asyncio.sleep(0.01)
    assert bench.heard == []


@sees("pings_unanswered")
async def pings_are_not_answered(bench: Bench, name: str) -> None:
    bench.client.streaming = {"keepAlive": 30}
    bench.client.options["ws"] = {"options": {}}
    bench.faults.arm(name)
    task = await bench.watch("watch_ohlcv", SYMBOL, "1h")
    (line,) = bench.client.clients.values()
    line.keepAlive = 30
    with pytest.raises(ccxt.RequestTimeout, match="ping-pong keepalive"):
        await asyncio.wait_for(task, 3)


@sees("stream_login_refused")
async def the_login_of_a_stream_is_refused(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    with pytest.raises((ccxt.AuthenticationError, KeyError)):  # CCXT may lose its own error over its bookkeeping
        await asyncio.wait_for(bench.client.watch_orders(SYMBOL), 3)
    assert any(one.get("error", {}).get("code") == -1022 for one in bench.heard)


@sees("account_stream_ended")
async def the_stream_of_the_account_ends(bench: Bench, name: str) -> None:
    await bench.watch("watch_orders", SYMBOL)
    bench.faults.arm(name)
    await bench.place()
    await bench.until(lambda: bench.events("eventStreamTerminated"))
    await bench.place("c2")
    await asyncio.sleep(0.01)
    assert bench.reports() == []


@sees("fee_currency_changed_told")
async def a_fee_is_told_in_another_currency(bench: Bench, name: str) -> None:
    await bench.watch("watch_my_trades", SYMBOL)
    bench.faults.arm(name)
    await bench.at_market()
    bench.venue.open_bar()
    (fill,) = await bench.until(lambda: bench.reports("TRADE"))
    assert fill["N"] == "BNB"


@sees("stream_refused")
async def a_connection_is_refused(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    with pytest.raises(ccxt.NetworkError, match="503"):
        await asyncio.wait_for(bench.client.watch_ohlcv(SYMBOL, "1h"), 3)


# --- the clock


@sees("clock_ahead", "clock_behind", "clock_drifts")
async def clocks_differ(bench: Bench, name: str) -> None:
    bench.client.options["recvWindow"] = 5000
    own = bench.client.milliseconds()
    bench.faults.arm(name, **({"size": 20_000} if name == "clock_drifts" else {}))
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        await bench.client.fetch_balance()
    off = await bench.client.fetch_time() - own
    assert {"clock_ahead": off > 14_000, "clock_behind": off < -10_000, "clock_drifts": off > 30_000}[name]
    if name != "clock_drifts":
        await bench.client.load_time_difference()
        assert (await bench.client.fetch_balance())["USDT"]["total"] == 10_000.0


# --- the exchange itself


@sees("market_halted", "market_delisted")
async def a_market_stops(bench: Bench, name: str) -> None:
    order = await bench.place()
    bench.faults.arm(name)
    bench.venue.open_bar()
    with pytest.raises(ccxt.MarketClosed):
        await bench.place("c2")
    assert (await bench.client.load_markets(True))[SYMBOL]["active"] is False
    status = (await bench.client.fetch_order(order["id"], SYMBOL))["status"]
    assert status == ("open" if name == "market_halted" else "canceled")


@sees("precision_changed", "min_notional_raised")
async def rules_change(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    bench.venue.open_bar()
    with pytest.raises((ccxt.InvalidOrder, ccxt.BadRequest)):
        await bench.place(amount=1.001)
    market = (await bench.client.load_markets(True))[SYMBOL]
    if name == "precision_changed":
        assert (market["precision"]["amount"], market["precision"]["price"]) == (0.01, 0.1)
    else:
        assert market["limits"]["cost"]["min"] == 500.0


@sees("fees_raised")
async def fees_rise(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    await bench.at_market("m1", 1.0)
    bench.venue.release()
    await bench.at_market("m2", 1.0)
    bench.venue.release()
    first, second = await bench.client.fetch_my_trades(SYMBOL)
    assert second["fee"]["cost"] / second["cost"] == pytest.approx(3.0 * first["fee"]["cost"] / first["cost"])


@sees("order_canceled_by_venue", "partial_fill")
async def the_venue_acts_on_an_order(bench: Bench, name: str) -> None:
    bench.faults.arm(name)
    bench.venue.open_bar()
    assert bench.faults.record == [], "there was no order"
    order = await bench.place(factor=0.6)
    bench.venue.close_bar()
    found = await bench.client.fetch_order(order["id"], SYMBOL)
    assert (found["status"], found["filled"]) == (("open", 0.5) if name == "partial_fill" else ("canceled", 0.0))


@sees("stranger_order")
async def an_order_of_a_stranger_appears(bench: Bench, name: str) -> None:
    await bench.place()
    bench.faults.arm(name)
    bench.venue.open_bar()
    ids = [one["clientOrderId"] for one in await bench.client.fetch_open_orders(SYMBOL)]
    assert len(ids) == 2
    assert set(ids) != {"c1"}


@sees("money_withdrawn")
async def money_leaves(bench: Bench, name: str) -> None:
    await bench.watch("watch_balance")
    bench.faults.arm(name)
    bench.venue.open_bar()
    assert (await bench.client.fetch_balance())["USDT"]["total"] == 5_000.0
    await bench.until(lambda: bench.events("outboundAccountPosition"))
