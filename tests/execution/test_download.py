"""Bars come from a venue whole, once, and byte for byte, whatever happens on the way."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp import web

from engine.execution.download import Done, Wanted, download
from engine.execution.download.ask import Asker
from engine.execution.download.bars import Source, closed_end
from engine.venue.core import Venue
from engine.venue.market import Market
from parquet_store import Failed, Store, Usage
from parquet_store.timeframe import Timeframe
from pipelines import Bars, load_bars
from tests.data import ROOT
from tests.execution.downloading import (
    COLUMNS,
    START,
    Watched,
    assert_same,
    bars_without,
    fetch,
    rows_of,
    unthrottled,
    venue_of,
    watched,
)
from tests.venue import coinbase_client
from tests.venue.client import COSTS, HOUR, made_bars

pytest.importorskip("ccxt")
BTC, ETH = "binance:BTC/USDT:1h", "binance:ETH/USDT:1h"


def told(found: Done) -> tuple[int, int, str]:
    """Return what is new, how much is absent, and what went wrong."""
    return found.new, found.absent, found.error


def test_two_symbols_are_stored_byte_for_byte_and_the_forming_candle_is_not(tmp_path: Path) -> None:
    btc, eth, store = made_bars(2500, 1), made_bars(2500, 2), Store(tmp_path)
    venue = venue_of(btc, eth, shown=2400)
    venue.open_bar()
    seen: list[tuple[str, int, int]] = []

    async def run() -> None:
        async with watched(venue) as served:
            done = await fetch(served, store, "BTC/USDT", "ETH/USDT", progress=lambda *moved: seen.append(moved))
            assert [told(one) for one in done] == [(2400, 0, ""), (2400, 0, "")]
            assert len(served.asked) == 2 * (1 + 3), "the newest candles, then three pages, of each"

    asyncio.run(run())
    assert_same(store, BTC, btc, 0, 2400)
    assert_same(store, ETH, eth, 0, 2400)
    assert (store.meta(BTC).calendar, store.meta(BTC).provenance) == ("24/7", ("binance by CCXT",))
    assert {one for one in seen if one[1] == one[2]} == {(BTC, 2400, 2400), (ETH, 2400, 2400)}


def test_what_is_stored_is_not_asked_for_again_and_what_came_since_is(tmp_path: Path) -> None:
    bars, store = made_bars(300), Store(tmp_path)
    venue = venue_of(bars, shown=200)

    async def run() -> None:
        async with watched(venue) as served:
            await fetch(served, store, until_ms=START + 50 * HOUR)
            assert served.starts == [0]
            await fetch(served, store, since_ms=None, until_ms=START + 150 * HOUR)
            assert served.starts == [0, 50]
            for _ in range(40):
                venue.release()
            (done,) = await fetch(served, store)
            assert served.starts == [0, 50, 150]
            assert (done.new, done.stored, done.questions) == (89, 239, 1)
            (done,) = await fetch(served, store)
            assert (done.new, done.stored, done.questions) == (0, 239, 0)

    asyncio.run(run())
    assert_same(store, BTC, bars, 0, 239)


def test_gaps_are_asked_for_twice_listed_remembered_and_asked_again_when_told(tmp_path: Path) -> None:
    bars, store = bars_without([10, 11, 60, *range(100, 130)]), Store(tmp_path)

    async def run() -> None:
        async with watched(venue_of(bars)) as served:
            (done,) = await fetch(served, store, since_ms=START - 30 * HOUR)
            gaps = [((low - START) // HOUR, (high - START) // HOUR, n) for low, high, n in done.gaps]
            assert gaps == [(10, 11, 2), (60, 60, 1), (100, 129, 30)]
            assert served.starts == [-30, -30], "one question covers all that is missing"
            (again,) = await fetch(served, store, since_ms=START - 30 * HOUR)
            assert (again.questions, again.gaps) == (0, done.gaps)
            (again,) = await fetch(served, store, since_ms=START - 30 * HOUR, recheck=True)
            assert (again.questions, again.gaps) == (2, done.gaps)

    asyncio.run(run())
    assert_same(store, BTC, bars, 0, -1)
    assert store.absent(BTC)["asked"].to_list() == [2, 2, 2, 2]


def test_an_answer_that_skips_repeats_or_shuffles_bars_changes_nothing(tmp_path: Path) -> None:
    bars, store = made_bars(1500), Store(tmp_path)

    async def run() -> None:
        async def meddle(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
            assert isinstance(answer, web.Response)
            rows = rows_of(answer)
            if "startTime" in request.query:
                if len(served.asked) == 2:
                    rows = rows[:200] + rows[230:] + rows[400:410]
                rows = rows[::-1]
            return web.json_response(rows)

        async with watched(venue_of(bars), meddle) as served:
            (done,) = await fetch(served, store)
            assert (told(done), done.questions) == ((1499, 0, ""), 3)
            assert served.starts[-1] == 200, "what was skipped is asked for again"

    asyncio.run(run())
    assert_same(store, BTC, bars, 0, 1499)


def test_cut_connections_errors_of_the_server_and_half_answers_are_asked_again(tmp_path: Path) -> None:
    bars, store = made_bars(5000), Store(tmp_path)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def meddle(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        turn = len(served.asked) % 5
        if turn == 1:
            assert request.transport is not None
            request.transport.abort()
        if turn == 2:
            return web.Response(status=503, text="<html>overloaded</html>")
        if turn == 3:
            assert isinstance(answer, web.Response)
            return web.Response(text=(answer.text or "")[:-20], content_type="application/json")
        return answer

    async def run() -> None:
        nonlocal served
        async with watched(venue_of(bars), meddle) as served:
            (done,) = await fetch(served, store, sleep=sleep)
            assert told(done) == (4999, 0, "")

    served: Watched
    asyncio.run(run())
    assert_same(store, BTC, bars, 0, 4999)
    assert len(served.asked) == 15
    assert waits == [0.5, 1.0] * 3, "a cut connection that had been kept open is asked again by aiohttp itself"


def test_a_limit_is_waited_out_as_the_venue_says_by_all_symbols_together(tmp_path: Path) -> None:
    btc, eth, store = made_bars(6000, 1), made_bars(6000, 2), Store(tmp_path)
    now_ms, waits = [1_700_000_000_000], []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0.02)  # long enough for the other symbol to be told the same
        now_ms[0] += round(seconds * 1000)

    async def run() -> None:
        async with watched(venue_of(btc, eth), clock=lambda: now_ms[0], weight_limit=28) as served:
            done = await fetch(served, store, "BTC/USDT", "ETH/USDT", sleep=sleep)
            assert [told(one) for one in done] == [(5999, 0, ""), (5999, 0, "")]

    asyncio.run(run())
    assert_same(store, BTC, btc, 0, 5999)
    assert set(waits) == {60.0}
    assert len(waits) <= 3, "two symbols told the same wait once"


def test_a_long_ban_ends_the_call_and_keeps_what_came(tmp_path: Path) -> None:
    bars, store = made_bars(3000), Store(tmp_path)

    async def meddle(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        if len(served.asked) < 4:
            return answer
        body = {"code": -1003, "msg": "Way too much request weight used; IP banned"}
        return web.json_response(body, status=418, headers={"Retry-After": "7200"})

    async def run() -> None:
        nonlocal served
        async with watched(venue_of(bars), meddle) as served:
            (done,) = await fetch(served, store)
            assert (done.new, done.stored) == (2000, 2000)
            assert "7,200 s" in done.error
            assert "-1003" in done.error
            served.meddle = None
            (done,) = await fetch(served, store)
            assert told(done) == (999, 0, "")

    served: Watched
    asyncio.run(run())
    assert_same(store, BTC, bars, 0, 2999)


def test_what_one_symbol_is_refused_does_not_stop_the_other(tmp_path: Path) -> None:
    bars, store = made_bars(100), Store(tmp_path)

    async def meddle(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        if request.query["symbol"] == "ETHUSDT":
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        return answer

    async def run() -> None:
        async with watched(venue_of(bars, bars), meddle) as served:
            btc, eth = await fetch(served, store, "BTC/USDT", "ETH/USDT")
            assert told(btc) == (99, 0, "")
            assert "-1121" in eth.error
            assert eth.stored == 0

    asyncio.run(run())


def test_a_bar_that_cannot_be_is_set_aside_and_is_a_gap(tmp_path: Path) -> None:
    bars, store = made_bars(100), Store(tmp_path)

    async def meddle(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        assert isinstance(answer, web.Response)
        rows = rows_of(answer)
        for row in rows:
            if row[0] == START + 40 * HOUR:
                row[2] = "0.01"  # the high below everything
        return web.json_response(rows)

    async def run() -> None:
        async with watched(venue_of(bars), meddle) as served:
            (done,) = await fetch(served, store)
            assert (done.new, done.quarantined, done.absent) == (98, 1, 1)
            (done,) = await fetch(served, store)
            assert (done.new, done.quarantined, done.absent, done.questions) == (0, 0, 1, 0)

    asyncio.run(run())
    (aside,) = (tmp_path / "quarantine").rglob("*.parquet")
    assert pl.read_parquet(aside)["reason"].to_list() == ["high is below open or close"]


def test_gaps_are_filled_from_another_venue_only_when_told_and_told_apart(tmp_path: Path) -> None:
    whole, bars, store = made_bars(200), bars_without([50, 51, 120]), Store(tmp_path)
    other = bars_without([51], seed=7)

    async def run() -> None:
        async with watched(venue_of(bars)) as served, watched(venue_of(other)) as second:
            (done,) = await fetch(served, store)
            assert (done.repaired, done.absent) == (0, 3)
            more: dict[str, Any] = {"repair_from": "binanceus", "repair_url": second.server.rest_url}
            (done,) = await fetch(served, store, **more)
            assert (done.new, done.repaired, done.absent) == (0, 2, 1)
            repairs = store.repairs(BTC)
            assert [(x - START) // HOUR for x in repairs["ts"].to_physical()] == [50, 120]
            assert set(repairs["source"]) == {"binanceus"}
            seen = store.read(BTC)
            expected = other.close[[50, 119]]
            assert seen.join(repairs, on="ts", how="semi")["close"].to_list() == list(expected)
            assert store.read(BTC, repaired=False).equals(seen.join(repairs, on="ts", how="anti"))
            assert len(load_bars(store, BTC)) == len(load_bars(store, BTC, repaired=False)) + 2
            assert store.sql("select count(*) from repairs where source = 'binanceus'").fetchall() == [(2,)]
            (done,) = await fetch(served, store, **more)
            assert (done.questions, done.repaired, done.absent) == (2, 0, 1), "the second venue's gap alone"
        async with watched(venue_of(whole)) as healed:
            (done,) = await fetch(healed, store)
            assert (done.questions, len(store.repairs(BTC))) == (0, 2)
            (done,) = await fetch(healed, store, recheck=True)
            assert (done.new, done.absent, len(store.repairs(BTC))) == (1, 0, 0), "its own bars take their places"

    asyncio.run(run())
    assert_same(store, BTC, whole, 0, 199)


def test_a_venue_that_answers_by_windows_of_time_gives_the_same_bars(tmp_path: Path) -> None:
    """Coinbase answers for 300 bars from a time on, be there any or not."""
    bars, store = bars_without([10, 11, 400, *range(700, 1100)], count=1500), Store(tmp_path)
    venue = Venue({Market.of("BTC/USD", COSTS): bars}, history=len(bars) - 1)
    venue.open_bar()

    async def run() -> list[Done]:
        async with coinbase_client.Server(venue) as server:
            asked = Wanted("coinbase", ("BTC/USD",), "1h", START - 500 * HOUR, url=server.rest_url)
            return [
                *await download(asked, store, adjust=unthrottled),
                *await download(asked, store, adjust=unthrottled),
            ]

    done, again = asyncio.run(run())
    assert told(done) == (1096, 403, "")
    assert [missing for _, _, missing in done.gaps] == [2, 1, 400]
    assert (again.questions, again.gaps) == (0, done.gaps)
    assert_same(store, "coinbase:BTC/USD:1h", bars, 0, len(bars) - 1)


class Clocked:
    """A client of a venue with a clock, whose newest candle is forming."""

    id, has = "binance", {"fetchTime": True}

    def __init__(self, bars: Bars) -> None:
        self.bars, self.now_ms = bars, 0

    def milliseconds(self) -> int:
        return 0

    async def fetch_time(self) -> int:
        return self.now_ms

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int | None, limit: int) -> list[list[float]]:
        shown = [
            [int(self.bars.time[at]), *(float(getattr(self.bars, name)[at]) for name in COLUMNS[1:])]
            for at in range(len(self.bars))
            if self.bars.time[at] <= self.now_ms and (since is None or self.bars.time[at] >= since)
        ]
        return shown[-limit:] if since is None else shown[:limit]


def test_a_bar_counts_as_closed_some_seconds_after_its_end_by_the_venues_clock(tmp_path: Path) -> None:
    bars = made_bars(50)
    client = Clocked(bars)
    source, hour = Source(Asker(client), "BTC/USDT"), Timeframe.parse("1h")
    number = int(bars.number[0])

    def end(since_first_ms: int) -> int:
        client.now_ms = START + since_first_ms
        return asyncio.run(closed_end(source, hour))[0] - number

    assert [end(x) for x in (0, HOUR - 1, HOUR, HOUR + 4_999, HOUR + 5_000, 2 * HOUR)] == [-1, 0, 0, 0, 1, 1]
    assert end(500 * HOUR) == 50, "no candle beyond the newest the venue shows is asked for"
    client.bars = bars.slice(0, 0)
    assert end(10 * HOUR) < 0, "nothing is there to ask for"


def test_a_download_that_is_cancelled_keeps_what_came(tmp_path: Path) -> None:
    bars, store = made_bars(4000), Store(tmp_path)

    async def run() -> None:
        reached = asyncio.Event()

        async def meddle(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
            if len(served.asked) == 4:
                reached.set()
                await asyncio.sleep(60.0)
            return answer

        async with watched(venue_of(bars), meddle) as served:
            task = asyncio.create_task(fetch(served, store))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert_same(store, BTC, bars, 0, 2000)

    asyncio.run(run())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_download_killed_in_the_middle_leaves_a_whole_store_and_is_gone_on_with(tmp_path: Path) -> None:
    bars, store = made_bars(4000), Store(tmp_path / "store")
    code = "import sys, engine.execution.download.bars as bars; bars.FLUSH_ROWS = 1000; import engine.cli as cli; "

    async def run() -> None:
        reached = asyncio.Event()

        async def meddle(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
            if len(served.asked) == 4:
                reached.set()
                await asyncio.sleep(60.0)
            return answer

        async with watched(venue_of(bars), meddle) as served:
            words = ["data", "download", "binance", "BTC/USDT", "1h", "--since", "2020-01-01", "--json"]
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code + "sys.exit(cli.main())", *words,
                "--url", served.server.rest_url, "--store", str(tmp_path / "store"),
                env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            await asyncio.wait_for(reached.wait(), 60.0)
            child.send_signal(signal.SIGKILL)
            await child.wait()
            assert_same(store, BTC, bars, 0, 2000)
            served.meddle = None
            served.asked.clear()
            (done,) = await fetch(served, store)
            assert served.starts == [2000, 3000]
            assert told(done) == (1999, 0, "")

    asyncio.run(run())
    assert_same(store, BTC, bars, 0, 3999)


def asked_wrongly(tmp_path: Path, **wrong: Any) -> str:
    """Return what is said to a request that cannot be done at a venue of BTC/USDT."""

    async def run() -> str:
        async with watched(venue_of(made_bars(30))) as served:
            right: dict[str, Any] = {"venue": "binance", "symbols": ("BTC/USDT",), "timeframe": "1h", "since_ms": START}
            asked = Wanted(**(right | {"url": served.server.rest_url} | wrong))
            with pytest.raises(Usage) as found:
                await download(asked, Store(tmp_path), adjust=unthrottled)
            assert not served.asked
            return str(found.value)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"venue": "binanse"}, 'unknown venue "binanse": did you mean "binance"?'),
        ({"symbols": ("BTC/USDC",)}, 'unknown symbol of binance "BTC/USDC": did you mean "BTC/USDT"?'),
        ({"symbols": ("BTCUSDT",)}, '"BTCUSDT" is no symbol: expected BASE/QUOTE'),
        ({"timeframe": "7h"}, 'unknown timeframe of binance "7h": did you mean'),
        ({"timeframe": "60m"}, 'timeframe "60m" is written "1h"'),
        ({"timeframe": ""}, "bars need a timeframe"),
        ({"market": "futures"}, 'unknown market "futures"'),
        ({"repair_from": "binance"}, "expected another venue"),
        ({"repair_from": "okey"}, 'unknown venue "okey"'),
        ({"kind": "trades", "repair_from": "okx"}, "of two venues are not the same"),
        ({"symbols": ("BTC/USDT", "BTC/USDT:USDT")}, "spot markets and perpetuals at once"),
        ({"kind": "funding", "market": "spot"}, "those of perpetuals"),
        ({"url": "https://api.binance.com"}, "expected the address of a venue on this machine"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_nearest_name(
    tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    assert said in asked_wrongly(tmp_path, **wrong)


def test_a_venue_that_cannot_be_reached_is_told_with_the_remedy(tmp_path: Path) -> None:
    async def run() -> None:
        async with watched(venue_of(made_bars(30))) as served:
            url = served.server.rest_url
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        asked = Wanted("binance", ("BTC/USDT",), "1h", START, url=url)
        with pytest.raises(Failed, match=r"\(ExchangeNotAvailable\); asked 4 times: check the network"):
            await download(asked, Store(tmp_path), sleep=sleep, adjust=unthrottled)
        assert waits == [0.5, 1.0, 2.0]

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def test_a_series_that_is_not_stored_needs_a_beginning(tmp_path: Path) -> None:
    async def run() -> None:
        async with watched(venue_of(made_bars(30))) as served:
            with pytest.raises(Usage, match="say from when, as in --since"):
                await fetch(served, Store(tmp_path), since_ms=None)

    asyncio.run(run())
