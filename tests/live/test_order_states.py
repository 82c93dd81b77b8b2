"""An order's states: only named moves, final states stay, and the page in the docs is the table."""

from __future__ import annotations

import math
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execution.orders import OrderReport, OrderRequest, Status
from engine.live.order_states import LIVE, MOVES, STATES, State, markdown
from engine.live.ticket import Ticket
from parquet_store.errors import Halt
from tests.data import ROOT

REQUEST = OrderRequest("BTC/USDT", "buy", "market", 2.0, "l1")
SAID = typing.get_args(Status)


def report(status: Status, filled: float) -> OrderReport:
    """Return what a venue says."""
    return OrderReport("l1", "7", "BTC/USDT", "buy", "market", status, 2.0, filled, math.nan, math.nan, 1)


def test_the_page_is_drawn_from_the_table() -> None:
    make = "run python -c 'from engine.live.order_states import markdown; print(markdown(), end=\"\")' > docs/orders.md"
    assert (ROOT / "docs" / "orders.md").read_text() == markdown(), make


def test_every_state_is_reached_and_only_live_ones_are_left() -> None:
    assert {other for _, other in MOVES} | {"sent"} == set(STATES)
    assert {one for one, _ in MOVES} == set(LIVE)
    assert len(set(MOVES)) == len(MOVES)


def test_a_live_order_can_become_whatever_a_venue_may_say() -> None:
    for one in LIVE:
        for status in SAID:
            assert one == status or (one, status) in MOVES


@pytest.mark.parametrize("state", [state for state in STATES if state not in LIVE])
def test_a_final_state_is_never_left(state: State) -> None:
    ticket = Ticket(REQUEST, "entry", 0)
    ticket.becomes(state)
    ticket.becomes(state)
    for other in STATES:
        if other != state:
            with pytest.raises(Halt, match=f"order l1 was {state} and cannot become {other}"):
                ticket.becomes(other)
    for status in SAID:
        ticket.reports(report(status, 1.0))
        assert ticket.status == state


@given(st.lists(st.tuples(st.sampled_from(SAID), st.floats(0.0, 2.0)), max_size=12), st.booleans())
def test_whatever_a_venue_says_in_whatever_order_nothing_known_is_taken_back(
    told: list[tuple[Status, float]], lost: bool
) -> None:
    ticket, final, most = Ticket(REQUEST, "entry", 0), "", 0.0
    if lost:
        ticket.becomes("unknown")
    for status, filled in told:
        ticket.reports(report(status, filled))
        most = max(most, filled)
        final = final or (status if status not in LIVE else "")
        assert ticket.reported == most
        assert ticket.status == (final or "open")
