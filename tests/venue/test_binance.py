"""Real CCXT clients against the local exchange: every call parses, every refusal is the class CCXT has for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.venue.core import Venue
from engine.venue.server import wall_ms
from tests.venue.client import KEY, made_venue, trading

ccxt = pytest.importorskip("ccxt")
SYMBOL = "BTC/USDT"


def test_markets_candles_trades_ticker_book_and_balance_parse() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            market = client.market(SYMBOL)
            assert market["precision"] == {"amount": 0.001, "price": 0.01, "base": 1e-8, "quote": 1e-8}
            assert market["limits"]["cost"]["min"] == 5.0
            venue.open_bar()
            bars = venue.tapes[SYMBOL].bars
            candles = await client.fetch_ohlcv(SYMBOL, "1h")
            assert len(candles) == 21, "twenty closed and the forming one"
            for at, row in enumerate(candles[:-1]):
                assert row == [getattr(bars, n)[at] for n in ("time", "open", "high", "low", "close", "volume")]
            assert candles[-1][1:5] == [bars.open[20]] * 4
            since = int(bars.time[5])
            assert [row[0] for row in await client.fetch_ohlcv(SYMBOL, "1h", since, 3)] == list(bars.time[5:8])
            assert (await client.fetch_ticker(SYMBOL))["last"] == bars.open[20]
            trades = await client.fetch_trades(SYMBOL, limit=5)
            assert [t["price"] for t in trades][-2:] == [bars.close[19], bars.open[20]]
            book = await client.fetch_order_book(SYMBOL, 5)
            assert len(book["bids"]) == len(book["asks"]) == 5
            assert book["bids"][0][0] < bars.open[20] < book["asks"][0][0]
            balance = await client.fetch_balance()
            assert balance["USDT"] == {"free": 10_000.0, "used": 0.0, "total": 10_000.0}
            assert abs(await client.fetch_time() - wall_ms()) < 5_000

    asyncio.run(run())


def test_orders_of_every_kind_are_taken_found_filled_and_canceled() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            last = venue.tapes[SYMBOL].last
            market = await client.create_order(SYMBOL, "market", "buy", 1.5, None, {"clientOrderId": "abc1"})
            assert (market["status"], market["filled"], market["clientOrderId"]) == ("open", 0.0, "abc1")
            limit = await client.create_order(SYMBOL, "limit", "buy", 1.0, round(last * 0.5, 2))
            stop = await client.create_order(SYMBOL, "market", "sell", 1.0, None, {"stopLossPrice": last * 0.6})
            target = await client.create_order(SYMBOL, "market", "sell", 1.0, None, {"takeProfitPrice": last * 1.9})
            assert len(await client.fetch_open_orders(SYMBOL)) == 4
            assert (await client.fetch_balance())["BTC"]["used"] == 2.0
            venue.open_bar()
            done = await client.fetch_order(market["id"], SYMBOL)
            price = venue.tapes[SYMBOL].bars.open[20] * 1.0005
            assert (done["status"], done["filled"], done["average"]) == ("closed", 1.5, pytest.approx(price))
            (fill,) = await client.fetch_my_trades(SYMBOL)
            assert (fill["price"], fill["amount"], fill["order"]) == (price, 1.5, market["id"])
            assert fill["fee"] == {"cost": pytest.approx(0.001 * 1.5 * price), "currency": "USDT"}
            for order in (limit, stop, target):
                assert (await client.cancel_order(order["id"], SYMBOL))["status"] == "canceled"
            assert await client.fetch_open_orders(SYMBOL) == []
            assert (await client.fetch_order(None, SYMBOL, {"origClientOrderId": "abc1"}))["id"] == market["id"]
            assert len(await client.fetch_orders(SYMBOL)) == 4
            balance = await client.fetch_balance()
            assert balance["BTC"] == {"free": 6.5, "used": 0.0, "total": 6.5}
            assert balance["USDT"]["total"] == 10_000.0 - (1.5 * price + 0.001 * 1.5 * price)

    asyncio.run(run())


def test_what_binance_refuses_has_its_code_and_the_class_ccxt_has_for_it() -> None:
    venue = made_venue()
    last = venue.tapes[SYMBOL].last

    async def run() -> None:
        async with trading(venue) as (client, _):

            async def refused(kind: type[Exception], code: int, call: Any) -> None:
                with pytest.raises(kind) as found:
                    await call
                assert type(found.value) is kind
                assert f'"code": {code},' in client.last_http_response

            raw = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50"}
            await refused(ccxt.InvalidOrder, -1013, client.private_post_order(raw | {"quantity": "0.0005"}))
            await refused(ccxt.InvalidOrder, -1013, client.private_post_order(raw | {"quantity": "1.0005"}))
            await refused(ccxt.BadRequest, -1013, client.private_post_order(raw | {"quantity": "0.05"}))
            await refused(
                ccxt.InvalidOrder, -1013, client.private_post_order(raw | {"quantity": "1", "price": "50.001"})
            )
            await refused(ccxt.BadSymbol, -1121, client.private_post_order(raw | {"symbol": "NONE", "quantity": "1"}))
            await refused(ccxt.BadRequest, -1102, client.private_post_order(raw))
            await refused(ccxt.BadRequest, -1100, client.private_post_order(raw | {"quantity": "nan"}))
            await refused(ccxt.InsufficientFunds, -2010, client.create_order(SYMBOL, "limit", "buy", 400, 50.0))
            await refused(ccxt.InsufficientFunds, -2010, client.create_order(SYMBOL, "market", "sell", 5.5))
            at_once = {"stopLossPrice": last * 1.1}
            call = client.create_order(SYMBOL, "market", "sell", 1, None, at_once)
            await refused(ccxt.OrderImmediatelyFillable, -2010, call)
            call = client.create_order(SYMBOL, "limit", "buy", 1, last * 1.1, {"postOnly": True})
            await refused(ccxt.OrderImmediatelyFillable, -2010, call)
            twice = {"clientOrderId": "twice"}
            await client.create_order(SYMBOL, "limit", "buy", 1, 50.0, twice)
            await refused(ccxt.InvalidOrder, -2010, client.create_order(SYMBOL, "limit", "buy", 1, 50.0, twice))
            await refused(ccxt.OrderNotFound, -2013, client.fetch_order("99", SYMBOL))
            await refused(ccxt.OrderNotFound, -2011, client.cancel_order("99", SYMBOL))
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

    asyncio.run(run())


def test_the_weight_used_is_told_and_beyond_the_limit_the_answer_is_429() -> None:
    async def run() -> None:
        async with trading(made_venue(), weight_limit=25, clock=lambda: 1_700_000_000_000) as (client, _):
            await client.fetch_ticker(SYMBOL)
            assert client.last_response_headers["X-MBX-USED-WEIGHT-1M"] == "22"
            await client.fetch_ticker(SYMBOL)
            with pytest.raises(ccxt.DDoSProtection):
                await client.fetch_ticker(SYMBOL)

    asyncio.run(run())


def test_streams_of_candles_trades_ticker_book_orders_fills_and_balance_parse() -> None:
    venue: Venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def run() -> None:
        async with trading(venue) as (client, server):
            watched = [
                asyncio.create_task(call)
                for call in (
                    client.watch_ohlcv(SYMBOL, "1h"),
                    client.watch_trades(SYMBOL),
                    client.watch_ticker(SYMBOL),
                    client.watch_ticker(SYMBOL, {"name": "ticker"}),
                    client.watch_orders(SYMBOL),
                    client.watch_my_trades(SYMBOL),
                    client.watch_balance(),
                    client.watch_order_book(SYMBOL),
                )
            ]
            await asyncio.sleep(0.5)
            await client.create_order(SYMBOL, "market", "buy", 1.0, None, {"clientOrderId": "w1"})
            async with client.session.post(server.control_url + "/open") as answer:
                told = await answer.json()
                assert (told["time"], told["played"], told["candles"][SYMBOL][1]) == (
                    bars.time[20],
                    True,
                    bars.open[20],
                )
            told = await asyncio.wait_for(asyncio.gather(*watched), 10)
            candles, trades, mini, ticker, orders, fills, balance, book = told
            assert mini["last"] == ticker["last"]
            assert ticker["bid"] < ticker["last"] < ticker["ask"]
            assert candles[-1][:2] == [bars.time[20], bars.open[20]]
            assert trades[-1]["price"] == ticker["last"] == bars.open[20]
            assert orders[-1]["clientOrderId"] == "w1"
            assert (fills[-1]["price"], fills[-1]["fee"]["currency"]) == (bars.open[20] * 1.0005, "USDT")
            assert balance["USDT"]["total"] == venue.accounts[KEY].total("USDT") < 10_000.0
            assert book["bids"]
            assert book["asks"]
            after = asyncio.create_task(client.watch_ohlcv(SYMBOL, "1h"))
            moved = asyncio.create_task(client.watch_order_book(SYMBOL))
            await asyncio.sleep(0.05)
            async with client.session.post(server.control_url + "/close") as answer:
                assert answer.status == 200
            row = (await asyncio.wait_for(after, 5))[-1]
            assert row == [getattr(bars, n)[20] for n in ("time", "open", "high", "low", "close", "volume")]
            book = await asyncio.wait_for(moved, 5)
            bids, asks = venue.tapes[SYMBOL].book()
            assert ([tuple(x) for x in book["bids"]], [tuple(x) for x in book["asks"]]) == (list(bids), list(asks))
            async with client.session.post(server.control_url + "/close") as answer:
                assert answer.status == 409

    asyncio.run(run())
