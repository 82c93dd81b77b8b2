"""Faults on Binance's USD-M futures, those of contracts and listen keys with them, seen through its CCXT client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.venue.faults import TABLE, Faults
from tests.venue.client import KEY
from tests.venue.futures_client import SYMBOL, made_venue, trading

ccxt = pytest.importorskip("ccxt")
Meet = Callable[[Any, Any, Faults], Awaitable[None]]
LIMIT_MS = 1000
CONTRACTS = [
    name for name, kind in TABLE.items() if "binanceusdm" in kind.protocols and "binance" not in kind.protocols
]
SEEN: dict[str, Meet] = {}


def meeting(meet: Meet) -> Faults:
    """Have a client meet a venue with faults, and return them."""
    faults, venue = Faults(), made_venue()

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with trading(venue, faults=faults) as (client, _):
            client.timeout = LIMIT_MS
            await asyncio.wait_for(meet(client, venue, faults), 15)

    asyncio.run(run())
    return faults


def sees(*names: str) -> Callable[[Meet], Meet]:
    """Enter what a client sees of these kinds."""

    def enter(meet: Meet) -> Meet:
        SEEN.update(dict.fromkeys(names, meet))
        return meet

    return enter


async def until(what: Callable[[], Any]) -> None:
    """Wait until something is so."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 3.0
    while not what():
        assert loop.time() < end, "the client was not told in time"
        await asyncio.sleep(0.002)


def heard_by(client: Any) -> list[Any]:
    """Return the list of every message of a stream from now on, as the client decoded it."""
    heard: list[Any] = []
    true = client.handle_message

    def listen(line: Any, message: Any) -> None:
        heard.append(message)
        true(line, message)

    client.handle_message = listen
    return heard


async def hold(client: Any, venue: Any, quantity: float = 1.0) -> None:
    """Have the account hold a position."""
    await client.create_order(SYMBOL, "market", "buy", quantity, None, {"clientOrderId": "hold"})
    venue.open_bar()


async def held(client: Any) -> list[tuple[str, float]]:
    return [(one["side"], one["contracts"]) for one in await client.fetch_positions([SYMBOL]) if one["contracts"]]


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_client_sees_the_fault_of_a_contract(name: str) -> None:
    async def meet(client: Any, venue: Any, faults: Faults) -> None:
        await hold(client, venue)
        faults.arm(name)
        await SEEN[name](client, venue, faults)
        assert {one.name for one in faults.record} == {name}

    meeting(meet)


@sees("amend_timeout", "amend_loses_to_fill")
async def an_order_is_moved_and_nobody_says_so_or_fills_first(client: Any, venue: Any, faults: Faults) -> None:
    name, last = faults.armed[0].kind.name, venue.tapes[SYMBOL].last
    rest = await client.create_order(SYMBOL, "limit", "buy", 1.0, round(last * 0.5, 2))
    told = ccxt.RequestTimeout if name == "amend_timeout" else ccxt.OrderNotFound
    with pytest.raises(told):
        await client.edit_order(rest["id"], SYMBOL, "limit", "buy", 1.0, round(last * 0.6, 2))
    found = await client.fetch_order(rest["id"], SYMBOL)
    moved = (found["status"], found["price"]) == ("open", round(last * 0.6, 2))
    assert moved if name == "amend_timeout" else found["status"] == "closed"


@sees("position_flipped")
async def a_position_has_the_other_sign(client: Any, venue: Any, faults: Faults) -> None:
    assert await held(client) == [("short", 1.0)]
    assert await held(client) == [("long", 1.0)]


@sees("position_missing")
async def a_position_is_missing(client: Any, venue: Any, faults: Faults) -> None:
    assert await held(client) == []
    assert await held(client) == [("long", 1.0)]


@sees("position_flipped_told")
async def a_position_is_told_with_the_other_sign(client: Any, venue: Any, faults: Faults) -> None:
    heard = heard_by(client)
    watched = asyncio.ensure_future(client.watch_orders())  # positions come by the same stream
    await until(lambda: any("/private/" in url and line.connected.done() for url, line in client.clients.items()))
    await asyncio.sleep(0.05)
    await client.create_order(SYMBOL, "market", "buy", 1.0)

    def told() -> list[float]:
        return [float(row["pa"]) for one in heard if one.get("e") == "ACCOUNT_UPDATE" for row in one["a"]["P"]]

    await until(told)
    assert told()[0] == -2.0
    assert venue.position(venue.accounts[KEY], SYMBOL).quantity == 2.0
    watched.cancel()
    await asyncio.gather(watched, return_exceptions=True)


