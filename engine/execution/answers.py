"""CCXT's unified dictionaries as records; what a venue did not say is NaN or empty."""

from __future__ import annotations

import math
from typing import Any, Final, cast

from engine.execution.orders import (
    Balance,
    Fill,
    Kind,
    MarketRules,
    OrderReport,
    OrderRequest,
    Quote,
    Side,
    Status,
)
from parquet_store.errors import Halt

__all__ = ["balance_of", "fill_of", "quote_of", "report_of", "rules_of"]

STATUSES: Final[dict[str, Status]] = {
    "open": "open",
    "closed": "filled",
    "canceled": "canceled",
    "canceling": "open",
    "expired": "expired",
    "rejected": "rejected",
    "PENDING": "open",  # Coinbase's own words, which CCXT passes on
    "QUEUED": "open",
    "CANCEL_QUEUED": "open",
}
KINDS: Final[dict[str, Kind]] = {"market": "market", "limit": "limit"}
_MS = 1_000_000


def number(value: Any) -> float:
    """Return a number, NaN for what was not said."""
    return math.nan if value is None else float(value)


def rules_of(market: dict[str, Any]) -> MarketRules:
    """Return the rules of a market; a limit that is not stated is 0."""
    limits, precision = market["limits"], market["precision"]

    def least(name: str) -> float:
        return float((limits.get(name) or {}).get("min") or 0.0)

    return MarketRules(
        market["symbol"],
        market["base"],
        market["quote"],
        number(precision.get("price")),
        number(precision.get("amount")),
        least("amount"),
        least("cost"),
        number(market.get("maker")),
        number(market.get("taker")),
        float(market.get("contractSize") or 1.0),
    )


def report_of(order: dict[str, Any], request: OrderRequest | None = None) -> OrderReport:
    """Return what a venue says of an order; what it leaves out is as it was asked for.

    Raises
    ------
    Halt
        The answer names no status or one that is not known, or another client id than was sent.
    """
    said = order.get("status")
    if said is None and request is not None and order.get("id"):
        said = "open"  # taken, and nothing more: a venue that only acknowledges
    if said not in STATUSES:
        raise Halt(
            f"order {order.get('id')}: status {said!r}, expected one of {', '.join(STATUSES)}; look at the venue"
        )
    client_id = order.get("clientOrderId") or (request.client_id if request else "")
    if request is not None and client_id != request.client_id:
        raise Halt(f"order {order.get('id')}: answered for client id {client_id!r}, asked for {request.client_id!r}")
    quantity = number(order.get("amount"))
    return OrderReport(
        str(client_id),
        str(order["id"]),
        order["symbol"],
        cast(Side, order.get("side") or (request.side if request else "")),
        request.kind if request else KINDS.get(str(order.get("type")), "stop"),
        STATUSES[said],
        request.quantity if request and math.isnan(quantity) else quantity,
        float(order.get("filled") or 0.0),
        number(order.get("average")) if order.get("filled") else math.nan,
        number(order.get("price")),
        int(order.get("timestamp") or 0) * _MS,
    )


def fill_of(trade: dict[str, Any]) -> Fill:
    """Return one execution."""
    fee = trade.get("fee") or {}
    return Fill(
        str(trade["id"]),
        str(trade.get("clientOrderId") or ""),
        str(trade["order"]),
        trade["symbol"],
        cast(Side, trade["side"]),
        float(trade["price"]),
        float(trade["amount"]),
        number(fee.get("cost")),
        str(fee.get("currency") or ""),
        trade.get("takerOrMaker") == "maker",
        int(trade["timestamp"]) * _MS,
    )


def balance_of(found: dict[str, Any]) -> list[Balance]:
    """Return the currencies of which there is any."""
    free, used = found.get("free") or {}, found.get("used") or {}
    return [
        Balance(name, float(free.get(name) or 0.0), float(used.get(name) or 0.0))
        for name in sorted(found.get("total") or {})
        if free.get(name) or used.get(name)
    ]


def quote_of(symbol: str, book: dict[str, Any]) -> Quote:
    """Return the best prices of an order book, NaN on an empty side."""

    def best(side: str) -> tuple[float, float]:
        rows = book.get(side) or []
        return (float(rows[0][0]), float(rows[0][1])) if rows else (math.nan, math.nan)

    (bid, bid_quantity), (ask, ask_quantity) = best("bids"), best("asks")
    return Quote(symbol, bid, ask, bid_quantity, ask_quantity, int(book.get("timestamp") or 0) * _MS)
