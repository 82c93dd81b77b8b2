"""When faults act, what is written down of them, and how they are armed from outside."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from engine.cli import main
from engine.venue.events import CandleChanged, Event
from engine.venue.faults import TABLE, Faults
from engine.venue.faults.kinds import ALL
from engine.venue.faults.table import markdown
from parquet_store.errors import Usage
from tests.data import ROOT
from tests.venue import test_faults, test_faults_okx
from tests.venue.client import made_venue
from tests.venue.faulty import SYMBOL, faulty

ccxt = pytest.importorskip("ccxt")


def told(faults: Faults, bars: int) -> list[int]:
    """Return when the closed candles open that are told of a venue with these faults."""
    venue, found = made_venue(), []

    def listen(event: Event) -> None:
        if isinstance(event, CandleChanged) and event.candle.closed:
            found.append(event.candle.open_ms)

    feed, _ = faults.between(venue, lambda: 0, "binance")
    feed.listen(listen)
    for _ in range(bars):
        venue.release()
    first = int(venue.tape(SYMBOL).bars.time[20])
    return [(time - first) // venue.length_ms for time in found]


def armed(name: str = "candle_skipped", seed: int = 1, **settings: Any) -> Faults:
    faults = Faults(seed)
    faults.arm(name, **settings)
    return faults


def test_the_table_has_forty_kinds_and_more_and_each_says_what_to_do() -> None:
    assert len(TABLE) >= 40
    for name, kind in TABLE.items():
        assert kind.name == name
        assert len(kind.does) > 10 < len(kind.client)
        assert kind.protocols
        assert set(kind.protocols) <= set(ALL)


def test_the_page_of_the_documentation_is_generated_from_the_table() -> None:
    make = (
        "run python -c 'from engine.venue.faults.table import markdown; print(markdown(), end=\"\")' > docs/faults.md"
    )
    assert (ROOT / "docs" / "faults.md").read_text() == markdown(), make


def test_a_fault_acts_as_often_as_told_after_as_many_opportunities_as_told() -> None:
    assert told(armed(), 5) == [1, 2, 3, 4]
    assert told(armed(times=2), 5) == [2, 3, 4]
    assert told(armed(times=0), 5) == []
    assert told(armed(times=2, after=1), 5) == [0, 3, 4]
    assert told(armed(on=SYMBOL), 2) == [1]
    assert told(armed(on="ETH/USDT"), 2) == [0, 1]


def test_a_fault_waits_for_its_bar_or_its_time() -> None:
    assert told(armed(at_bar=4), 5) == [0, 1, 2, 4]
    venue = made_venue()
    close = int(venue.tape(SYMBOL).bars.time[22]) + venue.length_ms - 1
    assert told(armed(at_ms=close), 5) == [0, 1, 3, 4]
    assert told(armed(at_ms=close + 1), 5) == [0, 1, 2, 4]


def test_a_seed_gives_the_same_faults_and_another_one_others() -> None:
    runs = {seed: [told(armed(seed=seed, times=0, probability=0.4), 60) for _ in range(2)] for seed in range(4)}
    assert all(first == second for first, second in runs.values())
    assert len({tuple(first) for first, _ in runs.values()}) == 4
    assert all(20 < len(first) < 52 for first, _ in runs.values()), "about three fifths of 60 are told"


def test_two_of_a_kind_draw_apart_and_the_first_armed_acts_first() -> None:
    faults = armed(times=0, probability=0.5)
    faults.arm("candle_skipped", times=0, probability=0.5)
    faults.arm("candle_repeated", times=1)
    found = told(faults, 60)
    assert 5 < len(set(found)) < 28, "about a quarter is told"
    assert found[0] == found[1], "the third acts where neither of the others does"
    assert len(found) == len(set(found)) + 1


def test_everything_that_happens_is_numbered_and_says_when_and_where() -> None:
    faults = armed(times=2, after=1)
    told(faults, 5)
    times = [int(made_venue().tape(SYMBOL).bars.time[20 + at]) + 3_600_000 - 1 for at in (1, 2)]
    assert [(one.number, one.name, one.opportunity, one.time_ms, one.what) for one in faults.record] == [
        (1, "candle_skipped", 2, times[0], f"candle {SYMBOL}"),
        (2, "candle_skipped", 3, times[1], f"candle {SYMBOL}"),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fill_repeted", "fill_repeated"),
        ("fill_repeated:time=2", "times"),
        ("fill_repeated:times", "NAME=VALUE"),
        ("fill_repeated:times=often", "whole number"),
        ("fill_repeated:times=-1", "whole number"),
        ("fill_repeated:times=1.5", "whole number"),
        ("fill_repeated:probability=0", "above 0"),
        ("fill_repeated:probability=2", "at most 1"),
        ("fill_repeated:size=nan", "number"),
    ],
)
def test_what_cannot_be_armed_is_refused_with_what_was_meant(text: str, found: str) -> None:
    with pytest.raises(Usage, match=found):
        Faults().arm_text(text)


def test_what_is_armed_by_text_is_what_it_says() -> None:
    one = Faults().arm_text("stream_closed:times=0,probability=0.25,after=3,at_bar=7,size=1001,on=candle")
    found = (one.kind.name, one.times, one.probability, one.after, one.at_bar, one.size, one.on)
    assert found == ("stream_closed", 0, 0.25, 3, 7, 1001.0, "candle")


def test_a_kind_the_protocol_does_not_have_is_refused() -> None:
    faults = Faults()
    faults.between(made_venue(), lambda: 0, "binance")
    with pytest.raises(Usage, match="binanceusdm"):
        faults.arm("liquidated")
    with pytest.raises(Usage, match="already"):
        faults.between(made_venue(), lambda: 0, "binance")
    with pytest.raises(Usage, match="expected binance"):
        armed("banned").between(made_venue(), lambda: 0, "coinbase")


def test_faults_are_armed_told_and_disarmed_over_the_control_routes() -> None:
    async def run() -> None:
        async with faulty() as bench:
            session, url = bench.client.session, bench.server.control_url

            async def post(body: str) -> tuple[int, Any]:
                async with session.post(f"{url}/fault", data=body) as answer:
                    return answer.status, await answer.json()

            status, found = await post(json.dumps({"name": "server_error", "times": 0, "on": "balance"}))
            assert (status, found["armed"]) == (200, [{"name": "server_error", "times": 0, "seen": 0, "acted": 0}])
            for body, expected in (
                ("{", "expected JSON"),
                ("[]", "expected JSON"),
                ('{"times": 1}', "expected JSON"),
                ('{"name": "server_eror"}', "server_error"),
                ('{"name": "server_error", "times": "x"}', "whole number"),
            ):
                status, found = await post(body)
                assert status == 400
                assert expected in found["error"]
            for _ in range(2):
                with pytest.raises(ccxt.OperationFailed):
                    await bench.client.fetch_balance()
            async with session.get(f"{url}/faults") as answer:
                found = await answer.json()
            assert found["armed"][0] | {"seen": 2, "acted": 2} == found["armed"][0]
            (one,) = found["record"]
            assert (one["name"], one["what"]) == ("server_error", "GET /api/v3/account"), "once for each thing it hit"
            async with session.delete(f"{url}/fault?name=server_error") as answer:
                assert (await answer.json())["armed"] == []
            assert (await bench.client.fetch_balance())["USDT"]["total"] == 10_000.0

    asyncio.run(run())


def test_no_secret_is_written_down() -> None:
    async def run() -> None:
        async with faulty() as bench:
            for name in ("reset_after", "login_refused", "stream_login_refused"):
                bench.faults.arm(name)
            for call in (bench.place(), bench.client.fetch_balance(), bench.client.watch_orders(SYMBOL)):
                with pytest.raises((ccxt.BaseError, KeyError)):
                    await asyncio.wait_for(call, 3)
            written = json.dumps(bench.faults.told())
            assert len(bench.faults.record) == 3
            assert bench.client.secret not in written
            assert "signature" not in written

    asyncio.run(run())


def test_the_command_lists_all_kinds_and_refuses_an_unknown_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["venue", "--list-faults"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in TABLE)
    assert main(["venue", "--data", "made:A/B:1d", "--lockstep", "--fault", "candle_lat"]) == 2
    assert "candle_late" in capsys.readouterr().err


def test_a_listen_key_that_expired_is_refused_in_the_venues_words() -> None:
    import ccxt.pro

    async def key(request: web.Request) -> web.Response:
        return web.json_response({"listenKey": "k"})

    async def run() -> None:
        faults, app = Faults(), web.Application()
        faults.between(made_venue(), lambda: 0, "binanceusdm")
        faults.add_to(app)
        app.router.add_route("*", "/fapi/v1/listenKey", key)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = ccxt.pro.binanceusdm({"apiKey": "k", "secret": "s", "verify": False, "timeout_on_exit": 0})
        client.urls["api"]["fapiPrivate"] = f"http://127.0.0.1:{runner.addresses[0][1]}/fapi/v1"
        try:
            assert await client.fapiPrivatePostListenKey() == {"listenKey": "k"}
            faults.arm("listen_key_expired")
            with pytest.raises(ccxt.BaseError, match="-1125"):
                await client.fapiPrivatePutListenKey()
            assert await client.fapiPrivatePutListenKey() == {"listenKey": "k"}
        finally:
            await client.close()
            await runner.cleanup()
        assert [one.what for one in faults.record] == ["PUT /fapi/v1/listenKey"]

    asyncio.run(run())


def test_no_kind_of_the_table_goes_unseen_by_a_client() -> None:
    here = {"listen_key_expired"}
    assert set(test_faults.SEEN) | set(test_faults_okx.SEEN) | here == set(TABLE)
