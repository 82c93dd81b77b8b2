"""Time at a venue that plays its bars at a speed."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from engine.venue.server import Server, play
from parquet_store.errors import Usage
from tests.venue.client import HOUR, made_venue


def test_the_time_told_goes_on_within_a_bar_and_bars_keep_to_it() -> None:
    venue = made_venue()
    begin_ms, speed = venue.time_ms, 7_200.0  # two bars a second

    async def run() -> list[tuple[int, float]]:
        found = []
        async with Server(venue) as server, aiohttp.ClientSession() as session:
            playing = asyncio.ensure_future(play(venue, speed, server.control))
            since = asyncio.get_running_loop().time()
            for _ in range(12):
                await asyncio.sleep(0.1)
                async with session.get(f"{server.control_url}/state") as answer:
                    told = (await answer.json())["time"]
                found.append((told, asyncio.get_running_loop().time() - since))
                assert venue.time_ms <= told < venue.time_ms + HOUR
            playing.cancel()
        return found

    found = asyncio.run(run())
    times = [told for told, _ in found]
    assert times == sorted(set(times)), "it does not stand still"
    for told, passed in found:
        assert told - begin_ms <= passed * 1000.0 * speed + HOUR


def test_a_speed_that_is_none_is_refused() -> None:
    with pytest.raises(Usage, match="speed is 0, expected a number above 0"):
        asyncio.run(play(made_venue(), 0.0))
