"""At which price an order fills in a bar, if it does: first at the open, then within the range.

Pure functions of one order and one bar.  A stop or take-profit order is the level of ``protective_exit``; orders that
take pay the slippage of the market, a limit never pays more than it said.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.simulate import formulas
from engine.venue.order import Order
from engine.venue.plainly import plainly

__all__ = ["Price", "at_open", "at_trade", "in_range", "order_of_play", "slipped"]

_fill_price = plainly(formulas.fill_price)
_protective_exit = plainly(formulas.protective_exit)
_NAN = float("nan")
_STOPS = ("stop", "stop_limit")
_TARGETS = ("take_profit", "take_profit_limit")


class Price(NamedTuple):
    """What an order fills at; ``maker`` if it rested in the book."""

    price: float
    maker: bool


def slipped(price: float, side: str, slippage: float) -> float:
    """Return a price with slippage against the order."""
    return float(_fill_price(price, 1.0 if side == "buy" else -1.0, slippage))


def at_open(order: Order, open: float, slippage: float) -> Price | None:
    """Return what an order that was there before the bar fills at when it opens, None if it waits.

    An order whose stop is met is marked ``triggered``.
    """
    asked = order.asked
    if asked.kind == "market":
        return Price(slipped(open, asked.side, slippage), False)
    if not order.triggered and asked.kind not in ("limit", "limit_maker"):
        if _met(order, open, open, open) is None:
            return None
        order.triggered = True
    return _against_limit(order, open, slippage)


def in_range(order: Order, open: float, high: float, low: float, slippage: float) -> Price | None:
    """Return what an order fills at between the open and the close, None if it does not."""
    asked = order.asked
    if asked.kind == "market" or (order.triggered and asked.kind in ("stop", "take_profit")):
        return None  # what is left of it meets the market at the next open
    if asked.kind not in ("limit", "limit_maker") and not order.triggered:
        level = _met(order, open, high, low)
        if level is None:
            return None
        order.triggered = True
        return _against_limit(order, level, slippage)
    reached = low <= asked.price if asked.side == "buy" else high >= asked.price
    return Price(asked.price, True) if reached else None


def at_trade(order: Order, price: float, slippage: float) -> Price | None:
    """Return what an order fills at when a trade happens, None if it waits.

    A limit that rests fills only once a trade passes its price: at its price others were first.
    """
    asked = order.asked
    if asked.kind not in ("limit", "limit_maker") or order.takes:
        found = at_open(order, price, slippage)
        order.takes = order.takes and asked.kind == "market"
        return found
    passed = price < asked.price if asked.side == "buy" else price > asked.price
    return Price(asked.price, True) if passed else None


def order_of_play(order: Order) -> tuple[int, int]:
    """Return the key that sorts orders of one moment: market, stops, targets and limits, the oldest of each first.

    A market order that only reduces comes before all: a reversal is a close and an entry, however they arrive.
    """
    kind = order.asked.kind
    if kind == "market":
        return -1 if order.asked.only_reduces else 0, order.order_id
    return (1 if kind in _STOPS else 2), order.order_id


def _met(order: Order, open: float, high: float, low: float) -> float | None:
    """Return the price at which the stop price is met, None if it is not."""
    held = -1.0 if order.asked.side == "buy" else 1.0  # a sell protects a long position
    level = order.asked.stop_price
    stop, target = (_NAN, level) if order.asked.kind in _TARGETS else (level, _NAN)
    reason, price = _protective_exit(held, open, high, low, stop, target)
    return None if reason == formulas.NO_EXIT else float(price)


def _against_limit(order: Order, price: float, slippage: float) -> Price | None:
    """Return the fill of an order that meets the market at a price; a limit holds or waits."""
    asked = order.asked
    if asked.kind in ("stop", "take_profit"):
        return Price(slipped(price, asked.side, slippage), False)
    within = price <= asked.price if asked.side == "buy" else price >= asked.price
    if not within:
        return None
    if order.takes or asked.kind in ("stop_limit", "take_profit_limit"):
        paid = slipped(price, asked.side, slippage)
        return Price(min(paid, asked.price) if asked.side == "buy" else max(paid, asked.price), False)
    return Price(price, True)
