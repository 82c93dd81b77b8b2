"""Cross margin of an account in contracts: what is bound, what is left, and at which price it is gone.  Pure functions.

A contract binds the larger of what is held and of what would be held if all open orders of one side filled, at mark
price for what is held and at their own prices for orders, over the leverage.  Orders that only reduce bind nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.venue.account import Account
from engine.venue.matching import slipped
from engine.venue.order import Asked
from engine.venue.position import Margin, Position
from engine.venue.tape import Tape

__all__ = ["available", "bound", "held", "initial", "liquidation_price", "margin", "price_of"]

Tapes = Mapping[str, Tape]


def held(account: Account, tape: Tape) -> Position:
    """Return the account's position in a contract, a flat one if it never had any."""
    symbol = tape.market.symbol
    return account.positions.get(symbol) or Position(symbol, leverage=tape.market.leverage)


def price_of(asked: Asked, tape: Tape) -> float:
    """Return the price an order is expected to fill at."""
    return asked.price or asked.stop_price or slipped(tape.last, asked.side, tape.market.slippage)


def initial(account: Account, tape: Tape, more: Asked | None = None) -> float:
    """Return what a contract binds, with one order more if given."""
    position = held(account, tape)
    value = position.quantity * tape.mark
    orders = [(one.asked, one.rest) for one in account.open_orders(tape.market.symbol)]
    if more is not None:
        orders.append((more, more.quantity))
    sums = {"buy": 0.0, "sell": 0.0}
    for asked, rest in orders:
        if not asked.only_reduces:
            sums[asked.side] += rest * price_of(asked, tape)
    return max(abs(value), abs(value + sums["buy"]), abs(value - sums["sell"])) / position.leverage


def bound(account: Account, tapes: Tapes) -> dict[str, float]:
    """Return what orders and positions of an account bind, by currency."""
    found: dict[str, float] = dict.fromkeys(account.locked, 0.0)
    contracts = {symbol for symbol, one in account.positions.items() if one.quantity}
    for order in account.open_orders():
        market = tapes[order.asked.symbol].market
        if market.linear:
            contracts.add(market.symbol)
        elif order.locked:
            currency = market.pays_in(order.asked.side)
            found[currency] = found.get(currency, 0.0) + order.locked
    for symbol in contracts:
        tape = tapes[symbol]
        found[tape.market.settle] = found.get(tape.market.settle, 0.0) + initial(account, tape)
    return found


def margin(account: Account, settle: str, tapes: Tapes) -> Margin:
    """Return the margin of an account in one settle currency; what is locked must be up to date."""
    positions = [one for one in account.positions.values() if one.settle == settle and one.quantity]
    wallet = account.total(settle)
    unrealized = sum(one.profit(tapes[one.symbol].mark) for one in positions)
    maintenance = sum(_maintenance(one, tapes) for one in positions)
    locked = account.locked.get(settle, 0.0)
    return Margin(wallet, unrealized, locked, maintenance, max(0.0, wallet + unrealized - locked))


def available(account: Account, tape: Tape, price: float, tapes: Tapes) -> float:
    """Return what could pay for a larger position in a contract at a price, if all that is opposite were closed first.

    An account that is flat and has no other order answers its cash, to the bit.
    """
    symbol, settle = tape.market.symbol, tape.market.settle
    found = account.cash.get(settle, 0.0)
    for other in account.positions.values():
        if other.settle == settle and other.quantity:
            found += other.quantity * (price if other.symbol == symbol else tapes[other.symbol].mark)
    return found - (bound(account, tapes).get(settle, 0.0) - initial(account, tape))


def liquidation_price(account: Account, tape: Tape, tapes: Tapes) -> float:
    """Return the mark price at which equity is down to the maintenance margin, other contracts staying; NaN if none."""
    position, settle = held(account, tape), tape.market.settle
    if position.quantity == 0.0:
        return float("nan")
    others = [
        one
        for one in account.positions.values()
        if one.settle == settle and one.quantity and one.symbol != position.symbol
    ]
    need = sum(_maintenance(one, tapes) - one.quantity * tapes[one.symbol].mark for one in others)
    rate = tape.market.maintenance_rate
    found = (need - account.cash.get(settle, 0.0)) / (position.quantity - rate * abs(position.quantity))
    return found if found > 0.0 else float("nan")


def _maintenance(position: Position, tapes: Tapes) -> float:
    tape = tapes[position.symbol]
    return abs(position.quantity) * tape.mark * tape.market.maintenance_rate
