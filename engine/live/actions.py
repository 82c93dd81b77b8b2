"""What a live run wants done: plain records, done in their order, each journalled before it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.execution.orders import OrderRequest

__all__ = [
    "Action",
    "AmendOrder",
    "CancelOrder",
    "Decided",
    "FetchCandles",
    "FetchFills",
    "FetchHoldings",
    "FetchQuote",
    "FindOrder",
    "PlaceOrder",
    "PlacePair",
    "Reconnect",
    "Said",
    "Slipped",
    "Traded",
]


@dataclass(frozen=True, slots=True)
class FetchCandles:
    """Ask REST for the candles that open from ``from_ns`` to ``to_ns``, both included."""

    series: str
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Connect the stream of a series anew."""

    series: str


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Send an order, once."""

    request: OrderRequest


@dataclass(frozen=True, slots=True)
class PlacePair:
    """Send a stop and a target of which one cancels the other."""

    stop: OrderRequest
    target: OrderRequest


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel an order."""

    request: OrderRequest
    venue_id: str


@dataclass(frozen=True, slots=True)
class AmendOrder:
    """Have an order that rests have another price, and quantity: ``request`` is what it is to be."""

    request: OrderRequest
    venue_id: str


@dataclass(frozen=True, slots=True)
class FetchQuote:
    """Ask for the best prices of a symbol."""

    symbol: str


@dataclass(frozen=True, slots=True)
class FindOrder:
    """Ask what became of an order, by our id."""

    request: OrderRequest


@dataclass(frozen=True, slots=True)
class FetchFills:
    """Ask for the executions of an order."""

    request: OrderRequest
    venue_id: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class FetchHoldings:
    """Ask what the account holds of a symbol."""

    symbol: str


@dataclass(slots=True)  # not frozen: one for every program and close, and a frozen one takes seven times as long
class Decided:
    """What a program decided at the close of a bar.

    Attributes
    ----------
    account : str
        The name of the sub-account.
    open_ns, close_ns : int
        Of the bar that closed.
    entry, exit, short_entry, short_exit : bool
    stop, target : float
        Distances, NaN where there is none.
    equity, quantity : float
        Of the sub-account at this close; base currency, negative when short.
    ordered : float
        Quantity of the entry that is sent, signed; 0 for none.
    leaves : bool
        Whether the position is left.
    why : str
        Why nothing was sent although the program wanted to; else empty.
    """

    account: str
    open_ns: int
    close_ns: int
    entry: bool
    exit: bool
    short_entry: bool
    short_exit: bool
    stop: float
    target: float
    equity: float
    quantity: float
    ordered: float
    leaves: bool
    why: str


@dataclass(frozen=True, slots=True)
class Traded:
    """A position was closed; bars are counted by the sub-account, from 0."""

    account: str
    entry_bar: int
    exit_bar: int
    side: int
    reason: str
    quantity: float
    entry_price: float
    exit_price: float
    fees: float
    profit: float


@dataclass(frozen=True, slots=True)
class Slipped:
    """An entry was filled: the best price before it left, and the fractions estimated and paid beyond it."""

    account: str
    client_id: str
    best: float
    estimated: float
    paid: float


@dataclass(frozen=True, slots=True)
class Said:
    """Something a person should know; ``level`` as in logging."""

    level: Literal["info", "warning", "error"]
    about: str
    text: str


Action = (
    FetchCandles
    | FetchHoldings
    | Reconnect
    | PlaceOrder
    | PlacePair
    | CancelOrder
    | AmendOrder
    | FetchQuote
    | FindOrder
    | FetchFills
    | Decided
    | Traded
    | Said
    | Slipped
)
