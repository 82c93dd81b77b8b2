"""Robinhood's adapter against a local server that checks every signature."""

from __future__ import annotations

import asyncio
import base64
import math
import pickle
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.execution.orders import Balance, OrderRequest
from engine.execution.outcome import AskAgain, Refused, Stopped, Told, Unknown
from engine.execution.robinhood import Robinhood
from engine.execution.robinhood_answers import body_of, report_of, uuid_of
from engine.execution.robinhood_signature import Signer
from parquet_store.errors import Refuse, Usage
from tests.execution.robinhood_server import API_KEY, SEED, START, Server

NOW_NS = (int(START.timestamp()) + 40 * 3_600) * 1_000_000_000 + 250_000_000
BUY = OrderRequest("BTC/USD", "buy", "market", 0.5, "a1b2c3")
REST = OrderRequest("BTC/USD", "sell", "limit", 0.00000012, "rest1", price=120_000.5)


def against(
    scene: Callable[[Server, Robinhood], Awaitable[None]],
    ahead_s: float = 0.0,
    signer: Signer | None = None,
    **options: Any,
) -> None:
    """Play a scene with a server at `NOW_NS` and a client whose clock is ahead of it."""
    clock_ns = options.pop("clock_ns", lambda: NOW_NS)
    options.setdefault("timeout_s", 0.3)

    async def play() -> None:
        async with (
            Server(lambda: clock_ns() / 1e9) as server,
            Robinhood(
                signer or Signer(API_KEY, SEED),
                server.address,
                clock_ns=lambda: clock_ns() + int(ahead_s * 1e9),
                **options,
            ) as venue,
        ):
            await scene(server, venue)

    asyncio.run(play())


async def failure(call: Awaitable[object]) -> Told:
    try:
        await call
    except Told as error:
        return error
    raise AssertionError("nothing was raised")


def test_the_account_and_what_it_holds_are_read() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        account = await venue.account()
        assert (account.number, account.status, account.buying_power) == ("A1", "active", 1234.5)
        cash, btc, eth = await venue.balances()
        assert (cash.currency, cash.free) == ("USD", 1234.5)
        assert math.isnan(cash.used)
        assert (btc, eth) == (Balance("BTC", 0.3, 0.2), Balance("ETH", 2.0, 0.0))

    against(scene)


def test_only_pairs_that_trade_are_listed() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        markets = await venue.markets()
        assert [market.symbol for market in markets] == ["BTC/USD", "ETH/USD"]
        assert (markets[0].price_tick, markets[0].quantity_step, markets[0].min_quantity) == (0.01, 1e-8, 1e-6)
        assert [market.symbol for market in await venue.markets(["ETH/USD", "OLD/USD"])] == ["ETH/USD"]

    against(scene)


def test_quotes_hold_the_spread_and_the_time_to_the_microsecond() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        btc, eth = await venue.quotes(["BTC/USD", "ETH/USD"])
        assert (btc.symbol, btc.bid, btc.ask) == ("BTC/USD", 99.4, 100.6)
        assert eth.symbol == "ETH/USD"
        assert btc.time_ns == int(START.timestamp() + 4 * 3_600 + 1) * 1_000_000_000 + 123_456_000

    against(scene)


def test_estimates_come_from_the_side_asked_for_ten_at_a_time() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        bought = await venue.estimates("BTC/USD", "buy", [0.00000001, *range(1, 12)])
        assert [round(row.price - 100, 9) for row in bought] == [1e-8, *range(1, 12)]
        assert [row.side for row in await venue.estimates("BTC/USD", "sell", [1.0])] == ["sell"]
        assert len([path for path in server.asked if "estimated_price" in path]) == 3

    against(scene)


def test_a_market_order_is_placed_once_and_reported_with_its_fills() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        report = await venue.place(BUY)
        assert (report.client_id, report.status, report.filled, report.average_price) == (
            "a1b2c3",
            "filled",
            0.5,
            100.6,
        )
        assert report.time_ns == NOW_NS
        assert server.bodies[0]["market_order_config"] == {"asset_quantity": "0.5"}
        assert uuid.UUID(server.bodies[0]["client_order_id"]) == uuid.UUID(uuid_of("a1b2c3"))
        first, second = await venue.fills("BTC/USD")
        assert (first.price, second.price, first.quantity) == (100.7, 100.5, 0.25)
        assert first.client_id == "a1b2c3"
        assert first.trade_id != second.trade_id

    against(scene)


