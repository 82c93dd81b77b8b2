"""Venue's records in Coinbase's words: products, candles, trades, books, accounts, orders, fills.  Pure functions.

Ids of orders and fills are uuids there; here they are the venue's numbers written as such.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from engine.venue.account import Account
from engine.venue.events import Candle, Levels, Trade
from engine.venue.market import Market, plain
from engine.venue.order import Execution, Order, State
from engine.venue.tape import Tape

__all__ = [
    "GRANULARITIES",
    "account",
    "book",
    "candle",
    "configuration",
    "fill",
    "iso",
    "number_of",
    "order",
    "order_id",
    "product",
    "product_id",
    "status_of",
    "ticker",
    "trade",
    "wallet",
]

GRANULARITIES = {
    "1m": "ONE_MINUTE",
    "5m": "FIVE_MINUTE",
    "15m": "FIFTEEN_MINUTE",
    "30m": "THIRTY_MINUTE",
    "1h": "ONE_HOUR",
    "2h": "TWO_HOUR",
    "4h": "FOUR_HOUR",
    "6h": "SIX_HOUR",
    "1d": "ONE_DAY",
}
FIAT = ("AUD", "BRL", "CAD", "CHF", "EUR", "GBP", "INR", "JPY", "SGD", "USD")
_STATUSES: dict[State, str] = {
    "new": "OPEN",
    "partially_filled": "OPEN",
    "filled": "FILLED",
    "canceled": "CANCELLED",
    "expired": "CANCELLED",  # what is left of an order that fills at once or not at all
    "rejected": "FAILED",
}
_FORCES = {"gtc": "GOOD_UNTIL_CANCELLED", "ioc": "IMMEDIATE_OR_CANCEL", "fok": "FILL_OR_KILL"}
_STOPS = ("stop_limit", "take_profit_limit")
_DAY_MS = 86_400_000


def iso(time_ms: int) -> str:
    """Return a time as Coinbase writes it."""
    return datetime.fromtimestamp(time_ms / 1000.0, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def product_id(one: Market) -> str:
    """Return a market's name, ``BTC-USD``."""
    return f"{one.base}-{one.quote}"


def order_id(number: int) -> str:
    """Return the id of an order or a fill by its number."""
    return str(uuid.UUID(int=number))


def number_of(text: str) -> int:
    """Return the number of an order by its id, 0 if that is none."""
    try:
        return uuid.UUID(text).int
    except (ValueError, AttributeError, TypeError):
        return 0


def status_of(state: State) -> str:
    """Return an order's status."""
    return _STATUSES[state]


def _day(tape: Tape, now_ms: int) -> dict[str, float]:
    """Return the figures of the last 24 hours."""
    found = tape.candles(now_ms - _DAY_MS, None, 1 << 30)
    first = found[0].open if found else tape.last
    return {
        "change": (tape.last / first - 1.0) * 100.0,
        "volume": sum(one.volume for one in found),
        "quote_volume": sum(one.volume * one.close for one in found),
        "high": max((one.high for one in found), default=tape.last),
        "low": min((one.low for one in found), default=tape.last),
    }


def product(tape: Tape, now_ms: int) -> dict[str, Any]:
    """Return a row of ``products``: the market's filters and the figures of its day."""
    one, day = tape.market, _day(tape, now_ms)
    return {
        "product_id": product_id(one),
        "price": plain(tape.last),
        "price_percentage_change_24h": plain(day["change"]),
        "volume_24h": plain(day["volume"]),
        "volume_percentage_change_24h": "0",
        "base_increment": plain(one.quantity_step),
        "quote_increment": plain(one.price_tick),
        "quote_min_size": plain(one.min_notional),
        "quote_max_size": "150000000",
        "base_min_size": plain(one.min_quantity),
        "base_max_size": "9000000000",
        "base_name": one.base,
        "quote_name": one.quote,
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": not one.trading,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": one.quote,
        "base_currency_id": one.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": one.base,
        "quote_display_symbol": one.quote,
        "view_only": False,
        "price_increment": plain(one.price_tick),
        "display_name": product_id(one),
        "product_venue": "CBE",
        "approximate_quote_24h_volume": plain(day["quote_volume"]),
    }


def candle(one: Candle) -> dict[str, str]:
    """Return a row of ``candles``."""
    said = {"start": str(one.open_ms // 1000), "low": plain(one.low), "high": plain(one.high)}
    return said | {"open": plain(one.open), "close": plain(one.close), "volume": plain(one.volume)}


def trade(one: Trade, market: Market) -> dict[str, str]:
    """Return a public trade; its side is that of the order that rested."""
    return {
        "trade_id": str(one.trade_id),
        "product_id": product_id(market),
        "price": plain(one.price),
        "size": plain(one.quantity),
        "time": iso(one.time_ms),
        "side": "BUY" if one.buyer_is_maker else "SELL",
    }


def book(market: Market, bids: Levels, asks: Levels, limit: int, now_ms: int) -> dict[str, Any]:
    """Return a price book."""
    sides = [[{"price": plain(p), "size": plain(q)} for p, q in side[:limit]] for side in (bids, asks)]
    return {"product_id": product_id(market), "bids": sides[0], "asks": sides[1], "time": iso(now_ms)}


def ticker(tape: Tape, now_ms: int, *, batch: bool) -> dict[str, str]:
    """Return the ticker of the channels ``ticker`` and ``ticker_batch``; the latter is without the best prices."""
    day = _day(tape, now_ms)
    said = {
        "type": "ticker",
        "product_id": product_id(tape.market),
        "price": plain(tape.last),
        "volume_24_h": plain(day["volume"]),
        "low_24_h": plain(day["low"]),
        "high_24_h": plain(day["high"]),
        "low_52_w": plain(day["low"]),
        "high_52_w": plain(day["high"]),
        "price_percent_chg_24_h": plain(day["change"]),
    }
    if batch:
        return said
    bids, asks = tape.book()
    best_bid, best_bid_quantity = bids[0] if bids else (0.0, 0.0)
    said |= {"best_bid": plain(best_bid), "best_bid_quantity": plain(best_bid_quantity)}
    return said | {"best_ask": plain(asks[0][0]), "best_ask_quantity": plain(asks[0][1])}


def account(one: Account, currency: str, opened_ms: int) -> dict[str, Any]:
    """Return a row of ``accounts``: one currency, what is available of it and what orders hold."""
    amounts = (one.available(currency), one.locked.get(currency, 0.0))
    available, hold = ({"value": plain(amount), "currency": currency} for amount in amounts)
    return {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, currency)),
        "name": f"{currency} Wallet",
        "currency": currency,
        "available_balance": available,
        "default": True,
        "active": True,
        "created_at": iso(opened_ms),
        "updated_at": iso(opened_ms),
        "deleted_at": None,
        "type": f"ACCOUNT_TYPE_{'FIAT' if currency in FIAT else 'CRYPTO'}",
        "ready": True,
        "hold": hold,
    }


