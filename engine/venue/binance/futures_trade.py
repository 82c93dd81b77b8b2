"""Requests of Binance's USD-M futures about orders, algo orders and fills, and the countdown that cancels them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from engine.venue.account import Account
from engine.venue.binance import futures_orders as words
from engine.venue.binance.codes import Problem
from engine.venue.binance.futures_rest import FuturesRest
from engine.venue.binance.routes import Params, Private, limited, whole
from engine.venue.order import Order, Rejected
from engine.venue.tape import Tape

__all__ = ["FuturesTrade"]

_DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}
Which = Callable[[Order], bool]


class FuturesTrade:
    """What answers requests about orders.

    Parameters
    ----------
    rest : FuturesRest
    """

    def __init__(self, rest: FuturesRest) -> None:
        self.rest = rest
        self.venue = rest.venue
        self._countdowns: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def add_to(self, app: web.Application) -> None:
        """Add the routes under ``/fapi/v1``."""
        private: list[tuple[str, str, int, int, Private]] = [
            ("POST", "order", 4, 1, self.place),
            ("GET", "order", 1, 0, self.order),
            ("GET", "openOrder", 1, 0, self.open_order),
            ("PUT", "order", 1, 1, self.amend),
            ("DELETE", "order", 1, 0, self.cancel),
            ("GET", "openOrders", 1, 0, self._listed(_is_open_order, words.order)),
            ("GET", "allOrders", 5, 0, self._listed(words.begun, words.order)),
            ("DELETE", "allOpenOrders", 1, 0, self._cancels(_is_open_order)),
            ("GET", "userTrades", 5, 0, self.user_trades),
            ("POST", "countdownCancelAll", 10, 0, self.countdown),
            ("POST", "algoOrder", 1, 1, self.place_algo),
            ("GET", "algoOrder", 1, 0, self.algo_order),
            ("DELETE", "algoOrder", 1, 0, self.cancel_algo),
            ("GET", "openAlgoOrders", 1, 0, self._listed(_is_open_algo, words.algo)),
            ("GET", "allAlgoOrders", 5, 0, self._listed(words.is_algo, words.algo)),
            ("DELETE", "algoOpenOrders", 1, 0, self._cancels(_is_open_algo)),
        ]
        for method, path, weight, orders, signed in private:
            app.router.add_route(method, f"/fapi/v1/{path}", self.rest.private(weight, signed, orders=orders))
        app.on_shutdown.append(self._stop)

    # --- ordinary orders

    def place(self, account: Account, params: Params) -> Any:
        """Take an order; a market order is answered NEW and fills at the next open."""
        market = self.rest.tape(params).market
        return words.order(self.venue.place(account, words.asked_of(params, market, algo=False)), market.id)

    def _find(self, account: Account, params: Params) -> tuple[Order, Tape]:
        tape = self.rest.tape(params)
        if not ("orderId" in params or "origClientOrderId" in params):
            raise Problem("parameter")
        order_id, client_id = whole(params.get("orderId", "0")), params.get("origClientOrderId", "")
        found = self.venue.find(account, tape.market.symbol, order_id=order_id, client_id=client_id)
        if not words.begun(found):
            raise Problem("unknown_order")
        return found, tape

    def order(self, account: Account, params: Params) -> Any:
        """Return one order."""
        found, tape = self._find(account, params)
        return words.order(found, tape.market.id)

    def open_order(self, account: Account, params: Params) -> Any:
        """Return one order that may still fill."""
        found, tape = self._find(account, params)
        if not found.open:
            raise Problem("unknown_order")
        return words.order(found, tape.market.id)

    def amend(self, account: Account, params: Params) -> Any:
        """Give a limit order that rests another price and quantity; one that cannot rest there is cancelled."""
        found, tape = self._find(account, params)
        if params.get("side") != found.asked.side.upper():
            raise Problem("parameter")
        quantity = words.within(params.get("quantity", ""), tape.market.quantity_step)
        price = words.within(params.get("price", ""), tape.market.price_tick)
        if (quantity, price) == (found.asked.quantity, found.asked.price):
            raise Problem("same")
        try:
            self.venue.amend(found, quantity, price)
        except Rejected as refused:
            if refused.reason != "match" and not (found.open and quantity <= found.filled):
                raise
            self.venue.cancel(found)
        return words.order(found, tape.market.id)

    def cancel(self, account: Account, params: Params) -> Any:
        """Cancel one order."""
        try:
            found, tape = self._find(account, params)
        except Problem as error:
            raise Problem("unknown_cancel" if error.reason == "unknown_order" else error.reason) from None
        return words.order(self.venue.cancel(found), tape.market.id)

    def user_trades(self, account: Account, params: Params) -> Any:
        """Return the account's fills of a symbol, oldest first."""
        return [words.my_trade(done, self.rest.tape(params).market) for done in self.rest.fills(account, params)]

    # --- algo orders

    def place_algo(self, account: Account, params: Params) -> Any:
        """Take an order that waits for a price."""
        market = self.rest.tape(params).market
        return words.algo(self.venue.place(account, words.asked_of(params, market, algo=True)), market.id)

    def _find_algo(self, account: Account, params: Params) -> Order:
        if "algoId" in params:
            found = account.orders.get(words.order_number(whole(params["algoId"])))
        elif "clientAlgoId" in params:
            found = account.by_client_id.get(params["clientAlgoId"])
        else:
            raise Problem("parameter")
        if found is None or not words.is_algo(found):
            raise Problem("unknown_order")
        return found

    def algo_order(self, account: Account, params: Params) -> Any:
        """Return one algo order."""
        found = self._find_algo(account, params)
        return words.algo(found, self.venue.tapes[found.asked.symbol].market.id)

    def cancel_algo(self, account: Account, params: Params) -> Any:
        """Cancel an algo order whose price was not met."""
        try:
            found = self._find_algo(account, params)
        except Problem as error:
            raise Problem("unknown_cancel" if error.reason == "unknown_order" else error.reason) from None
        if words.begun(found):
            raise Problem("unknown_cancel")
        self.venue.cancel(found)
        ids = {"algoId": words.algo_id(found), "clientAlgoId": found.asked.client_id}
        return ids | {"code": "200", "msg": "success"}

    # --- many orders

    def _listed(self, which: Which, say: Callable[[Order, str], dict[str, Any]]) -> Private:
        def answer(account: Account, params: Params) -> Any:
            symbol = self.rest.tape(params).market.symbol if "symbol" in params else None
            start, end = whole(params.get("startTime", "0")), whole(params.get("endTime", str(1 << 60)))
            rows = [
                say(one, self.venue.tapes[one.asked.symbol].market.id)
                for one in account.orders.values()
                if which(one) and symbol in (None, one.asked.symbol) and start <= one.time_ms <= end
            ]
            limit = limited(params, 500, 1000)
            return rows[:limit] if "startTime" in params else rows[-limit:]

        return answer

    def _cancels(self, which: Which) -> Private:
        def answer(account: Account, params: Params) -> Any:
            for one in account.open_orders(self.rest.tape(params).market.symbol):
                if which(one) and one.open:
                    self.venue.cancel(one)
            return _DONE

        return answer

    def countdown(self, account: Account, params: Params) -> Any:
        """Cancel all orders of a symbol after so many ms of the server's time, unless asked again; 0 ends it."""
        tape = self.rest.tape(params)
        length_ms = whole(params.get("countdownTime", ""))
        running = self._countdowns.pop((account.key, tape.market.symbol), None)
        if running is not None:
            running.cancel()
        if length_ms > 0:
            later = asyncio.get_running_loop().call_later(length_ms / 1000.0, self._over, account, tape.market.symbol)
            self._countdowns[account.key, tape.market.symbol] = later
        return {"symbol": tape.market.id, "countdownTime": str(length_ms)}

    def _over(self, account: Account, symbol: str) -> None:
        self._countdowns.pop((account.key, symbol), None)
        for one in account.open_orders(symbol):
            if one.open:
                self.venue.cancel(one)

    async def _stop(self, app: web.Application) -> None:
        for running in self._countdowns.values():
            running.cancel()


def _is_open_order(one: Order) -> bool:
    return one.open and words.begun(one)


def _is_open_algo(one: Order) -> bool:
    return one.open and not words.begun(one)
