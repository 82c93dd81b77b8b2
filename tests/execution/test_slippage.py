"""What a market order would pay by the levels of a book."""

from __future__ import annotations

import math

import pytest

from engine.execution.slippage import estimated

BIDS, ASKS = [(99.0, 1.0), (98.0, 2.0)], [(100.0, 1.0), (102.0, 3.0)]


def test_an_order_walks_the_levels_of_its_side() -> None:
    found = estimated("buy", 2.0, BIDS, ASKS)
    assert found is not None
    assert (found.best, found.average, found.share) == (100.0, 101.0, pytest.approx(0.01))
    found = estimated("sell", 3.0, BIDS, ASKS)
    assert found is not None
    assert found.average == pytest.approx((99.0 + 2 * 98.0) / 3.0)
    assert found.share == pytest.approx(1.0 - found.average / 99.0)


def test_within_the_first_level_nothing_is_paid_beyond_it() -> None:
    found = estimated("buy", 1.0, BIDS, ASKS)
    assert found is not None
    assert (found.average, found.share) == (100.0, 0.0)


def test_more_than_the_book_shows_has_no_price() -> None:
    found = estimated("buy", 4.001, BIDS, ASKS)
    assert found is not None
    assert math.isnan(found.average)
    assert found.share == math.inf


@pytest.mark.parametrize(
    ("bids", "asks"),
    [([], ASKS), (BIDS, []), ([(101.0, 1.0)], ASKS), ([(0.0, 1.0)], ASKS), (BIDS, [(math.inf, 1.0)]), (ASKS, ASKS)],
)
def test_what_is_no_book_is_not_walked(bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> None:
    assert estimated("buy", 1.0, bids, asks) is None
