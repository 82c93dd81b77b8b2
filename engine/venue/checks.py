"""What an order must satisfy before the venue takes it: the market's filters and the account's money."""

from __future__ import annotations

import math

from engine.venue.account import Account
from engine.venue.market import Market, whole
from engine.venue.order import Asked, Rejected

__all__ = ["check"]

_TARGETS = ("take_profit", "take_profit_limit")
_LIMITED = ("limit", "limit_maker", "stop_limit", "take_profit_limit")
_TRIGGERED = ("stop", "stop_limit", "take_profit", "take_profit_limit")


def check(asked: Asked, market: Market, last: float, account: Account) -> float:
    """Return what the order binds: of the quote currency for a buy, of the base currency for a sell.

    Parameters
    ----------
    asked : Asked
    market : Market
    last : float
        The last price.
    account : Account

    Raises
    ------
    Rejected
        With the reason: quantity, price, notional, trigger, match or balance.
    """
    quantity = asked.quantity
    if not (math.isfinite(quantity) and quantity >= market.min_quantity and whole(quantity, market.quantity_step)):
        raise Rejected(
            "quantity",
            f"quantity {quantity:g}: expected a multiple of {market.quantity_step:g}, {market.min_quantity:g} at least",
        )
    limited, triggered = asked.kind in _LIMITED, asked.kind in _TRIGGERED
    for price in ([asked.price] if limited else []) + ([asked.stop_price] if triggered else []):
        if not (math.isfinite(price) and price > 0.0 and whole(price, market.price_tick)):
            raise Rejected("price", f"price {price:g}: expected a multiple of {market.price_tick:g} above 0")
    price = asked.price if limited else asked.stop_price if triggered else last
    if quantity * price < market.min_notional:
        raise Rejected("notional", f"notional {quantity * price:g}: expected {market.min_notional:g} at least")
    if triggered:
        # a sell stop lies below the price, a sell target above it; for buys it is the other way round
        below = (asked.side == "sell") != (asked.kind in _TARGETS)
        if (asked.stop_price >= last) if below else (asked.stop_price <= last):
            raise Rejected(
                "trigger", f"stop price {asked.stop_price:g} would be met at once: the last price is {last:g}"
            )
    if asked.kind == "limit_maker" and ((last <= asked.price) if asked.side == "buy" else (last >= asked.price)):
        raise Rejected("match", f"limit {asked.price:g} would take: the last price is {last:g}")
    currency = market.quote if asked.side == "buy" else market.base
    free = account.free.get(currency, 0.0)
    need = quantity * price if asked.side == "buy" else quantity
    if need > free * (1.0 + 1e-12):
        raise Rejected("balance", f"{need:g} {currency} needed, {free:g} free")
    if asked.side == "buy":
        need *= (1.0 + market.taker_fee) * (1.0 if limited else 1.0 + market.slippage)
    return min(need, free)
