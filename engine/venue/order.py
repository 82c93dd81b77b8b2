"""Orders of the local exchange: what is asked, the one state machine they go through, and what fills them.

A state changes only by ``Order.becomes``, along the arrows of ``MOVES``; a final state never changes again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from parquet_store.errors import Refuse

__all__ = ["FINAL", "MOVES", "Asked", "Execution", "Order", "Rejected"]

Side = Literal["buy", "sell"]
Kind = Literal["market", "limit", "limit_maker", "stop", "stop_limit", "take_profit", "take_profit_limit"]
State = Literal["new", "partially_filled", "filled", "canceled", "expired", "rejected"]

MOVES: dict[State, tuple[State, ...]] = {
    "new": ("partially_filled", "filled", "canceled", "expired", "rejected"),
    "partially_filled": ("partially_filled", "filled", "canceled", "expired"),
    "filled": (),
    "canceled": (),
    "expired": (),
    "rejected": (),
}
FINAL = tuple(state for state, after in MOVES.items() if not after)


class Rejected(Refuse):
    """The venue does not take an order or a request; ``reason`` is a word a protocol has a code for."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Asked:
    """An order as it is asked for; quantities in base, prices in quote currency, 0 where the kind has none.

    ``reduce_only`` never makes a position larger or turns it; ``close_position`` does too, and takes as its quantity
    what is held when it fills.  Both are for derivatives.
    """

    symbol: str
    side: Side
    kind: Kind
    quantity: float
    client_id: str = ""
    price: float = 0.0
    stop_price: float = 0.0
    time_in_force: Literal["gtc", "ioc", "fok"] = "gtc"
    reduce_only: bool = False
    close_position: bool = False

    @property
    def only_reduces(self) -> bool:
        """Whether it may only make a position smaller."""
        return self.reduce_only or self.close_position


@dataclass(frozen=True)
class Execution:
    """One fill, ``time_ms`` the venue's, ms since the epoch.

    ``fee``, and ``realized``, the profit of what it closed before fees, are in quote or settle currency.
    """

    trade_id: int
    order_id: int
    symbol: str
    side: Side
    price: float
    quantity: float
    fee: float
    maker: bool
    time_ms: int
    realized: float = 0.0


@dataclass
class Order:
    """An order the venue took.

    Attributes
    ----------
    takes : bool
        Whether it meets the market when it first takes part.
    locked : float
        What it binds of its currency on a spot market.
    triggered : bool
        Whether its stop price was met.
    liquidation : bool
        Whether the venue made it itself.
    pair_id : int
        The first order of the pair it belongs to, 0 if none.
    active_ms : int
        When it reaches the market, ms since the epoch.
    """

    order_id: int
    account: str
    asked: Asked
    time_ms: int
    takes: bool
    state: State = "new"
    filled: float = 0.0
    spent: float = 0.0
    locked: float = 0.0
    triggered: bool = False
    updated_ms: int = 0
    liquidation: bool = False
    pair_id: int = 0
    active_ms: int = 0
    executions: list[Execution] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether it may still fill."""
        return self.state not in FINAL

    @property
    def rest(self) -> float:
        """What is left to fill, base currency."""
        return self.asked.quantity - self.filled

    def becomes(self, state: State, time_ms: int) -> None:
        """Move to another state; a move the table does not have is a fault of the venue itself."""
        if state not in MOVES[self.state]:
            raise AssertionError(f"order {self.order_id}: {self.state} cannot become {state}")
        self.state = state
        self.updated_ms = time_ms
