"""Real CCXT clients against the local exchange in OKX's words: every call parses, every refusal has CCXT's class."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.simulate import Costs
from engine.venue.market import Market
from engine.venue.okx.instrument import bars_of, contracts, quantity_of
from engine.venue.server import wall_ms
from tests.venue.client import HOUR, KEY
from tests.venue.okx_client import PASSPHRASE, SPOT, STEP, SYMBOL, made_spot_venue, made_venue, trading

ccxt = pytest.importorskip("ccxt")


@given(
    lots=st.integers(1, 10**9),
    lot=st.sampled_from(["1", "0.1", "0.01", "0.001"]),
    size=st.sampled_from(["0.0001", "0.001", "0.01", "0.1", "1", "10", "1000", "0.025"]),
)
@settings(deadline=None)
def test_contracts_become_base_currency_and_contracts_again(lots: int, lot: str, size: str) -> None:
    from fractions import Fraction

    costs = Costs(quantity_step=float(lot), contract_size=float(size))
    market = Market.of(SYMBOL, costs)
    sent = Fraction(lot) * lots
    text = f"{float(sent):.10f}"
    base = quantity_of(text, market)
    assert base == float(sent * Fraction(size)), "the nearest float of the exact product"
    assert Fraction(contracts(base, market)) == sent
    assert quantity_of(contracts(base, market), market) == base
    assert "e" not in contracts(base, market).lower()


def test_a_bar_of_six_hours_or_more_has_only_the_name_that_says_utc() -> None:
    assert bars_of("1m", 60_000) == ("1m",)
    assert bars_of("4h", 4 * HOUR) == ("4H",)
    assert bars_of("6h", 6 * HOUR) == ("6Hutc",)
    assert bars_of("1d", 24 * HOUR) == ("1Dutc",)


def test_markets_candles_trades_ticker_book_funding_and_balance_parse() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            market = client.market(SYMBOL)
            assert (market["id"], market["contractSize"], market["linear"]) == ("BTC-USDT-SWAP", 0.01, True)
            assert market["precision"]["amount"] == market["limits"]["amount"]["min"] == 0.1
            assert market["precision"]["price"] == 0.01
            venue.open_bar()
            bars = venue.tapes[SYMBOL].bars
            candles = await client.fetch_ohlcv(SYMBOL, "1h")
            assert len(candles) == 21, "twenty closed and the forming one"
            for at, row in enumerate(candles[:-1]):
                assert row == [getattr(bars, n)[at] for n in ("time", "open", "high", "low", "close", "volume")]
            assert candles[-1][1:5] == [bars.open[20]] * 4
            since = int(bars.time[5])
            assert [row[0] for row in await client.fetch_ohlcv(SYMBOL, "1h", since, 3)] == list(bars.time[5:8])
            late = await client.fetch_ohlcv(SYMBOL, "1h", int(bars.time[18]), 10)
            assert [row[0] for row in late] == list(bars.time[18:20]), "history has no forming candle"
            marks = await client.fetch_ohlcv(SYMBOL, "1h", None, 5, {"price": "mark"})
            assert [row[4] for row in marks[:-1]] == list(bars.close[16:20])
            ticker = await client.fetch_ticker(SYMBOL)
            assert ticker["last"] == bars.open[20]
            assert ticker["bid"] < ticker["last"] < ticker["ask"]
            assert (await client.fetch_tickers([SYMBOL]))[SYMBOL]["last"] == bars.open[20]
            assert (await client.fetch_mark_price(SYMBOL))["markPrice"] == venue.mark_price(SYMBOL)
            trades = await client.fetch_trades(SYMBOL, limit=5)
            assert [t["price"] for t in trades][-2:] == [bars.close[19], bars.open[20]]
            assert trades[-1]["amount"] * 0.01 == pytest.approx(bars.volume[20] / 4.0)
            book = await client.fetch_order_book(SYMBOL, 5)
            assert len(book["bids"]) == len(book["asks"]) == 5
            assert book["bids"][0][0] < bars.open[20] < book["asks"][0][0]
            known, history = venue.funding(SYMBOL), venue.funding_history(SYMBOL)
            rate = await client.fetch_funding_rate(SYMBOL)
            assert (rate["fundingRate"], rate["fundingTimestamp"]) == (known.rate, known.next_ms)
            assert rate["interval"] == "8h"
            past = await client.fetch_funding_rate_history(SYMBOL)
            assert [(x["timestamp"], x["fundingRate"]) for x in past] == history
            assert len(history) >= 2
            assert (await client.fetch_funding_rates([SYMBOL]))[SYMBOL]["fundingRate"] == known.rate
            assert (await client.fetch_balance())["USDT"] == {"free": 10_000.0, "used": 0.0, "total": 10_000.0}
            fee = await client.fetch_trading_fee(SYMBOL)
            assert (fee["maker"], fee["taker"]) == (0.0005, 0.0005)
            assert (await client.fetch_position_mode(SYMBOL))["hedged"] is False
            assert abs(await client.fetch_time() - wall_ms()) < 5_000

    asyncio.run(run())


def test_orders_positions_leverage_and_fills_are_in_contracts_and_right() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            account = venue.accounts[KEY]
            await client.set_leverage(5, SYMBOL)
            assert (await client.fetch_leverage(SYMBOL))["longLeverage"] == 5
            assert venue.position(account, SYMBOL).leverage == 5.0
            await client.set_position_mode(False, SYMBOL)
            assert await client.fetch_positions([SYMBOL]) == []
            market = await client.create_order(SYMBOL, "market", "sell", 150.3, None, {"clientOrderId": "abc1"})
            (asked,) = [order.asked for order in account.orders.values()]
            assert asked.quantity == 1.503, "150.3 contracts of 0.01 BTC"
            price = venue.tapes[SYMBOL].last
            resting = await client.create_order(SYMBOL, "limit", "buy", 10, round(price * 0.5, 2))
            maker = await client.create_order(SYMBOL, "limit", "sell", 1, round(price * 2, 2), {"postOnly": True})
            found = {order["id"]: order for order in await client.fetch_open_orders(SYMBOL)}
            assert found[maker["id"]]["postOnly"] is True
            assert found[market["id"]]["amount"] == 150.3
            assert len(found) == 3
            venue.open_bar()
            done = await client.fetch_order(market["id"], SYMBOL)
            paid = venue.tapes[SYMBOL].bars.open[20] * (1.0 - 0.0005)
            assert (done["status"], done["filled"], done["average"]) == (
                "closed",
                150.3,
                pytest.approx(paid, rel=1e-12),
            )
            (fill,) = await client.fetch_my_trades(SYMBOL)
            assert (fill["price"], fill["amount"], fill["order"]) == (done["average"], 150.3, market["id"])
            assert (fill["side"], fill["takerOrMaker"]) == ("sell", "taker")
            assert fill["fee"] == {"cost": pytest.approx(0.0005 * 1.503 * paid), "currency": "USDT"}
            assert (await client.fetch_my_trades(SYMBOL, None, None, {"ordId": market["id"]}))[0]["id"] == fill["id"]
            (held,) = await client.fetch_positions([SYMBOL])
            assert (held["side"], held["contracts"], held["contractSize"]) == ("short", 150.3, 0.01)
            assert (held["entryPrice"], held["leverage"], held["marginMode"]) == (fill["price"], 5.0, "cross")
            assert held["unrealizedPnl"] == pytest.approx(venue.unrealized(account, SYMBOL))
            assert held["liquidationPrice"] == venue.liquidation_price(account, SYMBOL)
            assert (await client.fetch_position(SYMBOL))["contracts"] == 150.3
            margin = venue.margin(account)
            balance = (await client.fetch_balance())["USDT"]
            assert balance["free"] == margin.available
            assert balance["total"] == pytest.approx(margin.wallet + margin.unrealized)
            by_ours = await client.fetch_order(None, SYMBOL, {"clOrdId": "abc1"})
            assert (by_ours["id"], by_ours["clientOrderId"]) == (market["id"], "abc1")
            await client.cancel_order(resting["id"], SYMBOL)
            await client.cancel_orders([maker["id"]], SYMBOL)
            assert await client.fetch_open_orders(SYMBOL) == []
            gone = await client.fetch_canceled_orders(SYMBOL)
            assert {order["id"] for order in gone} == {resting["id"], maker["id"]}
            (closed,) = await client.fetch_closed_orders(SYMBOL)
            assert closed["id"] == market["id"]
            assert (await client.cancel_all_orders_after(0))["data"][0]["triggerTime"] == "0"
            assert int((await client.cancel_all_orders_after(60_000))["data"][0]["triggerTime"]) > wall_ms()
            await client.close_position(SYMBOL)
            venue.close_bar()
            venue.open_bar()
            assert await client.fetch_positions([SYMBOL]) == []

    asyncio.run(run())


def test_a_limit_order_is_moved_and_stays_the_same_order() -> None:
    venue = made_venue(fill_share=0.01)
    last = venue.tapes[SYMBOL].last

    async def run() -> None:
        async with trading(venue) as (client, _):

            async def refused(kind: type[Exception], code: str, number: str, *to: float) -> None:
                with pytest.raises(kind):
                    await client.edit_order(number, SYMBOL, "limit", "buy", *to)
                assert f'ode": "{code}"' in client.last_http_response

            low, high = round(last * 0.5, 2), round(last * 0.6, 2)
            rest = (await client.create_order(SYMBOL, "limit", "buy", 200, low, {"clientOrderId": "abc1"}))["id"]
            assert (await client.edit_order(rest, SYMBOL, "limit", "buy", 150, high))["id"] == rest
            found = await client.fetch_order(rest, SYMBOL)
            assert (found["amount"], found["price"], found["clientOrderId"]) == (150.0, high, "abc1")
            await refused(ccxt.InsufficientFunds, "51008", rest, 10**7, high)
            await refused(ccxt.OrderNotFound, "51503", "99", 1, low)
            await client.edit_order(rest, SYMBOL, "limit", "buy", 150, round(last * 1.05, 2))
            venue.open_bar()
            venue.close_bar()
            found = await client.fetch_order(rest, SYMBOL)
            assert 0.0 < found["filled"] < 150.0
            await client.edit_order(rest, SYMBOL, "limit", "buy", round(found["filled"] + 10.0, 1), low)
            assert (await client.fetch_order(rest, SYMBOL))["remaining"] == pytest.approx(10.0)
            await client.cancel_order(rest, SYMBOL)
            await refused(ccxt.OrderNotFound, "51503", rest, 150, high)

    asyncio.run(run())


def test_stops_and_targets_are_algo_orders_that_make_an_ordinary_one() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            await client.create_order(SYMBOL, "market", "buy", 100)
            venue.open_bar()
            last = venue.tapes[SYMBOL].last
            near = round(venue.tapes[SYMBOL].bars.low[20] + 0.01, 2)
            more = {"reduceOnly": True, "stopLossPrice": near, "algoClOrdId": "stop1"}
            stop = await client.create_order(SYMBOL, "market", "sell", 100, None, more)
            more = {"reduceOnly": True, "takeProfitPrice": round(last * 2, 2), "algoClOrdId": "target1"}
            target = await client.create_order(SYMBOL, "market", "sell", 100, None, more)
            more = {"triggerPrice": round(last * 0.4, 2)}
            trigger = await client.create_order(SYMBOL, "limit", "buy", 10, round(last * 0.39, 2), more)
            assert await client.fetch_open_orders(SYMBOL) == [], "they are not ordinary orders yet"
            waiting = await client.fetch_open_orders(SYMBOL, None, None, {"ordType": "conditional"})
            assert {order["id"]: order["amount"] for order in waiting} == {stop["id"]: 100, target["id"]: 100}
            (other,) = await client.fetch_open_orders(SYMBOL, None, None, {"trigger": True})
            assert (other["id"], other["triggerPrice"]) == (trigger["id"], round(last * 0.4, 2))
            found = await client.fetch_order(None, SYMBOL, {"trigger": True, "clientOrderId": "stop1"})
            assert (found["id"], found["stopLossPrice"], found["reduceOnly"]) == (stop["id"], near, True)
            with pytest.raises(ccxt.OrderNotFound):
                await client.fetch_order(None, SYMBOL, {"clOrdId": "stop1"})
            venue.close_bar()
            found = await client.fetch_order(stop["id"], SYMBOL, {"trigger": True})
            assert found["status"] == "closed"
            made = await client.fetch_order(found["info"]["ordId"], SYMBOL)
            assert (made["id"], made["status"], made["filled"]) == (stop["id"], "closed", 100.0)
            assert made["info"]["algoClOrdId"] == "stop1"
            assert made["average"] == pytest.approx(near * 0.9995)
            fills = await client.fetch_my_trades(SYMBOL)
            assert fills[-1]["order"] == found["info"]["ordId"]
            assert await client.fetch_positions() == []
            assert await client.fetch_open_orders(SYMBOL, None, None, {"ordType": "conditional"}) == [], (
                "a target of nothing is gone"
            )
            await client.cancel_order(trigger["id"], SYMBOL, {"trigger": True})
            assert await client.fetch_open_orders(SYMBOL, None, None, {"trigger": True}) == []
            past = await client.fetch_closed_orders(SYMBOL, None, None, {"trigger": True, "ordType": "conditional"})
            assert [order["id"] for order in past] == [stop["id"]]
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_orders([stop["id"]], SYMBOL, {"trigger": True})

    asyncio.run(run())


def test_what_okx_refuses_has_its_code_and_the_class_ccxt_has_for_it() -> None:
    venue = made_venue()
    last = venue.tapes[SYMBOL].last

    async def run() -> None:
        async with trading(venue) as (client, _):

            async def refused(kind: type[Exception], code: str, call: Any) -> None:
                with pytest.raises(kind) as found:
                    await call
                assert type(found.value) is kind
                assert f'ode": "{code}"' in client.last_http_response

            raw = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "limit", "px": "50"}
            place = client.private_post_trade_order
            await refused(ccxt.InvalidOrder, "51020", place(raw | {"sz": "0.05"}))
            await refused(ccxt.InvalidOrder, "51121", place(raw | {"sz": "1.05"}))
            await refused(ccxt.BadRequest, "51000", place(raw | {"sz": "1", "px": "50.001"}))
            await refused(ccxt.BadRequest, "51000", place(raw | {"sz": "nan"}))
            await refused(ccxt.BadRequest, "50014", place(raw))
            await refused(ccxt.BadRequest, "51000", place(raw | {"sz": "1", "clOrdId": "no-hyphens"}))
            await refused(ccxt.BadRequest, "51000", place(raw | {"sz": "1", "posSide": "long"}))
            await refused(ccxt.AccountNotEnabled, "51010", place(raw | {"sz": "1", "tdMode": "isolated"}))
            await refused(ccxt.BadSymbol, "51001", place(raw | {"sz": "1", "instId": "NONE-USDT-SWAP"}))
            await refused(ccxt.InsufficientFunds, "51008", client.create_order(SYMBOL, "limit", "buy", 10**6, 50.0))
            reduce = {"reduceOnly": True}
            await refused(ccxt.ExchangeError, "51169", client.create_order(SYMBOL, "market", "buy", 1, None, reduce))
            for params, code in (
                ({"stopLossPrice": last * 1.1}, "51280"),
                ({"takeProfitPrice": last * 0.9}, "51279"),
            ):
                call = client.create_order(SYMBOL, "market", "sell", 1, None, params)
                await refused(ccxt.InvalidOrder, code, call)
            twice = {"clientOrderId": "twice"}
            await client.create_order(SYMBOL, "limit", "buy", 1, 50.0, twice)
            await refused(ccxt.InvalidOrder, "51016", client.create_order(SYMBOL, "limit", "buy", 1, 50.0, twice))
            await refused(ccxt.OrderNotFound, "51603", client.fetch_order("99", SYMBOL))
            await refused(ccxt.OrderNotFound, "51603", client.fetch_order("none", SYMBOL))
            await refused(ccxt.OrderNotFound, "51400", client.cancel_order("99", SYMBOL))
            await refused(ccxt.ExchangeError, "51023", client.close_position(SYMBOL))
            await refused(ccxt.AccountNotEnabled, "51010", client.set_position_mode(True, SYMBOL))
            await refused(ccxt.BadRequest, "51000", client.fetch_ohlcv(SYMBOL, "1d"))
            crossed = await client.create_order(SYMBOL, "limit", "buy", 1, round(last * 1.1, 2), {"postOnly": True})
            ended = await client.fetch_order(crossed["id"], SYMBOL)
            assert (ended["status"], ended["filled"], ended["postOnly"]) == ("canceled", 0.0, True)
            for away in (-60_000, 60_000):
                client.options["timeDifference"] = -away
                await refused(ccxt.InvalidNonce, "50102", client.fetch_balance())
            client.options["timeDifference"] = 0
            client.password = "another"
            await refused(ccxt.AuthenticationError, "50105", client.fetch_balance())
            client.secret = "another"
            await refused(ccxt.AuthenticationError, "50113", client.fetch_balance())
            client.apiKey = "nobody"
            await refused(ccxt.AuthenticationError, "50111", client.fetch_balance())
            assert len(venue.accounts[KEY].orders) == 2, "nothing that was refused is an order"

    asyncio.run(run())


def test_part_of_a_batch_that_fails_is_code_2_and_told_in_its_row() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            raw = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "limit", "px": "50"}
            found = await client.private_post_trade_batch_orders([raw | {"sz": "1"}, raw | {"sz": "0.01"}])
            assert found["code"] == "2"
            assert [row["sCode"] for row in found["data"]] == ["0", "51020"]
            assert len(venue.accounts[KEY].orders) == 1

    asyncio.run(run())


def test_beyond_the_limit_the_answer_is_429_and_demo_keys_need_their_header() -> None:
    async def run() -> None:
        async with trading(made_venue(), weight_limit=2, clock=lambda: 1_700_000_000_000) as (client, _):
            for _ in range(2):
                await client.fetch_ticker(SYMBOL)
            with pytest.raises(ccxt.RateLimitExceeded):
                await client.fetch_ticker(SYMBOL)
        async with trading(made_venue(), demo=True) as (client, _):
            with pytest.raises(ccxt.AuthenticationError, match="50101"):
                await client.fetch_balance()
            client.headers = {"x-simulated-trading": "1"}
            client.password = "another"
            with pytest.raises(ccxt.AuthenticationError, match="50105"):
                await client.fetch_balance()
            client.password = PASSPHRASE
            assert (await client.fetch_balance())["USDT"]["total"] == 10_000.0

    asyncio.run(run())


def test_streams_of_the_market_and_of_the_account_parse() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars

    async def run() -> None:
        async with trading(venue) as (client, _):
            assert (await client.watch_balance())["USDT"]["total"] == 10_000.0
            book = await client.watch_order_book(SYMBOL)
            assert len(book["bids"]) == 20
            assert (await client.watch_funding_rate(SYMBOL))["fundingRate"] == venue.funding(SYMBOL).rate
            assert (await client.watch_ticker(SYMBOL))["last"] == bars.close[19]
            assert (await client.watch_mark_price(SYMBOL))["markPrice"] == venue.mark_price(SYMBOL)
            calls = (
                client.watch_ohlcv(SYMBOL, "1h"),
                client.watch_trades(SYMBOL),
                client.watch_orders(SYMBOL),
                client.watch_my_trades(SYMBOL),
                client.watch_balance(),
                client.watch_order_book(SYMBOL),
                client.watch_ticker(SYMBOL),
                client.watch_orders(SYMBOL, None, None, {"trigger": True}),
            )
            watched = [asyncio.create_task(call) for call in calls]
            await asyncio.wait_for(client.watch_positions([SYMBOL]), 5)
            positions = asyncio.create_task(client.watch_positions([SYMBOL]))
            await asyncio.sleep(0.2)
            await client.create_order(SYMBOL, "market", "buy", 100, None, {"clientOrderId": "w1"})
            await client.create_order(SYMBOL, "market", "sell", 1, None, {"triggerPrice": 1.0, "algoClOrdId": "w2"})
            venue.open_bar()
            told = await asyncio.wait_for(asyncio.gather(positions, *watched), 10)
            held, candles, trades, orders, fills, balance, book, ticker, algos = told
            assert candles[-1][:2] == [bars.time[20], bars.open[20]]
            assert trades[-1]["price"] == ticker["last"] == bars.open[20]
            assert (orders[-1]["clientOrderId"], orders[-1]["amount"]) == ("w1", 100.0)
            assert (fills[-1]["price"], fills[-1]["amount"]) == (bars.open[20] * 1.0005, 100.0)
            assert -fills[-1]["fee"]["cost"] == pytest.approx(0.0005 * fills[-1]["price"]), "CCXT keeps OKX's sign here"
            assert (held[-1]["contracts"], held[-1]["side"]) == (100.0, "long")
            assert balance["USDT"]["free"] < 10_000.0
            assert algos[-1]["info"]["algoClOrdId"] == "w2"
            after = asyncio.create_task(client.watch_ohlcv(SYMBOL, "1h"))
            moved = asyncio.create_task(client.watch_order_book(SYMBOL))
            await asyncio.sleep(0.05)
            venue.close_bar()
            row = (await asyncio.wait_for(after, 5))[-1]
            assert row == [getattr(bars, n)[20] for n in ("time", "open", "high", "low", "close", "volume")]
            book = await asyncio.wait_for(moved, 5)
            bids, asks = venue.tapes[SYMBOL].book()
            assert [x[0] for x in book["bids"]] == [price for price, _ in bids]
            assert [x[0] for x in book["asks"]] == [price for price, _ in asks]
            assert book["nonce"] == venue.tapes[SYMBOL].update

    asyncio.run(run())


@pytest.mark.parametrize("levels", [1, 5])
def test_the_top_of_the_book_is_streamed_whole(levels: int) -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            await asyncio.wait_for(client.watch_order_book(SYMBOL, levels), 5)
            watched = asyncio.create_task(client.watch_order_book(SYMBOL, levels))
            await asyncio.sleep(0.05)
            venue.open_bar()
            book = await asyncio.wait_for(watched, 5)
            bids, asks = venue.tapes[SYMBOL].book()
            assert [x[0] for x in book["bids"]] == [price for price, _ in bids[:levels]]
            assert [x[0] for x in book["asks"]] == [price for price, _ in asks[:levels]]

    asyncio.run(run())


def test_raw_streams_confirm_candles_chain_books_and_refuse_what_is_wrong() -> None:
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, server):
            session = client.session
            async with (
                session.ws_connect(f"{server.stream_url}/business") as business,
                session.ws_connect(f"{server.stream_url}/public") as public,
                session.ws_connect(f"{server.stream_url}/private") as private,
            ):

                async def asked(line: Any, op: str, *args: dict[str, str]) -> Any:
                    await line.send_json({"op": op, "args": list(args)})
                    return await line.receive_json(timeout=5)

                await public.send_str("ping")
                assert await public.receive_str(timeout=5) == "pong"
                candles = {"channel": "candle1H", "instId": "BTC-USDT-SWAP"}
                assert (await asked(business, "subscribe", candles))["event"] == "subscribe"
                assert (await asked(public, "subscribe", candles))["code"] == "60018"
                assert (await asked(public, "subscribe", {"channel": "trades", "instId": "NONE"}))["code"] == "60018"
                assert (await asked(private, "subscribe", {"channel": "account"}))["code"] == "60011"
                assert (await asked(public, "noise"))["code"] == "60012"
                login = {"apiKey": KEY, "passphrase": "any", "timestamp": str(wall_ms() // 1000), "sign": "wrong"}
                assert (await asked(private, "login", login))["code"] == "60007"
                assert (await asked(private, "login", login | {"timestamp": "1"}))["code"] == "60006"
                assert (await asked(private, "login", login | {"apiKey": "nobody"}))["code"] == "60005"
                books = {"channel": "books", "instId": "BTC-USDT-SWAP"}
                await asked(public, "subscribe", books)
                snapshot = await public.receive_json(timeout=5)
                assert (snapshot["action"], snapshot["data"][0]["prevSeqId"]) == ("snapshot", -1)
                levels = {side: {row[0]: row[1] for row in snapshot["data"][0][side]} for side in ("bids", "asks")}
                sequence = snapshot["data"][0]["seqId"]
                for _ in range(3):
                    venue.release()
                for _ in range(6):
                    (update,) = (await public.receive_json(timeout=5))["data"]
                    assert update["prevSeqId"] == sequence
                    sequence = update["seqId"]
                    for side in ("bids", "asks"):
                        levels[side].update({row[0]: row[1] for row in update[side]})
                        levels[side] = {px: sz for px, sz in levels[side].items() if float(sz)}
                    bids = sorted(levels["bids"].items(), key=lambda x: -float(x[0]))
                    asks = sorted(levels["asks"].items(), key=lambda x: float(x[0]))
                    pairs = [":".join((*b, *a)) for b, a in zip(bids, asks, strict=True)]
                    assert zlib.crc32(":".join(pairs).encode()) == update["checksum"] % 2**32
                rows = [(await business.receive_json(timeout=5))["data"][0] for _ in range(6)]
                assert [row[-1] for row in rows] == ["0", "1"] * 3
                assert float(rows[1][6]) == venue.tapes[SYMBOL].bars.volume[20]
                assert float(rows[1][5]) == pytest.approx(venue.tapes[SYMBOL].bars.volume[20] / 0.01)

    asyncio.run(run())


def test_spot_markets_are_served_in_base_currency() -> None:
    venue = made_spot_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            bars = venue.tapes[SPOT].bars
            candles = await client.fetch_ohlcv(SPOT, "1h")
            assert candles[-1] == [getattr(bars, n)[19] for n in ("time", "open", "high", "low", "close", "volume")]
            order = await client.create_order(SPOT, "market", "buy", 1.5)
            await client.create_order(SPOT, "market", "sell", 2.0, None, {"stopLossPrice": bars.close[19] * 0.5})
            venue.open_bar()
            done = await client.fetch_order(order["id"], SPOT)
            assert (done["status"], done["filled"]) == ("closed", 1.5)
            balance = await client.fetch_balance({"type": "spot"})
            assert balance["BTC"] == {"free": 4.5, "used": 2.0, "total": 6.5}
            (fill,) = await client.fetch_my_trades(SPOT)
            assert (fill["amount"], fill["price"]) == (1.5, bars.open[20] * 1.0005)
            assert balance["USDT"]["total"] == pytest.approx(10_000.0 - 1.5 * fill["price"] * 1.001)
            ticker = await client.fetch_ticker(SPOT)
            assert ticker["last"] == bars.open[20]

    asyncio.run(run())


def test_orders_are_canceled_when_the_countdown_is_not_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.venue.okx import trade

    monkeypatch.setattr(trade, "_COUNTDOWN_S", (0, 120))
    venue = made_venue()

    async def run() -> None:
        async with trading(venue) as (client, _):
            await client.create_order(SYMBOL, "limit", "buy", 1, 50.0)
            stop = {"stopLossPrice": 40.0}
            await client.create_order(SYMBOL, "market", "sell", 1, None, stop)
            await client.private_post_trade_cancel_all_after({"timeOut": "1"})
            assert len(await client.fetch_open_orders(SYMBOL)) == 1
            await asyncio.sleep(1.1)
            assert await client.fetch_open_orders(SYMBOL) == []
            assert len(await client.fetch_open_orders(SYMBOL, None, None, {"ordType": "conditional"})) == 1

    asyncio.run(run())


def test_a_quantity_below_a_contract_counts_in_base_currency() -> None:
    market = Market.of(SYMBOL, Costs(quantity_step=0.1, contract_size=0.01))
    assert market.quantity_step == STEP
    assert contracts(0.0123456, market) == "1.23456"
