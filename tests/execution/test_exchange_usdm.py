"""Binance's futures through CCXT answer under one id an order, though a stop there has two, and know every failure."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.execution.client import client_of
from engine.execution.exchange import Exchange
from engine.execution.orders import OrderRequest
from engine.execution.outcome import AskAgain, Refused, Stopped, Unknown
from engine.execution.usdm import Orders
from engine.settings import BotSettings, Credentials, Secret, parse_settings
from engine.venue.core import Venue
from engine.venue.funding import Schedule
from engine.venue.server import Server
from parquet_store.errors import Refuse
from tests.venue.client import KEY, SECRET
from tests.venue.futures_client import SYMBOL, made_venue

pytest.importorskip("ccxt")
KEYS = Credentials(Secret(KEY), Secret(SECRET), None)
BUY = OrderRequest(SYMBOL, "buy", "market", 1.5, "lock0001")
Question = Callable[[Exchange], Awaitable[None]]


def settings_for(rest: str, stream: str) -> BotSettings:
    """Return the settings of a bot at Binance's perpetuals."""
    text = f"""
mode = "paper"
[venue]
name = "binance"
market = "perpetual"
rest_url = "{rest}"
stream_url = "{stream}"
[[manifests]]
path = "a.json"
symbols = ["{SYMBOL}"]
share = 1.0
"""
    return parse_settings(text, "bot.toml", Path())


def asked(venue: Venue, question: Question, keys: Credentials = KEYS) -> None:
    """Ask a served venue, as a bot would."""

    async def run() -> None:
        async with Server(venue, protocol="binanceusdm") as server:
            client = client_of(settings_for(server.rest_url, server.stream_url), keys)
            async with Exchange(client, (keys.secret.reveal(), keys.key.reveal())) as exchange:
                await question(exchange)

    asyncio.run(run())


def protective(venue: Venue, kind: Any = "stop", client_id: str = "lock0002") -> OrderRequest:
    """Return a stop that the open bar will meet."""
    level = round(float(venue.tapes[SYMBOL].bars.low[venue.tapes[SYMBOL].shown]) + 0.01, 2)
    return OrderRequest(SYMBOL, "sell", kind, 1.5, client_id, stop_price=level, reduce_only=True)


def test_a_client_for_the_local_venue_asks_nobody_else() -> None:
    client = client_of(settings_for("http://127.0.0.1:7/fapi/v1", "ws://127.0.0.1:7/ws"), KEYS)
    urls = {name: url for name, url in client.urls["api"].items() if name.startswith(("fapiPu", "fapiPr"))}
    assert {urlsplit(url).netloc for url in urls.values()} == {"127.0.0.1:7"}
    assert urls["fapiPrivateV3"] == "http://127.0.0.1:7/fapi/v3"
    asked_for: list[str] = []

    async def run() -> None:
        venue = made_venue()
        async with Server(venue, protocol="binanceusdm") as server:
            used = client_of(settings_for(server.rest_url, server.stream_url), KEYS)
            fetch = used.fetch

            async def noted(url: str, *rest: Any) -> Any:
                asked_for.append(urlsplit(url).netloc)
                return await fetch(url, *rest)

            used.fetch = noted
            async with Exchange(used):
                pass
            assert set(asked_for) == {urlsplit(server.rest_url).netloc}

    asyncio.run(run())
    asyncio.run(client.close())


