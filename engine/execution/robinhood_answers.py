"""Robinhood's crypto orders and answers, to and from the records every venue shares.

The venue writes numbers now as JSON numbers, now as strings, and leaves fields out; both are read, and what is
missing is NaN unless the record would be wrong without it.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from engine.execution.orders import Balance, Fill, Kind, MarketRules, OrderReport, OrderRequest, Quote, Side, Status
from parquet_store.errors import Refuse

__all__ = [
    "Account",
    "Estimate",
    "account_of",
    "balance_of",
    "body_of",
    "estimate_of",
    "fills_of",
    "pair_of",
    "quote_of",
    "report_of",
    "rules_of",
    "uuid_of",
]

Row = Mapping[str, Any]
NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://trading.robinhood.com/lockstep")
KINDS: Final[dict[str, Kind]] = {"market": "market", "limit": "limit", "stop_loss": "stop", "stop_limit": "stop_limit"}
TYPES: Final = {kind: name for name, kind in KINDS.items()}
STATES: Final[dict[str, Status]] = {
    "open": "open",
    "partially_filled": "open",
    "filled": "filled",
    "canceled": "canceled",
    "failed": "rejected",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Account:
    """The account a key belongs to; ``status`` is ``active``, ``sell_only`` or ``deactivated``."""

    number: str
    status: str
    buying_power: float
    currency: str


@dataclass(frozen=True)
class Estimate:
    """What a unit would cost, or bring, if a quantity were traded now; the venue's spread is inside."""

    symbol: str
    side: Side
    quantity: float
    price: float
    time_ns: int


def uuid_of(client_id: str) -> str:
    """Return the UUID the venue asks for in place of a client id: always the same one for the same id."""
    return str(uuid.uuid5(NAMESPACE, client_id))


def pair_of(symbol: str) -> str:
    """Return ``BTC-USD`` for ``BTC/USD``."""
    return symbol.replace("/", "-")


def body_of(order: OrderRequest) -> dict[str, object]:
    """Return what is sent to place an order.

    Raises
    ------
    Refuse
        The venue has no such order: take-profit and post-only orders, a reduce-only purchase, a resting order that
        is not good till cancelled, a derivative; or a quantity or price is not above 0.
    """
    lacks = [
        ("take-profit orders", order.kind == "take_profit"),
        ("post-only orders", order.post_only),
        ("short positions to reduce", order.reduce_only and order.side == "buy"),
        ("derivatives", ":" in order.symbol),
        (f"{order.time_in_force} for {order.kind} orders", order.kind != "market" and order.time_in_force != "gtc"),
    ]
    for what, asked in lacks:
        if asked:
            raise Refuse(f"robinhood: {order.symbol}: the venue has no {what}; use another order or another venue")
    config: dict[str, str] = {"asset_quantity": _written(order, "quantity", order.quantity)}
    if order.kind in ("limit", "stop_limit"):
        config["limit_price"] = _written(order, "price", order.price)
    if order.kind in ("stop", "stop_limit"):
        config["stop_price"] = _written(order, "stop price", order.stop_price)
    if order.kind != "market":
        config["time_in_force"] = "gtc"
    name = TYPES[order.kind]
    return {
        "client_order_id": uuid_of(order.client_id),
        "side": order.side,
        "type": name,
        "symbol": pair_of(order.symbol),
        f"{name}_order_config": config,
    }


def report_of(row: Row, ours: Mapping[str, str]) -> OrderReport:
    """Return an order as reported; ``ours`` turns the venue's UUIDs back into client ids where they are known."""
    kind = str(row["type"])
    config = row.get(f"{kind}_order_config") or {}
    theirs = str(row["client_order_id"])
    filled = _number(row, "filled_asset_quantity")
    average = _number(row, "average_price")
    return OrderReport(
        client_id=ours.get(theirs, theirs),
        venue_id=str(row["id"]),
        symbol=str(row["symbol"]).replace("-", "/"),
        side=_side(row["side"]),
        kind=KINDS[kind],
        status=STATES[str(row["state"])],
        quantity=_number(config, "asset_quantity"),
        filled=0.0 if math.isnan(filled) else filled,
        average_price=average if filled > 0 else math.nan,
        price=_number(config, "limit_price"),
        time_ns=_ns(row.get("updated_at") or row["created_at"]),
    )


