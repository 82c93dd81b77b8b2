"""Real CCXT clients against the local exchange as Coinbase: every call parses, every refusal has the venue's words."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from engine.venue.coinbase import say
from engine.venue.core import Venue
from engine.venue.server import wall_ms
from tests.venue.coinbase_client import (
    KEY,
    LEGACY_KEY,
    LEGACY_SECRET,
    SECRET,
    SYMBOL,
    made_secret,
    made_venue,
    trading,
)

ccxt = pytest.importorskip("ccxt")


def test_markets_candles_trades_tickers_books_and_balances_parse() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def run() -> None:
        async with trading(venue) as (client, _):
            market = client.market(SYMBOL)
            assert (market["id"], market["spot"], market["active"]) == ("BTC-USD", True, True)
            assert (market["precision"]["amount"], market["precision"]["price"]) == (0.001, 0.01)
            assert (market["limits"]["amount"]["min"], market["limits"]["cost"]["min"]) == (0.001, 5.0)
            assert (market["taker"], market["maker"]) == (0.001, 0.001)
            assert set(client.currencies) == {"BTC", "USD"}
            venue.open_bar()
            for private in (False, True):
                how = {"usePrivate": private}
                candles = await client.fetch_ohlcv(SYMBOL, "1h", int(bars.time[5]), 3, how)
                assert candles == [
                    [getattr(bars, name)[at] for name in ("time", "open", "high", "low", "close", "volume")]
                    for at in (5, 6, 7)
                ]
                trades = await client.fetch_trades(SYMBOL, None, 5, how)
                assert [one["price"] for one in trades][-2:] == [bars.close[19], bars.open[20]]
                book = await client.fetch_order_book(SYMBOL, 5, how)
                assert len(book["bids"]) == len(book["asks"]) == 5
                assert book["bids"][0][0] < bars.open[20] < book["asks"][0][0]
                ticker = await client.fetch_ticker(SYMBOL, how)
                assert ticker["bid"] < ticker["last"] == bars.open[20] < ticker["ask"]
                assert (await client.fetch_tickers([SYMBOL], how))[SYMBOL]["last"] == bars.open[20]
            latest = await client.fetch_ohlcv(SYMBOL, "1h")
            assert len(latest) == 21, "asked for up to the client's clock: twenty closed and the forming one"
            assert latest[-1][1:5] == [bars.open[20]] * 4
            assert (await client.fetch_bids_asks([SYMBOL]))[SYMBOL]["ask"] == book["asks"][0][0]
            assert (await client.fetch_trading_fees())[SYMBOL]["taker"] == 0.001
            assert {one["code"] for one in await client.fetch_accounts()} == {"BTC", "USD"}
            for how in ({}, {"v3": True}):
                assert (await client.fetch_balance(how))["USD"]["total"] == 10_000.0
            for method in ("v2PublicGetTime", "v3PublicGetBrokerageTime"):
                assert abs(await client.fetch_time({"method": method}) - wall_ms()) < 5_000

    asyncio.run(run())


def test_a_window_of_candles_or_trades_shows_what_is_in_it_and_no_more_than_the_venue_gives() -> None:
    venue = made_venue(history=150)
    bars = venue.tapes[SYMBOL].bars

    async def run() -> None:
        async with trading(venue) as (client, _):
            name = {"product_id": "BTC-USD", "granularity": "ONE_HOUR"}
            ask = client.v3PublicGetBrokerageMarketProductsProductIdCandles
            start, hour = int(bars.time[0]) // 1000, 3600
            found = await ask(name | {"start": start, "end": start + 349 * hour})
            assert len(found["candles"]) == 150, "bars not yet played are not shown"
            starts = [int(row["start"]) for row in found["candles"]]
            assert starts == sorted(starts, reverse=True)
            with pytest.raises(ccxt.BadRequest, match="less than 350"):
                await ask(name | {"start": start, "end": start + 350 * hour})
            assert (await ask(name | {"start": start + 400 * hour, "end": start + 401 * hour}))["candles"] == []
            first, last = int(bars.time[40]), int(bars.time[41]) - 1
            inside = await client.fetch_trades(SYMBOL, first, 100, {"until": last})
            assert [one["id"] for one in inside] == ["161", "162", "163"], "the close is in the window's last second"
            prices = [one["price"] for one in inside]
            assert prices[0] == bars.open[40]
            assert {bars.low[40], bars.high[40]} == set(prices[1:])

    asyncio.run(run())


def test_orders_of_every_kind_are_taken_found_filled_and_canceled() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            last = venue.tapes[SYMBOL].last
            half, above = round(last * 0.5, 2), round(last * 1.5, 2)
            base = {"order_configuration": {"market_market_ioc": {"base_size": "1.5"}}}
            base |= {"client_order_id": "abc1", "createMarketBuyOrderRequiresPrice": False}
            market = await client.create_order(SYMBOL, "market", "buy", 1.5, None, base)
            assert market["clientOrderId"] == "abc1"
            sold = await client.create_order(SYMBOL, "market", "sell", 0.5)
            cost = await client.create_market_buy_order_with_cost(SYMBOL, 150.0)
            limit = await client.create_order(SYMBOL, "limit", "buy", 1.0, half)
            maker = await client.create_order(SYMBOL, "limit", "sell", 1.0, above, {"postOnly": True})
            stop = await client.create_order(SYMBOL, "limit", "sell", 1.0, half, {"stopLossPrice": half + 1.0})
            target = await client.create_order(SYMBOL, "limit", "sell", 1.0, above, {"takeProfitPrice": above + 1.0})
            rise = await client.create_order(SYMBOL, "limit", "buy", 1.0, above, {"stopLossPrice": above - 1.0})
            ioc = await client.create_order(SYMBOL, "limit", "buy", 1.0, half, {"timeInForce": "IOC"})
            fok = await client.create_order(SYMBOL, "limit", "buy", 1.0, half, {"timeInForce": "FOK"})
            assert len(await client.fetch_open_orders(SYMBOL)) == 10
            kinds = [one.asked.kind for one in venue.accounts[KEY].orders.values()]
            assert kinds[3:8] == ["limit", "limit_maker", "stop_limit", "take_profit_limit", "stop_limit"]
            balance = await client.fetch_balance({"v3": True})
            assert balance["BTC"] == {"free": 1.5, "used": 3.5, "total": 5.0}
            venue.open_bar()
            done = await client.fetch_order(market["id"], SYMBOL)
            price = venue.tapes[SYMBOL].bars.open[20] * 1.0005
            assert (done["status"], done["filled"]) == ("closed", 1.5)
            assert (done["average"], done["amount"]) == (pytest.approx(price), 1.5)
            assert float(done["fee"]["cost"]) == pytest.approx(0.001 * 1.5 * price)
            spent = await client.fetch_order(cost["id"], SYMBOL)
            assert spent["cost"] == pytest.approx(150.0, rel=0.03), "sized by the last price, filled at the next open"
            fills = await client.fetch_my_trades(SYMBOL)
            assert [(one["order"], one["amount"]) for one in fills] == [
                (market["id"], 1.5),
                (sold["id"], 0.5),
                (cost["id"], spent["filled"]),
            ]
            assert fills[0]["fee"] == {"cost": pytest.approx(0.001 * 1.5 * price), "currency": "USD"}
            assert {one["takerOrMaker"] for one in fills} == {"taker"}
            for one in (ioc, fok):
                assert (await client.fetch_order(one["id"], SYMBOL))["status"] == "canceled"
            for one in (limit, maker, stop, target, rise):
                assert (await client.cancel_order(one["id"], SYMBOL))["id"] == one["id"]
            assert await client.fetch_open_orders(SYMBOL) == []
            assert len(await client.fetch_closed_orders(SYMBOL)) == 3
            assert len(await client.fetch_canceled_orders(SYMBOL)) == 7
            assert len(await client.fetch_orders(SYMBOL)) == 10
            found = await client.fetch_order(stop["id"], SYMBOL)
            assert (found["triggerPrice"], found["price"], found["status"]) == (half + 1.0, half, "canceled")
            assert (await client.fetch_balance({"v3": True}))["BTC"]["used"] == 0.0

    asyncio.run(run())


def test_a_client_id_sent_again_is_answered_with_the_order_it_had() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            twice = {"client_order_id": "twice"}
            first = await client.create_order(SYMBOL, "limit", "buy", 1.0, 50.0, twice)
            again = await client.create_order(SYMBOL, "limit", "buy", 2.0, 60.0, twice)
            assert again["id"] == first["id"]
            await client.cancel_order(first["id"])
            assert (await client.create_order(SYMBOL, "limit", "buy", 1.0, 50.0, twice))["id"] == first["id"]
            assert len(venue.accounts[KEY].orders) == 1
            assert await client.fetch_open_orders(SYMBOL) == []

    asyncio.run(run())


def test_lists_come_in_pages_that_a_new_order_does_not_shift() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            ids = [(await client.create_order(SYMBOL, "limit", "buy", 0.1, 60.0 + k))["id"] for k in range(7)]
            seen: list[str] = []
            cursor = ""
            while True:
                ask = {"limit": 3, "product_ids": ["BTC-USD"], "order_status": "OPEN"} | (
                    {"cursor": cursor} if cursor else {}
                )
                page = await client.v3PrivateGetBrokerageOrdersHistoricalBatch(ask)
                seen += [row["order_id"] for row in page["orders"]]
                cursor = page["cursor"]
                assert page["has_next"] == bool(cursor)
                if not cursor:
                    break
                await client.create_order(SYMBOL, "limit", "buy", 0.1, 50.0)
            assert seen == ids[::-1]
            with pytest.raises(ccxt.BadRequest, match="cursor"):
                await client.v3PrivateGetBrokerageOrdersHistoricalBatch({"cursor": "x"})

    asyncio.run(run())


def test_what_coinbase_refuses_has_its_words_and_the_class_ccxt_has_for_them() -> None:
    venue = made_venue()
    last = venue.tapes[SYMBOL].last

    async def run() -> None:
        async with trading(venue) as (client, _):

            async def refused(kind: type[Exception], words: str, call: Any) -> None:
                with pytest.raises(kind) as found:
                    await call
                assert type(found.value) is kind
                assert words in client.last_http_response, client.last_http_response

            def limited(base_size: str, limit_price: str, **more: Any) -> Any:
                configuration = {"limit_limit_gtc": {"base_size": base_size, "limit_price": limit_price}}
                raw = {"client_order_id": "raw", "product_id": "BTC-USD", "side": "BUY"}
                return client.v3PrivatePostBrokerageOrders(raw | {"order_configuration": configuration} | more)

            error = ccxt.ExchangeError
            await refused(error, "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL", limited("0.0005", "50"))
            await refused(error, "PREVIEW_INVALID_SIZE_PRECISION", limited("1.0005", "50"))
            await refused(error, "PREVIEW_INVALID_PRICE_PRECISION", limited("1", "50.001"))
            await refused(error, "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL", limited("0.05", "50"))
            strange = {"order_configuration": {"trigger_bracket_gtc": {}}}
            await refused(error, "UNSUPPORTED_ORDER_CONFIGURATION", limited("1", "50", **strange))
            await refused(ccxt.BadRequest, "valid product_id is required", limited("1", "50", product_id="NO-USD"))
            await refused(ccxt.BadRequest, "limit_price is invalid", limited("1", "nan"))
            await refused(ccxt.BadRequest, "client_order_id is required", limited("1", "50", client_order_id=""))
            post = client.create_order(SYMBOL, "limit", "buy", 1, last * 1.1, {"postOnly": True})
            await refused(error, "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY", post)
            poor = client.create_order(SYMBOL, "limit", "buy", 400, 50.0)
            await refused(ccxt.InsufficientFunds, "PREVIEW_INSUFFICIENT_FUND", poor)
            poor = client.create_order(SYMBOL, "market", "sell", 5.5)
            await refused(ccxt.InsufficientFunds, "PREVIEW_INSUFFICIENT_FUND", poor)
            at_once = client.create_order(SYMBOL, "limit", "sell", 1, last, {"stopLossPrice": last * 1.1})
            await refused(ccxt.InvalidOrder, "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE", at_once)
            at_once = client.create_order(SYMBOL, "limit", "sell", 1, last, {"takeProfitPrice": last * 0.9})
            await refused(error, "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE", at_once)
            await refused(error, "order with this orderID was not found", client.fetch_order(say.order_id(99)))
            await refused(error, "order with this orderID was not found", client.fetch_order("99"))
            await refused(ccxt.BadRequest, "UNKNOWN_CANCEL_ORDER", client.cancel_order(say.order_id(99)))
            missing = client.v3PublicGetBrokerageMarketProductsProductId({"product_id": "NO-USD"})
            await refused(error, "Product NO-USD not supported", missing)
            await refused(ccxt.BadRequest, "granularity", client.fetch_ohlcv(SYMBOL, "1m"))
            assert venue.accounts[KEY].orders == {}, "nothing that was refused is an order"
            with pytest.raises(ccxt.NotSupported, match="only stop limit"):
                await client.create_order(SYMBOL, "market", "sell", 1, None, {"stopLossPrice": last * 0.9})

    asyncio.run(run())


def test_a_wrong_stale_or_strange_token_is_unauthorized() -> None:
    venue = made_venue()

    async def run() -> None:
        now = wall_ms()
        async with trading(venue, clock=lambda: now) as (client, server):

            async def refused() -> None:
                with pytest.raises(ccxt.AuthenticationError, match="401 Unauthorized"):
                    await client.fetch_balance({"v3": True})

            seconds = now // 1000
            for at in (seconds, seconds - 119):
                client.seconds = lambda at=at: at
                await client.fetch_balance({"v3": True})
            for at in (seconds - 130, seconds + 30):
                client.seconds = lambda at=at: at
                await refused()
            client.seconds = lambda: seconds
            own = client.create_auth_token

            def for_another_address(at: int, method: str, url: str, edwards: bool = False) -> str:
                made: str = own(at, method, url.replace("accounts", "orders"), edwards)
                return made

            client.create_auth_token = for_another_address
            await refused()
            client.create_auth_token = lambda *_: "a.b.c"
            await refused()
            client.create_auth_token = own
            client.apiKey = "organizations/made/apiKeys/another"
            await refused()
            client.apiKey, client.secret = KEY, made_secret()
            await refused()
            client.secret = SECRET
            await client.fetch_balance({"v3": True})
            async with client.session.get(f"{server.rest_url}/api/v3/brokerage/accounts") as answer:
                assert (answer.status, await answer.text()) == (401, "Unauthorized\n")

    asyncio.run(run())


def test_hmac_and_ed25519_keys_are_known_too_and_a_stale_signature_is_told() -> None:
    venue = made_venue()
    seed = base64.b64encode(bytes(range(64))).decode()
    venue.open_account("an-edwards-key", seed, {"USD": 7.0})

    async def run() -> None:
        now = wall_ms()
        async with trading(venue, LEGACY_KEY, LEGACY_SECRET, clock=lambda: now) as (client, _):
            for how in ({}, {"v3": True}):
                assert (await client.fetch_balance(how))["USD"]["total"] == 10_000.0
            await client.create_order(SYMBOL, "limit", "buy", 1.0, 50.0)
            for wrong, words in ((now - 31_000, "request timestamp expired"), (now + 31_000, "expired")):
                client.nonce = lambda wrong=wrong: wrong
                with pytest.raises(ccxt.AuthenticationError, match=words):
                    await client.fetch_balance()
            client.nonce = lambda: now
            client.secret = "another"
            with pytest.raises(ccxt.AuthenticationError, match="invalid signature"):
                await client.fetch_balance()
            client.apiKey, client.secret = "an-edwards-key", seed
            assert (await client.fetch_balance())["USD"]["total"] == 7.0
            client.secret = base64.b64encode(bytes(64)).decode()
            with pytest.raises(ccxt.AuthenticationError):
                await client.fetch_balance()

    asyncio.run(run())


def test_requests_are_counted_a_second_and_beyond_the_limit_the_answer_is_429() -> None:
    now = [wall_ms()]

    async def run() -> None:
        venue = made_venue()
        async with trading(venue, LEGACY_KEY, LEGACY_SECRET, weight_limit=6 * 12, clock=lambda: now[0]) as (client, _):
            now[0] += 1_000
            for left in range(11, -1, -1):
                await client.fetch_ticker(SYMBOL)
                headers = {name.lower(): value for name, value in client.last_response_headers.items()}
                assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("12", str(left))
            with pytest.raises(ccxt.RateLimitExceeded):
                await client.fetch_ticker(SYMBOL)
            await client.fetch_balance()  # counts for the key, not the address
            now[0] += 1_000
            await client.fetch_ticker(SYMBOL)

    asyncio.run(run())


def test_streams_of_trades_ticker_book_and_orders_parse() -> None:
    venue: Venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def run() -> None:
        async with trading(venue) as (client, _):
            calls = {
                "trades": lambda: client.watch_trades(SYMBOL),
                "ticker": lambda: client.watch_ticker(SYMBOL),
                "tickers": lambda: client.watch_tickers([SYMBOL]),
                "book": lambda: client.watch_order_book(SYMBOL),
            }
            first = {name: await asyncio.wait_for(call(), 5) for name, call in calls.items()}
            assert [one["id"] for one in first["trades"]] == [str(k) for k in range(31, 81)], "a snapshot, oldest first"
            assert first["ticker"]["last"] == first["tickers"][SYMBOL]["last"] == bars.close[19]
            assert first["ticker"]["bid"] < first["ticker"]["last"] < first["ticker"]["ask"]
            watched = [asyncio.create_task(call()) for call in (*calls.values(), lambda: client.watch_orders(SYMBOL))]
            await asyncio.sleep(0.1)
            order = await client.create_order(SYMBOL, "market", "sell", 1.0, None, {"client_order_id": "w1"})
            (taken,) = await asyncio.wait_for(watched[-1], 5)
            assert (taken["id"], taken["clientOrderId"], taken["status"]) == (order["id"], "w1", "open")
            watched[-1] = asyncio.create_task(client.watch_orders(SYMBOL))
            await asyncio.sleep(0.05)
            venue.open_bar()
            trades, ticker, tickers, book, orders = await asyncio.wait_for(asyncio.gather(*watched), 5)
            assert [one["price"] for one in trades] == [bars.open[20]]
            assert ticker["last"] == tickers[SYMBOL]["last"] == bars.open[20]
            (filled,) = orders
            assert (filled["status"], filled["filled"], filled["average"]) == ("closed", 1.0, bars.open[20] * 0.9995)
            bids, asks = venue.tapes[SYMBOL].book()
            assert ([tuple(x) for x in book["bids"]], [tuple(x) for x in book["asks"]]) == (list(bids), list(asks))

    asyncio.run(run())


def test_channels_speak_as_documented_and_number_their_messages() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, server), client.session.ws_connect(server.stream_url) as socket:

            async def say_and_hear(count: int, **said: Any) -> list[dict[str, Any]]:
                await socket.send_json(said)
                return [await asyncio.wait_for(socket.receive_json(), 5) for _ in range(count)]

            told, snapshot = await say_and_hear(2, type="subscribe", channel="level2", product_ids=["BTC-USD"])
            assert told["events"] == [{"subscriptions": {"level2": ["BTC-USD"]}}]
            assert (snapshot["channel"], snapshot["events"][0]["type"]) == ("l2_data", "snapshot")
            assert {one["side"] for one in snapshot["events"][0]["updates"]} == {"bid", "offer"}
            told, beat = await say_and_hear(2, type="subscribe", channel="heartbeats")
            assert beat["events"][0]["heartbeat_counter"] == 0
            assert [one["sequence_num"] for one in (snapshot, told, beat)] == [1, 2, 3]
            told, status = await say_and_hear(2, type="subscribe", channel="status", product_ids=["BTC-USD"])
            assert status["events"][0]["products"][0]["id"] == "BTC-USD"
            (told,) = await say_and_hear(1, type="unsubscribe", channel="level2", product_ids=["BTC-USD"])
            assert set(told["events"][0]["subscriptions"]) == {"heartbeats", "status"}
            for wrong, words in (
                ({"channel": "user"}, "authentication failure"),
                ({"channel": "user", "jwt": "a.b.c"}, "authentication failure"),
                ({"channel": "level3"}, "channel level3 is not supported"),
                ({"channel": "ticker", "product_ids": ["NO-USD"]}, "NO-USD is not a valid product"),
            ):
                (told,) = await say_and_hear(1, type="subscribe", **wrong)
                assert told == {"type": "error", "message": words}
            token = client.create_auth_token(client.seconds())
            told, user = await say_and_hear(2, type="subscribe", channel="user", jwt=token)
            assert (user["channel"], user["events"][0]["orders"]) == ("user", [])

    asyncio.run(run())


def test_five_minute_candles_have_a_channel() -> None:
    import numpy as np

    from pipelines import Bars

    bars = made_venue().tapes[SYMBOL].bars
    columns = [np.array(getattr(bars, name)) for name in ("open", "high", "low", "close", "volume")]
    time = bars.time[0] + 300_000 * np.arange(len(bars))
    venue = made_venue(Bars.from_arrays("made:BTC/USD:5m", "5m", time, *columns))

    async def run() -> None:
        async with trading(venue) as (client, server), client.session.ws_connect(server.stream_url) as socket:
            await socket.send_json({"type": "subscribe", "channel": "candles", "product_ids": ["BTC-USD"]})
            _, snapshot = [await asyncio.wait_for(socket.receive_json(), 5) for _ in range(2)]
            assert len(snapshot["events"][0]["candles"]) == 20
            venue.release()
            _, closed = [await asyncio.wait_for(socket.receive_json(), 5) for _ in range(2)]
            row = closed["events"][0]["candles"][0]
            assert int(row["start"]) * 1000 == bars.time[0] + 300_000 * 20
            assert (float(row["close"]), float(row["volume"])) == (bars.close[20], bars.volume[20])

    asyncio.run(run())


def test_several_markets_share_a_connection() -> None:
    from engine.venue.market import Market
    from tests.venue.client import COSTS, made_bars

    markets = {Market.of(f"{base}/USD", COSTS): made_bars(seed=seed) for seed, base in enumerate(("BTC", "ETH"))}
    venue = Venue(markets, history=20)
    venue.open_account(KEY, SECRET, {"USD": 10_000.0})
    symbols = ["BTC/USD", "ETH/USD"]

    async def run() -> None:
        async with trading(venue) as (client, _):
            assert set(client.symbols) == set(symbols)
            assert set(await client.fetch_tickers()) == set(symbols)
            watched = asyncio.create_task(client.watch_trades_for_symbols(symbols))
            first = (await asyncio.wait_for(watched, 5))[-1]
            assert first["price"] == venue.tapes[first["symbol"]].last
            await asyncio.wait_for(client.watch_order_book_for_symbols(symbols), 5)
            await asyncio.sleep(0.05)
            assert all(client.orderbooks[symbol]["bids"] for symbol in symbols)
            orders = asyncio.create_task(client.watch_orders("ETH/USD"))
            await asyncio.sleep(0.05)
            await client.create_order("ETH/USD", "limit", "buy", 1.0, 50.0)
            await client.create_order("BTC/USD", "limit", "buy", 1.0, 40.0)
            found = await client.fetch_open_orders()
            assert {one["symbol"] for one in found} == set(symbols)
            assert [one["symbol"] for one in await client.fetch_open_orders("ETH/USD")] == ["ETH/USD"]
            (seen,) = await asyncio.wait_for(orders, 5)
            assert seen["symbol"] == "ETH/USD"

    asyncio.run(run())
