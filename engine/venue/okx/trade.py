"""OKX's requests about ordinary orders: place, cancel, look at them and at their fills."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from engine.venue.account import Account
from engine.venue.market import Market
from engine.venue.okx import say_account
from engine.venue.okx.asked import order_asked, text_of
from engine.venue.okx.codes import Problem, problem_of
from engine.venue.okx.instrument import inst_id, inst_type, number, quantity_of
from engine.venue.okx.rest import Params, Rest, limited, whole
from engine.venue.order import Asked, Order, Rejected

__all__ = ["MOST_AT_ONCE", "Trade"]

MOST_AT_ONCE = 20
_COUNTDOWN_S = (10, 120)


class Trade:
    """Routes under ``/api/v5/trade`` for ordinary orders.

    Parameters
    ----------
    rest : Rest
    types : dict of int to str
        The type each order was asked for as, by the venue's number; shared with the streams, which say it too.
    """

    def __init__(self, rest: Rest, types: dict[int, str]) -> None:
        self.rest = rest
        self.venue = rest.venue
        self.types = types
        self._countdowns: dict[str, asyncio.TimerHandle] = {}

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        routes: list[tuple[str, str, Callable[[Account, Any], list[Any]]]] = [
            ("POST", "order", lambda account, params: [self.place(account, params)]),
            ("POST", "batch-orders", lambda account, rows: [self.place(account, one) for one in batch(rows)]),
            ("GET", "order", self.order),
            ("POST", "amend-order", lambda account, params: [self.amend(account, params)]),
            ("POST", "cancel-order", lambda account, params: [self.cancel(account, params)]),
            ("POST", "cancel-batch-orders", lambda account, rows: [self.cancel(account, one) for one in batch(rows)]),
            ("POST", "cancel-all-after", self.cancel_all_after),
            ("POST", "close-position", self.close_position),
            ("GET", "orders-pending", self.pending),
            ("GET", "orders-history", self.history),
            ("GET", "orders-history-archive", self.history),
            ("GET", "fills", self.fills),
            ("GET", "fills-history", self.fills),
        ]
        for method, path, answer in routes:
            app.router.add_route(method, f"/api/v5/trade/{path}", self.rest.private(answer))
        app.on_shutdown.append(self._end)

    async def _end(self, app: web.Application) -> None:
        for handle in self._countdowns.values():
            handle.cancel()

    # --- orders

    def place(self, account: Account, params: Params) -> dict[str, Any]:
        """Take an order; one that fails is told in its row."""
        said = str(params.get("clOrdId") or "") if isinstance(params, dict) else ""
        try:
            market = self.rest.tape(params).market
            order = self.take(account, order_asked(params, market), market, str(params["ordType"]))
        except Problem as found:
            return found.row(ordId="", clOrdId=said)
        return {"ordId": str(order.order_id), "clOrdId": said, "tag": "", "ts": self._now(), "sCode": "0", "sMsg": ""}

    def take(self, account: Account, asked: Asked, market: Market, said_type: str) -> Order:
        """Place an order; one that may only rest and would take is ended at once, as OKX does.

        Raises
        ------
        Problem
        """
        number = self.venue.next_order_id
        self.types[number] = said_type
        try:
            return self.venue.place(account, asked)
        except Rejected as found:
            if found.reason != "match":
                del self.types[number]
                raise problem_of(found, asked, market) from None
        order = self.venue.place(account, replace(asked, kind="limit"))
        return self.venue.cancel(order)

    def _now(self) -> str:
        return str(self.venue.time_ms)

    def _found(self, account: Account, params: Params) -> tuple[Order, Market]:
        market = self.rest.tape(params).market
        if not (params.get("ordId") or params.get("clOrdId")):
            raise Problem("missing", "ordId")
        try:
            if params.get("ordId"):
                number = say_account.order_number(params["ordId"], is_algo=False)
                order = self.venue.find(account, market.symbol, order_id=number)
            else:
                order = self.venue.find(account, market.symbol, client_id=str(params["clOrdId"]))
        except Rejected:
            raise Problem("unknown_order") from None
        by_client_id = not params.get("ordId")
        if not say_account.begun(order) or (by_client_id and say_account.is_algo(order)):
            raise Problem("unknown_order")
        return order, market

    def said(self, account: Account, order: Order, market: Market) -> dict[str, Any]:
        """Return an ordinary order in OKX's words."""
        return say_account.order(order, market, self.types.get(order.order_id, ""), leverage_of(self, account, market))

    def order(self, account: Account, params: Params) -> list[Any]:
        """Return one order."""
        order, market = self._found(account, params)
        return [self.said(account, order, market)]

    def cancel(self, account: Account, params: Params) -> dict[str, Any]:
        """Cancel an order; one that cannot be is told in its row."""
        ids = {name: str(params.get(name) or "") if isinstance(params, dict) else "" for name in ("ordId", "clOrdId")}
        try:
            order = self.venue.cancel(self._found(account, params)[0])
        except Rejected:
            return Problem("unknown_cancel").row(**ids)
        except Problem as found:
            unknown = found.reason == "unknown_order"
            return (Problem("unknown_cancel") if unknown else found).row(**ids)
        ids["ordId"] = str(order.order_id)
        return ids | {"sCode": "0", "sMsg": "", "ts": self._now()}

    def amend(self, account: Account, params: Params) -> dict[str, Any]:
        """Give a limit order that rests another price or quantity; one that cannot be is told in its row."""
        ids = {name: str(params.get(name) or "") if isinstance(params, dict) else "" for name in ("ordId", "clOrdId")}
        ids["reqId"] = ""
        try:
            order, market = self._found(account, params)
            if not (params.get("newPx") or params.get("newSz")):
                raise Problem("no_change")
            quantity = quantity_of(params["newSz"], market, "newSz") if params.get("newSz") else order.asked.quantity
            price = float(number(params["newPx"], "newPx")) if params.get("newPx") else order.asked.price
            self.venue.amend(order, quantity, price)
        except Rejected as found:
            if found.reason == "unknown_order":
                return Problem("unknown_amend").row(**ids)
            return problem_of(found, order.asked, market).row(**ids)
        except Problem as found:
            return (Problem("unknown_amend") if found.reason == "unknown_order" else found).row(**ids)
        return ids | {"ordId": str(order.order_id), "sCode": "0", "sMsg": "", "ts": self._now()}

    def cancel_all_after(self, account: Account, params: Params) -> list[Any]:
        """Cancel all ordinary orders when so many seconds pass without being asked for this again; 0 ends it."""
        seconds = whole(params, "timeOut", -1)
        if seconds != 0 and not _COUNTDOWN_S[0] <= seconds <= _COUNTDOWN_S[1]:
            raise Problem("parameter", "timeOut")
        before = self._countdowns.pop(account.key, None)
        if before is not None:
            before.cancel()
        now = self.rest.guard.clock()
        if seconds:
            loop = asyncio.get_running_loop()
            self._countdowns[account.key] = loop.call_later(seconds, self.cancel_all, account)
        return [{"triggerTime": str(now + 1000 * seconds) if seconds else "0", "tag": "", "ts": str(now)}]

    def cancel_all(self, account: Account) -> None:
        """Cancel all ordinary orders of an account."""
        for order in [one for one in account.orders.values() if one.open and say_account.begun(one)]:
            if order.open:
                self.venue.cancel(order)

    def close_position(self, account: Account, params: Params) -> list[Any]:
        """Close a position by a market order."""
        market = self.rest.swap(params).market
        held = self.venue.position(account, market.symbol)
        if not held.quantity:
            raise Problem("no_position")
        asked = Asked(
            symbol=market.symbol,
            side="sell" if held.quantity > 0.0 else "buy",
            kind="market",
            quantity=abs(held.quantity),
            client_id=str(params.get("clOrdId") or ""),
            close_position=True,
        )
        self.take(account, asked, market, "market")
        said = {"instId": inst_id(market), "posSide": "net", "tag": ""}
        return [said | {"clOrdId": str(params.get("clOrdId") or "")}]

    # --- lists, the newest first

    def orders(self, account: Account, params: Params, *, is_open: bool) -> list[Order]:
        """Return the account's orders of a type and an instrument, the newest first."""
        found = [one for one in account.orders.values() if one.open == is_open]
        if params.get("instId"):
            symbol = self.rest.tape(params).market.symbol
            found = [one for one in found if one.asked.symbol == symbol]
        if params.get("instType"):
            kind = params["instType"]
            found = [one for one in found if inst_type(self.venue.tapes[one.asked.symbol].market) == kind]
        return found[::-1]

    def pending(self, account: Account, params: Params) -> list[Any]:
        """Return open orders."""
        return self._listed(account, params, is_open=True)

    def history(self, account: Account, params: Params) -> list[Any]:
        """Return orders that ended."""
        text_of(params, "instType")
        return self._listed(account, params, is_open=False)

    def _listed(self, account: Account, params: Params, *, is_open: bool) -> list[Any]:
        begin, end = whole(params, "begin", 0), whole(params, "end", 1 << 60)
        after, before = whole(params, "after", 1 << 60), whole(params, "before", -1)
        rows = []
        for order in self.orders(account, params, is_open=is_open):
            if say_account.begun(order) and begin <= order.time_ms <= end and before < order.order_id < after:
                row = self.said(account, order, self.venue.tapes[order.asked.symbol].market)
                if all(params.get(name) in (None, "", row[name]) for name in ("state", "ordType")):
                    rows.append(row)
        return rows[: limited(params, 100)]

    def fills(self, account: Account, params: Params) -> list[Any]:
        """Return executions."""
        begin, end = whole(params, "begin", 0), whole(params, "end", 1 << 60)
        after, before = whole(params, "after", 1 << 60), whole(params, "before", -1)
        made = [*self.orders(account, params, is_open=True), *self.orders(account, params, is_open=False)]
        if params.get("ordId"):
            made = [one for one in made if str(one.order_id) == str(params["ordId"])]
        done = [
            (one, order)
            for order in made
            for one in order.executions
            if begin <= one.time_ms <= end and before < one.trade_id < after
        ]
        done.sort(key=lambda pair: -pair[0].trade_id)
        rows = [say_account.fill(one, order, self.venue.tapes[one.symbol].market) for one, order in done]
        return rows[: limited(params, 100)]


def leverage_of(trade: Trade, account: Account, market: Market) -> float:
    """Return the leverage an account has set for a market, 1 on spot markets."""
    return trade.venue.position(account, market.symbol).leverage if market.linear else 1.0


def batch(rows: object) -> list[Any]:
    """Return the entries of a request for several orders."""
    if not isinstance(rows, list) or not rows:
        raise Problem("body")
    if len(rows) > MOST_AT_ONCE or not all(isinstance(one, dict) for one in rows):
        raise Problem("parameter", "batch")
    return rows
