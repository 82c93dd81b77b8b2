"""The only orders that leave: entries as large as the review let them be, and orders that make a position smaller."""

from __future__ import annotations

from typing import Final

from engine.execution.orders import OrderRequest
from parquet_store.errors import Halt

__all__ = ["Approved", "approve_entry", "approve_exit"]

_ROUNDING: Final = 1.0 + 1e-9


class Approved(OrderRequest):
    """An order that may be sent; `approve_entry` and `approve_exit` alone make one.

    Raises
    ------
    Halt
        Somebody else makes one.
    """

    def __init__(self, *what: object, **named: object) -> None:
        raise Halt("an order was approved by nobody: this is a fault of the program, report it")


def approve_entry(request: OrderRequest, let: float) -> Approved:
    """Approve an order that opens a position.

    Parameters
    ----------
    request : OrderRequest
    let : float
        What `engine.risk.review.review` let at the close it was decided at, base currency; 0: nothing.

    Raises
    ------
    Halt
        It is larger: nothing more may be sent.
    """
    if not 0.0 < request.quantity <= let * _ROUNDING:
        raise Halt(f"order {request.client_id} opens {request.quantity:g}, the review let {let:g}; report this")
    return _approved(request)


def approve_exit(request: OrderRequest, held: float) -> Approved:
    """Approve an order that closes a position, or protects it.

    Parameters
    ----------
    request : OrderRequest
    held : float
        The position, base currency, negative when short.

    Raises
    ------
    Halt
        It would make the position larger, or turn it: nothing more may be sent.
    """
    signed = request.quantity if request.side == "buy" else -request.quantity
    if not (signed * held < 0.0 and request.quantity <= abs(held) * _ROUNDING):
        raise Halt(
            f"order {request.client_id} ({request.side} {request.quantity:g}) does not close a position of {held:g}; "
            "report this"
        )
    return _approved(request)


def _approved(request: OrderRequest) -> Approved:
    made = object.__new__(Approved)
    vars(made).update(vars(request))
    return made