def fills_of(row: Row, ours: Mapping[str, str]) -> tuple[Fill, ...]:
    """Return an order's executions, oldest first.

    Notes
    -----
    The venue gives an execution no id, fee or liquidity: the id is the order's and its place among the executions,
    the fee is NaN (the spread is inside the price), and every execution counts as a taker's.
    """
    report = report_of(row, ours)
    rows = sorted(row.get("executions") or (), key=lambda execution: _ns(execution["timestamp"]))
    return tuple(
        Fill(
            trade_id=f"{report.venue_id}:{place}",
            client_id=report.client_id,
            venue_id=report.venue_id,
            symbol=report.symbol,
            side=report.side,
            price=_needed(execution, "effective_price"),
            quantity=_needed(execution, "quantity"),
            fee=math.nan,
            fee_currency=report.symbol.partition("/")[2],
            maker=False,
            time_ns=_ns(execution["timestamp"]),
        )
        for place, execution in enumerate(rows)
    )


def account_of(row: Row) -> Account:
    """Return an account."""
    return Account(
        str(row["account_number"]), str(row["status"]), _needed(row, "buying_power"), str(row["buying_power_currency"])
    )


def balance_of(row: Row) -> Balance:
    """Return a holding."""
    free = _needed(row, "quantity_available_for_trading")
    return Balance(str(row["asset_code"]), free, _needed(row, "total_quantity") - free)


def rules_of(row: Row) -> MarketRules:
    """Return what is asked of orders in a pair; the least notional and the fees are not said, so NaN."""
    return MarketRules(
        symbol=str(row["symbol"]).replace("-", "/"),
        base=str(row["asset_code"]),
        quote=str(row["quote_code"]),
        price_tick=_needed(row, "quote_increment"),
        quantity_step=_needed(row, "asset_increment"),
        min_quantity=_number(row, "min_order_size"),
        min_notional=math.nan,
        maker_fee=math.nan,
        taker_fee=math.nan,
    )


def quote_of(row: Row) -> Quote:
    """Return the best prices with the venue's spread inside; the bid may stand above the ask."""
    return Quote(
        symbol=str(row["symbol"]).replace("-", "/"),
        bid=_needed(row, "bid_inclusive_of_sell_spread"),
        ask=_needed(row, "ask_inclusive_of_buy_spread"),
        bid_quantity=math.nan,
        ask_quantity=math.nan,
        time_ns=_ns(row["timestamp"]),
    )


def estimate_of(row: Row, side: Side) -> Estimate:
    """Return an estimate from the column of the side that was asked for, never from the other."""
    column = "ask_inclusive_of_buy_spread" if side == "buy" else "bid_inclusive_of_sell_spread"
    return Estimate(
        symbol=str(row["symbol"]).replace("-", "/"),
        side=side,
        quantity=_needed(row, "quantity"),
        price=_needed(row, column),
        time_ns=_ns(row["timestamp"]),
    )


def _written(order: OrderRequest, name: str, value: float) -> str:
    """Return a number as the venue reads it: decimal, without an exponent."""
    if not (math.isfinite(value) and value > 0):
        raise Refuse(f"robinhood: {order.symbol}: the {name} is {value}; expected a number above 0")
    return format(Decimal(repr(float(value))), "f")


def _number(row: Row, name: str) -> float:
    value = row.get(name)
    return math.nan if value is None or value == "" else float(value)


def _needed(row: Row, name: str) -> float:
    value = float(row[name])
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}")
    return value


def _side(value: object) -> Side:
    if value == "buy":
        return "buy"
    if value == "sell":
        return "sell"
    raise ValueError(f"side is {value!r}")


def _ns(value: object) -> int:
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