@sees("funding_sign_flip")
async def funding_is_shown_with_the_other_sign(client: Any, venue: Any, faults: Faults) -> None:
    true = venue.funding(SYMBOL).rate
    wrong = (await client.fetch_funding_rate(SYMBOL))["fundingRate"]
    assert (wrong, (await client.fetch_funding_rate(SYMBOL))["fundingRate"]) == (-true, true)
    assert true


@sees("funding_turned")
async def funding_turns(client: Any, venue: Any, faults: Faults) -> None:
    venue.close_bar()
    before = {row["timestamp"] for row in await client.fetch_funding_rate_history(SYMBOL)}
    for _ in range(9):
        venue.release()
    new = [row for row in await client.fetch_funding_rate_history(SYMBOL) if row["timestamp"] not in before]
    assert new
    assert all(row["fundingRate"] < 0.0 for row in new)
    paid = await client.fetch_funding_history(SYMBOL)
    assert paid[-1]["amount"] == venue.accounts[KEY].funding[-1].amount > 0.0, "who is long is paid"


@sees("liquidated")
async def a_position_is_liquidated(client: Any, venue: Any, faults: Faults) -> None:
    venue.close_bar()
    assert await held(client) == []
    sides = [(one["side"], one["amount"]) for one in await client.fetch_my_trades(SYMBOL)]
    assert sides == [("buy", 1.0), ("sell", 1.0)]


@sees("position_reduced")
async def a_position_is_reduced(client: Any, venue: Any, faults: Faults) -> None:
    venue.close_bar()
    assert await held(client) == [("long", 0.5)]


@sees("leverage_changed")
async def leverage_changes(client: Any, venue: Any, faults: Faults) -> None:
    venue.close_bar()
    assert (await client.fetch_leverage(SYMBOL))["longLeverage"] == 20


@sees("listen_key_expired")
async def a_listen_key_has_expired(client: Any, venue: Any, faults: Faults) -> None:
    made = await client.fapiPrivatePostListenKey()
    with pytest.raises(ccxt.AuthenticationError, match="-1125"):
        await client.fapiPrivatePutListenKey()
    assert await client.fapiPrivatePutListenKey() == made, "only who prolongs it is told, and once"


PLACING = {  # what CCXT raises, and whether the venue has the order
    "timeout_before_acceptance": ("RequestTimeout", False),
    "timeout_after_acceptance": ("RequestTimeout", True),
    "reset_before": ("ExchangeNotAvailable", False),
    "reset_after": ("ExchangeNotAvailable", True),
    "reset_in_answer": ("ExchangeError", True),
    "server_error": ("OperationFailed", False),
    "bad_gateway": ("ExchangeNotAvailable", False),
    "unavailable": ("OperationFailed", False),
    "gateway_timeout": ("RequestTimeout", True),
    "unknown_outcome": ("RequestTimeout", True),
    "too_many_requests": ("DDoSProtection", False),
    "too_many_orders": ("DDoSProtection", False),
    "banned": ("DDoSProtection", False),
    "maintenance": ("OnMaintenance", False),
    "unknown_code": ("ExchangeError", False),
    "market_closed": ("BadRequest", False),
    "login_refused": ("AuthenticationError", False),
    "refused_for_money": ("InsufficientFunds", False),
    "refused_but_taken": ("InsufficientFunds", True),
}


@pytest.mark.parametrize("waits", [False, True])
def test_an_order_meets_every_fault_of_the_connection_whether_or_not_it_waits_for_a_price(*, waits: bool) -> None:
    async def meet(client: Any, venue: Any, faults: Faults) -> None:
        await hold(client, venue)
        client.options["hasAlreadyAuthenticatedSuccessfully"] = False  # else CCXT takes a refused key for a ban
        level = {"stopLossPrice": round(venue.tapes[SYMBOL].last * 0.8, 2)} if waits else {}
        raised = {}
        for number, name in enumerate(PLACING):
            faults.arm(name, on="place", times=1)
            with pytest.raises(ccxt.BaseError) as found:
                await client.create_order(
                    SYMBOL,
                    "market" if waits else "limit",
                    "sell" if waits else "buy",
                    0.2,
                    50.0,
                    level | {"clientOrderId": f"c{number}"},
                )
            client.options["hasAlreadyAuthenticatedSuccessfully"] = False
            raised[name] = type(found.value).__name__, f"c{number}" in venue.accounts[KEY].by_client_id
        assert raised == PLACING

    assert [one.name for one in meeting(meet).record] == list(PLACING)


