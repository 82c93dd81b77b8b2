"""Coinbase's answers to what it does not take.

There are two kinds.  A request that is no request is answered with a status and a short body.  An order that is not
taken is answered with status 200 and ``success: false``; its reason is a word of the preview.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

__all__ = ["ORDER_REASONS", "REASONS", "Problem", "not_taken", "problem"]

# reason -> (HTTP status, the error's word, the venue's own words)
REASONS: dict[str, tuple[int, str, str]] = {
    "product": (404, "NOT_FOUND", "Product {} not supported"),
    "product_id": (400, "INVALID_ARGUMENT", "valid product_id is required"),
    "unknown_order": (404, "NOT_FOUND", "order with this orderID was not found"),
    "argument": (400, "INVALID_ARGUMENT", "{}"),
    "candles": (
        400,
        "INVALID_ARGUMENT",
        "start and end argument is invalid - number of candles requested should be less than 350",
    ),
    "limit": (429, "rate_limit_exceeded", "Rate limit exceeded"),
}

# reason of the venue -> (error, message, preview_failure_reason)
_NO_WORD = "UNKNOWN_FAILURE_REASON"
ORDER_REASONS: dict[str, tuple[str, str, str]] = {
    "too_small": (_NO_WORD, "", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
    "quantity": ("INVALID_SIZE_PRECISION", "Too many decimals in order amount", "PREVIEW_INVALID_SIZE_PRECISION"),
    "price": ("INVALID_PRICE_PRECISION", "Too many decimals in order price", "PREVIEW_INVALID_PRICE_PRECISION"),
    "notional": (_NO_WORD, "", "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"),
    "balance": ("INSUFFICIENT_FUND", "Insufficient balance in source account", "PREVIEW_INSUFFICIENT_FUND"),
    "trigger_up": (_NO_WORD, "", "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE"),
    "trigger_down": (_NO_WORD, "", "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"),
    "match": (
        "INVALID_LIMIT_PRICE_POST_ONLY",
        "Post only limit orders cannot match at once",
        "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY",
    ),
    "configuration": (
        "UNSUPPORTED_ORDER_CONFIGURATION",
        "order configuration is not supported",
        "PREVIEW_INVALID_ORDER_CONFIG",
    ),
}


class Problem(Exception):
    """A request that is not done, for one of ``REASONS``; ``detail`` is what its words are about."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.status, self.word, words = REASONS[reason]
        self.words = words.format(detail)


def problem(found: Problem) -> web.Response:
    """Return the answer for a problem."""
    text = json.dumps({"error": found.word, "error_details": found.words, "message": found.words})
    return web.Response(status=found.status, text=text, content_type="application/json")


def not_taken(reason: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to an order that is not taken, for one of ``ORDER_REASONS``."""
    error, message, preview = ORDER_REASONS.get(reason, (_NO_WORD, "", "UNKNOWN_PREVIEW_FAILURE_REASON"))
    told = {"error": error, "message": message, "error_details": "", "preview_failure_reason": preview}
    return {"success": False, "error_response": told, "order_configuration": configuration}
