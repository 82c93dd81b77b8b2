"""Binance's spot REST interface over a venue: public data, account and orders under ``/api/v3``."""

from __future__ import annotations

from typing import Any, cast

from aiohttp import web

from engine.venue.account import Account
from engine.venue.binance import say
from engine.venue.binance.codes import Problem
from engine.venue.binance.guard import Guard
from engine.venue.binance.lists import Lists
from engine.venue.binance.routes import Params, Private, Public, Routes, limited, number, whole
from engine.venue.core import Venue
from engine.venue.order import Asked, Order
from engine.venue.tape import Tape

__all__ = ["Rest"]


class Rest(Routes):
    """Routes and what answers them.

    Parameters
    ----------
    venue : Venue
    guard : Guard
    list_names : dict of int to str
        The client id of every order list, by its number; the streams tell it.
    """

    def __init__(self, venue: Venue, guard: Guard, list_names: dict[int, str]) -> None:
        super().__init__(venue, guard)
        self.list_names = list_names

    def add_to(self, app: web.Application) -> None:
        """Add the routes under ``/api/v3``."""
        now = self.venue
        public: dict[str, tuple[int, Public]] = {
            "ping": (1, lambda params: {}),
            "time": (1, lambda params: {"serverTime": self.guard.clock()}),
            "exchangeInfo": (20, self.exchange_info),
            "klines": (2, self.klines),
            "trades": (25, lambda params: self.trades(params, aggregate=False)),
            "aggTrades": (4, lambda params: self.trades(params, aggregate=True)),
            "depth": (5, self.depth),
            "ticker/24hr": (2, self.of_each(lambda tape: say.ticker(tape, now.time_ms, streamed=False))),
            "ticker/bookTicker": (2, self.of_each(say.best)),
            "ticker/price": (2, self.of_each(say.last)),
        }
        for path, (weight, answer) in public.items():
            app.router.add_get(f"/api/v3/{path}", self.public(weight, answer))
        lists = Lists(self)
        private: list[tuple[str, str, int, int, Private]] = [
            ("GET", "account", 20, 0, self.account),
            ("POST", "order", 1, 1, self.place),
            ("GET", "order", 4, 0, self.order),
            ("DELETE", "order", 1, 0, self.cancel),
            ("GET", "openOrders", 6, 0, self.open_orders),
            ("DELETE", "openOrders", 1, 0, self.cancel_all),
            ("GET", "allOrders", 20, 0, self.all_orders),
            ("GET", "myTrades", 20, 0, self.my_trades),
            ("POST", "orderList/oco", 1, 2, lists.place),
            ("GET", "orderList", 4, 0, lists.order_list),
            ("DELETE", "orderList", 1, 0, lists.cancel),
            ("GET", "openOrderList", 6, 0, lists.open_lists),
        ]
        for method, path, weight, orders, signed in private:
            app.router.add_route(method, f"/api/v3/{path}", self.private(weight, signed, orders=orders))

    def exchange_info(self, params: Params) -> Any:
        """Return all markets, their filters and the request limit."""
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        return {
            "timezone": "UTC",
            "serverTime": self.guard.clock(),
            "rateLimits": [limit | {"limit": self.guard.weight_limit}],
            "exchangeFilters": [],
            "symbols": [say.market(tape.market) for tape in self.by_id.values()],
        }

    def account(self, account: Account, params: Params) -> Any:
        """Return the balances."""
        market = next(iter(self.by_id.values())).market
        return say.account(account, self.venue.time_ms, (market.maker_fee, market.taker_fee))

    def asked(self, params: Params, leg: str = "") -> Asked:
        """Return an order as it is asked for; ``leg`` is how the parameters of one of a list's orders begin."""
        tape = self.tape(params)

        def named(name: str) -> str:
            return leg + name[0].upper() + name[1:] if leg else name

        for name in ("side", named("type"), "quantity"):
            if name not in params:
                raise Problem("parameter")
        kind, side = say.KINDS.get(params[named("type")]), params["side"].lower()
        force = params.get(named("timeInForce"), "GTC").lower()
        if kind is None or side not in ("buy", "sell"):
            raise Problem("type")
        if force not in ("gtc", "ioc", "fok"):
            raise Problem("parameter")
        price, stop = (params.get(named(name)) for name in ("price", "stopPrice"))
        return Asked(
            symbol=tape.market.symbol,
            side=cast(Any, side),
            kind=cast(Any, kind),
            quantity=number(params["quantity"]),
            client_id=params.get(named("clientOrderId") if leg else "newClientOrderId", ""),
            price=number(price) if price else 0.0,
            stop_price=number(stop) if stop else 0.0,
            time_in_force=cast(Any, force),
        )

    def place(self, account: Account, params: Params) -> Any:
        """Take an order; a market order is answered NEW and fills at the next open."""
        order = self.venue.place(account, self.asked(params))
        return say.order(order, self.tape(params).market.id, full=True)

    def _find(self, account: Account, params: Params) -> tuple[Order, Tape]:
        tape = self.tape(params)
        if not ("orderId" in params or "origClientOrderId" in params):
            raise Problem("parameter")
        order_id, client_id = whole(params.get("orderId", "0")), params.get("origClientOrderId", "")
        return self.venue.find(account, tape.market.symbol, order_id=order_id, client_id=client_id), tape

    def order(self, account: Account, params: Params) -> Any:
        """Return one order."""
        order, tape = self._find(account, params)
        return say.order(order, tape.market.id, full=False)

    def cancel(self, account: Account, params: Params) -> Any:
        """Cancel one order, and the one it cancels."""
        order, tape = self._find(account, params)
        return say.order(self.venue.cancel(order), tape.market.id, full=False)

    def open_orders(self, account: Account, params: Params) -> Any:
        """Return open orders, of one symbol or of all."""
        return self._orders(account, params, only_open=True)

    def all_orders(self, account: Account, params: Params) -> Any:
        """Return the last orders of a symbol."""
        self.tape(params)
        start = whole(params.get("startTime", "0"))
        rows = [row for row in self._orders(account, params, only_open=False) if row["time"] >= start]
        return rows[-limited(params, 500, 1000) :]

    def cancel_all(self, account: Account, params: Params) -> Any:
        """Cancel all open orders of a symbol."""
        tape = self.tape(params)
        found = [one for one in account.orders.values() if one.open and one.asked.symbol == tape.market.symbol]
        if not found:
            raise Problem("unknown_cancel")
        for one in found:
            if one.open:  # not cancelled with the other one of its pair
                self.venue.cancel(one)
        return [say.order(one, tape.market.id, full=False) for one in found]

    def my_trades(self, account: Account, params: Params) -> Any:
        """Return the account's fills of a symbol, oldest first."""
        return [say.my_trade(done, self.tape(params).market) for done in self.fills(account, params)]

    def _orders(self, account: Account, params: Params, *, only_open: bool) -> list[dict[str, Any]]:
        symbol = self.tape(params).market.symbol if "symbol" in params else None
        return [
            say.order(one, self.venue.tapes[one.asked.symbol].market.id, full=False)
            for one in account.orders.values()
            if (one.open or not only_open) and symbol in (None, one.asked.symbol)
        ]