def test_a_resting_order_is_found_and_cancelled() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        report = await venue.place(REST)
        assert server.bodies[0]["limit_order_config"] == {
            "asset_quantity": "0.00000012", "limit_price": "120000.5", "time_in_force": "gtc"
        }  # fmt: skip
        assert (report.kind, report.status, report.price, report.quantity) == ("limit", "open", 120_000.5, 1.2e-7)
        assert math.isnan(report.average_price)
        assert await venue.orders(state="open") == (report,)
        await venue.cancel(report.venue_id)
        after = await venue.order(report.venue_id)
        assert after is not None
        assert after.status == "canceled"
        assert await venue.order(str(uuid.uuid4())) is None

    against(scene)


def test_every_page_is_read_and_each_is_signed() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        server.grow(7)
        assert len(await venue.orders("ETH/USD")) == 7
        assert sum("cursor=" in path for path in server.asked) == 3
        since = int((START.timestamp() + 5 * 3_600) * 1e9)
        assert len(await venue.orders(since_ns=since)) == 2

    against(scene)


def test_a_next_page_elsewhere_is_not_followed() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        server.grow(3)
        server.next_host = "https://elsewhere.test/collect/?cursor=1"
        error = await failure(venue.orders())
        assert "/collect/" in str(error)
        assert len(server.asked) == 1
        server.next_host = f"{server.address}/api/v1/crypto/trading/orders/"
        assert "do not end" in str(await failure(venue.orders()))

    against(scene)


@pytest.mark.parametrize("fault", ["late", "cut", "500", "text"])
def test_an_order_without_an_answer_is_unknown_and_found_by_its_client_id(fault: str) -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        server.grow(5)
        server.fault = fault
        error = await failure(venue.place(BUY))
        assert isinstance(error, Unknown)
        for part in ("robinhood", "placing an order", "BTC/USD", "client id a1b2c3", "not sent again"):
            assert part in str(error)
        found = await venue.find("a1b2c3", NOW_NS)
        assert found is not None
        assert (found.client_id, found.status, found.filled) == ("a1b2c3", "filled", 0.5)
        assert await venue.find("never", NOW_NS) is None

    against(scene)


def test_an_order_sent_twice_is_unknown_and_one() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        await venue.place(BUY)
        assert isinstance(await failure(venue.place(BUY)), Unknown)
        assert len(server.orders) == 1

    against(scene)


def test_a_refused_order_says_why() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        error = await failure(venue.place(replace(BUY, quantity=21.0)))
        assert isinstance(error, Refused)
        assert "above the largest order" in str(error)
        assert server.orders == []

    against(scene)


def test_too_many_requests_are_told_with_the_delay() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        server.fault = "429"
        error = await failure(venue.place(BUY))
        assert isinstance(error, AskAgain)
        assert error.outcome.delay_s == 3.0
        assert server.orders == []

    against(scene)


def test_a_cancellation_that_fails_leaves_the_order_to_be_asked_for() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        report = await venue.place(BUY)
        for venue_id in (report.venue_id, "nothing", "../../x"):  # filled; unknown; no way out of the path
            assert isinstance(await failure(venue.cancel(venue_id, "BTC/USD")), Unknown)
        resting = await venue.place(REST)
        server.fault = "late"
        assert isinstance(await failure(venue.cancel(resting.venue_id)), Unknown)
        after = await venue.order(resting.venue_id)
        assert after is not None
        assert after.status == "canceled"

    against(scene)


def test_a_wrong_key_halts_and_shows_none_of_it() -> None:
    other = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()

    async def scene(server: Server, venue: Robinhood) -> None:
        for error in (await failure(venue.place(BUY)), await failure(venue.account())):
            assert isinstance(error, Stopped)
            assert "Signature is invalid" in str(error)
            assert "clock" not in str(error)
            for text in (str(error), repr(error), repr(error.outcome), repr(venue)):
                assert API_KEY not in text
                assert other not in text
        assert server.orders == []

    against(scene, signer=Signer(API_KEY, other))


@pytest.mark.parametrize("ahead_s", [-31.0, 40.0])
def test_a_clock_too_far_apart_is_named(ahead_s: float) -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        error = await failure(venue.place(BUY))
        assert isinstance(error, Stopped)
        assert f"{ahead_s:+.0f} s from the venue's" in str(error)
        assert server.orders == []

    against(scene, ahead_s=ahead_s)


