"""What a client of Coinbase asks for, read: an order's configuration, and which page of a list."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar, cast

from engine.venue.coinbase.codes import Problem
from engine.venue.order import Asked, Kind
from engine.venue.tape import Tape

__all__ = ["Untaken", "amount", "order_of", "page", "time_ms", "whole_number"]

_PAGE = 100
_MOST = 1000
_FORCES: dict[str, Literal["gtc", "ioc", "fok"]] = {
    "market_market_ioc": "ioc",
    "limit_limit_gtc": "gtc",
    "sor_limit_ioc": "ioc",
    "limit_limit_fok": "fok",
    "stop_limit_stop_limit_gtc": "gtc",
}

Row = TypeVar("Row")


class Untaken(Exception):
    """An order that is not taken, for one of ``codes.ORDER_REASONS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def order_of(tape: Tape, body: dict[str, Any]) -> Asked:
    """Return the order that a body of ``POST orders`` asks for.

    A market order sized in quote currency is one of the base currency that would buy at the last price, fee and
    slippage paid, rounded down: the venue's orders are all in base currency.

    Raises
    ------
    Problem
        A field is missing or no number.
    Untaken
        The venue has no such order.
    """
    market, given = tape.market, body.get("order_configuration")
    side = str(body.get("side", "")).lower()
    if side not in ("buy", "sell"):
        raise Problem("argument", "order side is required")
    if not isinstance(given, dict) or len(given) != 1:
        raise Problem("argument", "order_configuration is required")
    ((name, said),) = given.items()
    if name not in _FORCES or not isinstance(said, dict):
        raise Untaken("configuration")
    price = stop_price = 0.0
    kind: Kind = "market"
    if name == "market_market_ioc":
        if "base_size" in said:
            quantity = amount(said, "base_size")
        else:
            one = tape.last * (1.0 + market.slippage) * (1.0 + market.taker_fee)
            spent = amount(said, "quote_size")
            if side == "sell":
                raise Untaken("configuration")
            if spent < market.min_notional:
                raise Untaken("notional")
            quantity = _down(spent / one, market.quantity_step)
    else:
        quantity, price = amount(said, "base_size"), amount(said, "limit_price")
        kind = "limit_maker" if said.get("post_only") is True else "limit"
        if kind == "limit_maker" and name != "limit_limit_gtc":
            raise Untaken("configuration")
    if name == "stop_limit_stop_limit_gtc":
        stop_price = amount(said, "stop_price")
        up = _is_up(said, side)
        kind = "stop_limit" if up == (side == "buy") else "take_profit_limit"
        if (stop_price <= tape.last) if up else (stop_price >= tape.last):
            raise Untaken("trigger_up" if up else "trigger_down")
    if quantity < market.min_quantity:
        raise Untaken("too_small")
    return Asked(
        symbol=market.symbol,
        side=cast(Any, side),
        kind=kind,
        quantity=quantity,
        client_id=str(body["client_order_id"]),
        price=price,
        stop_price=stop_price,
        time_in_force=_FORCES[name],
    )


def _is_up(said: dict[str, Any], side: str) -> bool:
    """Return whether a stop waits for a rise; unsaid, a buy does."""
    direction = said.get("stop_direction", "UNKNOWN_STOP_DIRECTION")
    if direction == "UNKNOWN_STOP_DIRECTION":
        return side == "buy"
    if direction not in ("STOP_DIRECTION_STOP_UP", "STOP_DIRECTION_STOP_DOWN"):
        raise Problem("argument", "stop_direction is invalid")
    return bool(direction == "STOP_DIRECTION_STOP_UP")


def _down(quantity: float, step: float) -> float:
    """Return a quantity rounded down to a step."""
    return round(math.floor(quantity / step + 1e-9) * step, 12)


def amount(said: dict[str, Any], name: str) -> float:
    """Return a number of a body, which Coinbase has as text."""
    try:
        value = float(said[name])
    except (KeyError, TypeError, ValueError):
        raise Problem("argument", f"{name} is required") from None
    if not math.isfinite(value):
        raise Problem("argument", f"{name} is invalid")
    return value


def whole_number(text: str, name: str) -> int:
    """Return a whole number of a query."""
    try:
        return int(text)
    except ValueError:
        raise Problem("argument", f"{name} is invalid") from None


def time_ms(text: str, name: str) -> int:
    """Return a time of a query, RFC 3339, as ms since the epoch."""
    try:
        return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000.0)
    except ValueError:
        raise Problem("argument", f"{name} is invalid") from None


def page(rows: Sequence[tuple[int, Row]], cursor: str, limit: str) -> tuple[list[Row], str]:
    """Return a page of a list and the cursor of the next one, empty after the last.

    Parameters
    ----------
    rows : sequence of (number, row)
        Highest number first.
    cursor : str
        As the page before gave it: the number of its last row, so that rows that come or go meanwhile, repeat none
        and leave out none.
    limit : str
        Rows a page, 100 if empty.
    """
    count = max(1, min(whole_number(limit, "limit"), _MOST)) if limit else _PAGE
    before = whole_number(cursor, "cursor") if cursor else None
    left = [pair for pair in rows if before is None or pair[0] < before]
    kept = left[:count]
    return [row for _, row in kept], str(kept[-1][0]) if len(left) > count else ""
