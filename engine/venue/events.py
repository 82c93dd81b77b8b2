"""What the local exchange tells those who listen."""

from __future__ import annotations

from dataclasses import dataclass

from engine.venue.order import Execution, Order, State
from engine.venue.position import Position

__all__ = [
    "AccountEvent",
    "BalanceChanged",
    "BookChanged",
    "Candle",
    "CandleChanged",
    "Event",
    "FundingPaid",
    "Liquidated",
    "MarketEvent",
    "OrderChanged",
    "PositionChanged",
    "Trade",
    "Traded",
]

Levels = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Candle:
    """A bar; times in ms since the epoch; ``volume`` in base currency; ``closed`` when nothing more happens in it."""

    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool


@dataclass(frozen=True)
class Trade:
    """A public trade, made from a bar: its prices are the bar's, its quantities a quarter of the bar's volume."""

    trade_id: int
    price: float
    quantity: float
    time_ms: int
    buyer_is_maker: bool


@dataclass(frozen=True)
class CandleChanged:
    """A candle opened or closed."""

    symbol: str
    candle: Candle


@dataclass(frozen=True)
class Traded:
    """A public trade."""

    symbol: str
    trade: Trade


@dataclass(frozen=True)
class BookChanged:
    """The book moved on by one update; a quantity of 0 takes a level away."""

    symbol: str
    update: int
    bids: Levels
    asks: Levels
    time_ms: int


@dataclass(frozen=True)
class OrderChanged:
    """An order was taken, filled or ended; ``state`` is that of the moment, ``execution`` the fill if it was one."""

    account: str
    order: Order
    state: State
    execution: Execution | None
    time_ms: int


@dataclass(frozen=True)
class BalanceChanged:
    """Amounts of an account changed."""

    account: str
    currencies: tuple[str, ...]
    time_ms: int


@dataclass(frozen=True)
class PositionChanged:
    """A fill changed a position, or its leverage was set; ``position`` is that of the moment."""

    account: str
    position: Position
    time_ms: int


@dataclass(frozen=True)
class FundingPaid:
    """Funding was paid on a position: ``amount`` in settle currency, negative if the account paid it."""

    account: str
    symbol: str
    amount: float
    rate: float
    time_ms: int


@dataclass(frozen=True)
class Liquidated:
    """The venue closed a position whose margin was gone; ``quantity`` is signed, as it was held."""

    account: str
    symbol: str
    quantity: float
    price: float
    time_ms: int


MarketEvent = CandleChanged | Traded | BookChanged
AccountEvent = OrderChanged | BalanceChanged | PositionChanged | FundingPaid | Liquidated
Event = MarketEvent | AccountEvent
