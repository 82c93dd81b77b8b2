"""Orders that are to be moved: what may leave, and what is asked whatever came of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from engine.execution.orders import OrderReport, OrderRequest
from engine.execution.outcome import outcome_as
from engine.live.actions import AmendOrder
from engine.live.approved import approve_entry
from engine.live.asking import Asking
from engine.live.clock import PlayedClock
from engine.live.events import CallFailed, Event, OrderSeen
from parquet_store.errors import Halt

ORDER = OrderRequest("BTC/USDT", "buy", "limit", 0.5, "abc", price=100.0)


class Moves:
    """A venue that moves orders, or says that it cannot."""

    def __init__(self, meaning: Any = "") -> None:
        self.moved: list[OrderRequest] = []
        self.meaning = meaning

    @contextlib.contextmanager
    def after(self, written: Any) -> Iterator[None]:
        yield

    async def amend(self, request: OrderRequest, venue_id: str) -> None:
        self.moved.append(request)
        if self.meaning:
            raise outcome_as(self.meaning, "OrderNotFound", "it is not there", "amend", "v").failure()

    async def find(self, request: OrderRequest) -> OrderReport:
        one = request
        return OrderReport(
            one.client_id, "7", one.symbol, one.side, one.kind, "open", one.quantity, 0.0, float("nan"), one.price, 1
        )


def asked(venue: Moves, request: OrderRequest, unwanted: str = "") -> list[Event]:
    """Ask for a move and return what is told of it."""
    told: list[Event] = []

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            asking = Asking(venue, PlayedClock(1), told.append, group.create_task, unwanted=lambda name: unwanted)  # type: ignore[arg-type]
            asking.ask(0, AmendOrder(request, "7"), None)

    asyncio.run(run())
    return told


def test_where_an_order_stands_is_asked_once_it_was_moved() -> None:
    venue = Moves()
    (seen,) = asked(venue, approve_entry(ORDER, 1.0))
    assert isinstance(seen, OrderSeen)
    assert (seen.report.price, len(venue.moved)) == (100.0, 1)


def test_an_entry_that_is_not_wanted_any_more_is_moved_no_nearer_to_a_fill() -> None:
    venue = Moves()
    (failed,) = asked(venue, approve_entry(ORDER, 1.0), "not sent: a loss that ends trading was reached since")
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.meaning, venue.moved) == ("amend", "refuse", [])


def test_what_became_of_a_move_is_told_as_it_is_known() -> None:
    (failed,) = asked(Moves("unknown"), approve_entry(ORDER, 1.0))
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.meaning) == ("amend", "unknown")


def test_a_move_that_nobody_approved_does_not_leave() -> None:
    venue = Moves()
    with pytest.raises(ExceptionGroup) as found:
        asked(venue, ORDER)
    assert found.group_contains(Halt, match="approved by nobody")
    assert venue.moved == []
