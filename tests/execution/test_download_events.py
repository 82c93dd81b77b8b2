"""Funding rates and trades: complete spans are not asked for again, and nothing between two answers is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.execution.download import Done, Wanted, download
from engine.execution.download.ask import Asker
from engine.execution.download.events import download_funding, download_trades
from parquet_store import FUNDING, TRADES, Events, Store, Usage
from tests.execution.downloading import START, unthrottled, venue_of, watched
from tests.venue.client import HOUR, made_bars

pytest.importorskip("ccxt")
SYMBOL = "BTC/USDT:USDT"
EIGHT = 8 * HOUR


class Rows:
    """A client that has rows: Binance gives the first ones from a time or a number on, OKX the last ones of a span."""

    def __init__(self, rows: list[dict[str, Any]], most: int = 1000, kind: str = "binance") -> None:
        self.rows, self.most, self.id = rows, most, kind
        self.has: dict[str, bool] = {}
        self.asked: list[tuple[int | None, int, dict[str, Any]]] = []

    def milliseconds(self) -> int:
        return START + 10_000 * EIGHT

    def feature_value(self, *what: Any) -> int:
        return self.most

    async def answer(self, symbol: str, since: int | None, limit: int, params: dict[str, Any]) -> list[dict[str, Any]]:
        self.asked.append((since, limit, params))
        until, number = params.get("until", params.get("after", 1 << 60) - 1), params.get("fromId", 0)
        kept = [row for row in self.rows if (since or 0) <= row["timestamp"] <= until and int(row["id"]) >= number]
        return kept[:limit] if self.id == "binance" else kept[-limit:]

    fetch_funding_rate_history = fetch_trades = answer


def paid(at: int, late: int = 0, rate: float = 1e-4) -> dict[str, Any]:
    return {"timestamp": START + at * EIGHT + late, "fundingRate": rate * (at + 1), "id": "0"}


@pytest.mark.parametrize("kind", ["binance", "okx"])
def test_funding_rates_are_dated_by_their_minute_gone_on_from_and_their_gaps_listed(tmp_path: Path, kind: str) -> None:
    rows = [paid(at, late=at % 7) for at in range(500) if at not in (40, 41, 300)]
    client = Rows(rows, most=100, kind=kind)
    events = Events(tmp_path, FUNDING, "binance", SYMBOL)

    async def run(until: int) -> Done:
        done = Done("x", "funding")
        await download_funding(Asker(client), events, SYMBOL, done, START, START + until * EIGHT)
        return done

    first = asyncio.run(run(200))
    assert (first.new, first.stored) == (198, 198)
    asked = len(client.asked)
    assert asyncio.run(run(200)).questions == 0
    second = asyncio.run(run(500))
    assert (second.new, second.stored) == (299, 497)
    assert client.asked[asked][0] == START + 200 * EIGHT
    assert [(low - START, high - START, n) for low, high, n in second.gaps] == [
        (39 * EIGHT, 42 * EIGHT, 2),
        (299 * EIGHT, 301 * EIGHT, 1),
    ]
    stored = events.read()
    assert stored["ts"].to_physical().to_list() == [row["timestamp"] - row["timestamp"] % 60_000 for row in rows]
    assert stored["funding_rate"].to_list() == [row["fundingRate"] for row in rows]
    assert events.covered() == [(START, START + 500 * EIGHT)]


def test_funding_rates_of_a_venue_whose_paging_is_not_known_are_refused(tmp_path: Path) -> None:
    events = Events(tmp_path, FUNDING, "kraken", SYMBOL)
    with pytest.raises(Usage, match="funding rates of kraken cannot be asked for by time"):
        asyncio.run(download_funding(Asker(Rows([], kind="kraken")), events, SYMBOL, Done("x"), START))
    assert not events.covered()


def test_trades_of_one_millisecond_that_fill_more_than_an_answer_are_all_stored(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    times = np.sort(np.concatenate([draw.integers(0, 3 * HOUR, 4000), np.full(3500, 5_000), np.full(999, HOUR - 1)]))
    rows = [
        {"timestamp": START + int(ms), "id": str(100 + at), "price": 100.0 + at, "amount": 0.5, "side": "buy"}
        for at, ms in enumerate(times)
    ]
    left = [row for row in rows if row["id"] not in ("2000", "2001")]
    events, client = Events(tmp_path, TRADES, "binance", "BTC/USDT"), Rows(left)

    async def run(since: int, until: int) -> Done:
        done = Done("x", "trades")
        await download_trades(Asker(client), events, "BTC/USDT", done, since, until)
        return done

    part = asyncio.run(run(START + HOUR, START + 2 * HOUR))
    whole = asyncio.run(run(START, START + 3 * HOUR))
    assert part.new + whole.new == len(left) == whole.stored
    assert whole.notes == ["2 trade numbers were left out by the venue"]
    assert events.read()["trade_id"].to_list() == [int(row["id"]) for row in left]
    assert asyncio.run(run(START, START + 3 * HOUR)).questions == 0
    assert any("fromId" in params for _, _, params in client.asked)


def test_trades_of_a_venue_that_cannot_be_asked_by_time_are_refused(tmp_path: Path) -> None:
    events = Events(tmp_path, TRADES, "okx", "BTC/USDT")
    with pytest.raises(Usage, match="trades of okx cannot be asked for by time"):
        asyncio.run(download_trades(Asker(Rows([], kind="okx")), events, "BTC/USDT", Done("x"), START))


def test_the_venues_trades_are_stored_as_it_has_them(tmp_path: Path) -> None:
    bars, store = made_bars(60), Store(tmp_path)
    venue = venue_of(bars)

    async def run() -> list[Done]:
        async with watched(venue) as served:
            asked = Wanted(
                "binance",
                ("BTC/USDT",),
                kind="trades",
                since_ms=START,
                until_ms=START + 50 * HOUR,
                url=served.server.rest_url,
            )
            return await download(asked, store, adjust=unthrottled)

    (done,) = asyncio.run(run())
    made = [trade for at in range(50) for trade in venue.tape("BTC/USDT").trades_of(at)]
    assert (done.new, done.error) == (200, "")
    rows = Events(store.root, TRADES, "binance", "BTC/USDT").read()
    for name, values in {
        "ts": [one.time_ms for one in made],
        "trade_id": [one.trade_id for one in made],
        "price": [one.price for one in made],
        "quantity": [one.quantity for one in made],
        "side": [-1 if one.buyer_is_maker else 1 for one in made],
    }.items():
        assert rows[name].to_physical().to_list() == values, name
    assert store.sql("select count(*), min(side) from trades where symbol = 'BTC/USDT'").fetchall() == [(200, -1)]