def wallet(one: Account, currency: str, opened_ms: int) -> dict[str, Any]:
    """Return a row of the older ``/v2/accounts``, which knows only the whole balance."""
    kind = "fiat" if currency in FIAT else "crypto"
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, currency)),
        "name": f"{currency} Wallet",
        "primary": False,
        "type": "fiat" if kind == "fiat" else "wallet",
        "currency": {"code": currency, "name": currency, "exponent": 8, "type": kind},
        "balance": {"amount": plain(one.total(currency)), "currency": currency},
        "created_at": iso(opened_ms),
        "updated_at": iso(opened_ms),
        "resource": "account",
        "allow_deposits": False,
        "allow_withdrawals": False,
    }


def configuration(one: Order) -> dict[str, Any]:
    """Return an order's configuration; sizes are always in base currency."""
    asked = one.asked
    size = {"base_size": plain(asked.quantity)}
    if asked.kind == "market":
        return {"market_market_ioc": size}
    limited = size | {"limit_price": plain(asked.price)}
    if asked.kind in _STOPS:
        up = (asked.kind == "stop_limit") == (asked.side == "buy")
        direction = "STOP_DIRECTION_STOP_UP" if up else "STOP_DIRECTION_STOP_DOWN"
        return {
            "stop_limit_stop_limit_gtc": limited | {"stop_price": plain(asked.stop_price), "stop_direction": direction}
        }
    if asked.time_in_force == "gtc":
        return {"limit_limit_gtc": limited | {"post_only": asked.kind == "limit_maker"}}
    return {"sor_limit_ioc" if asked.time_in_force == "ioc" else "limit_limit_fok": limited}


def order(one: Order, market: Market) -> dict[str, Any]:
    """Return an order as the lists of orders have it."""
    asked, fees = one.asked, sum(done.fee for done in one.executions)
    bought = asked.side == "buy"
    stop = asked.kind in _STOPS
    trigger = "INVALID_ORDER_TYPE" if not stop else "STOP_TRIGGERED" if one.triggered else "STOP_PENDING"
    return {
        "order_id": order_id(one.order_id),
        "product_id": product_id(market),
        "user_id": str(uuid.uuid5(uuid.NAMESPACE_OID, one.account)),
        "order_configuration": configuration(one),
        "side": asked.side.upper(),
        "client_order_id": asked.client_id,
        "status": _STATUSES[one.state],
        "time_in_force": _FORCES[asked.time_in_force],
        "created_time": iso(one.time_ms),
        "completion_percentage": plain(100.0 * one.filled / asked.quantity),
        "filled_size": plain(one.filled),
        "average_filled_price": plain(one.spent / one.filled if one.filled else 0.0),
        "fee": "",
        "number_of_fills": str(len(one.executions)),
        "filled_value": plain(one.spent),
        "pending_cancel": False,
        "size_in_quote": False,
        "total_fees": plain(fees),
        "size_inclusive_of_fees": False,
        "total_value_after_fees": plain(one.spent + fees if bought else one.spent - fees),
        "trigger_status": trigger,
        "order_type": "MARKET" if asked.kind == "market" else "STOP_LIMIT" if stop else "LIMIT",
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": one.state == "filled",
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": "User requested cancel" if one.state == "canceled" else "",
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": plain(one.locked),
        "is_liquidation": False,
        "last_fill_time": iso(one.executions[-1].time_ms) if one.executions else None,
        "last_update_time": iso(one.updated_ms),
    }


def fill(one: Execution, market: Market, user: str) -> dict[str, Any]:
    """Return a row of ``fills``."""
    return {
        "entry_id": uuid.uuid5(uuid.NAMESPACE_OID, f"entry {one.trade_id}").hex,
        "trade_id": order_id(one.trade_id),
        "order_id": order_id(one.order_id),
        "trade_time": iso(one.time_ms),
        "trade_type": "FILL",
        "price": plain(one.price),
        "size": plain(one.quantity),
        "commission": plain(one.fee),
        "product_id": product_id(market),
        "sequence_timestamp": iso(one.time_ms),
        "liquidity_indicator": "MAKER" if one.maker else "TAKER",
        "size_in_quote": False,
        "user_id": str(uuid.uuid5(uuid.NAMESPACE_OID, user)),
        "side": one.side.upper(),
    }
