"""Spot order lists as CCXT sends them: two orders of which one cancels the other, each under its own client id."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.execution.exchange import Exchange
from engine.execution.orders import OrderRequest
from engine.execution.outcome import Refused
from engine.venue.core import Venue
from engine.venue.server import wall_ms
from tests.venue.client import KEY, made_venue, trading

ccxt = pytest.importorskip("ccxt")
SYMBOL = "BTC/USDT"
Question = Callable[[Any, Exchange], Awaitable[None]]


def asked(venue: Venue, question: Question, **more: Any) -> None:
    """Ask a served venue with CCXT alone, and through the records."""

    async def run() -> None:
        async with trading(venue, **more) as (client, _):
            await question(client, Exchange(client))

    asyncio.run(run())


def legs(stop: float, target: float, quantity: float = 2.0) -> tuple[OrderRequest, OrderRequest]:
    return (
        OrderRequest(SYMBOL, "sell", "stop", quantity, "stop1", stop_price=stop),
        OrderRequest(SYMBOL, "sell", "take_profit", quantity, "target1", stop_price=target),
    )


def test_a_pair_binds_its_quantity_once_and_cancels_as_one() -> None:
    venue = made_venue()
    last = venue.tapes[SYMBOL].last

    async def question(client: Any, exchange: Exchange) -> None:
        stop, target = legs(round(last * 0.5, 2), round(last * 1.5, 2))
        reports = await exchange.place_pair(stop, target)
        assert [(one.client_id, one.status) for one in reports] == [("stop1", "open"), ("target1", "open")]
        assert (await client.fetch_balance())["BTC"]["used"] == 2.0
        found = await client.fetch_order(None, SYMBOL, {"origClientOrderId": "target1"})
        assert (found["id"], found["triggerPrice"]) == (reports[1].venue_id, target.stop_price)
        (told,) = await client.privateGetOpenOrderList()
        assert (told["contingencyType"], told["listOrderStatus"]) == ("OCO", "EXECUTING")
        assert {one["clientOrderId"] for one in told["orders"]} == {"stop1", "target1"}
        rows = await client.fetch_open_orders(SYMBOL)
        assert {row["info"]["orderListId"] for row in rows} == {told["orderListId"]}
        await client.cancel_order(reports[0].venue_id, SYMBOL)
        assert await client.fetch_open_orders(SYMBOL) == []
        assert (await client.fetch_balance())["BTC"]["used"] == 0.0
        number = {"orderListId": told["orderListId"]}
        assert (await client.privateGetOrderList(number))["listOrderStatus"] == "ALL_DONE"
        with pytest.raises(ccxt.OrderNotFound):
            await client.privateDeleteOrderList(number | {"symbol": "BTCUSDT"})

    asked(venue, question)


def test_a_list_is_canceled_by_its_own_id_and_all_orders_of_a_symbol_by_theirs() -> None:
    venue = made_venue()
    last = venue.tapes[SYMBOL].last

    async def question(client: Any, exchange: Exchange) -> None:
        await exchange.place_pair(*legs(round(last * 0.5, 2), round(last * 1.5, 2)))
        (told,) = await client.privateGetOpenOrderList()
        name = {"symbol": "BTCUSDT", "listClientOrderId": told["listClientOrderId"]}
        done = await client.privateDeleteOrderList(name)
        assert [one["status"] for one in done["orderReports"]] == ["CANCELED", "CANCELED"]
        await exchange.place_pair(*legs(round(last * 0.5, 2), round(last * 1.5, 2)))
        gone = await client.cancel_all_orders(SYMBOL)
        assert [one["status"] for one in gone] == ["canceled", "canceled"]

    asked(venue, question)


def test_the_leg_that_fills_ends_the_other_and_the_stream_tells_both_and_the_list() -> None:
    venue = made_venue()
    bars = venue.tapes[SYMBOL].bars
    heard: list[Any] = []

    async def question(client: Any, exchange: Exchange) -> None:
        own = client.handle_message
        client.handle_message = lambda line, message: (heard.append(message.get("event")), own(line, message))
        task = asyncio.ensure_future(client.watch_orders(SYMBOL))
        await asyncio.sleep(0.2)
        venue.open_bar()
        level = round(float(bars.low[20]) + 0.01, 2)
        reports = await exchange.place_pair(*legs(level, round(level * 1.5, 2)))
        venue.close_bar()
        stop, target = legs(level, level * 1.5)
        assert (await exchange.find(stop)).status == "filled"  # type: ignore[union-attr]
        assert (await exchange.find(target)).status == "expired"  # type: ignore[union-attr]
        (fill,) = await exchange.fills_of(SYMBOL, reports[0].venue_id)
        assert (fill.price, fill.quantity) == (level * 0.9995, 2.0)
        await task
        await asyncio.sleep(0.1)

    asked(venue, question)
    told = [(one["c"], one["X"]) for one in heard if one and one["e"] == "executionReport"]
    assert told == [("target1", "NEW"), ("stop1", "NEW"), ("stop1", "FILLED"), ("target1", "EXPIRED")]
    lists = [(one["L"], len(one["O"])) for one in heard if one and one["e"] == "listStatus"]
    assert lists == [("EXECUTING", 2), ("ALL_DONE", 2)]


def test_a_pair_on_the_wrong_side_of_the_price_is_refused_and_leaves_no_order() -> None:
    venue = made_venue()
    last = venue.tapes[SYMBOL].last

    async def question(client: Any, exchange: Exchange) -> None:
        with pytest.raises(Refused, match="trigger immediately"):
            await exchange.place_pair(*legs(round(last * 1.2, 2), round(last * 1.5, 2)))
        with pytest.raises(Refused, match="insufficient balance"):
            await exchange.place_pair(*legs(round(last * 0.5, 2), round(last * 1.5, 2), quantity=6.0))
        with pytest.raises(ccxt.BadRequest):
            await client.privatePostOrderListOco({"symbol": "BTCUSDT", "side": "SELL", "quantity": "1"})
        assert json.loads(client.last_http_response)["code"] == -1102

    asked(venue, question)
    assert not venue.accounts[KEY].orders


def test_an_order_list_counts_as_two_orders() -> None:
    venue = made_venue()
    last = venue.tapes[SYMBOL].last

    async def question(client: Any, exchange: Exchange) -> None:
        await client.create_order(SYMBOL, "limit", "buy", 1.0, round(last * 0.5, 2))
        await exchange.place_pair(*legs(round(last * 0.5, 2), round(last * 1.5, 2)))
        assert client.last_response_headers["X-MBX-ORDER-COUNT-1D"] == "3"
        assert client.last_response_headers["X-MBX-ORDER-COUNT-10S"] == "3"

    stands_still = wall_ms() + 2_000
    asked(venue, question, clock=lambda: stands_still)
