"""OKX through CCXT answers in base currency and under our own ids, though it counts contracts and renames stops."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execution.client import client_of
from engine.execution.contracts import to_base, to_contracts
from engine.execution.exchange import Exchange
from engine.execution.orders import OrderRequest
from engine.execution.outcome import Refused, Stopped, Unknown
from engine.execution.rights import KeyRights
from engine.settings import BotSettings, Credentials, Secret, parse_settings
from engine.venue.core import Venue
from engine.venue.funding import Schedule
from engine.venue.server import Server
from parquet_store.errors import Refuse
from tests.venue.client import HOUR, KEY, SECRET, made_bars
from tests.venue.okx_client import PASSPHRASE, SPOT, SWAP_COSTS, SYMBOL, made_spot_venue, made_venue

pytest.importorskip("ccxt")
KEYS = Credentials(Secret(KEY), Secret(SECRET), Secret(PASSPHRASE))
BUY = OrderRequest(SYMBOL, "buy", "market", 1.503, "lock0001")
Question = Callable[[Exchange], Awaitable[None]]


def settings_for(rest: str, stream: str, symbol: str = SYMBOL, mode: str = "paper") -> BotSettings:
    """Return the settings of a bot at OKX."""
    urls = f'rest_url = "{rest}"\nstream_url = "{stream}"' if rest else ""
    text = f"""
