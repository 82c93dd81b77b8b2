"""What a fill does to an account: how much of it the account can pay, and the amounts and positions it moves."""

from __future__ import annotations

from engine.simulate import formulas
from engine.simulate.costs import CostNumbers
from engine.venue import margin
from engine.venue.account import Account
from engine.venue.margin import Tapes
from engine.venue.matching import Price
from engine.venue.order import Order
from engine.venue.plainly import plainly
from engine.venue.tape import Tape

__all__ = ["affordable", "settle"]

_affordable_quantity = plainly(formulas.affordable_quantity)


def affordable(order: Order, tape: Tape, price: Price, quantity: float, account: Account, tapes: Tapes) -> float:
    """Return the part of a fill that the account can pay, by the simulation's formula; what only closes is free.

    A market order that would come to less than the market's smallest notional comes to nothing.
    """
    market, buys = tape.market, order.asked.side == "buy"
    rate = market.maker_fee if price.maker else market.taker_fee
    if market.linear:
        position = margin.held(account, tape)
        closing = position.closing(quantity if buys else -quantity)
        if order.asked.only_reduces:
            return closing
        leverage, asks = position.leverage, quantity - closing
        if asks <= 0.0:
            return quantity
        cash = margin.available(account, tape, price.price, tapes) - rate * (closing * price.price)
        if not closing:
            cash -= abs(position.quantity) * price.price / leverage
    elif buys:
        closing, leverage, asks = 0.0, 1.0, quantity
        cash = account.available(market.quote) + order.locked
        if account.locked.get(market.quote, 0.0) == order.locked:
            cash = account.total(market.quote)  # the same, without rounding
    else:
        return quantity
    costs = CostNumbers(rate, 0.0, 0.0, market.quantity_step, 0.0, 0.0, leverage, 0.0, 0.0)
    covered = float(_affordable_quantity(asks, price.price, cash, costs))
    at_once = order.asked.kind == "market" and quantity == order.asked.quantity
    if (covered < asks or (at_once and not closing)) and covered * price.price < market.min_notional:
        covered = 0.0
    return closing + covered if closing else covered


def settle(
    order: Order, tape: Tape, price: Price, quantity: float, account: Account, time_ms: int
) -> tuple[float, float]:
    """Move amounts and position by a fill; return (fee, realised profit) in quote or settle currency."""
    market, buys = tape.market, order.asked.side == "buy"
    rate = market.maker_fee if price.maker else market.taker_fee
    notional = quantity * price.price
    fee = rate * notional
    realized = 0.0
    if market.linear:
        before = margin.held(account, tape)
        after = before.after(quantity if buys else -quantity, price.price, time_ms)
        account.positions[market.symbol] = after
        realized = after.realized - before.realized
    else:
        account.add(market.base, quantity if buys else -quantity)
    account.add(market.settle, -(notional + fee) if buys else notional - fee)
    return fee, realized