def test_an_order_is_placed_found_and_filled_in_records() -> None:
    venue = made_venue()

    async def question(exchange: Exchange) -> None:
        rules = exchange.rules(SYMBOL)
        assert (rules.quantity_step, rules.min_notional, rules.contract_size) == (0.001, 5.0, 1.0)
        await exchange.set_leverage(SYMBOL, 2.5)
        assert venue.position(venue.accounts[KEY], SYMBOL).leverage == 3.0, "rounded up"
        report = await exchange.place(replace(BUY, quantity=1.50099))
        assert (report.status, report.quantity, report.client_id) == ("open", 1.5, "lock0001")
        venue.open_bar()
        found = await exchange.find(BUY)
        assert found is not None
        price = venue.tapes[SYMBOL].bars.open[20] * 1.0005
        assert (found.status, found.filled, found.average_price) == ("filled", 1.5, price)
        (fill,) = await exchange.fills_of(SYMBOL, report.venue_id)
        assert (fill.price, fill.quantity, fill.fee_currency, fill.maker) == (price, 1.5, "USDT", False)
        assert [one.trade_id for one in await exchange.fills(SYMBOL)] == [fill.trade_id]
        (balance,) = await exchange.balances()
        known = venue.margin(venue.accounts[KEY])
        assert (balance.currency, balance.free, balance.used) == ("USDT", known.available, known.initial)
        assert await exchange.find(replace(BUY, client_id="nobody")) is None
        assert await exchange.find(protective(venue, client_id="nobody")) is None

    asked(venue, question)


def test_a_limit_order_that_rests_is_moved_and_what_has_ended_is_asked_for() -> None:
    venue = made_venue()
    limit = replace(BUY, kind="limit", price=50.0)

    async def question(exchange: Exchange) -> None:
        assert exchange.amends
        number = (await exchange.place(limit)).venue_id
        await exchange.amend(replace(limit, quantity=1.25049, price=60.001), number)
        found = await exchange.find(limit)
        assert found is not None
        assert (found.venue_id, found.client_id, found.status) == (number, "lock0001", "open")
        assert (found.quantity, found.price) == (1.25, 60.0)
        await exchange.cancel(SYMBOL, number, "lock0001")
        with pytest.raises(Unknown):  # it may as well have filled
            await exchange.amend(limit, number)

    asked(venue, question)


def test_a_stop_keeps_its_id_and_client_id_when_it_has_made_another_order() -> None:
    venue = made_venue()

    async def question(exchange: Exchange) -> None:
        await exchange.place(BUY)
        venue.open_bar()
        stop = protective(venue)
        report = await exchange.place(stop)
        assert (report.status, report.client_id) == ("open", "lock0002")
        assert [one.client_id for one in await exchange.open_orders(SYMBOL)] == ["lock0002"]
        assert await exchange.fills_of(SYMBOL, report.venue_id) == []
        venue.close_bar()
        found = await exchange.find(stop)
        assert found is not None
        assert (found.status, found.filled, found.venue_id) == ("filled", 1.5, report.venue_id)
        assert found.average_price == stop.stop_price * 0.9995
        (fill,) = await exchange.fills_of(SYMBOL, report.venue_id)
        assert (fill.client_id, fill.venue_id, fill.price) == ("lock0002", report.venue_id, stop.stop_price * 0.9995)
        with pytest.raises(Unknown):
            await exchange.cancel(SYMBOL, report.venue_id, "lock0002")

    asked(venue, question)


def test_one_who_knows_nothing_of_a_stop_yet_finds_its_fills_all_the_same() -> None:
    venue = made_venue()
    ids: list[str] = []

    async def trades(exchange: Exchange) -> None:
        await exchange.place(BUY)
        venue.open_bar()
        ids.append((await exchange.place(protective(venue))).venue_id)
        venue.close_bar()

    async def comes_later(exchange: Exchange) -> None:
        (fill,) = await exchange.fills_of(SYMBOL, ids[0])
        assert (fill.client_id, fill.venue_id) == ("lock0002", ids[0])

    async def lists(exchange: Exchange) -> None:
        assert [fill.venue_id for fill in await exchange.fills(SYMBOL)] == ["1", ids[0]]

    for question in (trades, comes_later, lists):
        asked(venue, question)


