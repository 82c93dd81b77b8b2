"""Coinbase's REST interface over a venue: how a request is answered, and what anybody may ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from engine.venue.coinbase import say
from engine.venue.coinbase.asked import time_ms, whole_number
from engine.venue.coinbase.codes import Problem, problem
from engine.venue.coinbase.guard import Guard, Unauthorized
from engine.venue.core import Venue
from engine.venue.market import plain
from engine.venue.tape import Tape

__all__ = ["BROKERAGE", "Rest", "many"]

BROKERAGE = "/api/v3/brokerage"
_CANDLES = 350
_TRADES = 100
_LEVELS = 1000
_NEAR_MS = 60_000


def many(request: web.Request, *names: str) -> set[str]:
    """Return the values of a query that may stand in it again and again, under any of some names."""
    return {value for name in names for value in request.query.getall(name, [])}


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
        self.by_id = {say.product_id(tape.market): tape for tape in venue.tapes.values()}

    def add_to(self, app: web.Application) -> None:
        """Add the public routes; those about products are there twice, signed ones being no other."""
        routes: dict[str, Callable[[web.Request], Any]] = {
            f"{BROKERAGE}/time": lambda request: self.time(),
            "/v2/time": lambda request: {"data": {"epoch": self.guard.clock() // 1000, "iso": self._now()}},
            "/v2/currencies": lambda request: {"data": self.currencies(fiat=True)},
            "/v2/currencies/crypto": lambda request: {"data": self.currencies(fiat=False)},
            "/v2/exchange-rates": lambda request: {"data": {"currency": "USD", "rates": {}}},
        }
        products: dict[str, Callable[[web.Request], Any]] = {
            "products": self.products,
            "products/{product_id}": self.product,
            "products/{product_id}/candles": self.candles,
            "products/{product_id}/ticker": self.trades,
            "product_book": self.book,
        }
        for path, answer in products.items():
            routes[f"{BROKERAGE}/market/{path}"] = answer
            self.add_signed(app, "GET", f"{BROKERAGE}/{path}", lambda _, request, body, answer=answer: answer(request))
        for path, answer in routes.items():
            app.router.add_get(path, self._public(answer))

    def _public(self, answer: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            return self._answered(request, lambda: answer(request))

        return handle

    def add_signed(
        self,
        app: web.Application,
        method: str,
        path: str,
        answer: Callable[..., Any],
    ) -> None:
        """Add a route that answers an account: ``answer(account, request, body)``, the body read as JSON."""

        async def handle(request: web.Request) -> web.Response:
            text = await request.text()

            def done() -> Any:
                account = self.guard.signed(request, text)
                try:
                    body = json.loads(text) if text else {}
                except ValueError:
                    raise Problem("argument", "body is no JSON") from None
                return answer(account, request, body if isinstance(body, dict) else {})

            return self._answered(request, done)

        app.router.add_route(method, path, handle)

    def _answered(self, request: web.Request, answer: Callable[[], Any]) -> web.Response:
        left = self.guard.count(self.guard.sender(request))
        try:
            if left < 0:
                raise Problem("limit")
            response = web.json_response(answer())
        except Problem as found:
            response = problem(found)
        except Unauthorized as found:
            if found.legacy:
                said = {"errors": [{"id": "authentication_error", "message": found.legacy}]}
                response = web.json_response(said, status=401)
            else:
                response = web.Response(status=401, text="Unauthorized\n")
        response.headers["x-ratelimit-limit"] = str(self.guard.limit)
        response.headers["x-ratelimit-remaining"] = str(max(0, left))
        response.headers["x-ratelimit-reset"] = "1"
        return response

    # --- what anybody may ask

    def _now(self) -> str:
        return say.iso(self.guard.clock())

    def time(self) -> Any:
        """Return the server's time."""
        now = self.guard.clock()
        return {"iso": say.iso(now), "epochSeconds": str(now // 1000), "epochMillis": str(now)}

    def currencies(self, *, fiat: bool) -> list[dict[str, Any]]:
        """Return the currencies of the markets, of one kind."""
        names = {name for tape in self.by_id.values() for name in (tape.market.base, tape.market.quote)}
        kept = sorted(name for name in names if (name in say.FIAT) == fiat)
        if fiat:
            return [{"id": name, "name": name, "min_size": "0.01"} for name in kept]
        return [{"asset_id": name, "code": name, "name": name, "exponent": 8, "type": "crypto"} for name in kept]

    def tape(self, product_id: str) -> Tape:
        """Return the market a request is about."""
        if not product_id:
            raise Problem("product_id")
        if product_id not in self.by_id:
            raise Problem("product", product_id)
        return self.by_id[product_id]

    def products(self, request: web.Request) -> Any:
        """Return the markets; there are no futures."""
        wanted = many(request, "product_ids")
        if request.query.get("product_type", "SPOT") != "SPOT":
            return {"products": [], "num_products": 0}
        now = self.venue.time_ms
        rows = [say.product(tape, now) for name, tape in self.by_id.items() if not wanted or name in wanted]
        return {"products": rows, "num_products": len(rows)}

    def product(self, request: web.Request) -> Any:
        """Return one market."""
        return say.product(self.tape(request.match_info["product_id"]), self.venue.time_ms)

    def candles(self, request: web.Request) -> Any:
        """Return candles of the venue's own timeframe from ``start`` to ``end``, newest first, the forming one too.

        A client that wants the latest candles asks up to its own clock, where the venue's time may be years behind:
        such a window, wholly in the venue's future, is answered with the latest candles there are.
        """
        tape, query = self.tape(request.match_info["product_id"]), request.query
        if query.get("granularity") != say.GRANULARITIES.get(self.venue.timeframe):
            raise Problem("argument", f"granularity is unsupported: this venue has {self.venue.timeframe} candles")
        start, end = (1000 * whole_number(query.get(name, ""), name) for name in ("start", "end"))
        count = (end - start) // self.venue.length_ms
        if count + 1 > _CANDLES:
            raise Problem("candles")
        if start > self.venue.time_ms and abs(end - self.guard.clock()) <= _NEAR_MS:
            found = tape.candles(None, None, count)
        else:
            found = tape.candles(start, end, _CANDLES)
        if "limit" in query:
            found = found[-max(1, whole_number(query["limit"], "limit")) :]
        return {"candles": [say.candle(one) for one in reversed(found)]}

    def trades(self, request: web.Request) -> Any:
        """Return the last trades, or the last between ``start`` and ``end``, newest first, and the best prices."""
        tape, query = self.tape(request.match_info["product_id"]), request.query
        limit = max(1, min(whole_number(query.get("limit", "100"), "limit"), _TRADES))
        start, end = (1000 * whole_number(query[name], name) if name in query else None for name in ("start", "end"))
        found = tape.trades(limit, start, end)
        said = [say.trade(one, tape.market) | {"bid": "", "ask": "", "exchange": "coinbase"} for one in found]
        bids, asks = tape.book()
        best = {"best_bid": plain(bids[0][0]) if bids else "", "best_ask": plain(asks[0][0])}
        return {"trades": said[::-1]} | best

    def book(self, request: web.Request) -> Any:
        """Return the book that is made around the last price."""
        tape = self.tape(request.query.get("product_id", ""))
        limit = max(1, min(whole_number(request.query.get("limit", str(_LEVELS)), "limit"), _LEVELS))
        return {"pricebook": say.book(tape.market, *tape.book(), limit, self.venue.time_ms)}

    @staticmethod
    def between(request: web.Request, first: str, last: str) -> tuple[int, int]:
        """Return a window of a query in ms since the epoch; without bounds where none are said."""
        start, end = (request.query.get(name, "") for name in (first, last))
        return time_ms(start, first) if start else 0, time_ms(end, last) if end else 1 << 60
