"""Between base currency, in which everything here counts, and contracts, in which a venue may count derivatives.

Decimal arithmetic on the shortest digits of a float, with 15 of them, as many as a float always keeps: a whole number
of the venue's steps becomes the same one again.  Where a contract is one unit of the base currency nothing changes.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any, Final

__all__ = ["in_base", "to_base", "to_contracts"]

_DIGITS: Final = Context(prec=15)
_AMOUNTS: Final = ("amount", "filled", "remaining")


def to_contracts(quantity: float, size: float) -> float:
    """Return how many contracts of a size, in base currency, a quantity in base currency is."""
    return quantity if size == 1.0 else float(_DIGITS.divide(_decimal(quantity), _decimal(size)))


def to_base(contracts: float, size: float) -> float:
    """Return the base currency of a number of contracts."""
    return contracts if size == 1.0 else float(_DIGITS.multiply(_decimal(contracts), _decimal(size)))


def in_base(row: dict[str, Any], market: dict[str, Any]) -> dict[str, Any]:
    """Return an order or an execution of CCXT with its quantities in base currency."""
    size = float(market.get("contractSize") or 1.0)
    if size == 1.0:
        return row
    return row | {name: to_base(float(row[name]), size) for name in _AMOUNTS if row.get(name) is not None}


def _decimal(value: float) -> Decimal:
    return Decimal(repr(float(value)))