def test_a_waiting_stop_and_a_resting_limit_are_canceled_also_by_one_who_did_not_send_them() -> None:
    venue = made_venue()
    ids: list[str] = []

    async def sends(exchange: Exchange) -> None:
        last = venue.tapes[SYMBOL].last
        await exchange.place(BUY)
        venue.open_bar()
        stop = replace(protective(venue), stop_price=round(last * 0.5, 2))
        ids.append((await exchange.place(stop)).venue_id)
        limit = OrderRequest(SYMBOL, "buy", "limit", 1.0, "lock0003", price=round(last * 0.5, 2), post_only=True)
        ids.append((await exchange.place(limit)).venue_id)

    async def another(exchange: Exchange) -> None:
        assert {one.venue_id for one in await exchange.open_orders(SYMBOL)} == set(ids)

    async def cancels(exchange: Exchange) -> None:
        for venue_id in ids:
            await exchange.cancel(SYMBOL, venue_id)
        assert await exchange.open_orders(SYMBOL) == []

    for question in (sends, another, cancels):
        asked(venue, question)


def test_a_triggered_limit_that_still_rests_is_canceled_by_the_id_of_its_stop() -> None:
    venue = made_venue()
    tape = venue.tapes[SYMBOL]

    async def question(exchange: Exchange) -> None:
        await exchange.place(BUY)
        venue.open_bar()
        level = protective(venue).stop_price
        stop = replace(protective(venue, "stop_limit"), price=round(float(tape.bars.high[20]) * 2.0, 2))
        report = await exchange.place(stop)
        venue.close_bar()
        assert venue.accounts[KEY].by_client_id["lock0002"].triggered, f"{level} was met, and nobody pays that much"
        found = await exchange.find(stop)
        assert found is not None
        assert (found.status, found.filled, found.venue_id) == ("open", 0.0, report.venue_id)
        await exchange.cancel(SYMBOL, report.venue_id, "lock0002")
        found = await exchange.find(stop)
        assert found is not None
        assert found.status == "canceled"

    asked(venue, question)


def test_streams_tell_a_stop_once_under_its_own_ids_and_its_fill() -> None:
    venue = made_venue()

    async def question(exchange: Exchange) -> None:
        seen: list[Any] = []

        async def follow() -> None:
            while True:
                seen.extend(await exchange.watch_orders())

        fills: list[Any] = []

        async def follow_fills() -> None:
            while True:
                fills.extend(await exchange.watch_fills())

        tasks = [asyncio.ensure_future(follow()), asyncio.ensure_future(follow_fills())]
        await asyncio.sleep(0.3)
        await exchange.place(BUY)
        venue.open_bar()
        report = await exchange.place(protective(venue))
        await asyncio.sleep(0.05)
        venue.close_bar()
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stop = [one for one in seen if one.client_id == "lock0002"]
        assert {one.venue_id for one in stop} == {report.venue_id}
        assert (stop[0].status, stop[-1].status, stop[-1].filled) == ("open", "filled", 1.5)
        assert all(one.status == "open" for one in stop[:-1])
        assert [fill.client_id for fill in fills] == ["lock0001", "lock0002"]
        assert all(not math.isnan(fill.fee) for fill in fills)

    asked(venue, question)


def test_refusals_below_the_filters_and_for_money_are_refusals_and_keys_stop_the_bot() -> None:
    venue = made_venue()

    async def question(exchange: Exchange) -> None:
        with pytest.raises(Refuse, match="nothing was sent"):
            await exchange.place(replace(BUY, quantity=0.0001))
        for request, code in (
            (replace(BUY, quantity=0.01), "-4164"),
            (replace(BUY, quantity=1000.0), "-2019"),
            (replace(BUY, side="sell", reduce_only=True), "-2022"),
            (replace(protective(venue), side="sell", reduce_only=False, stop_price=500.0), "-2021"),
        ):
            with pytest.raises(Refused, match=code):
                await exchange.place(request)
        await exchange.place(replace(BUY, kind="limit", price=50.0))
        with pytest.raises(Unknown, match="-4116"):
            await exchange.place(replace(BUY, kind="limit", price=50.0))
        with pytest.raises(AskAgain, match="-1125"):
            await exchange._ask(exchange.client.fapiPrivatePutListenKey(), "read")
        exchange.client.secret = "another"
        with pytest.raises(Stopped, match="-1022"):
            await exchange.place(replace(BUY, client_id="lock0009"))

    asked(venue, question)
    assert len(venue.accounts[KEY].orders) == 1