def test_a_request_signed_half_a_minute_ago_is_still_taken() -> None:
    async def scene(server: Server, venue: Robinhood) -> None:
        assert (await venue.account()).number == "A1"

    against(scene, ahead_s=-29.0)


def test_requests_wait_for_the_limit_and_are_signed_after_the_wait() -> None:
    begun = time.monotonic()

    async def scene(server: Server, venue: Robinhood) -> None:
        asked = time.monotonic()
        await asyncio.gather(*(venue.account() for _ in range(7)))
        assert time.monotonic() - asked > 1.1  # three, three, one
        assert len(server.asked) == 7

    # a clock 40 times as fast: a signature made before the waiting would be 48 s old
    fast = lambda: NOW_NS + int((time.monotonic() - begun) * 40e9)  # noqa: E731
    against(scene, limit=3, window_s=0.6, clock_ns=fast, timeout_s=5.0)


def test_no_server_is_told_as_such() -> None:
    async def play() -> None:
        async with Robinhood(Signer(API_KEY, SEED), "http://127.0.0.1:1", timeout_s=1.0) as venue:
            error = await failure(venue.place(BUY))
            assert isinstance(error, AskAgain)  # never sent
            assert "127.0.0.1" in str(error)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (replace(REST, kind="take_profit"), "take-profit"),
        (replace(REST, post_only=True), "post-only"),
        (replace(BUY, reduce_only=True), "short positions"),
        (replace(REST, time_in_force="ioc"), "ioc for limit"),
        (replace(BUY, symbol="BTC/USD:USD"), "derivatives"),
        (replace(BUY, quantity=0.0), "quantity is 0.0"),
        (replace(REST, price=math.nan), "price is nan"),
    ],
)
def test_what_the_venue_does_not_have_is_refused_before_it_is_sent(order: OrderRequest, words: str) -> None:
    with pytest.raises(Refuse, match=words):
        body_of(order)


def test_stops_are_written_as_the_venue_names_them() -> None:
    stop = body_of(OrderRequest("BTC/USD", "sell", "stop", 1.0, "x", stop_price=90.0, reduce_only=True))
    assert stop["type"] == "stop_loss"
    assert stop["stop_loss_order_config"] == {"asset_quantity": "1.0", "stop_price": "90.0", "time_in_force": "gtc"}
    both = body_of(OrderRequest("BTC/USD", "sell", "stop_limit", 1.0, "x", price=89.0, stop_price=90.0))
    assert both["stop_limit_order_config"] == {
        "asset_quantity": "1.0", "limit_price": "89.0", "stop_price": "90.0", "time_in_force": "gtc"
    }  # fmt: skip


def test_a_partly_filled_order_is_open_and_a_strange_one_is_no_answer() -> None:
    row = {
        "id": "1", "client_order_id": "u", "symbol": "BTC-USD", "side": "buy", "type": "limit",
        "state": "partially_filled", "filled_asset_quantity": 0.2, "average_price": 9,
        "created_at": "2026-05-01T00:00Z",
    }  # fmt: skip
    report = report_of(row, {"u": "ours"})
    assert (report.status, report.filled, report.average_price, report.client_id) == ("open", 0.2, 9.0, "ours")
    assert math.isnan(report.price)
    for strange in ({"state": "pending"}, {"side": "both"}, {"type": "twap"}, {"created_at": "soon"}):
        with pytest.raises((KeyError, ValueError)):
            report_of(row | strange, {})


def test_a_key_is_checked_before_anything_is_sent() -> None:
    seed = base64.b64decode(SEED)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    both = Signer(API_KEY, base64.b64encode(seed + public).decode())
    assert both.headers("GET", "/x", "", 0) == Signer(API_KEY, SEED).headers("GET", "/x", "", 0)
    for wrong in ("", "no base64!", base64.b64encode(b"short").decode(), base64.b64encode(seed + seed).decode()):
        with pytest.raises(Usage) as caught:
            Signer(API_KEY, wrong)
        assert not wrong or wrong not in str(caught.value)
    with pytest.raises(Usage, match="API key is empty"):
        Signer(" ", SEED)
    assert "rh-api" not in repr(both)
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(both)
