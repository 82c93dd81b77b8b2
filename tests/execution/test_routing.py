"""Routes against all splits there are, by hand, and what they may never do."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.execution.routing import Offer, routed
from parquet_store.errors import Usage

NEAR = Offer("near", ((100.0, 2.0), (101.0, 5.0)), 0.001)
FAR = Offer("far", ((99.0, 1.0), (103.0, 9.0)), 0.01)


def paid(side: str, one: Offer, quantity: float) -> float:
    """Walk a book, level by level; infinite where it or the money does not suffice."""
    total, left = 0.0, quantity
    for price, amount in one.levels:
        taken = min(left, amount)
        total, left = total + taken * price, left - taken
    if left > 1e-9 or quantity > one.at_most + 1e-9:
        return math.inf
    if quantity and (quantity < one.min_quantity or total < one.min_notional - 1e-9):
        return math.inf
    return total * (1.0 + one.fee) if side == "buy" else -total * (1.0 - one.fee)


@st.composite
def books(draw: st.DrawFn) -> tuple[str, float, list[Offer]]:
    """Draw a side, a quantity in whole units, and venues that trade whole units."""
    side = draw(st.sampled_from(("buy", "sell")))
    offers = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        prices = sorted(draw(st.lists(st.integers(95, 105), min_size=1, max_size=4)), reverse=side == "sell")
        levels = tuple((float(price), float(draw(st.integers(1, 5)))) for price in prices)
        offers.append(
            Offer(
                name,
                levels,
                draw(st.sampled_from((0.0, 0.001, 0.01))),
                1.0,
                float(draw(st.integers(0, 4))),
                float(draw(st.sampled_from((0, 150, 350)))),
                draw(st.sampled_from((math.inf, 3.0))),
            )
        )
    return side, float(draw(st.integers(1, 12))), offers


@settings(max_examples=300, deadline=None)
@given(books())
def test_no_split_there_is_fills_more_or_is_cheaper(drawn: tuple[str, float, list[Offer]]) -> None:
    side, quantity, offers = drawn
    every = [
        (sum(split), sum(paid(side, one, part) for one, part in zip(offers, split, strict=True)))
        for split in itertools.product(*(range(int(quantity) + 1) for _ in offers))
        if sum(split) <= quantity
    ]
    most, cost = max(((total, cost) for total, cost in every if cost < math.inf), key=lambda one: (one[0], -one[1]))
    found = routed(side, quantity, offers)
    assert found.quantity == most
    if most:
        sign = 1.0 if side == "buy" else -1.0
        assert sign * found.price * most == pytest.approx(cost, rel=1e-12)
    for one, offer in ((one, next(o for o in offers if o.venue == one.venue)) for one in found.parts):
        assert paid(side, offer, one.quantity) < math.inf
        walked = sign * one.total(side)
        assert walked == pytest.approx(paid(side, offer, one.quantity), rel=1e-12)


def test_a_split_by_hand() -> None:
    found = routed("buy", 4.0, [NEAR, FAR])
    assert [(one.venue, one.quantity, one.worst) for one in found.parts] == [("near", 3.0, 101.0), ("far", 1.0, 99.0)]
    cost = (2.0 * 100.0 + 101.0) * 1.001 + 99.0 * 1.01
    assert found.price == pytest.approx(cost / 4.0)
    alone = (2.0 * 100.0 + 2.0 * 101.0) * 1.001 / 4.0
    assert found.alone == {"near": pytest.approx(alone), "far": pytest.approx((99.0 + 3.0 * 103.0) * 1.01 / 4.0)}
    assert found.best_alone == "near"
    assert found.saved == pytest.approx(1.0 - cost / 4.0 / alone)
    assert found.reason.startswith("3 to near and 1 to far at 100.")
    assert "better than near alone" in found.reason


def test_one_venue_takes_all_where_the_fee_of_the_other_eats_its_price() -> None:
    found = routed("buy", 2.0, [NEAR, Offer("far", ((99.5, 9.0),), 0.02)])
    assert [one.venue for one in found.parts] == ["near"]
    assert found.saved == 0.0
    assert found.reason == "all to near at 100.1 after fees (101.49 at far)"


def test_what_a_venue_takes_at_least_is_given_it_or_it_is_left_out() -> None:
    thin = Offer("thin", ((99.0, 10.0),), 0.0, min_quantity=1.5)
    found = routed("buy", 4.0, [Offer("deep", ((98.0, 3.0), (120.0, 9.0)), 0.0), thin])
    assert {one.venue: one.quantity for one in found.parts} == {"deep": 2.5, "thin": 1.5}


def test_what_finds_no_place_is_said() -> None:
    found = routed("sell", 20.0, [NEAR, FAR])
    assert found.quantity == 17.0
    assert found.alone == {}
    assert "no venue takes all of it; 3 finds no place" in found.reason
    coarse = routed("buy", 1.2345, [Offer("a", ((100.0, 9.0),), 0.0, 0.001)])
    assert coarse.reason == "all to a at 100 after fees; 0.0005 finds no place"
    nothing = routed("buy", 0.5, [Offer("a", ((100.0, 9.0),), 0.0, min_notional=100.0)])
    assert (nothing.quantity, nothing.reason) == (0.0, "no venue takes any of it")
    assert math.isnan(nothing.price)


def test_a_finer_step_is_no_reason_to_pay_more() -> None:
    coarse, fine = Offer("coarse", ((100.0, 9.0),), 0.0, 0.001), Offer("fine", ((110.0, 9.0),), 0.0, 0.00001)
    assert [one.venue for one in routed("buy", 1.23456, [coarse, fine]).parts] == ["coarse"]


def test_what_the_account_can_pay_is_the_most() -> None:
    found = routed("buy", 4.0, [Offer("a", ((99.0, 10.0),), 0.0, at_most=1.0), NEAR])
    assert {one.venue: one.quantity for one in found.parts} == {"near": 3.0, "a": 1.0}


@pytest.mark.parametrize(
    ("side", "quantity", "count"),
    [("hold", 1.0, 1), ("buy", 0.0, 1), ("buy", math.nan, 1), ("buy", 1.0, 2), ("buy", 1.0, 9)],
)
def test_what_is_no_order_is_refused(side: str, quantity: float, count: int) -> None:
    names = [NEAR] * 2 if count == 2 else [Offer(str(k), NEAR.levels, 0.0) for k in range(count)]
    with pytest.raises(Usage, match="route: found"):
        routed(side, quantity, names)
