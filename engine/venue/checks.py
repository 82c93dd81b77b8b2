"""What an order must satisfy before the venue takes it: the market's filters and the account's money."""

from __future__ import annotations

import math

from engine.venue import margin
from engine.venue.account import Account
from engine.venue.margin import Tapes, price_of
from engine.venue.market import Market, whole
from engine.venue.order import Asked, Rejected
from engine.venue.tape import Tape

__all__ = ["check"]

_TARGETS = ("take_profit", "take_profit_limit")
_LIMITED = ("limit", "limit_maker", "stop_limit", "take_profit_limit")
_TRIGGERED = ("stop", "stop_limit", "take_profit", "take_profit_limit")
_ROUNDING = 1.0 + 1e-12


def check(asked: Asked, tape: Tape, account: Account, tapes: Tapes, *, paid: bool = False) -> float:
    """Return what the order binds on a spot market: quote currency for a buy, base currency for a sell; else 0.

    Parameters
    ----------
    asked : Asked
    tape : Tape
        The order's market.
    account : Account
    tapes : mapping of str to Tape
        All markets.
    paid : bool
        Whether another order binds the money already.

    Raises
    ------
    Rejected
        With the reason: trading, quantity, price, notional, trigger, match, reduce_only, margin or balance.
    """
    market, last = tape.market, tape.last
    if not market.trading:
        raise Rejected("trading", f"{market.symbol} is not traded now")
    quantity, limited = asked.quantity, asked.kind in _LIMITED
    if not asked.close_position and not (
        math.isfinite(quantity) and quantity >= market.min_quantity and whole(quantity, market.quantity_step)
    ):
        raise Rejected(
            "quantity",
            f"quantity {quantity:g}: expected a multiple of {market.quantity_step:g}, {market.min_quantity:g} at least",
        )
    _check_prices(asked, market, last)
    notional = quantity * price_of(asked, tape)
    if notional < market.min_notional and not asked.only_reduces:
        raise Rejected("notional", f"notional {notional:g}: expected {market.min_notional:g} at least")
    if market.linear:
        _check_margin(asked, tape, account, tapes)
        return 0.0
    if asked.only_reduces:
        raise Rejected("reduce_only", f"{market.symbol} is a spot market: there is no position to reduce")
    if paid:
        return 0.0
    currency = market.pays_in(asked.side)
    free = account.available(currency)
    price = asked.price if limited else asked.stop_price or last
    need = quantity * price if asked.side == "buy" else quantity
    if need > free * _ROUNDING:
        raise Rejected("balance", f"{need:g} {currency} needed, {free:g} free")
    if asked.side == "buy":
        need *= (1.0 + market.taker_fee) * (1.0 if limited else 1.0 + market.slippage)
    return min(need, free)


def _check_prices(asked: Asked, market: Market, last: float) -> None:
    limited, triggered = asked.kind in _LIMITED, asked.kind in _TRIGGERED
    for price in ([asked.price] if limited else []) + ([asked.stop_price] if triggered else []):
        if not (math.isfinite(price) and price > 0.0 and whole(price, market.price_tick)):
            raise Rejected("price", f"price {price:g}: expected a multiple of {market.price_tick:g} above 0")
    if triggered:
        # a sell stop lies below the price, a sell target above it; for buys it is the other way round
        below = (asked.side == "sell") != (asked.kind in _TARGETS)
        if (asked.stop_price >= last) if below else (asked.stop_price <= last):
            raise Rejected(
                "trigger", f"stop price {asked.stop_price:g} would be met at once: the last price is {last:g}"
            )
    if asked.kind == "limit_maker" and ((last <= asked.price) if asked.side == "buy" else (last >= asked.price)):
        raise Rejected("match", f"limit {asked.price:g} would take: the last price is {last:g}")


def _check_margin(asked: Asked, tape: Tape, account: Account, tapes: Tapes) -> None:
    position = margin.held(account, tape)
    if asked.only_reduces:
        if not position.closing(1.0 if asked.side == "buy" else -1.0):
            raise Rejected(
                "reduce_only", f"a {asked.side} does not reduce a position of {position.quantity:g} {asked.symbol}"
            )
        return
    more = margin.initial(account, tape, asked) - margin.initial(account, tape)
    left = margin.margin(account, tape.market.settle, tapes).available
    if more > left * _ROUNDING:
        raise Rejected("margin", f"margin of {more:g} {tape.market.settle} needed, {left:g} available")
