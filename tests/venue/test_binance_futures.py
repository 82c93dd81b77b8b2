"""The real CCXT client of Binance's futures at the local exchange: calls parse, refusals are of their class."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.venue.binance.futures_stream import KEY_LIFE_MS
from engine.venue.core import Venue
from engine.venue.server import Server, wall_ms
from parquet_store.errors import Usage
from tests.venue.client import HOUR, KEY, made_bars
from tests.venue.client import made_venue as made_spot_venue
from tests.venue.futures_client import SYMBOL, made_venue, trading

ccxt = pytest.importorskip("ccxt")
Question = Callable[[Any, Server], Awaitable[None]]


def asked(venue: Venue, question: Question, **more: Any) -> None:
    """Ask a served venue."""

    async def run() -> None:
        async with trading(venue, **more) as (client, server):
            await question(client, server)

    asyncio.run(run())


def test_markets_candles_trades_tickers_and_book_parse() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def question(client: Any, _: Server) -> None:
        market = client.market(SYMBOL)
        assert (market["swap"], market["linear"], market["contractSize"], market["active"]) == (True, True, 1.0, True)
        assert (market["precision"]["amount"], market["precision"]["price"]) == (0.001, 0.01)
        assert (market["limits"]["amount"]["min"], market["limits"]["cost"]["min"]) == (0.001, 5.0)
        venue.open_bar()
        candles = await client.fetch_ohlcv(SYMBOL, "1h")
        names = ("time", "open", "high", "low", "close", "volume")
        assert candles[:-1] == [[getattr(bars, name)[at] for name in names] for at in range(20)]
        assert candles[-1][:2] == [bars.time[20], bars.open[20]]
        since = await client.fetch_ohlcv(SYMBOL, "1h", int(bars.time[3]), 2)
        assert [row[0] for row in since] == [bars.time[3], bars.time[4]]
        marks = await client.fetch_mark_ohlcv(SYMBOL, "1h", None, 3)
        assert [row[4] for row in marks] == [bars.close[18], bars.close[19], bars.open[20]]
        trades = await client.fetch_trades(SYMBOL)
        assert [trade["price"] for trade in trades][-2:] == [bars.close[19], bars.open[20]]
        ticker = await client.fetch_ticker(SYMBOL)
        assert (ticker["last"], ticker["symbol"]) == (bars.open[20], SYMBOL)
        assert (await client.fetch_tickers())[SYMBOL]["last"] == bars.open[20]
        best = (await client.fetch_bids_asks([SYMBOL]))[SYMBOL]
        book = await client.fetch_order_book(SYMBOL, 5)
        assert len(book["bids"]) == len(book["asks"]) == 5
        assert (best["bid"], best["ask"]) == (book["bids"][0][0], book["asks"][0][0])
        assert book["bids"][0][0] < bars.open[20] < book["asks"][0][0]
        assert abs(await client.fetch_time() - wall_ms()) < 5_000
        with pytest.raises(ccxt.BadRequest):
            await client.fetch_ohlcv(SYMBOL, "4h")

    asked(venue, question)


def test_funding_rates_their_history_and_what_was_paid_parse() -> None:
    venue = made_venue()
    schedule = venue.tapes[SYMBOL].bars.time
    known = [int(time) for time in schedule[:20] if time % (8 * HOUR) == 0]

    async def question(client: Any, _: Server) -> None:
        history = await client.fetch_funding_rate_history(SYMBOL)
        assert [(row["timestamp"], row["fundingRate"]) for row in history] == [
            (time, pytest.approx(1e-4 * (1 + k % 3))) for k, time in enumerate(known)
        ]
        assert len(await client.fetch_funding_rate_history(SYMBOL, known[1], 1)) == 1
        rate = await client.fetch_funding_rate(SYMBOL)
        assert (rate["fundingRate"], rate["markPrice"]) == (history[-1]["fundingRate"], venue.tapes[SYMBOL].last)
        assert rate["fundingTimestamp"] == known[-1] + 8 * HOUR
        assert (await client.fetch_funding_rates())[SYMBOL]["fundingTimestamp"] == rate["fundingTimestamp"]
        assert (await client.fetch_funding_intervals())[SYMBOL]["interval"] == "8h"
        await client.create_order(SYMBOL, "market", "buy", 2.0)
        for _ in range(12):
            venue.release()
        paid = await client.fetch_funding_history(SYMBOL)
        ours = venue.accounts[KEY].funding
        assert [(row["timestamp"], row["amount"]) for row in paid] == [(one.time_ms, one.amount) for one in ours]
        assert paid[0]["amount"] < 0.0, "who is long pays a positive rate"

    asked(venue, question)


def test_positions_balance_leverage_and_modes_parse() -> None:
    venue = made_venue()
    account = venue.accounts[KEY]

    async def question(client: Any, _: Server) -> None:
        assert await client.fetch_positions() == []
        await client.set_leverage(5, SYMBOL)
        assert (await client.fetch_leverages([SYMBOL]))[SYMBOL]["longLeverage"] == 5
        assert (await client.fetch_position_mode(SYMBOL))["hedged"] is False
        with pytest.raises(ccxt.MarginModeAlreadySet):
            await client.fapiPrivatePostMarginType({"symbol": "BTCUSDT", "marginType": "CROSSED"})
        tier = (await client.fetch_leverage_tiers([SYMBOL]))[SYMBOL][0]
        assert (tier["maintenanceMarginRate"], tier["maxLeverage"]) == (0.004, 125.0)
        await client.create_order(SYMBOL, "market", "sell", 100.0)
        venue.open_bar()
        entry, mark = venue.position(account, SYMBOL).entry_price, venue.mark_price(SYMBOL)
        for method in ("positionRisk", "account"):
            for version in (True, False):
                (held,) = await client.fetch_positions([SYMBOL], {"method": method, "useV2": version})
                assert (held["side"], held["contracts"], held["entryPrice"]) == ("short", 100.0, entry)
                assert held["unrealizedPnl"] == venue.unrealized(account, SYMBOL) == 100.0 * (entry - mark)
                assert held["hedged"] is False
        (held,) = await client.fetch_positions([SYMBOL])
        assert held["markPrice"] == mark
        assert held["liquidationPrice"] == pytest.approx(venue.liquidation_price(account, SYMBOL))
        assert held["info"]["positionInitialMargin"] == held["info"]["initialMargin"]
        for version in (True, False):
            usdt = (await client.fetch_balance({"useV2": version}))["USDT"]
            known = venue.margin(account)
            assert (usdt["free"], usdt["used"]) == (known.available, known.initial)
            assert usdt["total"] == known.wallet + known.unrealized
        assert known.initial == pytest.approx(100.0 * mark / 5.0)
        (row,) = await client.fapiPrivateV3GetBalance()
        assert float(row["balance"]) == known.wallet

    asked(venue, question)


def test_orders_are_taken_found_filled_and_canceled() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def question(client: Any, _: Server) -> None:
        last = venue.tapes[SYMBOL].last
        market = await client.create_order(SYMBOL, "market", "buy", 1.5, None, {"clientOrderId": "abc1"})
        assert (market["status"], market["filled"], market["clientOrderId"]) == ("open", 0.0, "abc1")
        rest = await client.create_order(SYMBOL, "limit", "buy", 1.0, round(last * 0.5, 2), {"postOnly": True})
        assert (rest["postOnly"], rest["timeInForce"], rest["type"]) == (True, "PO", "limit")
        assert len(await client.fetch_open_orders(SYMBOL)) == 2
        venue.open_bar()
        done = await client.fetch_order(None, SYMBOL, {"origClientOrderId": "abc1"})
        price = bars.open[20] * 1.0005
        assert (done["id"], done["status"], done["filled"], done["average"]) == (market["id"], "closed", 1.5, price)
        (fill,) = await client.fetch_my_trades(SYMBOL)
        assert (fill["price"], fill["amount"], fill["order"], fill["side"]) == (price, 1.5, market["id"], "buy")
        assert fill["fee"] == {"cost": pytest.approx(0.0005 * 1.5 * price), "currency": "USDT"}
        assert await client.fetch_my_trades(SYMBOL, None, None, {"orderId": rest["id"]}) == []
        out = await client.create_order(SYMBOL, "market", "sell", 1.5, None, {"reduceOnly": True})
        assert (out["reduceOnly"], out["status"], out["average"]) == (True, "closed", bars.open[20] * 0.9995)
        assert (await client.cancel_order(rest["id"], SYMBOL))["status"] == "canceled"
        assert [row["status"] for row in await client.fetch_orders(SYMBOL)] == ["closed", "canceled", "closed"]
        await client.create_order(SYMBOL, "limit", "buy", 1.0, round(last * 0.5, 2))
        await client.cancel_all_orders(SYMBOL)
        assert await client.fetch_open_orders(SYMBOL) == []

    asked(venue, question)


def test_a_limit_order_is_moved_and_stays_the_same_order() -> None:
    venue = made_venue(fill_share=0.01)
    account, last = venue.accounts[KEY], venue.tapes[SYMBOL].last

    async def question(client: Any, _: Server) -> None:
        async def refused(kind: type[Exception], code: int, *to: float) -> None:
            with pytest.raises(kind):
                await client.edit_order(rest["id"], SYMBOL, "limit", "buy", *to)
            assert json.loads(client.last_http_response)["code"] == code

        low, high = round(last * 0.5, 2), round(last * 0.6, 2)
        rest = await client.create_order(SYMBOL, "limit", "buy", 2.0, low, {"clientOrderId": "abc1"})
        margin = venue.margin(account).available
        moved = await client.edit_order(rest["id"], SYMBOL, "limit", "buy", 1.5, high)
        assert (moved["id"], moved["clientOrderId"], moved["status"]) == (rest["id"], "abc1", "open")
        assert (moved["amount"], moved["price"]) == (1.5, high)
        freed = (2.0 * low - 1.5 * high) / venue.position(account, SYMBOL).leverage
        assert venue.margin(account).available - margin == pytest.approx(freed, rel=0.01), "and its fee"
        await refused(ccxt.OperationRejected, -5027, 1.5, high)
        await refused(ccxt.InsufficientFunds, -2019, 1e5, high)
        assert (await client.fetch_order(rest["id"], SYMBOL))["amount"] == 1.5, "it stays as it was"
        await client.edit_order(rest["id"], SYMBOL, "limit", "buy", 1.5, round(last * 1.05, 2))
        venue.open_bar()
        venue.close_bar()
        found = await client.fetch_order(rest["id"], SYMBOL)
        assert 0.0 < found["filled"] < 1.5
        await client.edit_order(rest["id"], SYMBOL, "limit", "buy", round(found["filled"] + 0.1, 3), low)
        assert (await client.fetch_order(rest["id"], SYMBOL))["remaining"] == pytest.approx(0.1)
        less = await client.edit_order(rest["id"], SYMBOL, "limit", "buy", round(found["filled"] - 0.001, 3), low)
        assert (less["status"], less["filled"]) == ("canceled", found["filled"])
        await refused(ccxt.OrderNotFound, -2013, 1.5, low)
        maker = await client.create_order(SYMBOL, "limit", "buy", 2.0, low, {"postOnly": True})
        across = await client.edit_order(maker["id"], SYMBOL, "limit", "buy", 2.0, round(last * 1.2, 2))
        assert across["status"] == "canceled"
        assert await client.fetch_open_orders(SYMBOL) == []

    asked(venue, question)


def test_an_order_that_waits_for_a_price_is_an_algo_order_until_it_is_met() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars
    trigger = {"trigger": True}

    async def question(client: Any, _: Server) -> None:
        await client.create_order(SYMBOL, "market", "buy", 1.0)
        venue.open_bar()
        level = round(float(bars.low[20]) + 0.01, 2)
        both = {"reduceOnly": True}
        stop = await client.create_order(
            SYMBOL, "market", "sell", 1.0, None, both | {"stopLossPrice": level, "clientOrderId": "s1"}
        )
        target = await client.create_order(
            SYMBOL, "limit", "sell", 1.0, round(level * 1.5, 2), both | {"takeProfitPrice": level * 1.5}
        )
        assert (stop["status"], stop["clientOrderId"], stop["triggerPrice"]) == ("open", "s1", level)
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(None, SYMBOL, {"origClientOrderId": "s1"})
        assert await client.fetch_open_orders(SYMBOL) == []
        waiting = await client.fetch_open_orders(SYMBOL, None, None, trigger)
        assert [one["id"] for one in waiting] == [stop["id"], target["id"]]
        await client.cancel_order(target["id"], SYMBOL, trigger)
        venue.close_bar()
        done = await client.fetch_order(None, SYMBOL, trigger | {"clientOrderId": "s1"})
        assert done["info"]["algoStatus"] == "FINISHED"
        made = await client.fetch_order(done["info"]["actualOrderId"], SYMBOL)
        assert (made["status"], made["clientOrderId"], made["average"]) == ("closed", "s1", level * 0.9995)
        fills = await client.fetch_my_trades(SYMBOL, None, None, {"orderId": made["id"]})
        assert [one["price"] for one in fills] == [level * 0.9995]
        assert float(fills[0]["info"]["realizedPnl"]) == level * 0.9995 - bars.open[20] * 1.0005
        assert [one["status"] for one in await client.fetch_orders(SYMBOL, None, None, trigger)] == [
            "closed",
            "canceled",
        ]
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(stop["id"], SYMBOL, trigger)

    asked(venue, question)


def test_closing_the_position_needs_no_quantity_and_all_algo_orders_are_canceled_at_once() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def question(client: Any, _: Server) -> None:
        await client.create_order(SYMBOL, "market", "buy", 1.234)
        venue.open_bar()
        level = round(float(bars.low[20]) + 0.01, 2)
        closing = {"closePosition": True, "stopLossPrice": level}
        await client.create_order(SYMBOL, "market", "sell", None, None, closing)
        await client.create_order(SYMBOL, "market", "sell", 1.0, None, {"stopLossPrice": level * 0.5})
        venue.close_bar()
        assert venue.position(venue.accounts[KEY], SYMBOL).quantity == 0.0
        assert len(await client.fetch_open_orders(SYMBOL, None, None, {"trigger": True})) == 1
        await client.cancel_all_orders(SYMBOL, {"trigger": True})
        assert await client.fetch_open_orders(SYMBOL, None, None, {"trigger": True}) == []

    asked(venue, question)


def test_what_futures_refuse_has_its_code_and_the_class_ccxt_has_for_it() -> None:
    venue = made_venue()
    last = venue.tapes[SYMBOL].last

    async def question(client: Any, _: Server) -> None:
        async def refused(kind: type[Exception], code: int, call: Any) -> None:
            with pytest.raises(kind) as found:
                await call
            assert type(found.value) is kind
            assert json.loads(client.last_http_response)["code"] == code

        order = client.fapiPrivatePostOrder
        raw = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50"}
        await refused(ccxt.BadRequest, -1111, order(raw | {"quantity": "1.0005"}))
        await refused(ccxt.BadRequest, -4004, order(raw | {"quantity": "0"}))
        await refused(ccxt.InvalidOrder, -4164, order(raw | {"quantity": "0.05"}))
        await refused(ccxt.BadRequest, -1111, order(raw | {"quantity": "1", "price": "50.001"}))
        await refused(ccxt.BadSymbol, -1121, order(raw | {"symbol": "NONE", "quantity": "1"}))
        await refused(ccxt.BadRequest, -1102, order(raw))
        await refused(ccxt.BadRequest, -1100, order(raw | {"quantity": "nan"}))
        await refused(ccxt.InvalidOrder, -4120, order(raw | {"type": "STOP_MARKET", "quantity": "1"}))
        await refused(ccxt.OperationRejected, -4061, order(raw | {"quantity": "1", "positionSide": "LONG"}))
        await refused(ccxt.InsufficientFunds, -2019, client.create_order(SYMBOL, "market", "buy", 1_000))
        call = client.create_order(SYMBOL, "market", "sell", 1, None, {"reduceOnly": True})
        await refused(ccxt.InvalidOrder, -2022, call)
        call = client.create_order(SYMBOL, "market", "sell", 1, None, {"stopLossPrice": last * 1.1})
        await refused(ccxt.OrderImmediatelyFillable, -2021, call)
        call = client.create_order(SYMBOL, "limit", "buy", 1, last * 1.1, {"postOnly": True})
        await refused(ccxt.OrderNotFillable, -5022, call)
        twice = {"clientOrderId": "twice"}
        await client.create_order(SYMBOL, "limit", "buy", 1, 50.0, twice)
        await refused(ccxt.InvalidOrder, -4116, client.create_order(SYMBOL, "limit", "buy", 1, 50.0, twice))
        await refused(ccxt.OrderNotFound, -2013, client.fetch_order("99", SYMBOL))
        await refused(ccxt.OrderNotFound, -2011, client.cancel_order("99", SYMBOL))
        await refused(ccxt.OrderNotFound, -2011, client.cancel_order("99", SYMBOL, {"trigger": True}))
        await refused(ccxt.BadRequest, -4028, client.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": "0"}))
        client.options["recvWindow"] = 5000
        client.nonce = lambda: wall_ms() - 60_000
        await refused(ccxt.InvalidNonce, -1021, client.fetch_balance())
        client.nonce = lambda: wall_ms() + 60_000
        await refused(ccxt.InvalidNonce, -1021, client.fetch_balance())
        del client.nonce
        client.secret = "another"
        await refused(ccxt.AuthenticationError, -1022, client.fetch_balance())
        client.options["hasAlreadyAuthenticatedSuccessfully"] = False  # else CCXT takes it for a ban
        client.apiKey = "nobody"
        await refused(ccxt.AuthenticationError, -2015, client.fetch_balance())
        assert len(venue.accounts[KEY].orders) == 1, "nothing that was refused is an order"

    asked(venue, question)


def test_weights_and_orders_are_counted_and_too_much_is_429_then_418() -> None:
    async def question(client: Any, _: Server) -> None:
        await client.create_order(SYMBOL, "market", "buy", 1)
        await client.create_order(SYMBOL, "market", "buy", 1)
        headers = client.last_response_headers
        assert headers["X-MBX-USED-WEIGHT-1M"] == "9", "one for the markets, four an order"
        assert (headers["X-MBX-ORDER-COUNT-10S"], headers["X-MBX-ORDER-COUNT-1M"]) == ("2", "2")
        statuses = []
        for _ in range(6):
            with pytest.raises(ccxt.DDoSProtection) as found:
                await client.fetch_balance()
            statuses.append(str(found.value).split()[1])
        assert statuses == ["429", "429", "418", "418", "418", "418"]

    stands_still = wall_ms() + 2_000
    asked(made_venue(), question, weight_limit=10, clock=lambda: stands_still)


def test_streams_of_market_data_orders_fills_balance_and_positions_parse() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def question(client: Any, server: Server) -> None:
        calls = {
            "candles": client.watch_ohlcv(SYMBOL, "1h"),
            "trades": client.watch_trades(SYMBOL),
            "ticker": client.watch_ticker(SYMBOL),
            "mark": client.watch_mark_price(SYMBOL),
            "best": client.watch_bids_asks([SYMBOL]),
            "book": client.watch_order_book(SYMBOL),
            "orders": client.watch_orders(SYMBOL),
            "fills": client.watch_my_trades(SYMBOL),
            "balance": client.watch_balance(),
        }
        tasks = {name: asyncio.ensure_future(call) for name, call in calls.items()}
        assert await client.watch_positions([SYMBOL]) == [], "what is held now"
        tasks["positions"] = asyncio.ensure_future(client.watch_positions([SYMBOL]))
        await asyncio.sleep(0.3)
        await client.create_order(SYMBOL, "market", "buy", 1.0, None, {"clientOrderId": "w1"})
        venue.open_bar()
        got = dict(zip(tasks, await asyncio.wait_for(asyncio.gather(*tasks.values()), 5), strict=True))
        price = bars.open[20] * 1.0005
        assert got["candles"][-1][:2] == [bars.time[20], bars.open[20]]
        assert got["trades"][-1]["price"] == got["ticker"]["last"] == got["mark"]["markPrice"] == bars.open[20]
        assert got["best"][SYMBOL]["bid"] == got["book"]["bids"][0][0] < bars.open[20]
        assert got["orders"][-1]["clientOrderId"] == "w1"
        assert (got["fills"][-1]["price"], got["fills"][-1]["fee"]["currency"]) == (price, "USDT")
        assert got["balance"]["USDT"]["total"] == venue.margin(venue.accounts[KEY]).wallet
        (held,) = got["positions"]
        assert (held["side"], held["contracts"], held["entryPrice"]) == ("long", 1.0, price)
        moved = asyncio.ensure_future(client.watch_order_book(SYMBOL))
        row = asyncio.ensure_future(client.watch_ohlcv(SYMBOL, "1h"))
        await asyncio.sleep(0.05)
        venue.close_bar()
        names = ("time", "open", "high", "low", "close", "volume")
        assert (await asyncio.wait_for(row, 5))[-1] == [getattr(bars, name)[20] for name in names]
        book = await asyncio.wait_for(moved, 5)
        bids, asks = venue.tapes[SYMBOL].book()
        assert ([tuple(x) for x in book["bids"]], [tuple(x) for x in book["asks"]]) == (list(bids), list(asks))

    asked(venue, question)


def test_a_stop_that_is_met_is_told_as_algo_order_and_as_the_order_it_makes() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars
    heard: list[Any] = []

    async def question(client: Any, _: Server) -> None:
        own = client.handle_message
        client.handle_message = lambda line, message: (heard.append(message), own(line, message))
        task = asyncio.ensure_future(client.watch_orders(SYMBOL))
        await asyncio.sleep(0.2)
        await client.create_order(SYMBOL, "market", "buy", 1.0)
        venue.open_bar()
        level = round(float(bars.low[20]) + 0.01, 2)
        await client.create_order(SYMBOL, "market", "sell", 1.0, None, {"stopLossPrice": level, "clientOrderId": "s1"})
        venue.close_bar()
        await task
        await asyncio.sleep(0.1)

    asked(venue, question)
    told = [
        (one["e"], one["o"]["X"])
        for one in heard
        if one.get("e") in ("ALGO_UPDATE", "ORDER_TRADE_UPDATE") and "s1" in (one["o"].get("c"), one["o"].get("caid"))
    ]
    assert told == [
        ("ALGO_UPDATE", "NEW"),
        ("ALGO_UPDATE", "TRIGGERED"),
        ("ORDER_TRADE_UPDATE", "NEW"),
        ("ORDER_TRADE_UPDATE", "FILLED"),
        ("ALGO_UPDATE", "FINISHED"),
    ]
    ids = {str(one["o"].get("ai") or one["o"].get("i")) for one in heard if one.get("e") in ("ALGO_UPDATE",)}
    assert ids == {"None", "2"}, "the algo order names the order it made"


def test_a_listen_key_is_one_an_account_and_ends_unless_it_is_prolonged() -> None:
    now = wall_ms()
    shift = 0
    venue = made_venue()

    async def question(client: Any, server: Server) -> None:
        nonlocal shift
        with pytest.raises(ccxt.AuthenticationError):
            await client.fapiPrivatePutListenKey()
        key = (await client.fapiPrivatePostListenKey())["listenKey"]
        assert (await client.fapiPrivatePostListenKey())["listenKey"] == key
        url = server.stream_url.replace("/ws", f"/private/ws?listenKey={key}")
        async with client.session.ws_connect(url) as line:
            shift = KEY_LIFE_MS - 1000
            await client.fapiPrivatePutListenKey()
            shift += KEY_LIFE_MS - 1000
            venue.place(venue.accounts[KEY], _limit())
            assert json.loads((await line.receive(2)).data)["e"] == "ORDER_TRADE_UPDATE", "it was prolonged"
            shift += KEY_LIFE_MS
            with pytest.raises(ccxt.AuthenticationError):
                await client.fapiPrivatePutListenKey()
            said = json.loads((await line.receive(2)).data)
            assert (said["e"], said["listenKey"]) == ("listenKeyExpired", key)
        assert (await client.fapiPrivatePostListenKey())["listenKey"] != key

    asked(venue, question, clock=lambda: now + shift)


def _limit() -> Any:
    from engine.venue.order import Asked

    return Asked(SYMBOL, "buy", "limit", 1.0, price=50.0)


def test_a_countdown_that_is_not_renewed_cancels_all_orders_of_its_symbol() -> None:
    venue = made_venue()
    account = venue.accounts[KEY]

    async def question(client: Any, _: Server) -> None:
        venue.place(account, _limit())
        count = client.fapiPrivatePostCountdownCancelAll
        await count({"symbol": "BTCUSDT", "countdownTime": 60})
        await count({"symbol": "BTCUSDT", "countdownTime": 0})
        await asyncio.sleep(0.1)
        assert account.open_orders(), "it was ended"
        await count({"symbol": "BTCUSDT", "countdownTime": 10})
        await asyncio.sleep(0.1)
        assert not account.open_orders()

    asked(venue, question)


def test_a_liquidation_is_an_order_of_the_venue_and_leaves_no_position() -> None:
    venue = made_venue(made_bars(300), cash=120.0)

    async def question(client: Any, _: Server) -> None:
        await client.set_leverage(50, SYMBOL)
        await client.create_order(SYMBOL, "market", "buy", 40.0)
        while venue.release():
            if await client.fetch_positions([SYMBOL]) == []:
                break
        last = (await client.fetch_orders(SYMBOL))[-1]
        assert last["clientOrderId"].startswith("autoclose-")
        assert (last["side"], last["status"], last["filled"]) == ("sell", "closed", 40.0)

    asked(venue, question)


def test_each_protocol_of_binance_serves_its_own_markets_alone() -> None:
    with pytest.raises(Usage, match="expected contracts alone"):
        Server(made_spot_venue(), protocol="binanceusdm")
    with pytest.raises(Usage, match="expected spot markets alone"):
        Server(made_venue(), protocol="binance")