def test_answers_are_wrong_in_the_protocols_own_words() -> None:
    async def meet(client: Any, venue: Any, faults: Faults) -> None:
        await hold(client, venue)
        venue.close_bar()
        faults.arm("fee_currency_changed")
        found = [(await client.fetch_my_trades(SYMBOL))[0]["fee"]["currency"] for _ in range(2)]
        assert found == ["BNB", "USDT"]
        faults.arm("balance_zero")
        assert (await client.fetch_balance())["USDT"]["total"] == 0.0
        assert (await client.fetch_balance())["USDT"]["total"] == pytest.approx(10_000.0, rel=0.01)
        right = await client.fetch_ohlcv(SYMBOL, "1h", limit=8)
        faults.arm("candles_skipped")
        assert (await client.fetch_ohlcv(SYMBOL, "1h", limit=8))[-2:] == [right[-3], right[-1]]
        faults.arm("market_unlisted", times=1)
        assert SYMBOL not in await client.load_markets(True)
        assert SYMBOL in await client.load_markets(True)
        order = await client.create_order(SYMBOL, "limit", "buy", 1.0, 50.0)
        faults.arm("order_not_found", times=1)
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(order["id"], SYMBOL)
        stop = await client.create_order(SYMBOL, "market", "sell", 1.0, None, {"stopLossPrice": 60.0})
        faults.arm("order_not_found", times=1)
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(stop["id"], SYMBOL, {"trigger": True})
        faults.arm("open_order_missing", times=1)
        shown = [await client.fetch_open_orders(SYMBOL, None, None, {"trigger": True}) for _ in range(2)]
        assert [len(one) for one in shown] == [0, 1]
        faults.arm("cancel_loses_to_fill")
        with pytest.raises(ccxt.BaseError):
            await client.cancel_order(order["id"], SYMBOL)
        assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "closed"

    assert len(meeting(meet).record) == 8


def test_streams_are_wrong_in_the_protocols_own_words() -> None:
    async def meet(client: Any, venue: Any, faults: Faults) -> None:
        heard = heard_by(client)
        watched = [
            asyncio.ensure_future(client.watch_ohlcv(SYMBOL, "1h")),
            asyncio.ensure_future(client.watch_orders()),
        ]
        await until(lambda: any("result" in one for one in heard))
        await until(lambda: any("/private/" in url and line.connected.done() for url, line in client.clients.items()))
        await asyncio.sleep(0.05)

        def told(kind: str) -> list[Any]:
            return [one for one in heard if one.get("e") == kind]

        venue.open_bar()
        await until(lambda: told("kline"))
        heard.clear()
        faults.arm("candle_repeated")
        venue.close_bar()
        await until(lambda: len(told("kline")) >= 2)
        assert told("kline")[0]["k"] == told("kline")[1]["k"]
        heard.clear()
        faults.arm("fill_repeated")
        await client.create_order(SYMBOL, "market", "buy", 1.0, None, {"clientOrderId": "twice"})
        venue.open_bar()
        await until(lambda: len([one for one in told("ORDER_TRADE_UPDATE") if one["o"]["x"] == "TRADE"]) >= 2)
        first, second = (one["o"] for one in told("ORDER_TRADE_UPDATE") if one["o"]["x"] == "TRADE")
        assert (first["t"], first["l"], first["z"]) == (second["t"], second["l"], second["z"])
        again = asyncio.ensure_future(client.watch_ohlcv(SYMBOL, "1h"))
        await asyncio.sleep(0)
        faults.arm("stream_closed", on="candle")
        venue.close_bar()
        with pytest.raises(ccxt.NetworkError, match="1012"):
            await asyncio.wait_for(again, 3)
        for task in watched:
            task.cancel()
        await asyncio.gather(*watched, return_exceptions=True)

    assert [one.name for one in meeting(meet).record] == ["candle_repeated", "fill_repeated", "stream_closed"]
