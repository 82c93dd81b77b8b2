"""OKX's REST interface over a venue under ``/api/v5``: how requests are answered, and the public part."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from engine.venue.account import Account
from engine.venue.core import Venue
from engine.venue.market import plain
from engine.venue.okx import say
from engine.venue.okx.asked import text_of
from engine.venue.okx.codes import Problem
from engine.venue.okx.guard import Guard
from engine.venue.okx.instrument import bars_of, inst_id, inst_type
from engine.venue.tape import Tape

__all__ = ["Params", "Rest", "enveloped", "limited", "whole"]

Params = Mapping[str, Any]
_ALL = 1 << 60


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
        self.by_id = {inst_id(tape.market): tape for tape in venue.tapes.values()}
        self.bars = bars_of(venue.timeframe, venue.length_ms)

    def add_to(self, app: web.Application) -> None:
        """Add the public routes."""
        public: dict[str, Callable[[Params], list[Any]]] = {
            "public/time": lambda params: [{"ts": str(self.guard.clock())}],
            "public/instruments": self.instruments,
            "public/funding-rate": self.funding_rate,
            "public/funding-rate-history": self.funding_history,
            "public/mark-price": self.mark_prices,
            "market/candles": lambda params: self.candles(params, 300, closed=False),
            "market/history-candles": lambda params: self.candles(params, 300, closed=True),
            "market/mark-price-candles": lambda params: self.mark_candles(params, closed=False),
            "market/history-mark-price-candles": lambda params: self.mark_candles(params, closed=True),
            "market/trades": lambda params: self.trades(params, 500),
            "market/history-trades": lambda params: self.trades(params, 100),
            "market/ticker": lambda params: [say.ticker(self.tape(params), self.venue.time_ms)],
            "market/tickers": lambda params: [say.ticker(t, self.venue.time_ms) for t in self._of_type(params)],
            "market/books": self.book,
            "market/books-full": self.book,
        }
        for path, answer in public.items():
            app.router.add_get(f"/api/v5/{path}", self._public(answer))

    def _public(self, answer: Callable[[Params], list[Any]]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            return self._answered(request, request.remote or "", lambda: answer(request.query))

        return handle

    def private(self, answer: Callable[[Account, Any], list[Any]]) -> Callable[[web.Request], Any]:
        """Return a handler of signed requests; it is given the query, or what the body holds."""

        async def handle(request: web.Request) -> web.Response:
            body = await request.text()

            def done() -> list[Any]:
                account = self.guard.signed(request.headers, request.method, request.raw_path, body)
                return answer(account, request.query if request.method == "GET" else _read(body))

            return self._answered(request, request.headers.get("OK-ACCESS-KEY", ""), done)

        return handle

    def _answered(self, request: web.Request, sender: str, answer: Callable[[], list[Any]]) -> web.Response:
        try:
            self.guard.count(sender, request.method, request.path)
            return web.json_response(enveloped(answer()))
        except Problem as found:
            said = {"code": found.code, "msg": found.message, "data": []}
            return web.json_response(said, status=found.status)

    # --- public

    def tape(self, params: Params) -> Tape:
        """Return the market a request is about."""
        found = self.by_id.get(text_of(params, "instId"))
        if found is None:
            raise Problem("symbol")
        return found

    def swap(self, params: Params) -> Tape:
        """Return the swap a request is about."""
        found = self.tape(params)
        if not found.market.linear:
            raise Problem("symbol")
        return found

    def _of_type(self, params: Params) -> list[Tape]:
        kind = text_of(params, "instType")
        if kind not in ("SPOT", "SWAP", "MARGIN", "FUTURES", "OPTION"):
            raise Problem("parameter", "instType")
        found = [tape for tape in self.by_id.values() if inst_type(tape.market) == kind]
        return [tape for tape in found if params.get("instId") in (None, "", inst_id(tape.market))]

    def instruments(self, params: Params) -> list[Any]:
        """Return all markets of a type."""
        return [say.instrument(tape.market, int(tape.bars.time[0])) for tape in self._of_type(params)]

    def candles(self, params: Params, most: int, *, closed: bool) -> list[Any]:
        """Return candles later than ``before`` and earlier than ``after``, the newest first."""
        tape = self.tape(params)
        after, before, limit = self._asked_bars(params, most)
        # without a start the venue's tape gives the last of those that are asked for, as OKX does with one
        rows = tape.candles(None, after - 1, limit + 1)
        rows = [one for one in rows if one.open_ms > before and (one.closed or not closed)]
        return [say.candle(one, tape.market) for one in rows[-limit:][::-1]]

    def mark_candles(self, params: Params, *, closed: bool) -> list[Any]:
        """Return candles of the mark price, which is the last price where none was recorded."""
        tape = self.swap(params)
        if tape.marks is None:
            return [row[:5] + row[-1:] for row in self.candles(params, 100, closed=closed)]
        after, before, limit = self._asked_bars(params, 100)
        marks = tape.marks
        until = min(after, int(tape.bars.time[tape.shown - 1]) + 1 if tape.shown else 0)
        end = int(marks.time.searchsorted(until))
        first = max(int(marks.time.searchsorted(before, side="right")), end - limit)
        rows = range(first, end)[::-1]
        columns = (marks.open, marks.high, marks.low, marks.close)
        return [[str(int(marks.time[k])), *(plain(float(x[k])) for x in columns), "1"] for k in rows]

    def _asked_bars(self, params: Params, most: int) -> tuple[int, int, int]:
        if params.get("bar", "1m") not in self.bars:
            raise Problem("parameter", "bar")
        return whole(params, "after", _ALL), whole(params, "before", -1), limited(params, most)

    def trades(self, params: Params, most: int) -> list[Any]:
        """Return the last trades, the newest first."""
        tape = self.tape(params)
        return [say.trade(one, tape.market) for one in tape.trades(limited(params, most))[::-1]]

    def book(self, params: Params) -> list[Any]:
        """Return the book that is made around the last price."""
        return [say.book(self.tape(params), self.venue.time_ms, max(1, whole(params, "sz", 1)))]

    def funding_rate(self, params: Params) -> list[Any]:
        """Return the funding of one swap, or of any."""
        any_swap = params.get("instId") == "ANY"
        tapes = self._of_type({"instType": "SWAP"}) if any_swap else [self.swap(params)]
        now = self.venue.time_ms
        return [say.funding_rate(self.venue.funding(t.market.symbol), t.market, now) for t in tapes]

    def funding_history(self, params: Params) -> list[Any]:
        """Return what was paid later than ``before`` and earlier than ``after``, the newest first."""
        market = self.swap(params).market
        after, before, limit = whole(params, "after", _ALL), whole(params, "before", -1), limited(params, 400)
        rows = [one for one in self.venue.funding_history(market.symbol) if before < one[0] < after]
        return [say.paid_rate(time_ms, rate, market) for time_ms, rate in rows[-limit:][::-1]]

    def mark_prices(self, params: Params) -> list[Any]:
        """Return mark prices, of one swap or of all."""
        tapes = [self.swap(params)] if params.get("instId") else self._of_type(params)
        now = self.venue.time_ms
        return [say.mark_price(t.market, self.venue.mark_price(t.market.symbol), now) for t in tapes]


def enveloped(rows: list[Any]) -> dict[str, Any]:
    """Return an answer: code 0, 1 if everything in it failed, 2 if a part of it did."""
    codes = [row["sCode"] for row in rows if isinstance(row, dict) and "sCode" in row]
    failed = sum(code != "0" for code in codes)
    if failed and failed == len(codes):
        return {"code": "1", "msg": "All operations failed", "data": rows}
    return (
        {"code": "2", "msg": "Bulk operation partially succeeded.", "data": rows}
        if failed
        else {
            "code": "0",
            "msg": "",
            "data": rows,
        }
    )


def whole(params: Params, name: str, default: int) -> int:
    """Return a parameter that is a whole number, or the default if it is not given."""
    found = params.get(name)
    if found is None or found == "":
        return default
    try:
        return max(-_ALL, min(_ALL, int(found)))
    except ValueError:
        raise Problem("parameter", name) from None


def limited(params: Params, most: int) -> int:
    """Return how many rows are asked for: 100 if it is not said."""
    found = whole(params, "limit", min(100, most))
    if found < 1:
        raise Problem("parameter", "limit")
    return min(found, most)


def _read(body: str) -> Any:
    if not body:
        return {}
    try:
        found = json.loads(body)
    except ValueError:
        raise Problem("body") from None
    if not isinstance(found, dict | list):
        raise Problem("body")
    return found
