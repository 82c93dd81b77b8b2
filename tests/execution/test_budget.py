"""The budget of orders: never more in a window than the venue takes, and room for what leaves a position."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from engine.execution.budget import ORDERS, Budget
from tests.chaos.clockwork import SimulatedLoop


def played(what: Coroutine[Any, Any, Any]) -> Any:
    loop = SimulatedLoop()
    try:
        return loop.run_until_complete(what)
    finally:
        loop.close()


@pytest.mark.parametrize("venue", ORDERS)
def test_no_window_has_more_than_the_venue_takes_and_nine_tenths_are_used(venue: str) -> None:
    count, seconds = ORDERS[venue]

    async def burst() -> list[float]:
        budget, loop, at = Budget.of(venue), asyncio.get_running_loop(), []
        for k in range(6 * count):
            await budget.take(urgent=k % 3 == 0)
            at.append(loop.time())
        return at

    at = played(burst())
    most = max(sum(1 for one in at if start <= one < start + seconds) for start in at)
    assert most <= count
    assert len(at) / at[-1] >= 0.89 * count / seconds


def test_other_venues_take_ten_orders_a_second_and_more() -> None:
    rates = {venue: 0.9 * count / seconds for venue, (count, seconds) in ORDERS.items()}
    assert {venue for venue, rate in rates.items() if rate >= 10.0} == {"binanceusdm", "okx", "coinbase"}
    assert rates["binance"] == 9.0  # of the ten a second that it takes


def test_an_exit_does_not_wait_behind_entries() -> None:
    async def both() -> tuple[list[float], float]:
        budget, loop, entered = Budget(30.0, 3.0), asyncio.get_running_loop(), []

        async def enter() -> None:
            await budget.take(urgent=False)
            entered.append(loop.time())

        entries = [asyncio.create_task(enter()) for _ in range(60)]
        await asyncio.sleep(0.1)
        began = loop.time()
        for _ in range(10):
            await budget.take(urgent=True)
        left = loop.time() - began
        await asyncio.wait(entries)
        return entered, left

    entered, left = played(both())
    assert left == 0.0  # ten exits go at once, while forty entries wait
    assert sum(1 for one in entered if one < 0.1) == 20
    assert entered[-1] > 10.0