mode = "{mode}"
[venue]
name = "okx"
market = "{"perpetual" if ":" in symbol else "spot"}"
{urls}
[[manifests]]
path = "a.json"
symbols = ["{symbol}"]
share = 1.0
"""
    return parse_settings(text, "bot.toml", Path())


def asked(venue: Venue, question: Question, keys: Credentials = KEYS, symbol: str = SYMBOL) -> None:
    """Ask a served venue, as a bot would."""

    async def run() -> None:
        async with Server(venue, protocol="okx") as server:
            client = client_of(settings_for(server.rest_url, server.stream_url, symbol), keys)
            async with Exchange(client, (keys.secret.reveal(), keys.key.reveal())) as exchange:
                await question(exchange)

    asyncio.run(run())


@given(
    lots=st.integers(1, 10**9),
    lot=st.sampled_from(["1", "0.1", "0.01"]),
    size=st.sampled_from(["0.01", "0.1", "1", "1000", "0.00025"]),
)
def test_whole_lots_stay_whole_lots_in_base_currency_and_back(lots: int, lot: str, size: str) -> None:
    contracts = float(Fraction(lot) * lots)
    base = to_base(contracts, float(size))
    assert base == float(Fraction(lot) * lots * Fraction(size))
    assert to_contracts(base, float(size)) == contracts


def test_quantities_prices_and_fees_of_an_order_are_in_base_currency() -> None:
    venue = made_venue()

    async def question(exchange: Exchange) -> None:
        rules = exchange.rules(SYMBOL)
        assert (rules.quantity_step, rules.contract_size, rules.price_tick) == (0.1, 0.01, 0.01)
        await exchange.set_leverage(SYMBOL, 2.5)
        assert venue.position(venue.accounts[KEY], SYMBOL).leverage == 3.0
        sent = await exchange.place(replace(BUY, quantity=1.50399))
        assert (sent.status, sent.filled, sent.client_id) == ("open", 0.0, "lock0001")
        (order,) = venue.accounts[KEY].orders.values()
        assert order.asked.quantity == 1.503, "rounded down to a tenth of a contract"
        (waiting,) = await exchange.open_orders(SYMBOL)
        assert (waiting.client_id, waiting.quantity, waiting.venue_id) == ("lock0001", 1.503, sent.venue_id)
        venue.open_bar()
        done = await exchange.find(BUY)
        assert done is not None
        price = venue.tapes[SYMBOL].bars.open[20] * 1.0005
        assert (done.status, done.filled, done.average_price) == ("filled", 1.503, price)
        for fills in (await exchange.fills(SYMBOL), await exchange.fills_of(SYMBOL, done.venue_id)):
            (fill,) = fills
            assert (fill.venue_id, fill.client_id) == (done.venue_id, "lock0001")
            assert (fill.price, fill.quantity, fill.side, fill.maker) == (price, 1.503, "buy", False)
            assert (fill.fee, fill.fee_currency) == (pytest.approx(0.0005 * 1.503 * price), "USDT")
        assert await exchange.find(replace(BUY, client_id="another")) is None
        with pytest.raises(Refuse, match="nothing was sent"):
            await exchange.place(replace(BUY, quantity=0.0009, client_id="small"))
        limit = replace(BUY, kind="limit", price=50.0, client_id="rests", quantity=0.5)
        resting = await exchange.place(limit)
        await exchange.cancel(SYMBOL, resting.venue_id, "rests")
        gone = await exchange.find(limit)
        assert gone is not None
        assert (gone.status, gone.filled, gone.quantity) == ("canceled", 0.0, 0.5)
        with pytest.raises(Unknown) as again:
            await exchange.cancel(SYMBOL, resting.venue_id, "rests")
        assert again.value.outcome.absent

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


def test_a_stop_keeps_its_ids_when_it_becomes_an_ordinary_order() -> None:
    venue = made_venue()

    async def question(exchange: Exchange) -> None:
        await exchange.place(BUY)
        venue.open_bar()
        low = float(venue.tapes[SYMBOL].bars.low[20])
        stop = OrderRequest(SYMBOL, "sell", "stop", 1.503, "stop1", stop_price=round(low + 0.01, 2), reduce_only=True)
        target = replace(stop, kind="take_profit", client_id="target1", stop_price=1000.0)
        sent, other = await exchange.place(stop), await exchange.place(target)
        assert {x.client_id: x.quantity for x in await exchange.open_orders(SYMBOL)} == {
            "stop1": 1.503,
            "target1": 1.503,
        }
        waiting = await exchange.find(stop)
        assert waiting is not None
        assert (waiting.status, waiting.filled, waiting.kind, waiting.venue_id) == ("open", 0.0, "stop", sent.venue_id)
        assert await exchange.fills_of(SYMBOL, sent.venue_id) == []
        await exchange.cancel(SYMBOL, other.venue_id, "target1")
        ended = await exchange.find(target)
        assert ended is not None
        assert ended.status == "canceled"
        venue.close_bar()
        assert await exchange.open_orders(SYMBOL) == []
        done = await exchange.find(stop)
        assert done is not None
        assert (done.status, done.filled, done.venue_id) == ("filled", 1.503, sent.venue_id)
        assert done.average_price == stop.stop_price * 0.9995
        (fill,) = await exchange.fills_of(SYMBOL, sent.venue_id)
        assert (fill.client_id, fill.venue_id, fill.quantity) == ("stop1", sent.venue_id, 1.503)
        assert [x.client_id for x in await exchange.fills(SYMBOL)] == ["lock0001", "stop1"]
        with pytest.raises(Unknown) as late:
            await exchange.cancel(SYMBOL, sent.venue_id, "stop1")
        assert late.value.outcome.absent
        # one that has forgotten which of its orders were stops
        again = Exchange(exchange.client)
        assert [x.client_id for x in await again.fills_of(SYMBOL, sent.venue_id)] == ["stop1"]
        assert [(x.client_id, x.venue_id) for x in await again.fills(SYMBOL)][-1] == ("stop1", sent.venue_id)
        third = await exchange.place(OrderRequest(SYMBOL, "buy", "stop", 0.5, "stop3", stop_price=1000.0))
        await Exchange(exchange.client).cancel(SYMBOL, third.venue_id, "stop3")
        assert await exchange.open_orders(SYMBOL) == []

    asked(venue, question)


def test_news_of_orders_stops_and_fills_is_streamed_under_our_ids() -> None:
    venue = made_venue()

    async def question(exchange: Exchange) -> None:
        orders, fills = asyncio.create_task(exchange.watch_orders()), asyncio.create_task(exchange.watch_fills())
        candles = asyncio.create_task(exchange.watch_candles(SYMBOL, "1h"))
        await asyncio.sleep(0.2)
        sent = await exchange.place(BUY)
        seen = await asyncio.wait_for(orders, 5)
        assert [(x.client_id, x.status, x.quantity) for x in seen] == [("lock0001", "open", 1.503)]
        venue.open_bar()
        (fill,) = await asyncio.wait_for(fills, 5)
        price = venue.tapes[SYMBOL].bars.open[20] * 1.0005
        assert (fill.client_id, fill.venue_id, fill.quantity, fill.price) == ("lock0001", sent.venue_id, 1.503, price)
        assert (fill.fee, fill.fee_currency) == (pytest.approx(0.0005 * 1.503 * price), "USDT")
        assert (await asyncio.wait_for(candles, 5))[-1][0] == venue.tapes[SYMBOL].bars.time[20]
        told: dict[str, list[tuple[str, str, float]]] = {"stop1": []}
        near = round(float(venue.tapes[SYMBOL].bars.low[20]) + 0.01, 2)
        stop = OrderRequest(SYMBOL, "sell", "stop", 1.503, "stop1", stop_price=near, reduce_only=True)

        async def collect() -> None:
            while not told["stop1"] or told["stop1"][-1][1] != "filled":
                for one in await exchange.watch_orders():
                    told.setdefault(one.client_id, []).append((one.venue_id, one.status, one.filled))

        collecting = asyncio.create_task(collect())
        filled = asyncio.create_task(exchange.watch_fills())
        await asyncio.sleep(0.05)
        placed = await exchange.place(stop)
        await asyncio.sleep(0.05)
        venue.close_bar()
        await asyncio.wait_for(collecting, 5)
        assert told["stop1"] == [(placed.venue_id, "open", 0.0), (placed.venue_id, "filled", 1.503)]
        (out,) = await asyncio.wait_for(filled, 5)
        assert (out.client_id, out.venue_id, out.side) == ("stop1", placed.venue_id, "sell")

    asked(venue, question)


def test_candles_and_fills_beyond_one_answer_are_all_there() -> None:
    from engine.venue.market import Market

    venue = Venue({Market.of(SYMBOL, SWAP_COSTS): made_bars(900)}, history=700)
    venue.open_account(KEY, SECRET, {"USDT": 10_000.0})
    bars = venue.tapes[SYMBOL].bars

    async def question(exchange: Exchange) -> None:
        found = await exchange.candles(SYMBOL, "1h", int(bars.time[10]), 650)
        assert [row[0] for row in found] == list(bars.time[10:660])
        assert [row[4] for row in found] == list(bars.close[10:660])
        rest = await exchange.candles(SYMBOL, "1h", int(bars.time[10]), 1000)
        assert [row[0] for row in rest] == list(bars.time[10:700])
        some = await exchange.candles(SYMBOL, "1h", int(bars.time[10]), 1000, int(bars.time[20]))
        assert [row[0] for row in some][:11] == list(bars.time[10:21])
        account, side = venue.accounts[KEY], ("buy", "sell")
        from engine.venue.order import Asked

        for k in range(130):
            venue.place(account, Asked(SYMBOL, side[k % 2], "market", 0.1, f"n{k}"))  # type: ignore[arg-type]
            venue.open_bar()
            venue.close_bar()
        assert [x.client_id for x in await exchange.fills(SYMBOL)] == [f"n{k}" for k in range(130)]

    asked(venue, question)


def test_daily_candles_are_those_of_utc() -> None:
    from engine.venue.market import Market
    from pipelines import Bars

    hourly = made_bars(40)
    time = 1_600_000_000_000 // (24 * HOUR) * (24 * HOUR) + 24 * HOUR * hourly.number[:40].argsort()
    values = (hourly.open, hourly.high, hourly.low, hourly.close, hourly.volume)
    bars = Bars.from_arrays("made:BTC/USDT:1d", "1d", time, *values)
    venue = Venue({Market.of(SYMBOL, SWAP_COSTS): bars}, history=20)
    venue.open_account(KEY, SECRET, {"USDT": 10_000.0})

    async def question(exchange: Exchange) -> None:
        assert [row[0] for row in await exchange.candles(SYMBOL, "1d", int(time[5]), 3)] == list(time[5:8])
        watched = asyncio.create_task(exchange.watch_candles(SYMBOL, "1d"))
        await asyncio.sleep(0.2)
        venue.open_bar()
        assert (await asyncio.wait_for(watched, 5))[-1][0] == time[20]

    asked(venue, question)


def test_spot_orders_are_in_base_currency_as_they_are() -> None:
    venue = made_spot_venue()

    async def question(exchange: Exchange) -> None:
        buy = OrderRequest(SPOT, "buy", "market", 1.5, "s1")
        await exchange.place(buy)
        stop = OrderRequest(SPOT, "sell", "stop", 1.5, "s2", stop_price=50.0, reduce_only=True)
        await exchange.place(stop)
        venue.open_bar()
        done, waiting = await exchange.find(buy), await exchange.find(stop)
        assert done is not None
        assert waiting is not None
        assert (done.filled, done.status, waiting.quantity, waiting.status) == (1.5, "filled", 1.5, "open")
        assert {x.currency: x.used for x in await exchange.balances()}["BTC"] == 1.5

    asked(venue, question, symbol=SPOT)


def test_a_wrong_key_or_passphrase_stops_and_a_duplicate_is_unknown() -> None:
    venue = made_venue()

    async def question(exchange: Exchange) -> None:
        await exchange.balances()  # from now on the key has this passphrase
        for wrong in (
            KEYS.__class__(KEYS.key, Secret("no"), KEYS.password),
            KEYS.__class__(KEYS.key, KEYS.secret, Secret("no")),
        ):
            client = exchange.client
            client.secret, client.password = wrong.secret.reveal(), wrong.password.reveal()  # type: ignore[union-attr]
            with pytest.raises(Stopped):
                await exchange.balances()
        exchange.client.secret, exchange.client.password = SECRET, PASSPHRASE
        rests = replace(BUY, kind="limit", price=50.0)
        await exchange.place(rests)
        with pytest.raises(Unknown):
            await exchange.place(rests)
        with pytest.raises(Refused):
            await exchange.place(replace(BUY, quantity=10_000.0, client_id="much"))
        assert math.isnan((await exchange.open_orders(SYMBOL))[0].average_price)

    asked(venue, question)


def test_a_demo_client_carries_the_header_of_simulated_trading() -> None:
    client = client_of(settings_for("", "", mode="demo"), KEYS)
    assert client.headers["x-simulated-trading"] == "1"
    assert client.options["fetchMarkets"] == {"types": ["swap"]}
    assert client.timeframes["1d"] == "1Dutc"
    assert client.timeframes["4h"] == "4H"


def test_funding_rights_and_the_dead_mans_switch_are_those_of_the_account() -> None:
    venue = made_venue()
    due = int(venue.tapes[SYMBOL].bars.time[venue.tapes[SYMBOL].shown + 1])
    venue._funding[SYMBOL] = Schedule(SYMBOL, (due,), (0.001,), venue.time_ms)

    async def ask(exchange: Exchange) -> None:
        assert await exchange.rights() == KeyRights(withdraws=False, bound=False)
        assert exchange.has_dead_man
        await exchange.still_here(60)
        venue.open_bar()
        await exchange.place(BUY)
        venue.close_bar()
        venue.open_bar()
        (paid,) = await exchange.funding(0)
        (known,) = next(iter(venue.accounts.values())).funding
        assert (paid.symbol, paid.time_ns) == (SYMBOL, known.time_ms * 1_000_000)
        assert paid.amount == pytest.approx(known.amount, rel=1e-9)
        await exchange.still_here(0)

    asked(venue, ask)
