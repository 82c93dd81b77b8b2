"""What Binance's REST interfaces share: who may ask, weights, errors, and the market data of either kind of market."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from engine.venue.account import Account
from engine.venue.binance import say
from engine.venue.binance.codes import REASONS, Problem, Reasons, problem
from engine.venue.binance.guard import Guard
from engine.venue.core import Venue
from engine.venue.market import plain
from engine.venue.order import Execution, Order, Rejected
from engine.venue.tape import Tape

__all__ = ["Params", "Routes", "limited", "number", "whole"]

Params = dict[str, str]
Public = Callable[[Params], Any]
Private = Callable[[Account, Params], Any]


class Routes:
    """Routes under a prefix and what answers them.

    Parameters
    ----------
    venue : Venue
    guard : Guard

    Attributes
    ----------
    reasons : Reasons
        The interface's codes.
    windows : tuple of (str, int)
        The windows new orders are counted in: name in the header, ms.
    most_candles : int
    """

    reasons: Reasons = REASONS
    windows: tuple[tuple[str, int], ...] = (("10S", 10_000), ("1D", 86_400_000))
    most_candles = 1000

    def __init__(self, venue: Venue, guard: Guard) -> None:
        self.venue = venue
        self.guard = guard
        self.by_id = {tape.market.id: tape for tape in venue.tapes.values()}

    # --- how a request is answered

    def public(self, weight: int, answer: Public) -> Callable[[web.Request], Any]:
        """Return a handler of requests anyone may send."""

        async def handle(request: web.Request) -> web.Response:
            return self._answered(request, weight, lambda: answer(dict(request.query)))

        return handle

    def keyed(self, weight: int, answer: Private) -> Callable[[web.Request], Any]:
        """Return a handler of requests that name a key and are not signed."""

        async def handle(request: web.Request) -> web.Response:
            def done() -> Any:
                return answer(self.guard.account(request.headers.get("X-MBX-APIKEY", "")), dict(request.query))

            return self._answered(request, weight, done)

        return handle

    def private(self, weight: int, answer: Private, *, orders: int = 0) -> Callable[[web.Request], Any]:
        """Return a handler of signed requests, each of which counts as so many new orders."""

        async def handle(request: web.Request) -> web.Response:
            query = "&".join(part for part in (request.rel_url.raw_query_string, await request.text()) if part)
            counted: dict[str, str] = {}

            def done() -> Any:
                account, params = self.guard.signed(request.headers.get("X-MBX-APIKEY", ""), query)
                if orders:
                    counts = self.guard.ordered(account, orders, self.windows)
                    counted.update({f"X-MBX-ORDER-COUNT-{name}": str(count) for name, count in counts.items()})
                return answer(account, params)

            response = self._answered(request, weight, done)
            response.headers.update(counted)
            return response

        return handle

    def _answered(self, request: web.Request, weight: int, answer: Callable[[], Any]) -> web.Response:
        used = self.guard.weigh(request.remote or "", weight)
        try:
            if used > self.guard.weight_limit:
                raise Problem("banned" if used > 2 * self.guard.weight_limit else "weight")
            response = web.json_response(answer())
        except Rejected as found:
            unknown = found.reason == "unknown_order" and request.method == "DELETE"
            response = problem(Problem("unknown_cancel" if unknown else found.reason), self.reasons)
        except Problem as found:
            response = problem(found, self.reasons)
        response.headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        return response

    # --- market data

    def tape(self, params: Params) -> Tape:
        """Return the market a request is about."""
        if "symbol" not in params:
            raise Problem("parameter")
        if params["symbol"] not in self.by_id:
            raise Problem("symbol")
        return self.by_id[params["symbol"]]

    def of_each(self, answer: Callable[[Tape], Any]) -> Public:
        """Return what answers for one market, or with a list for all of them."""

        def answered(params: Params) -> Any:
            return answer(self.tape(params)) if "symbol" in params else [answer(tape) for tape in self.by_id.values()]

        return answered

    def klines(self, params: Params) -> Any:
        """Return candles of the venue's own timeframe, the forming one last."""
        tape = self.tape(params)
        if params.get("interval") != self.venue.timeframe:
            raise Problem("interval")
        start, end = (whole(params[name]) if name in params else None for name in ("startTime", "endTime"))
        found = tape.candles(start, end, limited(params, 500, self.most_candles))
        return [say.candle(one) for one in found]

    def trades(self, params: Params, *, aggregate: bool) -> Any:
        """Return the last trades, from ``startTime`` to ``endTime`` if given."""
        tape = self.tape(params)
        start, end = whole(params.get("startTime", "0")), whole(params.get("endTime", str(1 << 60)))
        limit = limited(params, 500, 1000)
        found = tape.trades(1 << 30 if "startTime" in params else limit)
        kept = [one for one in found if start <= one.time_ms <= end]
        kept = kept[:limit] if "startTime" in params else kept[-limit:]
        return [say.trade(one, tape.market.id, aggregate=aggregate, streamed=False) for one in kept]

    def depth(self, params: Params) -> Any:
        """Return the book that is made around the last price."""
        tape = self.tape(params)
        limit = limited(params, 100, 5000)
        bids, asks = ([[plain(p), plain(q)] for p, q in side[:limit]] for side in tape.book())
        return {"lastUpdateId": tape.update, "bids": bids, "asks": asks}

    # --- an account's own

    def fills(self, account: Account, params: Params) -> Iterable[Execution]:
        """Return the account's fills of a symbol, oldest first: the first from a time or number on, else the last."""
        tape = self.tape(params)
        start, end = whole(params.get("startTime", "0")), whole(params.get("endTime", str(1 << 60)))
        wanted, begin = whole(params.get("orderId", "0")), whole(params.get("fromId", "0"))
        found = [
            done
            for one in self._executed(account, wanted)
            if one.asked.symbol == tape.market.symbol
            for done in one.executions
            if start <= done.time_ms <= end and done.trade_id >= begin
        ]
        found.sort(key=lambda done: done.trade_id)
        limit = limited(params, 500, 1000)
        return found[:limit] if "startTime" in params or "fromId" in params else found[-limit:]

    @staticmethod
    def _executed(account: Account, order_id: int) -> Iterable[Order]:
        if not order_id:
            return account.orders.values()
        return [account.orders[order_id]] if order_id in account.orders else []


def whole(text: str) -> int:
    """Return a parameter that is a whole number."""
    try:
        return int(text)
    except ValueError:
        raise Problem("illegal") from None


def number(text: str) -> float:
    """Return a parameter that is a finite number."""
    try:
        value = float(text)
    except ValueError:
        raise Problem("illegal") from None
    if not math.isfinite(value):
        raise Problem("illegal")
    return value


def limited(params: Params, usual: int, most: int) -> int:
    """Return how many rows are asked for."""
    return max(1, min(whole(params["limit"]), most)) if "limit" in params else usual
