"""OKX's answers to what it does not take: code, status and message for every reason of the venue."""

from __future__ import annotations

from typing import Any

from engine.venue.market import Market
from engine.venue.order import Asked, Rejected

__all__ = ["REASONS", "Problem", "problem_of"]

# reason -> (code, HTTP status of a request that is refused whole, the venue's own words)
REASONS: dict[str, tuple[str, int, str]] = {
    "body": ("50000", 400, "Body for POST request cannot be empty."),
    "weight": ("50011", 429, "Too Many Requests"),
    "missing": ("50014", 400, "Parameter {0} cannot be empty."),
    "environment": ("50101", 401, "APIKey does not match current environment."),
    "timestamp": ("50102", 401, "Timestamp request expired."),
    "no_key": ("50103", 401, 'Request header "OK-ACCESS-KEY" cannot be empty.'),
    "no_passphrase": ("50104", 401, 'Request header "OK-ACCESS-PASSPHRASE" cannot be empty.'),
    "passphrase": ("50105", 401, 'Request header "OK-ACCESS-PASSPHRASE" incorrect.'),
    "no_signature": ("50106", 401, 'Request header "OK-ACCESS-SIGN" cannot be empty.'),
    "no_timestamp": ("50107", 401, 'Request header "OK-ACCESS-TIMESTAMP" cannot be empty.'),
    "key": ("50111", 401, "Invalid OK-ACCESS-KEY"),
    "bad_timestamp": ("50112", 401, "Invalid OK-ACCESS-TIMESTAMP"),
    "signature": ("50113", 401, "Invalid Sign"),
    "parameter": ("51000", 200, "Parameter {0} error"),
    "symbol": ("51001", 200, "Instrument ID, Instrument ID code, or Spread ID doesn't exist."),
    "price": ("51000", 200, "Parameter px error"),
    "balance": ("51008", 200, "Order failed. Insufficient {0} balance in account."),
    "margin": ("51008", 200, "Order failed. Insufficient {0} margin in account."),
    "mode": ("51010", 200, "You can't complete this request under your current account mode."),
    "duplicate": ("51016", 200, "Client order ID already exists."),
    "least": ("51020", 200, "Your order should meet or exceed the minimum order amount."),
    "notional": ("51020", 200, "Your order should meet or exceed the minimum order amount."),
    "no_position": ("51023", 200, "Position doesn't exist."),
    "trading": ("51027", 200, "Contract expired."),
    "lot": ("51121", 200, "Order quantity must be a multiple of the lot size."),
    "reduce_only": (
        "51169",
        200,
        "Order failed because you don't have any positions in this direction to reduce or close.",
    ),
    "no_reduce_only": ("51205", 200, "Reduce Only is not available."),
    "tp_above": ("51277", 200, "TP trigger price cannot be higher than the last price."),
    "sl_below": ("51278", 200, "SL trigger price cannot be lower than the last price."),
    "tp_below": ("51279", 200, "TP trigger price cannot be lower than the last price."),
    "sl_above": ("51280", 200, "SL trigger price cannot be higher than the last price."),
    "unknown_cancel": (
        "51400",
        200,
        "Order cancellation failed as the order has been filled, canceled or does not exist.",
    ),
    "no_change": ("51500", 200, "You must enter a price, quantity or TP/SL."),
    "unknown_amend": (
        "51503",
        200,
        "Order modification failed as the order has been filled, canceled or does not exist.",
    ),
    "unknown_order": ("51603", 200, "Order does not exist."),
    "leverage": ("59102", 200, "Leverage exceeds the maximum limit. Please lower the leverage."),
    "low_leverage": ("59103", 200, "Leverage is too low. There isn't sufficient margin in your account."),
    "ws_timestamp": ("60006", 200, "Timestamp request expired"),
    "ws_key": ("60005", 200, "Invalid apiKey"),
    "ws_signature": ("60007", 200, "Invalid sign"),
    "ws_login": ("60011", 200, "Please log in"),
    "ws_request": ("60012", 200, "Invalid request: {0}"),
    "ws_channel": ("60018", 200, "Wrong URL or {0} doesn't exist. Please use the correct URL, channel and parameters."),
    "ws_passphrase": ("60024", 200, "Wrong passphrase"),
    "ws_environment": ("60032", 200, "API key doesn't exist in this environment."),
}


class Problem(Exception):
    """A request, or one order of it, that is not done for one of ``REASONS``; ``about`` is named in its words."""

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code, self.status, words = REASONS[reason]
        self.message = words.replace("{0}", about)

    def row(self, **ids: str) -> dict[str, Any]:
        """Return the entry of a list of orders for one that failed."""
        return ids | {"tag": "", "sCode": self.code, "sMsg": self.message}


def problem_of(found: Rejected, asked: Asked, market: Market) -> Problem:
    """Return OKX's problem for what the venue rejected of an order."""
    reason = found.reason
    if reason == "quantity":
        return Problem("least" if asked.quantity < market.min_quantity else "lot")
    if reason == "reduce_only" and not market.linear:
        return Problem("no_reduce_only")
    if reason == "trigger":
        stop, sells = asked.kind in ("stop", "stop_limit"), asked.side == "sell"
        if stop:
            return Problem("sl_above" if sells else "sl_below")
        return Problem("tp_below" if sells else "tp_above")
    about = market.pays_in(asked.side) if reason in ("balance", "margin") else ""
    return Problem(reason if reason in REASONS else "parameter", about or reason)
