"""Wrong answers about orders, and orders that are taken or canceled otherwise than the answer says."""

from __future__ import annotations

import copy

from aiohttp import web

from engine.venue.account import Account
from engine.venue.faults import views
from engine.venue.faults.armed import Armed
from engine.venue.faults.call import Call
from engine.venue.faults.kinds import LINEAR, Kind, fault
from engine.venue.order import Asked, Order, Rejected

__all__ = ["ORDERS"]

ORDERS: dict[str, Kind] = {}


@fault(
    ORDERS,
    "request",
    "order",
    does="an order that was taken is not found yet",
    client="asks again until its deadline; never takes one not-found for proof",
    times=2,
)
async def order_not_found(call: Call, armed: Armed) -> web.StreamResponse:
    return await call.run_seeing(views.orders(call.venue, lambda truth: {}))


@fault(
    ORDERS,
    "request",
    "open_orders",
    does="the newest order is missing from the open ones for a while",
    client="takes the list for late: what it placed and saw no end of is still open",
    times=2,
)
async def open_order_missing(call: Call, armed: Armed) -> web.StreamResponse:
    def without(truth: dict[int, Order]) -> dict[int, Order]:
        newest = max((number for number, one in truth.items() if one.open), default=0)
        return {number: one for number, one in truth.items() if number != newest}

    return await call.run_seeing(views.orders(call.venue, without))


@fault(
    ORDERS,
    "request",
    "open_orders",
    does="the newest open order is listed twice",
    client="counts an order by its id, once",
)
async def open_order_twice(call: Call, armed: Armed) -> web.StreamResponse:
    def twice(truth: dict[int, Order]) -> dict[int, Order]:
        newest = max((number for number, one in truth.items() if one.open), default=0)
        return truth | ({-newest: truth[newest]} if newest else {})

    return await call.run_seeing(views.orders(call.venue, twice))


@fault(
    ORDERS,
    "request",
    "order",
    "open_orders",
    does="an order that has ended is shown as it was when it was new",
    client="knows a final state as final: never goes back from it",
)
async def order_state_old(call: Call, armed: Armed) -> web.StreamResponse:
    def young(truth: dict[int, Order]) -> dict[int, Order]:
        shown = {}
        for number, one in truth.items():
            shown[number] = copy.copy(one)
            shown[number].state, shown[number].filled, shown[number].spent = "new", 0.0, 0.0
        return shown

    return await call.run_seeing(views.orders(call.venue, young))


@fault(
    ORDERS,
    "request",
    "fills",
    does="the newest fill is missing from the list for a while",
    client="compares filled quantities of orders with the fills it has",
    times=2,
)
async def fill_missing(call: Call, armed: Armed) -> web.StreamResponse:
    def without(truth: dict[int, Order]) -> dict[int, Order]:
        newest = max((done.trade_id for one in truth.values() for done in one.executions), default=0)
        shown = {}
        for number, one in truth.items():
            shown[number] = copy.copy(one)
            shown[number].executions = [done for done in one.executions if done.trade_id != newest]
        return shown

    return await call.run_seeing(views.orders(call.venue, without))


@fault(ORDERS, "request", "fills", does="the newest fill is listed twice", client="counts a fill by its id, once")
async def fill_listed_twice(call: Call, armed: Armed) -> web.StreamResponse:
    def twice(truth: dict[int, Order]) -> dict[int, Order]:
        newest = max((done.trade_id for one in truth.values() for done in one.executions), default=0)
        shown = {}
        for number, one in truth.items():
            shown[number] = copy.copy(one)
            shown[number].executions = [
                done for done in one.executions for _ in range(2 if done.trade_id == newest else 1)
            ]
        return shown

    return await call.run_seeing(views.orders(call.venue, twice))


# --- what is asked of the venue


@fault(
    ORDERS,
    "request",
    "place",
    does="a right order is refused for lack of money",
    client="knows the order as not taken; decides anew at the next bar",
)
async def refused_for_money(call: Call, armed: Armed) -> web.StreamResponse:
    def refuse(account: Account, asked: Asked) -> Order:
        raise Rejected("balance", "refused by a fault")

    return await call.run_seeing(views.swapped(call.venue, "place", refuse))


