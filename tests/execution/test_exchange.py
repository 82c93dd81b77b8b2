"""A venue is asked through CCXT and answers in records; what fails says what it means."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.execution.client import client_of
from engine.execution.exchange import Exchange
from engine.execution.orders import Balance, OrderRequest
from engine.execution.outcome import Refused, Stopped, Unknown
from engine.settings import BotSettings, Credentials, Secret, parse_settings
from engine.venue.core import Venue
from engine.venue.server import Server
from parquet_store.errors import Refuse, Usage
from tests.venue.client import KEY, SECRET, made_venue

pytest.importorskip("ccxt")
SYMBOL = "BTC/USDT"
KEYS = Credentials(Secret(KEY), Secret(SECRET), None)
BUY = OrderRequest(SYMBOL, "buy", "market", 1.5, "lock0001")


def settings_for(rest: str, stream: str, mode: str = "paper", name: str = "binance") -> BotSettings:
    """Return the settings of a bot at a venue."""
    text = f"""
mode = "{mode}"
[venue]
name = "{name}"
rest_url = "{rest}"
stream_url = "{stream}"
[[manifests]]
path = "a.json"
symbols = ["{SYMBOL}"]
share = 1.0
"""
    return parse_settings(text, "bot.toml", Path())


def asked(venue: Venue, question: Callable[[Exchange, Server], Awaitable[None]], keys: Credentials = KEYS) -> None:
    """Ask a served venue, as a bot would."""

    async def run() -> None:
        async with Server(venue) as server:
            client = client_of(settings_for(server.rest_url, server.stream_url), keys)
            async with Exchange(client, (keys.secret.reveal(), keys.key.reveal())) as exchange:
                await question(exchange, server)

    asyncio.run(run())


def test_an_order_is_placed_found_by_its_client_id_filled_and_told() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: Server) -> None:
        sent = await exchange.place(BUY)
        assert (sent.status, sent.filled, sent.client_id) == ("open", 0.0, "lock0001")
        assert math.isnan(sent.average_price)
        assert [x.client_id for x in await exchange.open_orders(SYMBOL)] == ["lock0001"]
        venue.open_bar()
        done = await exchange.find(BUY)
        assert done is not None
        price = venue.tapes[SYMBOL].bars.open[20] * 1.0005
        assert (done.status, done.filled, done.average_price) == ("filled", 1.5, pytest.approx(price))
        (fill,) = await exchange.fills(SYMBOL)
        assert (fill.venue_id, fill.price, fill.quantity, fill.side) == (done.venue_id, price, 1.5, "buy")
        assert (fill.fee, fill.fee_currency) == (pytest.approx(0.001 * 1.5 * price), "USDT")
        balances = {x.currency: x for x in await exchange.balances()}
        assert balances["BTC"] == Balance("BTC", 6.5, 0.0)

    asked(venue, question)


def test_an_order_the_venue_does_not_know_is_none_and_a_canceled_one_says_so() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: Server) -> None:
        assert await exchange.find(BUY) is None
        resting = replace(BUY, kind="limit", price=venue.tapes[SYMBOL].last * 0.5, client_id="lock0002")
        sent = await exchange.place(resting)
        await exchange.cancel(sent.symbol, sent.venue_id, sent.client_id)
        found = await exchange.find(resting)
        assert found is not None
        assert (found.status, found.filled) == ("canceled", 0.0)
        with pytest.raises(Unknown, match="the order may still stand"):
            await exchange.cancel(sent.symbol, sent.venue_id, sent.client_id)

    asked(venue, question)


def test_a_venue_whose_orders_are_not_moved_says_so() -> None:
    async def question(exchange: Exchange, server: Server) -> None:
        assert not exchange.amends
        with pytest.raises(Usage, match="cancel it and send another one"):
            await exchange.amend(replace(BUY, kind="limit", price=50.0), "1")

    asked(made_venue(), question)


def test_markets_candles_and_quotes_are_told_as_the_venue_has_them() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: Server) -> None:
        rules = exchange.rules(SYMBOL)
        assert (rules.price_tick, rules.quantity_step, rules.min_notional) == (0.01, 0.001, 5.0)
        assert (rules.base, rules.quote, rules.contract_size) == ("BTC", "USDT", 1.0)
        bars = venue.tapes[SYMBOL].bars
        rows = await exchange.candles(SYMBOL, "1h", int(bars.time[5]), 3)
        assert [row[0] for row in rows] == bars.time[5:8].tolist()
        assert [row[4] for row in rows] == bars.close[5:8].tolist()
        quote = await exchange.quote(SYMBOL)
        assert quote.bid < venue.tapes[SYMBOL].last < quote.ask
        with pytest.raises(Usage, match="BTC/USDT"):
            exchange.rules("BTC/USD")

    asked(venue, question)


def test_the_candle_that_closes_comes_by_the_stream() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: Server) -> None:
        first = asyncio.ensure_future(exchange.watch_candles(SYMBOL, "1h"))
        for _ in range(200):
            await asyncio.sleep(0.02)
            if first.done():
                break
            venue.open_bar()
            venue.close_bar()
        rows = await asyncio.wait_for(first, 5)
        bars = venue.tapes[SYMBOL].bars
        at = bars.time.tolist().index(rows[-1][0])
        assert rows[-1][1] == bars.open[at]

    asked(venue, question)


def test_a_quantity_is_rounded_down_and_what_is_too_small_is_not_sent() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: Server) -> None:
        sent = await exchange.place(replace(BUY, quantity=1.23499))
        assert sent.quantity == 1.234
        with pytest.raises(Refuse, match="nothing was sent"):
            await exchange.place(replace(BUY, quantity=0.0004, client_id="lock0003"))
        with pytest.raises(Refuse, match=r"expected at least 5.*nothing was sent"):
            await exchange.place(replace(BUY, kind="limit", quantity=0.01, price=50.0, client_id="lock0004"))
        assert len(await exchange.open_orders(SYMBOL)) == 1

    asked(venue, question)


def test_what_the_venue_refuses_is_this_order_only_and_a_wrong_key_stops_everything() -> None:
    venue = made_venue()

    async def too_much(exchange: Exchange, _: Server) -> None:
        with pytest.raises(Refused, match="no order was placed") as told:
            await exchange.place(replace(BUY, quantity=1_000_000.0))
        assert told.value.outcome.reason == "InsufficientFunds"

    async def wrong(exchange: Exchange, _: Server) -> None:
        with pytest.raises(Stopped, match="trading stops") as told:
            await exchange.place(BUY)
        assert "another" not in str(told.value)
        assert "signature=" not in str(told.value)

    asked(venue, too_much)
    asked(venue, wrong, Credentials(Secret(KEY), Secret("another"), None))


def test_an_order_whose_answer_is_lost_is_unknown_and_then_found() -> None:
    venue = made_venue()

    async def question(exchange: Exchange, _: Server) -> None:
        true_fetch = exchange.client.fetch

        async def lost(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            from ccxt import RequestTimeout

            await true_fetch(url, method, headers, body)
            raise RequestTimeout(f"binance {method} {url}")

        exchange.client.fetch = lost
        with pytest.raises(Unknown, match="asked for by client id lock0001, not sent again"):
            await exchange.place(BUY)
        exchange.client.fetch = true_fetch
        found = await exchange.find(BUY)
        assert found is not None
        assert found.status == "open"

    asked(venue, question)


@pytest.mark.parametrize(("name", "host"), [("binance", "demo-api.binance.com"), ("okx", None)])
def test_a_demo_client_reaches_nothing_else(name: str, host: str | None) -> None:
    client = client_of(settings_for("", "", "demo", name))
    if host:
        assert host in client.urls["api"]["private"]
    else:
        assert client.headers["x-simulated-trading"] == "1"
    asyncio.run(client.close())


def test_a_venue_without_demo_trading_is_refused() -> None:
    text = settings_for("", "", "paper", "coinbase")
    with pytest.raises(Usage, match="no demo trading"):
        client_of(text.model_copy(update={"mode": "demo"}))
