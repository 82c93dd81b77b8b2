"""Binance's spot REST interface over a venue: public data, account and orders under ``/api/v3``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from engine.venue.account import Account
from engine.venue.binance import say
from engine.venue.binance.codes import Problem, problem
from engine.venue.binance.guard import Guard
from engine.venue.core import Venue
from engine.venue.market import plain
from engine.venue.order import Asked, Order, Rejected
from engine.venue.tape import Tape

__all__ = ["Rest"]

Params = dict[str, str]


class Rest:
    """Routes and what answers them.

    Parameters
    ----------
    venue : Venue
    guard : Guard
    """

    def __init__(self, venue: Venue, guard: Guard) -> None:
        self.venue = venue
        self.guard = guard
        self.by_id = {tape.market.id: tape for tape in venue.tapes.values()}

    def add_to(self, app: web.Application) -> None:
        """Add the routes under ``/api/v3``."""
        public: dict[str, tuple[int, Callable[[Params], Any]]] = {
            "ping": (1, lambda params: {}),
            "time": (1, lambda params: {"serverTime": self.guard.clock()}),
            "exchangeInfo": (20, self.exchange_info),
            "klines": (2, self.klines),
            "trades": (25, lambda params: self.trades(params, aggregate=False)),
            "aggTrades": (4, lambda params: self.trades(params, aggregate=True)),
            "depth": (5, self.depth),
            "ticker/24hr": (2, lambda params: say.ticker(self.tape(params), self.venue.time_ms, streamed=False)),
        }
        for path, (weight, answer) in public.items():
            app.router.add_get(f"/api/v3/{path}", self._public(weight, answer))
        private: list[tuple[str, str, int, Callable[[Account, Params], Any]]] = [
            ("GET", "account", 20, self.account),
            ("POST", "order", 1, self.place),
            ("GET", "order", 4, self.order),
            ("DELETE", "order", 1, self.cancel),
            ("GET", "openOrders", 6, self.open_orders),
            ("DELETE", "openOrders", 1, self.cancel_all),
            ("GET", "allOrders", 20, self.all_orders),
            ("GET", "myTrades", 20, self.my_trades),
        ]
        for method, path, weight, signed in private:
            app.router.add_route(method, f"/api/v3/{path}", self._private(weight, signed))

    def _public(self, weight: int, answer: Callable[[Params], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            return self._answered(request, weight, lambda: answer(dict(request.query)))

        return handle

    def _private(self, weight: int, answer: Callable[[Account, Params], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            query = "&".join(part for part in (request.rel_url.raw_query_string, await request.text()) if part)

            def done() -> Any:
                return answer(*self.guard.signed(request.headers.get("X-MBX-APIKEY", ""), query))

            return self._answered(request, weight, done)

        return handle

    def _answered(self, request: web.Request, weight: int, answer: Callable[[], Any]) -> web.Response:
        used = self.guard.weigh(request.remote or "", weight)
        try:
            if used > self.guard.weight_limit:
                raise Problem("weight")
            response = web.json_response(answer())
        except Rejected as found:
            unknown = found.reason == "unknown_order" and request.method == "DELETE"
            response = problem(Problem("unknown_cancel" if unknown else found.reason))
        except Problem as found:
            response = problem(found)
        response.headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        return response

    # --- public

    def tape(self, params: Params) -> Tape:
        """Return the market a request is about."""
        if "symbol" not in params:
            raise Problem("parameter")
        if params["symbol"] not in self.by_id:
            raise Problem("symbol")
        return self.by_id[params["symbol"]]

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

    def klines(self, params: Params) -> Any:
        """Return candles of the venue's own timeframe, the forming one last."""
        tape = self.tape(params)
        if params.get("interval") != self.venue.timeframe:
            raise Problem("interval")
        start, end = (_whole(params[name]) if name in params else None for name in ("startTime", "endTime"))
        return [say.candle(one) for one in tape.candles(start, end, _limit(params, 500, 1000))]

    def trades(self, params: Params, *, aggregate: bool) -> Any:
        """Return the last trades, from ``startTime`` to ``endTime`` if given."""
        tape = self.tape(params)
        start, end = _whole(params.get("startTime", "0")), _whole(params.get("endTime", str(1 << 60)))
        limit = _limit(params, 500, 1000)
        found = tape.trades(1 << 30 if "startTime" in params else limit)
        kept = [one for one in found if start <= one.time_ms <= end]
        kept = kept[:limit] if "startTime" in params else kept[-limit:]
        return [say.trade(one, tape.market.id, aggregate=aggregate, streamed=False) for one in kept]

    def depth(self, params: Params) -> Any:
        """Return the book that is made around the last price."""
        tape = self.tape(params)
        limit = _limit(params, 100, 5000)
        bids, asks = ([[plain(p), plain(q)] for p, q in side[:limit]] for side in tape.book())
        return {"lastUpdateId": tape.update, "bids": bids, "asks": asks}

    # --- private

    def account(self, account: Account, params: Params) -> Any:
        """Return the balances."""
        market = next(iter(self.by_id.values())).market
        return say.account(account, self.venue.time_ms, (market.maker_fee, market.taker_fee))

    def place(self, account: Account, params: Params) -> Any:
        """Take an order; a market order is answered NEW and fills at the next open."""
        tape = self.tape(params)
        for name in ("side", "type", "quantity"):
            if name not in params:
                raise Problem("parameter")
        kind, side = say.KINDS.get(params["type"]), params["side"].lower()
        force = params.get("timeInForce", "GTC").lower()
        if kind is None or side not in ("buy", "sell"):
            raise Problem("type")
        if force not in ("gtc", "ioc", "fok"):
            raise Problem("parameter")
        asked = Asked(
            symbol=tape.market.symbol,
            side=cast(Any, side),
            kind=cast(Any, kind),
            quantity=_number(params["quantity"]),
            client_id=params.get("newClientOrderId", ""),
            price=_number(params["price"]) if "price" in params else 0.0,
            stop_price=_number(params["stopPrice"]) if "stopPrice" in params else 0.0,
            time_in_force=cast(Any, force),
        )
        return say.order(self.venue.place(account, asked), tape.market.id, full=True)

    def _find(self, account: Account, params: Params) -> tuple[Order, Tape]:
        tape = self.tape(params)
        if not ("orderId" in params or "origClientOrderId" in params):
            raise Problem("parameter")
        order_id, client_id = _whole(params.get("orderId", "0")), params.get("origClientOrderId", "")
        return self.venue.find(account, tape.market.symbol, order_id=order_id, client_id=client_id), tape

    def order(self, account: Account, params: Params) -> Any:
        """Return one order."""
        order, tape = self._find(account, params)
        return say.order(order, tape.market.id, full=False)

    def cancel(self, account: Account, params: Params) -> Any:
        """Cancel one order."""
        order, tape = self._find(account, params)
        return say.order(self.venue.cancel(order), tape.market.id, full=False)

    def open_orders(self, account: Account, params: Params) -> Any:
        """Return open orders, of one symbol or of all."""
        return self._orders(account, params, only_open=True)

    def all_orders(self, account: Account, params: Params) -> Any:
        """Return the last orders of a symbol."""
        self.tape(params)
        start = _whole(params.get("startTime", "0"))
        rows = [row for row in self._orders(account, params, only_open=False) if row["time"] >= start]
        return rows[-_limit(params, 500, 1000) :]

    def cancel_all(self, account: Account, params: Params) -> Any:
        """Cancel all open orders of a symbol."""
        tape = self.tape(params)
        found = [one for one in account.orders.values() if one.open and one.asked.symbol == tape.market.symbol]
        if not found:
            raise Problem("unknown_cancel")
        return [say.order(self.venue.cancel(one), tape.market.id, full=False) for one in found]

    def my_trades(self, account: Account, params: Params) -> Any:
        """Return the account's fills of a symbol, oldest first."""
        tape = self.tape(params)
        start, wanted = _whole(params.get("startTime", "0")), _whole(params.get("orderId", "0"))
        found = [
            done
            for one in account.orders.values()
            if one.asked.symbol == tape.market.symbol and wanted in (0, one.order_id)
            for done in one.executions
            if done.time_ms >= start
        ]
        found.sort(key=lambda done: done.trade_id)
        return [say.my_trade(done, tape.market) for done in found[-_limit(params, 500, 1000) :]]

    def _orders(self, account: Account, params: Params, *, only_open: bool) -> list[dict[str, Any]]:
        symbol = self.tape(params).market.symbol if "symbol" in params else None
        return [
            say.order(one, self.venue.tapes[one.asked.symbol].market.id, full=False)
            for one in account.orders.values()
            if (one.open or not only_open) and symbol in (None, one.asked.symbol)
        ]


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Problem("illegal") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise Problem("illegal") from None
    if not math.isfinite(value):
        raise Problem("illegal")
    return value


def _limit(params: Params, usual: int, most: int) -> int:
    return max(1, min(_whole(params["limit"]), most)) if "limit" in params else usual
