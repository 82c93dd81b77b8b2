"""Faults of the exchange itself: what happens to a market or an account between two halves of a bar, and is real."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from engine.venue.account import Account
from engine.venue.core import Venue
from engine.venue.events import BalanceChanged, Event
from engine.venue.faults.armed import Armed
from engine.venue.faults.kinds import LINEAR, Kind, fault
from engine.venue.order import Asked, Order, Rejected

__all__ = ["MARKETS"]

MARKETS: dict[str, Kind] = {}
Told = list[Event] | None  # what is told besides; None if there was nothing to do
_FOREIGN = "sees that it is none of its own: halts, tells a human"
_RULES = "asks for the market's rules again when an order is refused by them, and rounds by the new ones"


def _open(venue: Venue, symbol: str) -> Iterator[Order]:
    for account in venue.accounts.values():
        yield from account.open_orders(symbol)


def _change(venue: Venue, symbol: str, **changes: Any) -> list[Event]:
    venue.change(replace(venue.tape(symbol).market, **changes))
    return []


@fault(
    MARKETS,
    "market",
    does="trading in the market stops: orders are refused, none fills",
    client="keeps what it holds, tells a human, goes on when it is traded again",
)
def market_halted(venue: Venue, symbol: str, armed: Armed) -> Told:
    return _change(venue, symbol, trading=False)


@fault(
    MARKETS,
    "market",
    does="the market is delisted: its orders are canceled, it is not traded any more",
    client="knows its orders as canceled, its position as stuck; tells a human",
)
def market_delisted(venue: Venue, symbol: str, armed: Armed) -> Told:
    for order in list(_open(venue, symbol)):
        if order.open:  # not cancelled with the other one of its pair
            venue.cancel(order)
    return _change(venue, symbol, trading=False)


@fault(MARKETS, "market", does="price tick and quantity step become coarser", client=_RULES, size=10.0, unit="factor")
def precision_changed(venue: Venue, symbol: str, armed: Armed) -> Told:
    market = venue.tape(symbol).market
    tick, step = (float(f"{x * armed.size:.12g}") for x in (market.price_tick, market.quantity_step))
    return _change(venue, symbol, price_tick=tick, quantity_step=step, min_quantity=max(market.min_quantity, step))


@fault(MARKETS, "market", does="the least notional of an order is raised", client=_RULES, size=100.0, unit="factor")
def min_notional_raised(venue: Venue, symbol: str, armed: Armed) -> Told:
    return _change(venue, symbol, min_notional=max(1.0, venue.tape(symbol).market.min_notional) * armed.size)


@fault(
    MARKETS,
    "market",
    does="fees are raised",
    client="books the fees that fills tell, not those it expected",
    size=3.0,
    unit="factor",
)
def fees_raised(venue: Venue, symbol: str, armed: Armed) -> Told:
    market = venue.tape(symbol).market
    return _change(venue, symbol, maker_fee=market.maker_fee * armed.size, taker_fee=market.taker_fee * armed.size)


@fault(
    MARKETS,
    "market",
    does="the venue cancels the oldest open order of its own accord",
    client="sees its stop gone, and places it again or closes",
)
def order_canceled_by_venue(venue: Venue, symbol: str, armed: Armed) -> Told:
    order = next(_open(venue, symbol), None)
    if order is None:
        return None
    venue.cancel(order)
    return []


@fault(
    MARKETS,
    "market",
    does="a part of the oldest open order fills between bars, at its limit or the last price",
    client="keeps the part; waits for the rest or cancels it, by its rule",
    size=0.5,
    unit="share",
)
def partial_fill(venue: Venue, symbol: str, armed: Armed) -> Told:
    order = next(_open(venue, symbol), None)
    if order is None:
        return None
    venue.fill(order, armed.size)
    return []


@fault(MARKETS, "market", does="an order that no program sent appears on the account", client=_FOREIGN)
def stranger_order(venue: Venue, symbol: str, armed: Armed) -> Told:
    market, account = venue.tape(symbol).market, _first(venue)
    price = round(0.5 * venue.tape(symbol).last / market.price_tick) * market.price_tick
    least = max(market.min_quantity, market.min_notional / price)
    quantity = (int(least / market.quantity_step) + 1) * market.quantity_step
    try:
        venue.place(account, Asked(symbol, "buy", "limit", float(f"{quantity:.12g}"), "", float(f"{price:.12g}")))
    except Rejected:
        return None
    return []


@fault(MARKETS, "market", does="money leaves the account that no program sent", client=_FOREIGN, size=0.5, unit="share")
def money_withdrawn(venue: Venue, symbol: str, armed: Armed) -> Told:
    account, market = _first(venue), venue.tape(symbol).market
    currency = market.settle or market.quote
    free = account.available(currency)
    if free <= 0.0:
        return None
    account.add(currency, -free * armed.size)
    return [BalanceChanged(account.key, (currency,), venue.time_ms)]


@fault(
    MARKETS,
    "market",
    does="the position is liquidated, at the last price",
    client="knows that it is flat: cancels its stops, places nothing again, halts",
    protocols=LINEAR,
)
def liquidated(venue: Venue, symbol: str, armed: Armed) -> Told:
    done = [venue.liquidate(account, symbol, venue.tape(symbol).last) for account in venue.accounts.values()]
    return [] if any(done) else None


@fault(
    MARKETS,
    "market",
    does="the venue closes a part of a winning position (automatic deleveraging)",
    client="takes the new size for its own and sizes its stops by it",
    protocols=LINEAR,
    size=0.5,
    unit="share",
)
def position_reduced(venue: Venue, symbol: str, armed: Armed) -> Told:
    account, market = _first(venue), venue.tape(symbol).market
    held = venue.position(account, symbol).quantity
    part = int(abs(held) * armed.size / market.quantity_step) * market.quantity_step
    if not part:
        return None
    side = "sell" if held > 0.0 else "buy"
    asked = Asked(symbol, side, "market", float(f"{part:.12g}"), f"adl{venue.time_ms}", reduce_only=True)  # type: ignore[arg-type]
    venue.fill(venue.place(account, asked))
    return []


@fault(
    MARKETS,
    "market",
    does="funding that is not paid yet turns its sign",
    client="books what is paid, not what was expected",
    protocols=LINEAR,
)
def funding_turned(venue: Venue, symbol: str, armed: Armed) -> Told:
    venue.flip_funding(symbol)
    return []


@fault(
    MARKETS,
    "market",
    does="the leverage of a contract is another one than was set",
    client="reads it before it trades, sets it again or halts",
    protocols=LINEAR,
    size=20.0,
    unit="leverage",
)
def leverage_changed(venue: Venue, symbol: str, armed: Armed) -> Told:
    try:
        venue.set_leverage(_first(venue), symbol, armed.size)
    except Rejected:
        return None
    return []


def _first(venue: Venue) -> Account:
    return next(iter(venue.accounts.values()))
