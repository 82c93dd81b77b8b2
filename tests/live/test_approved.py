"""Only what was reviewed, or makes a position smaller, is an order that may leave."""

from __future__ import annotations

import pytest

from engine.execution.orders import OrderRequest
from engine.live.approved import Approved, approve_entry, approve_exit
from parquet_store.errors import Halt


def order(side: str, quantity: float) -> OrderRequest:
    return OrderRequest("A/USDT", side, "market", quantity, "l1")  # type: ignore[arg-type]


def test_nobody_else_makes_one() -> None:
    with pytest.raises(Halt, match="approved by nobody"):
        Approved("A/USDT", "buy", "market", 1.0, "l1")


def test_an_entry_is_not_larger_than_the_review_let_it_be() -> None:
    made = approve_entry(order("buy", 2.0), 2.0)
    assert isinstance(made, OrderRequest)
    assert vars(made) == vars(order("buy", 2.0))
    for let in (1.999, 0.0):
        with pytest.raises(Halt, match="the review let"):
            approve_entry(order("buy", 2.0), let)


@pytest.mark.parametrize(("side", "quantity", "held"), [("sell", 2.0, 2.0), ("sell", 1.0, 2.0), ("buy", 2.0, -2.0)])
def test_an_exit_makes_the_position_smaller(side: str, quantity: float, held: float) -> None:
    assert approve_exit(order(side, quantity), held).quantity == quantity


@pytest.mark.parametrize(("side", "quantity", "held"), [("sell", 2.1, 2.0), ("buy", 1.0, 2.0), ("sell", 1.0, 0.0)])
def test_what_makes_it_larger_or_turns_it_is_no_exit(side: str, quantity: float, held: float) -> None:
    with pytest.raises(Halt, match="does not close"):
        approve_exit(order(side, quantity), held)
