"""A start from a checkpoint has the bytes of a start from the first bar, and is not taken where the bars are others."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.graph import bind
from engine.graph.node import FIELDS
from engine.graph.together import Together
from engine.live.history import candle_at, follow_store, top_up
from parquet_store import Store
from parquet_store.errors import Usage
from pipelines import Bars
from tests.live.test_locally import BothSides, LongOnly
from tests.venue.client import HOUR, made_bars

BARS = made_bars(400, seed=3)
SOURCES = {"BTC/USDT@1h": "made:BTC/USDT:1h", "ETH/USDT@1h": "made:ETH/USDT:1h"}
AFTER = int(BARS.time[-1]) + HOUR


def programs() -> Together:
    """Return two programs on one series and one on the other, before their first bar."""
    both, one = bind(BothSides()), bind(LongOnly())
    return Together([("BTC/USDT@1h", both), ("BTC/USDT@1h", one), ("ETH/USDT@1h", one)])


def put(folder: Path, count: int, changed: int = -1) -> Store:
    """Store so many bars of both series, one close of the second changed by a hundredth."""
    shutil.rmtree(folder / "store" / "bars", ignore_errors=True)
    store = Store(folder / "store")
    for k, source in enumerate(SOURCES.values()):
        columns = {name: np.array(getattr(BARS, name)[:count]) for name in FIELDS}
        if k and changed >= 0:
            columns["close"][changed] += 0.01
        time = pl.Series("ts", BARS.time[:count]).cast(pl.Datetime("ms", "UTC"))
        store.append(source, pl.DataFrame({"ts": time, **columns}))
    return store


def alone(count: int, changed: int = -1) -> bytes:
    """Return the state after so many bars, taken one at a time."""
    made = programs()
    for t in range(count):
        rows = np.array([[getattr(BARS, name)[t] for name in FIELDS]] * 2)
        rows[1, 3] += 0.01 * (t == changed)
        made.advance(np.arange(2), np.full(2, BARS.number[t]), rows)
    return made.checkpoint()


def started(store: Store, now_ms: int = AFTER) -> tuple[bytes, set[str]]:
    """Start, and return the state and which series were followed from their first bar."""
    together = programs()
    lasts, whole = follow_store(store, together, SOURCES, now_ms)
    assert {one.open_ns for one in lasts.values()} == {int(store_end(store, now_ms)) * 1_000_000}
    return together.checkpoint(), set(whole)


def store_end(store: Store, now_ms: int) -> int:
    """Return the open time of the last stored bar that was closed."""
    times = store.read("made:BTC/USDT:1h")["ts"].dt.epoch("ms").to_numpy()
    return int(times[times + HOUR <= now_ms][-1])


def test_a_second_start_goes_on_from_the_checkpoint_with_the_same_bytes(tmp_path: Path) -> None:
    store = put(tmp_path, 300)
    first, followed = started(store)
    assert followed == set(SOURCES)
    second, followed = started(store)
    assert followed == set()
    assert first == second == alone(300)


def test_bars_that_came_since_are_added_to_the_checkpoint(tmp_path: Path) -> None:
    started(put(tmp_path, 300))
    state, followed = started(put(tmp_path, 350))
    assert followed == set()
    assert state == alone(350)


def test_a_bar_that_is_forming_waits(tmp_path: Path) -> None:
    store = put(tmp_path, 300)
    assert started(store, int(BARS.time[299]) + HOUR - 1)[0] == alone(299)
    state, followed = started(store, int(BARS.time[299]) + HOUR)
    assert (state, followed) == (alone(300), set())


@pytest.mark.parametrize("changed", [0, 150, 299])
def test_a_changed_bar_makes_it_start_from_the_first(changed: int, tmp_path: Path) -> None:
    started(put(tmp_path, 300))
    state, followed = started(put(tmp_path, 300, changed))
    assert followed == set(SOURCES)
    assert state == alone(300, changed)
    assert (state != alone(300)) == (changed == 299)  # an average forgets, bit by bit, what was long ago


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_checkpoint_is_not_used_and_replaced(damage: str, tmp_path: Path) -> None:
    store = put(tmp_path, 300)
    started(store)
    (path,) = (store.root / "checkpoints").glob("*.state")
    body = bytearray(path.read_bytes())
    body[-9] ^= 1
    path.write_bytes({"cut": bytes(body[:-100]), "flipped": bytes(body), "empty": b""}[damage])
    assert started(store) == (alone(300), set(SOURCES))
    assert started(store) == (alone(300), set())


def test_other_programs_and_other_manifests_have_checkpoints_of_their_own(tmp_path: Path) -> None:
    store = put(tmp_path, 300)
    started(store)
    _, whole = follow_store(store, programs(), SOURCES, AFTER, made_for="another manifest")
    assert set(whole) == set(SOURCES)
    other = Together([("BTC/USDT@1h", bind(LongOnly(), {"length": 7.0}))])
    _, whole = follow_store(store, other, {"BTC/USDT@1h": SOURCES["BTC/USDT@1h"]}, AFTER)
    assert set(whole) == {"BTC/USDT@1h"}
    assert len(list((store.root / "checkpoints").glob("*.state"))) == 3


def test_a_series_that_is_not_stored_is_named(tmp_path: Path) -> None:
    store = put(tmp_path, 300)
    with pytest.raises(Usage, match=r"SOL/USDT.*lockstep data download"):
        follow_store(store, Together([("SOL/USDT@1h", bind(LongOnly()))]), {"SOL/USDT@1h": "made:SOL/USDT:1h"}, AFTER)


class Answers:
    """A venue that answers at most 50 bars, the later the series' name the sooner."""

    venue = "made"

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.order: list[str] = []

    async def candles(self, symbol: str, timeframe: str, since_ms: int, most: int) -> list[list[float]]:
        await asyncio.sleep(0.01 if symbol.startswith("BTC") else 0.0)
        self.order.append(symbol)
        rows = [
            [float(self.bars.time[t]), *(float(getattr(self.bars, name)[t]) for name in FIELDS)]
            for t in np.flatnonzero(self.bars.time >= since_ms)
        ]
        return rows[:50]


def test_series_are_topped_up_side_by_side_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.live.history.PAGE", 50)
    together, venue = programs(), Answers(BARS)
    lasts, _ = follow_store(put(tmp_path, 200), together, SOURCES, AFTER)
    now_ms = int(BARS.time[380])  # the bar that forms, and some after it that no venue would show

    async def both() -> list[Any]:
        asked = [
            top_up(venue, together, name, name.partition("@")[0], "1h", lasts[name], now_ms)  # type: ignore[arg-type]
            for name in SOURCES
        ]
        return list(await asyncio.gather(*asked))

    assert asyncio.run(both()) == [[candle_at(BARS, t) for t in range(200, 380)]] * 2
    assert venue.order[:2] == ["ETH/USDT", "ETH/USDT"]
    assert together.checkpoint() == alone(380)


def test_a_start_with_less_than_a_page_to_ask_for_asks_once() -> None:
    together, venue = Together([("BTC/USDT@1h", bind(LongOnly()))]), Answers(BARS)
    together.follow("BTC/USDT@1h", BARS.slice(0, 390))
    found = asyncio.run(
        top_up(venue, together, "BTC/USDT@1h", "BTC/USDT", "1h", candle_at(BARS, 389), AFTER)  # type: ignore[arg-type]
    )
    assert found == [candle_at(BARS, t) for t in range(390, 400)]
    assert venue.order == ["BTC/USDT"]
