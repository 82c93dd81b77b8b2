"""What a kind of fault is: its name, what it does, where it acts, what a right client does about it, and the act.

A kind has its words next to its code: ``@fault(...)`` on the function that acts.  ``table.TABLE`` gathers them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

__all__ = ["ALL", "BINANCE", "CANDLES", "LINEAR", "Kind", "Where", "fault"]

Where = Literal["request", "event", "message", "clock", "market"]
Act = TypeVar("Act", bound=Callable[..., Any])

ALL = ("binance", "binanceusdm", "okx", "coinbase")
BINANCE = ("binance", "binanceusdm")
CANDLES = ("binance", "binanceusdm", "okx")  # the protocols whose candles CCXT reads from a stream
LINEAR = ("binanceusdm", "okx")


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes
    ----------
    name : str
    where : str
        What it acts on: ``request`` (a REST call), ``event`` (what the exchange tells all streams), ``message`` (one
        WebSocket connection), ``clock`` (the venue's clock), ``market`` (the exchange itself, as bars are played).
    on : tuple of str
        The opportunities it has: roles of requests and messages, or names of events; empty for any.
    does, client : str
        What happens; what a client that is right does about it.
    protocols : tuple of str
        Where it makes sense.
    times : int
        How often it acts unless told, 0 for always.
    size : float
        Its number unless told; ``unit`` says of what.
    act : callable
    """

    name: str
    where: Where
    on: tuple[str, ...]
    does: str
    client: str
    protocols: tuple[str, ...]
    times: int
    size: float
    unit: str
    act: Callable[..., Any]


def fault(
    table: dict[str, Kind],
    where: Where,
    *on: str,
    does: str,
    client: str,
    protocols: tuple[str, ...] = ALL,
    times: int = 1,
    size: float = 0.0,
    unit: str = "",
) -> Callable[[Act], Act]:
    """Enter a function into a table as a kind of fault; its name is the function's.

    The act of a request is given (call, armed) and returns the answer; of an event (turn, armed) and returns what is
    told in its place; of a message (line, text, armed), see ``socket``; of the clock (ms, armed) and returns ms; of the
    market (venue, symbol, armed) and returns whether there was anything to do.
    """

    def enter(act: Act) -> Act:
        name = act.__name__.strip("_")
        if name in table:
            raise AssertionError(f"fault {name} is there twice")
        table[name] = Kind(name, where, on, does, client, protocols, times, size, unit, act)
        return act

    return enter