@pytest.mark.parametrize(
    ("status", "made", "told"),
    [
        ("NEW", "", "open"),
        ("TRIGGERING", "", "open"),
        ("TRIGGERED", "", "open"),
        ("FINISHED", "", "canceled"),
        ("REJECTED", "", "rejected"),
        ("EXPIRED", "", "expired"),
    ],
)
def test_an_algo_order_is_filled_only_if_the_order_it_made_says_so(status: str, made: str, told: str) -> None:
    import ccxt

    info = {"algoId": 7, "clientAlgoId": "x", "algoStatus": status, "actualOrderId": made, "symbol": "BTCUSDT"}
    client = ccxt.binanceusdm()
    order = client.parse_order(info | {"side": "SELL", "orderType": "STOP_MARKET", "quantity": "1"})

    async def ask(*_: Any) -> Any:
        raise AssertionError("nothing is asked")

    assert Orders(client, ask).seen(order)["status"] == told


@pytest.mark.parametrize("before_ms", [0, 10 * 86_400_000])
def test_executions_from_a_time_on_are_all_there_though_an_answer_holds_a_week(
    before_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.execution.usdm._PAGE", 2)
    venue = made_venue()
    since = int(venue.tapes[SYMBOL].bars.time[0]) - before_ms

    async def question(exchange: Exchange) -> None:
        for number, side in enumerate(("buy", "buy", "buy", "sell")):
            await exchange.place(replace(BUY, side=side, client_id=f"lock{number}"))  # type: ignore[arg-type]
            for _ in range((30, 40, 100, 1)[number]):
                venue.release()
        found = await exchange.fills(SYMBOL, since)
        assert [fill.side for fill in found] == ["buy", "buy", "buy", "sell"]
        assert len({fill.trade_id for fill in found}) == 4
        times = [fill.time_ns // 1_000_000 for fill in found]
        assert times == sorted(times)
        assert times[-1] - since > 7 * 86_400_000
        later = await exchange.fills(SYMBOL, times[1] + 1)
        assert [fill.trade_id for fill in later] == [fill.trade_id for fill in found[2:]]

    asked(venue, question)


def test_funding_is_told_with_its_contract_and_the_book_estimates_an_order() -> None:
    venue = made_venue()
    due = int(venue.tapes[SYMBOL].bars.time[venue.tapes[SYMBOL].shown + 1])
    venue._funding[SYMBOL] = Schedule(SYMBOL, (due,), (0.001,), venue.time_ms)

    async def ask(exchange: Exchange) -> None:
        venue.open_bar()
        await exchange.place(BUY)
        venue.close_bar()
        venue.open_bar()
        (paid,) = await exchange.funding(0)
        (known,) = next(iter(venue.accounts.values())).funding
        assert (paid.symbol, paid.time_ns) == (SYMBOL, known.time_ms * 1_000_000)
        assert paid.amount == pytest.approx(known.amount, rel=1e-9)
        assert paid.amount < 0.0
        assert await exchange.funding(due + 1) == []
        assert exchange.pays_funding
        found = await exchange.estimate(replace(BUY, quantity=0.001))
        assert found is not None
        assert found.best == venue.tapes[SYMBOL].book()[1][0][0]
        assert found.share == 0.0
        huge = await exchange.estimate(replace(BUY, quantity=1e9))
        assert huge is not None
        assert huge.share == math.inf

    asked(venue, ask)
