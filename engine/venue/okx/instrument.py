"""Instruments of OKX: their ids, their quantities in contracts, the names of their candles.

The venue counts in base currency, OKX in contracts of ``ctVal`` base currency each.  Both ways are decimal arithmetic
on the digits that are sent, with 15 digits, as many as a float always keeps: what a client sends comes back as it was.
"""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation

from engine.venue.market import Market
from engine.venue.okx.codes import Problem
from parquet_store.timeframe import Timeframe

__all__ = ["bars_of", "contracts", "inst_id", "inst_type", "number", "quantity_of"]

_DIGITS = Context(prec=15)
_UNITS = {"h": "H", "d": "D", "w": "W"}
_HOUR_MS = 3_600_000


def inst_type(market: Market) -> str:
    """Return ``SWAP`` or ``SPOT``."""
    return "SWAP" if market.linear else "SPOT"


def inst_id(market: Market) -> str:
    """Return the instrument's id: ``BTC-USDT-SWAP``, ``BTC-USDT``."""
    return f"{market.base}-{market.quote}-SWAP" if market.linear else f"{market.base}-{market.quote}"


def contracts(quantity: float, market: Market) -> str:
    """Return a quantity in base currency as OKX writes it: contracts of a swap, base currency of a spot market."""
    exact = Decimal(repr(float(quantity)))
    if market.linear:
        exact = _DIGITS.divide(exact, Decimal(repr(market.contract_size)))
    return format(exact.normalize(_DIGITS), "f")


def quantity_of(text: object, market: Market, name: str = "sz") -> float:
    """Return the base currency of a number of contracts.

    Raises
    ------
    Problem
        If the text is no finite number.
    """
    exact = number(text, name)
    return float(_DIGITS.multiply(exact, Decimal(repr(market.contract_size))) if market.linear else exact)


def number(text: object, name: str) -> Decimal:
    """Return the number a parameter holds.

    Raises
    ------
    Problem
        If it is missing, or no finite number.
    """
    if text is None or text == "":
        raise Problem("missing", name)
    try:
        found = Decimal(str(text))
    except InvalidOperation:
        raise Problem("parameter", name) from None
    if not found.is_finite():
        raise Problem("parameter", name)
    return found


def bars_of(timeframe: str, length_ms: int) -> tuple[str, ...]:
    """Return the names OKX has for a timeframe in UTC: ``1H``, ``1Dutc``.

    A bar of 6 hours or more without ``utc`` begins by the time of Hong Kong, and is not what the venue has.
    """
    parsed = Timeframe.parse(timeframe)
    name = f"{parsed.count}{_UNITS.get(parsed.unit, parsed.unit)}"
    return (name + "utc",) if length_ms >= 6 * _HOUR_MS else (name,)
