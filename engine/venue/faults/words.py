"""What each venue says when it fails: HTTP status and body by protocol, as the venues document them.

Where a protocol has no row of its own for an event, ``PLAIN`` is what a gateway in front of any venue answers.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

__all__ = ["say"]

_PLAIN: dict[str, tuple[int, Any]] = {
    "server_error": (500, "Internal Server Error"),
    "bad_gateway": (502, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"),
    "unavailable": (503, "Service Unavailable"),
    "gateway_timeout": (504, "<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>"),
}


def _binance(code: int, words: str) -> dict[str, Any]:
    return {"code": code, "msg": words}


def _okx(code: str, words: str, *, order: bool = False) -> dict[str, Any]:
    if order:
        row = {"ordId": "", "clOrdId": "", "tag": "", "sCode": code, "sMsg": words}
        return {"code": "1", "msg": "All operations failed", "data": [row]}
    return {"code": code, "msg": words, "data": []}


def _coinbase(code: str, words: str) -> dict[str, Any]:
    return {"error": code, "message": words, "error_details": words}


def _refused(code: str, words: str) -> dict[str, Any]:
    said = {"error": code, "message": words, "error_details": "", "preview_failure_reason": code}
    return {"success": False, "failure_reason": code, "order_id": "", "error_response": said}


_BINANCE: dict[str, tuple[int, Any]] = {
    "server_error": (500, _binance(-1000, "An unknown error occurred while processing the request.")),
    "unavailable": (503, _binance(-1001, "Internal error; unable to process your request. Please try again.")),
    "unknown_outcome": (
        504,
        _binance(-1007, "Timeout waiting for response from backend server. Send status unknown; "
                        "execution status unknown."),
    ),
    "too_many_requests": (429, _binance(-1003, "Too many requests; current request has limited.")),
    "too_many_orders": (429, _binance(-1015, "Too many new orders; current limit is 50 orders per TEN_SECONDS.")),
    "banned": (418, _binance(-1003, "Way too much request weight used; IP banned until 1893456000000.")),
    "maintenance": (503, _binance(1, "System is under maintenance.")),
    "unknown_code": (400, _binance(-9999, "A code no client has heard of.")),
    "market_closed": (400, _binance(-1013, "Market is closed.")),
    "listen_key": (400, _binance(-1125, "This listenKey does not exist.")),
}  # fmt: skip
_WORDS: dict[str, dict[str, tuple[int, Any]]] = {
    "binance": _BINANCE,
    "binanceusdm": _BINANCE | {"market_closed": (400, _binance(-4140, "Invalid symbol status for opening position."))},
    "okx": {
        "server_error": (500, _okx("50026", "System error, please try again later.")),
        "unavailable": (503, _okx("50013", "Systems are busy. Please try again later.")),
        "unknown_outcome": (200, _okx("51149", "Order timed out. Please try again later.", order=True)),
        "too_many_requests": (429, _okx("50011", "Rate limit reached. Please refer to API documentation.")),
        "too_many_orders": (429, _okx("50061", "Order rate limit of this sub-account was exceeded.")),
        "maintenance": (503, _okx("50001", "Service temporarily unavailable. Please try again later.")),
        "unknown_code": (200, _okx("59999", "A code no client has heard of.", order=True)),
        "market_closed": (200, _okx("51022", "Contract suspended.", order=True)),
    },
    "coinbase": {
        "server_error": (500, _coinbase("INTERNAL", "Internal server error.")),
        "too_many_requests": (429, _coinbase("rate_limit_exceeded", "Rate limit exceeded")),
        "too_many_orders": (429, _coinbase("resource_exhausted", "Resource has been exhausted")),
        "unknown_outcome": (504, _coinbase("DEADLINE_EXCEEDED", "The request timed out.")),
        "maintenance": (503, _coinbase("UNAVAILABLE", "Trading is under maintenance.")),
        "unknown_code": (200, _refused("UNHEARD_OF_FAILURE_REASON", "A reason no client has heard of.")),
        "market_closed": (200, _refused("PREVIEW_INVALID_PRODUCT_STATUS", "The product is not traded now.")),
    },
}


def say(protocol: str, event: str) -> web.Response:
    """Return what a venue answers in an event; 429 and 418 say when to come back."""
    status, body = _WORDS[protocol].get(event) or _PLAIN[event]
    headers = {"Retry-After": "120" if status == 418 else "1"} if status in (418, 429) else None
    if isinstance(body, str):
        kind = "text/html" if body.startswith("<") else "text/plain"
        return web.Response(status=status, text=body, content_type=kind, headers=headers)
    return web.Response(status=status, text=json.dumps(body), content_type="application/json", headers=headers)
