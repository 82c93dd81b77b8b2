"""Faults that know no protocol act on Coinbase's as well: seen through its unmodified CCXT client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.venue.faults import TABLE, Faults
from tests.venue.coinbase_client import KEY, SYMBOL, made_venue, trading

ccxt = pytest.importorskip("ccxt")
LIMIT_MS = 1000


def meeting(faults: Faults, meet: Callable[[Any, Any], Awaitable[None]], **more: Any) -> None:
    """Have a client meet a venue with faults."""
    venue = made_venue(**more)

    async def run() -> None:
        async with trading(venue, faults=faults) as (client, _):
            client.timeout, client.timeout_on_exit = LIMIT_MS, 0
            await meet(client, venue)

    asyncio.run(run())


PLACING = {
    "timeout_before_acceptance": False,
    "timeout_after_acceptance": True,
    "reset_before": False,
    "reset_after": True,
    "reset_in_answer": True,
    "server_error": False,
    "bad_gateway": False,
    "unavailable": False,
    "gateway_timeout": True,
    "unknown_outcome": True,
    "too_many_requests": False,
    "maintenance": False,
    "unknown_code": False,
    "market_closed": False,
    "login_refused": False,
    "refused_for_money": False,
    "refused_but_taken": True,
}


def test_an_order_meets_every_fault_of_the_connection() -> None:
    faults = Faults()

    async def meet(client: Any, venue: Any) -> None:
        raised = {}
        for number, (name, taken) in enumerate(PLACING.items()):
            faults.arm(name, on="place", times=1)
            with pytest.raises(ccxt.BaseError) as found:
                await client.create_order(SYMBOL, "limit", "buy", 0.1, 50.0, {"client_order_id": f"c{number}"})
            raised[name] = type(found.value).__name__
            assert (f"c{number}" in venue.accounts[KEY].by_client_id) is taken, name
            assert faults.record[-1].name == name
        assert raised["timeout_after_acceptance"] == "RequestTimeout"
        assert raised["too_many_requests"] == "RateLimitExceeded"
        assert raised["login_refused"] == "AuthenticationError"
        assert raised["unavailable"] == raised["reset_before"] == "ExchangeNotAvailable"
        found = await client.create_order(SYMBOL, "limit", "buy", 0.1, 50.0, {"client_order_id": "last"})
        assert found["id"]

    meeting(faults, meet)
    assert len(faults.record) == len(PLACING)
    assert all("coinbase" in TABLE[name].protocols for name in PLACING)


def test_what_is_shown_is_wrong_but_well_formed() -> None:
    faults = Faults()

    async def meet(client: Any, venue: Any) -> None:
        faults.arm("balance_zero")
        assert (await client.fetch_balance())["USD"]["total"] == 0.0
        assert (await client.fetch_balance())["USD"]["total"] == 10_000.0
        order = await client.create_order(SYMBOL, "limit", "buy", 0.1, 50.0, {"client_order_id": "c1"})
        faults.arm("open_order_missing", times=1)
        assert await client.fetch_open_orders(SYMBOL) == []
        assert [one["id"] for one in await client.fetch_open_orders(SYMBOL)] == [order["id"]]
        faults.arm("order_not_found", times=1)
        with pytest.raises(ccxt.BaseError):
            await client.fetch_order(order["id"], SYMBOL)
        faults.arm("cancel_not_done")
        await client.cancel_order(order["id"], SYMBOL)
        assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "open"
        faults.arm("partial_fill_then_cancel")
        await client.cancel_order(order["id"], SYMBOL)
        found = await client.fetch_order(order["id"], SYMBOL)
        assert (found["status"], found["filled"]) == ("canceled", 0.05)
        assert len(await client.fetch_my_trades(SYMBOL)) == 1
        faults.arm("fill_missing", times=1)
        assert await client.fetch_my_trades(SYMBOL) == []
        since = int(venue.tape(SYMBOL).bars.time[12])
        right = await client.fetch_ohlcv(SYMBOL, "1h", since, 8)
        faults.arm("candles_zero")
        wrong = await client.fetch_ohlcv(SYMBOL, "1h", since, 8)
        assert wrong[:-1] == right[:-1]
        assert wrong[-1][1:] == [0.0] * 5
        faults.arm("candles_old")
        assert await client.fetch_ohlcv(SYMBOL, "1h", since, 8) == right[:-2]

    meeting(faults, meet)
    assert len(faults.record) == 8


def test_streams_repeat_and_break() -> None:
    faults = Faults()

    async def meet(client: Any, venue: Any) -> None:
        heard: list[Any] = []
        true = client.handle_message
        client.handle_message = lambda line, message: (heard.append(message), true(line, message))[1]

        def trades() -> list[str]:
            return [
                trade["trade_id"]
                for message in heard
                if isinstance(message, dict) and message.get("channel") == "market_trades"
                for event in message["events"]
                if event["type"] == "update"
                for trade in event["trades"]
            ]

        await asyncio.wait_for(client.watch_trades(SYMBOL), 3)
        faults.arm("trade_repeated")
        venue.open_bar()
        for _ in range(500):
            if len(trades()) == 2:
                break
            await asyncio.sleep(0.002)
        assert len(trades()) == 2
        assert len(set(trades())) == 1
        faults.arm("stream_dropped")
        watched = asyncio.ensure_future(client.watch_trades(SYMBOL))
        await asyncio.sleep(0)
        venue.close_bar()
        with pytest.raises(ccxt.NetworkError):
            await asyncio.wait_for(watched, 3)

    meeting(faults, meet)
    assert [one.name for one in faults.record] == ["trade_repeated", "stream_dropped"]
