"""Faults on OKX's protocol, those of contracts with them: seen through its unmodified CCXT client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.venue.faults import TABLE, Faults
from engine.venue.server import Server
from tests.venue.client import KEY, SECRET
from tests.venue.okx_client import PASSPHRASE, SYMBOL, made_venue

ccxt = pytest.importorskip("ccxt")
Meet = Callable[[Any, Any, Faults], Awaitable[None]]
LIMIT_MS = 1000
CONTRACTS = [name for name, kind in TABLE.items() if "okx" in kind.protocols and "binance" not in kind.protocols]
SEEN: dict[str, Meet] = {}


def meeting(meet: Meet) -> Faults:
    """Have a client meet a venue with faults, and return them."""
    import ccxt.pro

    faults, venue = Faults(), made_venue()

    async def run() -> None:
        async with Server(venue, protocol="okx", faults=faults) as server:
            client = ccxt.pro.okx(
                {
                    "apiKey": KEY,
                    "secret": SECRET,
                    "password": PASSPHRASE,
                    "enableRateLimit": False,
                    "verify": False,
                    "timeout_on_exit": 0,
                    "timeout": LIMIT_MS,
                    "options": {"fetchMarkets": {"types": ["swap"]}, "defaultType": "swap"},
                }
            )
            client.has["fetchCurrencies"] = False
            client.urls["api"].update(rest=server.rest_url, ws=server.stream_url)
            try:
                await client.load_markets()
                await meet(client, venue, faults)
            finally:
                await client.close()

    asyncio.run(run())
    return faults


def sees(*names: str) -> Callable[[Meet], Meet]:
    """Enter what a client sees of these kinds."""

    def enter(meet: Meet) -> Meet:
        SEEN.update(dict.fromkeys(names, meet))
        return meet

    return enter


async def hold(client: Any, venue: Any, contracts: float = 100.0) -> None:
    """Have the account hold contracts of 0.01 BTC."""
    await client.create_order(SYMBOL, "market", "buy", contracts, None, {"clientOrderId": "hold"})
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
    rest = await client.create_order(SYMBOL, "limit", "buy", 10, round(last * 0.5, 2))
    told = ccxt.RequestTimeout if name == "amend_timeout" else ccxt.OrderNotFound
    with pytest.raises(told):
        await client.edit_order(rest["id"], SYMBOL, "limit", "buy", 10, round(last * 0.6, 2))
    found = await client.fetch_order(rest["id"], SYMBOL)
    moved = (found["status"], found["price"]) == ("open", round(last * 0.6, 2))
    assert moved if name == "amend_timeout" else found["status"] == "closed"


@sees("position_flipped")
async def a_position_has_the_other_sign(client: Any, venue: Any, faults: Faults) -> None:
    assert await held(client) == [("short", 100.0)]
    assert await held(client) == [("long", 100.0)]


@sees("position_missing")
async def a_position_is_missing(client: Any, venue: Any, faults: Faults) -> None:
    assert await held(client) == []
    assert await held(client) == [("long", 100.0)]


@sees("position_flipped_told")
async def a_position_is_told_with_the_other_sign(client: Any, venue: Any, faults: Faults) -> None:
    heard: list[float] = []
    true = client.handle_positions

    def listen(line: Any, message: Any) -> None:
        heard.extend(float(row["pos"]) for row in message["data"])
        true(line, message)

    client.handle_positions = listen
    watched = asyncio.ensure_future(client.watch_positions([SYMBOL]))
    while not heard:
        await asyncio.sleep(0.002)
    await client.create_order(SYMBOL, "market", "buy", 100.0)
    venue.close_bar()
    venue.open_bar()
    while not any(one < 0.0 for one in heard):
        await asyncio.sleep(0.002)
    assert venue.position(venue.accounts[KEY], SYMBOL).quantity > 0.0
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
    assert venue.accounts[KEY].funding[-1].amount > 0.0, "who is long is paid"


@sees("liquidated")
async def a_position_is_liquidated(client: Any, venue: Any, faults: Faults) -> None:
    venue.close_bar()
    assert await held(client) == []
    sides = [(one["side"], one["amount"]) for one in await client.fetch_my_trades(SYMBOL)]
    assert sides == [("buy", 100.0), ("sell", 100.0)]


@sees("position_reduced")
async def a_position_is_reduced(client: Any, venue: Any, faults: Faults) -> None:
    venue.close_bar()
    assert await held(client) == [("long", 50.0)]


@sees("leverage_changed")
async def leverage_changes(client: Any, venue: Any, faults: Faults) -> None:
    venue.close_bar()
    assert [one["leverage"] for one in await client.fetch_positions([SYMBOL])] == [20.0]


PLACING = {  # what CCXT raises, and whether the venue has the order
    "timeout_before_acceptance": ("RequestTimeout", False),
    "timeout_after_acceptance": ("RequestTimeout", True),
    "reset_before": ("ExchangeNotAvailable", False),
    "reset_after": ("ExchangeNotAvailable", True),
    "reset_in_answer": ("ExchangeError", True),
    "server_error": ("ExchangeNotAvailable", False),
    "bad_gateway": ("ExchangeNotAvailable", False),
    "unavailable": ("ExchangeNotAvailable", False),
    "gateway_timeout": ("RequestTimeout", True),
    "unknown_outcome": ("ExchangeError", True),
    "too_many_requests": ("RateLimitExceeded", False),
    "too_many_orders": ("ExchangeError", False),
    "maintenance": ("OnMaintenance", False),
    "unknown_code": ("ExchangeError", False),
    "market_closed": ("ContractUnavailable", False),
    "login_refused": ("AuthenticationError", False),
    "refused_for_money": ("InsufficientFunds", False),
    "refused_but_taken": ("InsufficientFunds", True),
}


def test_an_order_meets_every_fault_of_the_connection() -> None:
    async def meet(client: Any, venue: Any, faults: Faults) -> None:
        raised = {}
        for number, name in enumerate(PLACING):
            faults.arm(name, on="place", times=1)
            with pytest.raises(ccxt.BaseError) as found:
                await client.create_order(SYMBOL, "limit", "buy", 1.0, 50.0, {"clientOrderId": f"c{number}"})
            taken = f"c{number}" in venue.accounts[KEY].by_client_id
            raised[name] = type(found.value).__name__, taken
        assert raised == PLACING
        assert (await client.create_order(SYMBOL, "limit", "buy", 1.0, 50.0, {"clientOrderId": "last"}))["id"]

    assert [one.name for one in meeting(meet).record] == list(PLACING)


def test_answers_and_streams_are_wrong_in_the_protocols_own_words() -> None:
    async def meet(client: Any, venue: Any, faults: Faults) -> None:
        await hold(client, venue)
        venue.close_bar()
        faults.arm("fee_currency_changed")
        found = [(await client.fetch_my_trades(SYMBOL))[0]["fee"]["currency"] for _ in range(2)]
        assert found == ["BNB", "USDT"]
        faults.arm("balance_zero")
        assert (await client.fetch_balance())["USDT"]["total"] == 0.0
        right = await client.fetch_ohlcv(SYMBOL, "1h", limit=8)
        faults.arm("candles_skipped")
        assert (await client.fetch_ohlcv(SYMBOL, "1h", limit=8))[-2:] == [right[-3], right[-1]]
        faults.arm("market_unlisted", times=1)
        assert SYMBOL not in await client.load_markets(True)
        assert SYMBOL in await client.load_markets(True)
        order = await client.create_order(SYMBOL, "limit", "buy", 1.0, 50.0)
        faults.arm("cancel_loses_to_fill")
        with pytest.raises(ccxt.BaseError):
            await client.cancel_order(order["id"], SYMBOL)
        assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "closed"
        heard: list[Any] = []
        true = client.handle_ohlcv
        client.handle_ohlcv = lambda line, message: (heard.append(message["data"][0]), true(line, message))[1]
        watched = asyncio.ensure_future(client.watch_ohlcv(SYMBOL, "1h"))
        while not heard:
            await asyncio.sleep(0.002)
            if not watched.done() and client.clients and not venue.tape(SYMBOL).opened:
                await asyncio.sleep(0.05)
                venue.open_bar()
        await watched
        heard.clear()
        faults.arm("candle_repeated")
        faults.arm("stream_closed", on="candle", after=2)
        venue.close_bar()
        while len(heard) < 2:
            await asyncio.sleep(0.002)
        assert heard[0] == heard[1]
        again = asyncio.ensure_future(client.watch_ohlcv(SYMBOL, "1h"))
        await asyncio.sleep(0)
        venue.open_bar()
        with pytest.raises(ccxt.NetworkError, match="1012"):
            await asyncio.wait_for(again, 3)

    assert len(meeting(meet).record) == 7