@fault(
    ORDERS,
    "request",
    "place",
    does="the order is taken, the answer says that it was refused for lack of money",
    client="finds the order by its client id when it compares open orders, and takes it as its own",
)
async def refused_but_taken(call: Call, armed: Armed) -> web.StreamResponse:
    place = call.venue.place

    def both(account: Account, asked: Asked) -> Order:
        place(account, asked)
        raise Rejected("balance", "refused by a fault")

    return await call.run_seeing(views.swapped(call.venue, "place", both))


@fault(
    ORDERS,
    "request",
    "place",
    does="the order is refused with a code nobody knows",
    client="takes the outcome as unknown, and asks",
)
async def unknown_code(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("unknown_code")


@fault(
    ORDERS,
    "request",
    "place",
    does="trading in the market is halted: orders are refused",
    client="keeps what it holds, tries no more than its rule says, tells a human",
    times=3,
)
async def market_closed(call: Call, armed: Armed) -> web.StreamResponse:
    return call.says("market_closed")


@fault(
    ORDERS,
    "request",
    "amend",
    does="the order is moved to its new price; no answer comes",
    client="asks for the order, and goes by the price it has",
    protocols=LINEAR,
    size=30_000.0,
    unit="ms at most",
)
async def amend_timeout(call: Call, armed: Armed) -> web.StreamResponse:
    await call.run()
    return await call.until_gone(armed.size)


@fault(
    ORDERS,
    "request",
    "amend",
    does="the order fills just before it is moved, which is refused",
    client="takes the refusal for news of a fill: asks for the order",
    protocols=LINEAR,
)
async def amend_loses_to_fill(call: Call, armed: Armed) -> web.StreamResponse:
    amend = call.venue.amend

    def race(order: Order, quantity: float, price: float) -> Order:
        if order.open:
            call.venue.fill(order)
        return amend(order, quantity, price)

    return await call.run_seeing(views.swapped(call.venue, "amend", race))


@fault(
    ORDERS,
    "request",
    "cancel",
    does="the cancel is answered, the order stays and may fill",
    client="counts an order as canceled when a query or the stream says so",
)
async def cancel_not_done(call: Call, armed: Armed) -> web.StreamResponse:
    def pretend(order: Order) -> Order:
        shown = copy.copy(order)
        shown.state = "canceled"
        return shown

    return await call.run_seeing(views.swapped(call.venue, "cancel", pretend))


@fault(
    ORDERS,
    "request",
    "cancel",
    does="the order fills just before the cancel, which is refused",
    client="takes the refusal for news of a fill: asks for the order",
)
async def cancel_loses_to_fill(call: Call, armed: Armed) -> web.StreamResponse:
    cancel = call.venue.cancel

    def race(order: Order) -> Order:
        if order.open:
            call.venue.fill(order)
        return cancel(order)

    return await call.run_seeing(views.swapped(call.venue, "cancel", race))


@fault(
    ORDERS,
    "request",
    "cancel",
    does="a part of the order fills just before the cancel of the rest",
    client="keeps the part: reads the filled quantity of the canceled order",
    size=0.5,
    unit="share",
)
async def partial_fill_then_cancel(call: Call, armed: Armed) -> web.StreamResponse:
    cancel = call.venue.cancel

    def race(order: Order) -> Order:
        if order.open:
            call.venue.fill(order, armed.size)
        return cancel(order)

    return await call.run_seeing(views.swapped(call.venue, "cancel", race))


@fault(
    ORDERS,
    "request",
    "place",
    does="the order's fill is told on the stream before the order is answered",
    client="knows its client ids before it sends: takes the fill for its order's",
)
async def fill_before_answer(call: Call, armed: Armed) -> web.StreamResponse:
    place = call.venue.place
    taken: list[Order] = []

    def remember(account: Account, asked: Asked) -> Order:
        order = place(account, asked)
        taken.append(copy.copy(order))
        call.venue.fill(order)
        return taken[-1]

    return await call.run_seeing(views.swapped(call.venue, "place", remember))
