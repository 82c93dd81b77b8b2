"""Binance's answers to what it does not take: code, status and message for every reason of the venue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from aiohttp import web

__all__ = ["FUTURES", "REASONS", "Problem", "Reasons", "problem"]

Reasons = Mapping[str, tuple[int, int, str]]

# reason of the venue -> (code, HTTP status, the venue's own words)
REASONS: Final[Reasons] = {
    "symbol": (-1121, 400, "Invalid symbol."),
    "quantity": (-1013, 400, "Filter failure: LOT_SIZE"),
    "price": (-1013, 400, "Filter failure: PRICE_FILTER"),
    "notional": (-1013, 400, "Filter failure: NOTIONAL"),
    "trading": (-1013, 400, "Market is closed."),
    "balance": (-2010, 400, "Account has insufficient balance for requested action."),
    "duplicate": (-2010, 400, "Duplicate order sent."),
    "trigger": (-2010, 400, "Stop price would trigger immediately."),
    "match": (-2010, 400, "Order would immediately match and take."),
    "pair": (-1013, 400, "The relationship of the prices for the orders is not correct."),
    "unknown_order": (-2013, 400, "Order does not exist."),
    "unknown_cancel": (-2011, 400, "Unknown order sent."),
    "unknown_list": (-2018, 400, "Order list does not exist."),
    "parameter": (-1102, 400, "A mandatory parameter was not sent, was empty/null, or malformed."),
    "illegal": (-1100, 400, "Illegal characters found in a parameter."),
    "type": (-1116, 400, "Invalid orderType."),
    "interval": (-1120, 400, "Invalid interval."),
    "signature": (-1022, 400, "Signature for this request is not valid."),
    "timestamp": (-1021, 400, "Timestamp for this request is outside of the recvWindow."),
    "ahead": (-1021, 400, "Timestamp for this request was 1000ms ahead of the server's time."),
    "key": (-2015, 401, "Invalid API-key, IP, or permissions for action."),
    "weight": (-1003, 429, "Too much request weight used; please use WebSocket Streams for live updates."),
    "banned": (-1003, 418, "Way too much request weight used; IP banned until the minute is over."),
}

# those of which futures have another code or other words
FUTURES: Final[Reasons] = {
    **REASONS,
    "precision": (-1111, 400, "Precision is over the maximum defined for this asset."),
    "least": (-4004, 400, "Quantity less than min quantity."),
    "quantity": (-4023, 400, "Quantity not increased by step size."),
    "price": (-4014, 400, "Price not increased by tick size."),
    "notional": (-4164, 400, "Order's notional must be no smaller than the minimum (unless you choose reduce only)."),
    "trading": (-4141, 400, "Symbol is closed."),
    "margin": (-2019, 400, "Margin is insufficient."),
    "balance": (-2019, 400, "Margin is insufficient."),
    "reduce_only": (-2022, 400, "ReduceOnly Order is rejected."),
    "duplicate": (-4116, 400, "ClientOrderId is duplicated."),
    "trigger": (-2021, 400, "Order would immediately trigger."),
    "match": (-5022, 400, "Due to the order could not be executed as maker, the Post Only order will be rejected."),
    "algo": (
        -4120,
        400,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    ),
    "side": (-4061, 400, "Order's position side does not match user's setting."),
    "leverage": (-4028, 400, "Leverage is not valid."),
    "margin_type": (-4046, 400, "No need to change margin type."),
    "position_mode": (-4059, 400, "No need to change position side."),
    "mode": (-4084, 400, "Method is not allowed currently. Upcoming soon."),
    "same": (-5027, 400, "No need to modify the order."),
    "listen_key": (-1125, 400, "This listenKey does not exist."),
    "key": (-2015, 401, "Invalid API-key, IP, or permissions for action, request ip: 127.0.0.1"),
}


class Problem(Exception):
    """A request that is not done, for one of the reasons."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def problem(found: Problem, reasons: Reasons = REASONS) -> web.Response:
    """Return the answer for a problem."""
    code, status, message = reasons[found.reason]
    headers = {"Retry-After": "60"} if status in (418, 429) else None
    text = json.dumps({"code": code, "msg": message})
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)
