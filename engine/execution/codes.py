"""A venue's own code in the message of an error of CCXT, and what the venues' documents say of those that decide.

CCXT's classes are too coarse for placing an order: the same code of Binance is a `RequestTimeout` on spot markets, a
`BadResponse` in a portfolio margin account and a plain `ExchangeError` on options.  A code found here goes before
the class.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final, Literal

__all__ = ["Verdict", "code_of", "family", "status_of", "verdict_of"]

Verdict = Literal["unreached", "unknown", "duplicate", "halt"]

# unreached: refused at the venue's door, no order can exist;  unknown: the venue says that it does not know;
# duplicate: an order with this client id exists already;  halt: the key or the account, not this order
VERDICTS: Final[dict[str, dict[str, Verdict]]] = {
    "binance": {
        "-1000": "unknown",  # an error occurred while processing the request
        "-1001": "unknown",  # disconnected; unable to process
        "-1002": "halt",  # not authorised
        "-1003": "unreached",  # request weight used up, or the address banned for a while
        "-1006": "unknown",  # unexpected response from the message bus
        "-1007": "unknown",  # no answer from the backend in time
        "-1008": "unreached",  # throttled because the servers are overloaded
        "-1015": "unreached",  # too many new orders
        "-1021": "unreached",  # timestamp outside of the receiving window
        "-1022": "halt",  # signature
        "-1125": "unreached",  # the listen key is gone; CCXT asks for another one
        "-2008": "halt",  # unknown key
        "-2014": "halt",  # malformed key
        "-2015": "halt",  # key, address or permission; CCXT says DDoSProtection once a call has succeeded
        "-4116": "duplicate",
        "-20132": "duplicate",
    },
    "okx": {
        "50004": "unknown",  # endpoint timed out, "does not indicate success or failure"
        "50011": "unreached",  # too many requests
        "50012": "halt",  # state of the account
        "50019": "halt",  # account frozen: deleveraging
        "50022": "halt",  # account frozen: liquidation
        "50028": "halt",  # order not taken, ask the support
        "50061": "unreached",  # too many orders from this account
        "50100": "halt",  # key frozen
        "50102": "unreached",  # timestamp expired
        "51011": "duplicate",
        "51016": "duplicate",
        "51149": "unknown",  # order timed out
    },
    "coinbase": {
        "UNKNOWN_FAILURE_REASON": "unknown",
        "UNKNOWN_CANCEL_FAILURE_REASON": "unknown",
        "internal_server_error": "unknown",
        "rate_limit_exceeded": "unreached",
        "resource_exhausted": "unreached",
        "unknown": "unknown",
    },
}
FAMILIES: Final = {
    "binance": ("binance", "binanceusdm", "binancecoinm", "binanceus"),
    "okx": ("okx", "okxus", "myokx"),
    "coinbase": ("coinbase", "coinbaseadvanced"),
}
_TEXTS: Final[dict[str, tuple[tuple[re.Pattern[str], Verdict], ...]]] = {
    "binance": (
        (re.compile(r"(?i)(send|execution) status unknown|unknown error, please check your request"), "unknown"),
        (re.compile(r"(?i)duplicate order sent|clientorderid is duplicated"), "duplicate"),
    ),
}
LONGEST: Final = 20_000
TRIES: Final = 5
_OPENING = re.compile(r"[{\[]")
_STATUS = re.compile(r"^\S+ (?:[A-Z]{3,7} \S+ )?([1-5]\d\d)(?= |$)")
_STATUSES: Final[dict[int, Verdict]] = {418: "unreached", 429: "unreached", 401: "halt", 451: "halt"}


def family(venue: str) -> str:
    """Return the venue whose codes a venue of CCXT uses; itself when nothing is known of it."""
    return next((name for name, members in FAMILIES.items() if venue in members), venue)


def code_of(message: str) -> str:
    """Return the venue's code in a message of CCXT, "" when there is none.

    Parameters
    ----------
    message : str
        ``str(error)``: the venue's name, then the body as it came, or an address, a status and the body.

    Notes
    -----
    The body is the first piece of the message that is JSON and says an error: Binance's ``code`` (also in a list, or
    in JSON inside its ``msg``), OKX's ``sCode`` of the order before its ``code`` of the request, Coinbase's
    ``error``, ``error_response`` or ``errors``.
    """
    for body in _bodies(message):
        code = _code(body)
        if code:
            return code
    return ""


def status_of(message: str) -> int | None:
    """Return the HTTP status in a message of CCXT, None when it names none."""
    found = _STATUS.match(message)
    return int(found[1]) if found else None


def verdict_of(venue: str, message: str) -> Verdict | None:
    """Return what a venue's code, status or words prove, None when they prove nothing.

    Notes
    -----
    Statuses 418 and 429 prove that no order exists only at the venues listed here, whose documents place the limit
    before the matching engine; 401 and 451 mean the account everywhere.
    """
    house, message = family(venue), message[:LONGEST]
    verdict = VERDICTS.get(house, {}).get(code_of(message))
    if verdict is not None:
        return verdict
    for pattern, meant in _TEXTS.get(house, ()):
        if pattern.search(message, 0, 2_000):
            return meant
    meant_by_status = _STATUSES.get(status_of(message) or 0)
    return None if meant_by_status == "unreached" and house not in VERDICTS else meant_by_status


def _bodies(message: str) -> Iterator[object]:
    """Yield what is JSON in a text, outermost first; few pieces are tried, for a body can be a whole page."""
    decoder, start, message = json.JSONDecoder(), 0, message[:LONGEST]
    for _ in range(TRIES):
        found = _OPENING.search(message, start)
        if found is None:
            return
        start = found.start()
        try:
            body, end = decoder.raw_decode(message, start)
        except (ValueError, RecursionError):
            start += 1
            continue
        yield body
        start = end


def _code(body: object) -> str:
    if isinstance(body, list):
        return _code(body[0]) if len(body) == 1 else ""
    if not isinstance(body, dict):
        return ""
    data = body.get("data")
    for row in data if isinstance(data, list) else ():
        if isinstance(row, dict) and str(row.get("sCode") or "0") != "0":
            return str(row["sCode"])
    inner = body.get("msg")
    if isinstance(inner, str) and inner.startswith("{"):
        nested = code_of(inner)
        if nested:
            return nested
    response = body.get("error_response")
    if isinstance(response, dict):
        for key in ("new_order_failure_reason", "preview_failure_reason", "error"):
            named = str(response.get(key) or "")
            if named and not named.startswith("UNKNOWN"):
                return named
        return str(response.get("error") or "UNKNOWN_FAILURE_REASON")
    errors = body.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict) and errors[0].get("id"):
        return str(errors[0]["id"])
    code = body.get("code", body.get("error"))
    return str(code) if isinstance(code, str | int) and str(code) not in ("", "0") else ""
