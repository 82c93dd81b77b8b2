"""What is asked of a venue and what it answers, the same for every venue.

Quantities are in base currency, prices in quote currency a unit of base, times in ns since the epoch, UTC.  NaN is
what the venue did not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Balance", "Fill", "MarketRules", "OrderReport", "OrderRequest", "Payment", "Position", "Quote"]

Side = Literal["buy", "sell"]
Kind = Literal["market", "limit", "stop", "stop_limit", "take_profit"]
Status = Literal["open", "filled", "canceled", "expired", "rejected"]
TimeInForce = Literal["gtc", "ioc", "fok"]


@dataclass(frozen=True)
class OrderRequest:
    """One order, before it is sent.

    Attributes
    ----------
    symbol : str
        As CCXT writes it: ``BTC/USDT``, ``BTC/USDT:USDT``.
    side, kind, time_in_force : str
    quantity : float
        Above 0.
    client_id : str
        Ours, at most 32 letters and digits; the venue finds the order by it.
    price : float
        Of limit orders.
    stop_price : float
        At which a stop or take-profit order becomes one that trades.
    reduce_only : bool
        It may only make a position smaller.
    post_only : bool
        It may only rest in the book.
    """

    symbol: str
    side: Side
    kind: Kind
    quantity: float
    client_id: str
    price: float = float("nan")
    stop_price: float = float("nan")
    reduce_only: bool = False
    post_only: bool = False
    time_in_force: TimeInForce = "gtc"


@dataclass(frozen=True)
class OrderReport:
    """What a venue says of an order.

    Attributes
    ----------
    client_id, venue_id : str
    status : str
        ``open`` also while partly filled.
    filled : float
        Of ``quantity``.
    average_price : float
        Of what was filled, NaN while nothing is.
    """

    client_id: str
    venue_id: str
    symbol: str
    side: Side
    kind: Kind
    status: Status
    quantity: float
    filled: float
    average_price: float
    price: float
    time_ns: int


@dataclass(frozen=True)
class Fill:
    """One execution of an order.

    Attributes
    ----------
    trade_id : str
        The venue's, once for each execution.
    fee : float
        In ``fee_currency``, positive: paid.
    maker : bool
    """

    trade_id: str
    client_id: str
    venue_id: str
    symbol: str
    side: Side
    price: float
    quantity: float
    fee: float
    fee_currency: str
    maker: bool
    time_ns: int


@dataclass(frozen=True)
class Balance:
    """What an account has of a currency; ``used`` is bound by open orders or margin."""

    currency: str
    free: float
    used: float


@dataclass(frozen=True)
class Payment:
    """Funding of a perpetual: ``amount`` in quote currency, negative where it was taken from the account."""

    payment_id: str
    symbol: str
    amount: float
    time_ns: int


@dataclass(frozen=True)
class Position:
    """An open position of a derivative; ``quantity`` is negative when short."""

    symbol: str
    quantity: float
    entry_price: float
    mark_price: float
    liquidation_price: float
    leverage: float


@dataclass(frozen=True)
class Quote:
    """The best prices of a moment, and the quantities behind them."""

    symbol: str
    bid: float
    ask: float
    bid_quantity: float
    ask_quantity: float
    time_ns: int


@dataclass(frozen=True)
class MarketRules:
    """What a venue asks of an order in a market.

    Attributes
    ----------
    price_tick, quantity_step : float
        Prices and quantities are whole multiples.
    min_quantity : float
    min_notional : float
        Price times quantity, quote currency.
    maker_fee, taker_fee : float
        Fractions of the notional.
    contract_size : float
        Base currency a contract; 1 on spot markets.
    """

    symbol: str
    base: str
    quote: str
    price_tick: float
    quantity_step: float
    min_quantity: float
    min_notional: float
    maker_fee: float
    taker_fee: float
    contract_size: float = 1.0
