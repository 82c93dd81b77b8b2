"""Limit orders that follow the best price, rest only, fill at once, cross at the end; stops that have a limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.live.actions import Action, AmendOrder, CancelOrder, FetchQuote, FindOrder, PlaceOrder
from engine.live.events import CallFailed, OrderSeen, QuoteSeen
from engine.live.subaccount import Terms
from engine.simulate import Costs
from tests.live.perfect import Played
from tests.live.test_subaccount import program_of
from tests.simulate.drawn import made_bars

SECOND = 10**9
COSTS = Costs(fee=0.001, price_tick=0.01, quantity_step=0.001, short=True, initial_cash=1000.0)


def entering(costs: Costs = COSTS, **more: Any) -> Played:
    """Return a run whose first entry, long, has just been decided at a close, and is on its way or rests."""
    program = program_of(short=False, stop=True, target=False, trailing=False)
    bars = made_bars(np.random.default_rng(3), 60, 0.01, 0.01)
    terms = Terms(spot=False, limit=True, deadline_ns=60 * SECOND, **more)
    played = Played(program, costs, bars, terms)
    for k in range(60):
        played.play_bar(k)
        if played.account.entry is not None:
            return played
    raise AssertionError("no entry")


def quoted(played: Played, price: float, after_s: float = 10.0, *, aside: float = 0.05) -> list[Action]:
    """Let time pass to where the best bid is a price, the last one so much above it, and return what follows."""
    before = len(played.actions)
    played.venue.price = price + aside
    played.venue.aside = price / (price + aside)
    played.at(played.now_ns + int(after_s * SECOND))
    return [one for one in played.actions[before:] if not isinstance(one, FetchQuote)]


def the(kind: type[Any], actions: list[Action]) -> Any:
    """Return the only action of a kind."""
    (found,) = [one for one in actions if isinstance(one, kind)]
    return found.request


def resting(played: Played) -> Any:
    """Return the order of the entry that rests at the venue."""
    (found,) = played.venue.live("limit")
    return found.request


@pytest.mark.parametrize("amends", [True, False])
def test_an_order_follows_the_best_price_of_its_side_and_its_notional_stays(amends: bool) -> None:
    played = entering(chase_ns=10 * SECOND, amends=amends)
    first, close = resting(played), played.account.entry.close
    assert first.price == pytest.approx(close, abs=0.006)
    assert quoted(played, round(close * 0.999, 2)) == [], "it is the best bid already"
    after = quoted(played, round(close * 1.002, 2))
    moved = resting(played)
    assert moved.price == round(close * 1.002, 2)
    assert moved.quantity < first.quantity
    assert moved.quantity * moved.price == pytest.approx(first.quantity * close, rel=1e-4)
    if amends:
        assert the(AmendOrder, after).client_id == moved.client_id == first.client_id
    else:
        assert the(CancelOrder, after).client_id == first.client_id
        assert the(PlaceOrder, after).client_id == moved.client_id != first.client_id


def test_an_order_is_not_moved_beyond_its_reach() -> None:
    played = entering(chase_ns=10 * SECOND, amends=True, reach=0.004)
    first, close = resting(played), played.account.entry.close
    assert quoted(played, round(close * 1.0041, 2)) == []
    assert resting(played) is first
    the(AmendOrder, quoted(played, round(close * 1.0039, 2)))


def test_what_became_of_an_amendment_nobody_heard_of_is_asked() -> None:
    played = entering(chase_ns=10 * SECOND, amends=True)
    played.trouble.lost_answer = 1.0
    close = played.account.entry.close
    after = quoted(played, round(close * 1.002, 2))
    played.trouble.lost_answer = 0.0
    amended = the(AmendOrder, after)
    assert the(FindOrder, after).client_id == amended.client_id
    (ticket,) = played.account.tickets.values()
    assert (ticket.at, ticket.request, ticket.amended) == (amended.price, amended, None)


def test_an_amendment_that_is_too_late_is_followed_by_nothing() -> None:
    played = entering(chase_ns=10 * SECOND, amends=True)
    rests, close = played.venue.live("limit")[0], played.account.entry.close
    played.venue.time_ns = played.now_ns = played.now_ns + 10 * SECOND
    played.venue._fill(rests, close * 0.9)  # and the stream has not said so yet
    failed = CallFailed(rests.request.client_id, "amend", "unknown", "it is not there", played.now_ns)
    played.step([QuoteSeen(played.symbol, close * 1.002, close * 1.003, played.now_ns), failed])
    played.settle()
    assert played.account.quantity == rests.request.quantity
    assert played.account.entry is None
    played.check()


@pytest.mark.parametrize("cross", [True, False])
def test_what_is_left_at_the_deadline_crosses_or_is_given_up(cross: bool) -> None:
    played = entering(cross=cross)
    first, close = resting(played), played.account.entry.close
    after = quoted(played, round(close * 1.003, 2), after_s=61.0)
    assert the(CancelOrder, after).client_id == first.client_id
    if not cross:
        assert (played.account.entry, played.venue.position) == (None, 0.0)
        return
    market = the(PlaceOrder, [one for one in after if isinstance(one, PlaceOrder) and not one.request.reduce_only])
    assert (market.kind, market.side) == ("market", "buy")
    assert played.venue.position == market.quantity
    assert market.quantity * close * 1.005 == pytest.approx(first.quantity * close, rel=1e-4), "at the worst price"


def test_an_order_that_may_only_rest_begins_at_its_side_and_waits_where_it_would_take() -> None:
    played = entering(chase_ns=10 * SECOND, post_only=True)
    close = played.account.entry.close
    assert played.venue.live("limit") == [], "where the best prices are comes first"
    crossing = the(PlaceOrder, quoted(played, round(close * 0.999, 2), aside=0.0))
    assert (crossing.price, crossing.post_only) == (round(close * 0.999, 2), True)
    assert quoted(played, round(close * 0.999, 2), after_s=5.0, aside=0.0) == [], "refused, it waits"
    placed = the(PlaceOrder, quoted(played, round(close * 0.998, 2)))
    assert resting(played) == placed
    assert placed.price == round(close * 0.998, 2)
    assert placed.quantity == pytest.approx(played.account.entry.wanted), "a better price buys no more"


@pytest.mark.parametrize("cross", [True, False])
def test_what_could_never_rest_crosses_at_the_deadline_or_is_given_up(cross: bool) -> None:
    played = entering(chase_ns=10 * SECOND, post_only=True, cross=cross)
    close = played.account.entry.close
    after = [one for _ in range(7) for one in quoted(played, close, aside=0.0)]
    placed = [one.request for one in after if isinstance(one, PlaceOrder) and not one.request.reduce_only]
    assert {one.kind for one in placed[:-1]} == {"limit"}
    assert placed[-1].kind == ("market" if cross else "limit")
    assert played.account.entry is None
    assert (played.venue.position > 0.0) is cross


def test_what_fills_at_once_or_not_is_followed_by_the_market_where_that_is_asked_for() -> None:
    played = entering(time_in_force="ioc", cross=True)
    (first,) = played.venue.orders.values()
    assert first.request.time_in_force == "ioc"
    close = played.account.entry.close
    played.venue.price = close * 1.01
    played.venue.match(*(3 * [close * 1.01]))  # above its price: nothing of it
    played.settle()
    assert first.status == "expired"
    kinds = [one.request.kind for one in played.venue.orders.values() if not one.request.reduce_only]
    assert kinds == ["limit", "market"]
    assert played.venue.position > 0.0


def test_a_stop_that_has_a_limit_and_was_passed_is_left_at_market() -> None:
    played = entering(stop_limit=0.002)
    account, k = played.account, int(played.account.bars)
    while account.quantity == 0.0:
        played.play_bar(k)
        k += 1
    (stop,) = played.venue.live("stop_limit")
    request = stop.request
    assert request.price == pytest.approx(request.stop_price * 0.998, abs=0.006)
    beyond = request.price - 0.5
    for name in ("open", "high", "low", "close"):  # a gap
        values = getattr(played.bars, name).copy()
        values[k] = beyond
        played.bars = replace(played.bars, **{name: values})
    played.play_bar(k)
    assert stop.triggered
    played.venue.price = beyond
    played.venue.match(beyond, beyond, beyond)
    played.settle()
    assert (account.quantity, played.venue.position) == (0.0, 0.0)
    assert account.trades[-1]["exit_price"] == beyond * (1.0 - COSTS.slippage)
    played.check()


def test_a_word_of_before_takes_no_cancelled_order_back() -> None:
    played = entering(chase_ns=10 * SECOND)
    rests = played.venue.live("limit")[0]
    older = played.venue.report(rests)
    quoted(played, round(played.account.entry.close * 1.002, 2))
    assert rests.status == "canceled"
    assert isinstance(older, OrderSeen)
    assert played.loop.step([older]) == []
    assert rests.request.client_id not in played.account.tickets
