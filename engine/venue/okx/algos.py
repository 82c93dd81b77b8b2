"""OKX's requests about algo orders: stops, targets and triggers, each an order of its own until its price is met."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from engine.venue.account import Account
from engine.venue.market import Market
from engine.venue.okx import say_account
from engine.venue.okx.asked import algo_asked, text_of
from engine.venue.okx.codes import Problem
from engine.venue.okx.rest import Params, limited
from engine.venue.okx.trade import Trade, batch, leverage_of
from engine.venue.order import Order, Rejected

__all__ = ["Algos"]


class Algos:
    """Routes under ``/api/v5/trade`` for algo orders."""

    def __init__(self, trade: Trade) -> None:
        self.trade = trade
        self.rest, self.venue = trade.rest, trade.venue

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        routes: list[tuple[str, str, Callable[[Account, Any], list[Any]]]] = [
            ("POST", "order-algo", lambda account, params: [self.place(account, params)]),
            ("GET", "order-algo", self.order),
            ("POST", "cancel-algos", lambda account, rows: [self.cancel(account, one) for one in batch(rows)]),
            ("GET", "orders-algo-pending", self.pending),
            ("GET", "orders-algo-history", self.history),
        ]
        for method, path, answer in routes:
            app.router.add_route(method, f"/api/v5/trade/{path}", self.rest.private(answer))

    def place(self, account: Account, params: Params) -> dict[str, Any]:
        """Take an order that waits for a price."""
        said = str(params.get("algoClOrdId") or params.get("clOrdId") or "") if isinstance(params, dict) else ""
        ids = {"clOrdId": "", "algoClOrdId": said}
        try:
            tape = self.rest.tape(params)
            asked = algo_asked(params, tape.market, tape.last)
            order = self.trade.take(account, asked, tape.market, str(params["ordType"]))
        except Problem as found:
            return found.row(algoId="", **ids)
        return ids | {"algoId": say_account.algo_id(order), "tag": "", "sCode": "0", "sMsg": ""}

    def _found(self, account: Account, params: Params) -> Order:
        if not (params.get("algoId") or params.get("algoClOrdId")):
            raise Problem("missing", "algoId")
        if params.get("algoId"):
            order = account.orders.get(say_account.order_number(params["algoId"], is_algo=True))
        else:
            order = account.by_client_id.get(str(params["algoClOrdId"]))
        if order is None or not say_account.is_algo(order):
            raise Problem("unknown_order")
        return order

    def _said(self, account: Account, order: Order) -> dict[str, Any]:
        tape = self.venue.tapes[order.asked.symbol]
        market: Market = tape.market
        leverage = leverage_of(self.trade, account, market)
        return say_account.algo(order, market, self.trade.types.get(order.order_id, ""), leverage, tape.last)

    def order(self, account: Account, params: Params) -> list[Any]:
        """Return one algo order."""
        return [self._said(account, self._found(account, params))]

    def cancel(self, account: Account, params: Params) -> dict[str, Any]:
        """Cancel an algo order whose price was not met."""
        ids = {name: str(params.get(name) or "") for name in ("algoId", "algoClOrdId")}
        try:
            order = self._found(account, params)
            if say_account.begun(order):
                raise Problem("unknown_cancel")
            self.venue.cancel(order)
        except Rejected:
            return Problem("unknown_cancel").row(**ids)
        except Problem as found:
            return (Problem("unknown_cancel") if found.reason == "unknown_order" else found).row(**ids)
        return ids | {"algoId": say_account.algo_id(order), "clOrdId": "", "tag": "", "sCode": "0", "sMsg": ""}

    def pending(self, account: Account, params: Params) -> list[Any]:
        """Return algo orders that wait, of the types asked for."""
        return self._listed(account, params, is_open=True)

    def history(self, account: Account, params: Params) -> list[Any]:
        """Return algo orders that wait no more, of the types and the state asked for."""
        if not params.get("algoId"):
            text_of(params, "state")
        return self._listed(account, params, is_open=False)

    def _listed(self, account: Account, params: Params, *, is_open: bool) -> list[Any]:
        kinds = text_of(params, "ordType").split(",")
        made = [*self.trade.orders(account, params, is_open=True), *self.trade.orders(account, params, is_open=False)]
        rows = [self._said(account, one) for one in made if say_account.is_algo(one)]
        wanted = [
            row
            for row in rows
            if (row["state"] == "live") == is_open
            and row["ordType"] in kinds
            and all(params.get(name) in (None, "", row[name]) for name in ("state", "algoId", "algoClOrdId"))
        ]
        wanted.sort(key=lambda row: -int(row["algoId"]))
        return wanted[: limited(params, 100)]
