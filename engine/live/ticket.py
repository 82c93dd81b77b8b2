"""An order on its way, from the moment it is decided until the venue's last word on it and all its fills are known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from engine.execution.orders import Fill, OrderReport, OrderRequest
from engine.live.entry import Entry
from engine.live.order_states import LIVE, MOVES, State
from parquet_store.errors import Halt

__all__ = ["LEGS", "Leg", "Ticket", "client_id_of"]

Leg = Literal["entry", "exit", "stop", "target"]
LEGS: tuple[Leg, ...] = ("entry", "exit", "stop", "target")
_FULL = 1e-9  # of a quantity: what is left below this part is rounding


def client_id_of(digest: str, symbol: str, number: int, leg: Leg, attempt: int) -> str:
    """Return the id of an order: a function of what it is for, so that the same order can never have two.

    Parameters
    ----------
    digest : str
        Of the manifest.
    symbol : str
    number : int
        Of the bar whose close decided it.
    leg : str
    attempt : int

    Returns
    -------
    str
        25 lower-case letters and digits, which every venue takes.
    """
    text = f"{digest}|{symbol}|{number}|{leg}|{attempt}".encode()
    return "l" + hashlib.sha256(text).hexdigest()[:24]


@dataclass(slots=True)
class Ticket:
    """One order and what is known of it.

    Attributes
    ----------
    request : OrderRequest
    leg : str
    paired : bool
        Whether the venue cancels it when its sibling fills.
    status : str
        One of `engine.live.order_states`, and changed by ``becomes`` alone.
    reported : float
        Quantity the venue said is filled.
    filled, notional, fee : float
        Of the fills that were told: base currency, quote currency, quote currency.
    price : float
        Of the fills, averaged.
    cancelling, cancel_sent : bool
        Whether it is to be cancelled, and whether the venue was asked to.
    standing : int
        How often it was seen to stand since then.
    refused : bool
        Whether the venue said no to it.
    absent : int
        How often the venue said that it knows no such order.
    ask_ns : int
        When to ask for it again, 0 for never.
    doubted : bool
        Whether the run was interrupted, and the venue has not been heard about it since.
    untold_ns : int
        Since when the venue has filled more of it than its fills that were told, or they were last asked for; 0: it
        has not.
    best, estimate : float
        The best price before it left, and what was estimated to be paid beyond it, as a fraction; 0: not looked at.
    deadline_ns : int
        When to cancel it, 0 for never.
    position : int
        The number of the position it leaves or protects.
    into : Entry, optional
        What it is an order of, if it enters.
    at : float
        The price it rests at: as asked for, or as the venue says.
    look_ns : int
        When to look whether it should be moved, 0 for never.
    moves_to : float
        Where its next order is to rest once it is cancelled; NaN: there is none.
    amended : OrderRequest, optional
        What an amendment under way asks for.
    over : bool
        Whether its deadline has passed.
    """

    request: OrderRequest
    leg: Leg
    sent_ns: int
    paired: bool = False
    status: State = "sent"
    venue_id: str = ""
    reported: float = 0.0
    filled: float = 0.0
    notional: float = 0.0
    fee: float = 0.0
    price: float = 0.0
    cancelling: bool = False
    cancel_sent: bool = False
    standing: int = 0
    failures: int = 0
    refused: bool = False
    absent: int = 0
    ask_ns: int = 0
    doubted: bool = False
    untold_ns: int = 0
    deadline_ns: int = 0
    best: float = 0.0
    estimate: float = 0.0
    position: int = 0
    into: Entry | None = None
    at: float = float("nan")
    look_ns: int = 0
    moves_to: float = float("nan")
    amended: OrderRequest | None = None
    over: bool = False
    fills: set[str] = field(default_factory=set)

    @property
    def live(self) -> bool:
        """Whether it may still fill, or fills of it are still to be told."""
        return self.status in LIVE or self.untold

    @property
    def untold(self) -> bool:
        """Whether the venue has filled more of it than its fills that were told."""
        return self.reported > self.filled + _FULL * self.request.quantity

    def becomes(self, state: State) -> None:
        """Go to another state, or stay.

        Raises
        ------
        Halt
            No move leads there: the loop contradicts itself, and nothing more may be sent.
        """
        if state != self.status:
            if (self.status, state) not in MOVES:
                raise Halt(f"order {self.request.client_id} was {self.status} and cannot become {state}: report this")
            self.status = state

    def reports(self, report: OrderReport) -> None:
        """Take what the venue says; a final status and a quantity filled are never taken back."""
        self.venue_id = report.venue_id or self.venue_id
        self.reported = max(self.reported, report.filled)
        self.doubted = False
        if report.price == report.price:
            self.at = report.price
            if self.amended is not None and report.price == self.amended.price:
                self.request, self.amended = self.amended, None
        if self.status in LIVE:
            self.becomes(report.status)
            self.absent = self.ask_ns = 0

    def takes(self, fill: Fill, base: str, rate: float) -> tuple[float, float] | None:
        """Take a fill once; return (fee in quote currency, fee in base currency), None if it was known.

        A fee in a third currency is counted as the market's ``rate`` says, and paid by nobody here.
        """
        if fill.trade_id in self.fills:
            return None
        self.fills.add(fill.trade_id)
        notional = fill.quantity * fill.price
        in_base = fill.fee if fill.fee_currency == base else 0.0
        quote = self.request.symbol.partition("/")[2].partition(":")[0]
        if in_base:
            fee = in_base * fill.price
        elif fill.fee_currency == quote and fill.fee == fill.fee:
            fee = fill.fee
        else:
            fee = rate * notional
        first = self.filled == 0.0
        self.filled += fill.quantity
        self.notional += notional
        self.price = fill.price if first else self.notional / self.filled
        self.fee += fee
        self.reported = max(self.reported, self.filled)
        if self.into is not None:
            self.into.takes(fill.quantity, fill.price, fee)
        return fee, in_base
