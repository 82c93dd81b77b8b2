"""Binance's answers to what it does not take: code, status and message for every reason of the venue."""

from __future__ import annotations

import json

from aiohttp import web

__all__ = ["REASONS", "Problem", "problem"]

# reason of the venue -> (code, HTTP status, the venue's own words)
REASONS: dict[str, tuple[int, int, str]] = {
    "symbol": (-1121, 400, "Invalid symbol."),
    "quantity": (-1013, 400, "Filter failure: LOT_SIZE"),
    "price": (-1013, 400, "Filter failure: PRICE_FILTER"),
    "notional": (-1013, 400, "Filter failure: NOTIONAL"),
    "trading": (-1013, 400, "Market is closed."),
    "balance": (-2010, 400, "Account has insufficient balance for requested action."),
    "duplicate": (-2010, 400, "Duplicate order sent."),
    "trigger": (-2010, 400, "Stop price would trigger immediately."),
    "match": (-2010, 400, "Order would immediately match and take."),
    "unknown_order": (-2013, 400, "Order does not exist."),
    "unknown_cancel": (-2011, 400, "Unknown order sent."),
    "parameter": (-1102, 400, "A mandatory parameter was not sent, was empty/null, or malformed."),
    "illegal": (-1100, 400, "Illegal characters found in a parameter."),
    "type": (-1116, 400, "Invalid orderType."),
    "interval": (-1120, 400, "Invalid interval."),
    "signature": (-1022, 400, "Signature for this request is not valid."),
    "timestamp": (-1021, 400, "Timestamp for this request is outside of the recvWindow."),
    "ahead": (-1021, 400, "Timestamp for this request was 1000ms ahead of the server's time."),
    "key": (-2015, 401, "Invalid API-key, IP, or permissions for action."),
    "weight": (-1003, 429, "Too much request weight used; please use WebSocket Streams for live updates."),
}


class Problem(Exception):
    """A request that is not done, for one of ``REASONS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.code, self.status, self.message = REASONS[reason]


def problem(found: Problem) -> web.Response:
    """Return the answer for a problem."""
    headers = {"Retry-After": "60"} if found.status == 429 else None
    text = json.dumps({"code": found.code, "msg": found.message})
    return web.Response(status=found.status, text=text, content_type="application/json", headers=headers)
