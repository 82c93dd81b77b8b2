"""What OKX needs beyond CCXT's unified calls: stop orders, which are algo orders there, and lists of many pages.

An order with a trigger has an id and our client id of its own, and is asked for and cancelled by calls of its own.
When its price is met it makes an ordinary order, with another id and without our client id: executions name that one.
Here both go by the id and the client id of the first.  Candles of 6 hours or more are asked for by the names that mean
UTC, for without ``utc`` a stream of OKX begins its day by the time of Hong Kong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from engine.execution.orders import OrderRequest
from engine.execution.outcome import Call, Told

__all__ = ["ALGO", "Orders", "candles", "mended", "prepare", "streamed"]

ALGO: Final = "algoClOrdId"
_PAGE: Final = 100
_CANDLES: Final = 300
_UTC_FROM_S: Final = 21_600
_MADE: Final = ("effective", "partially_effective")
Ask = Callable[[Awaitable[Any], Call, str, str], Awaitable[Any]]


class Orders:
    """The orders of one account, each known by one id.

    Parameters
    ----------
    client : ccxt.pro.okx
    ask : callable
        Awaits a call: (call, what it does, symbol, client id).
    """

    def __init__(self, client: Any, ask: Ask) -> None:
        self.client = client
        self._ask = ask
        self._algos: set[str] = set()
        self._made_by: dict[str, dict[str, Any]] = {}  # ordinary id -> order, whose id is the algo's if there is one
        self._watched: dict[str, asyncio.Task[Any]] = {}

    def seen(self, order: dict[str, Any]) -> dict[str, Any]:
        """Return an order as it is known here, and remember if it is an algo order."""
        found = mended(order)
        if (found.get("info") or {}).get("algoId"):
            self._algos.add(str(found["id"]))
        return found

    async def find(self, request: OrderRequest) -> dict[str, Any]:
        """Return an order with a trigger, asked for by its client id.

        Raises
        ------
        Told
            Its outcome is ``absent`` if the venue knows no such order.
        """
        asked = {"trigger": True, "clientOrderId": request.client_id}
        found = await self._read(self.client.fetch_order(None, request.symbol, asked), request.symbol)
        return await self._followed(self.seen(found), request.symbol)

    async def _followed(self, algo: dict[str, Any], symbol: str) -> dict[str, Any]:
        """Return an algo order with what became of the order it made, if it made one."""
        info = algo["info"]
        if info.get("state") not in _MADE or not info.get("ordId"):
            return algo
        made = await self._read(self.client.fetch_order(info["ordId"], symbol), symbol)
        return made | {"id": algo["id"], "clientOrderId": algo["clientOrderId"]}

    async def cancel(self, symbol: str, venue_id: str, client_id: str) -> None:
        """Cancel an order, or the order it made."""
        if venue_id not in self._algos:
            try:
                await self._ask(self.client.cancel_order(venue_id, symbol), "cancel", symbol, client_id)
                return
            except Told as error:
                if not error.outcome.absent or await self._algo(symbol, venue_id) is None:
                    raise
        try:
            call = self.client.cancel_orders([venue_id], symbol, {"trigger": True})
            await self._ask(call, "cancel", symbol, client_id)
        except Told as error:
            algo = await self._algo(symbol, venue_id) if error.outcome.absent else None
            if algo is None or algo["info"].get("state") not in _MADE or not algo["info"].get("ordId"):
                raise
            await self._ask(self.client.cancel_order(algo["info"]["ordId"], symbol), "cancel", symbol, client_id)

    async def _algo(self, symbol: str, venue_id: str) -> dict[str, Any] | None:
        try:
            return self.seen(await self._read(self.client.fetch_order(venue_id, symbol, {"trigger": True}), symbol))
        except Told as error:
            if error.outcome.absent:
                return None
            raise

    async def open_orders(self, symbol: str) -> list[dict[str, Any]]:
        """Return ordinary orders and those that wait for a price."""
        plain = await self._pages(self.client.fetch_open_orders, symbol, None, {}, "ordId")
        waiting = await self._pages(self.client.fetch_open_orders, symbol, None, {"ordType": "conditional"}, "algoId")
        return [self.seen(one) for one in (*plain, *waiting)]

    async def fills(self, symbol: str, since_ms: int | None) -> list[dict[str, Any]]:
        """Return executions, oldest first, each under the id of the order we sent."""
        found = await self._pages(self.client.fetch_my_trades, symbol, since_ms, {}, "billId")
        return [await self._named(one, symbol) for one in found]

    async def fills_of(self, symbol: str, venue_id: str) -> list[dict[str, Any]]:
        """Return the executions of one order, oldest first."""
        rows: list[dict[str, Any]] = []
        if venue_id not in self._algos:
            rows = await self._pages(self.client.fetch_my_trades, symbol, None, {"ordId": venue_id}, "billId")
            rows = [row for row in rows if row["order"] == venue_id]
        if not rows:
            algo = await self._algo(symbol, venue_id)
            made = algo["info"].get("ordId") if algo else ""
            if made:
                rows = await self._pages(self.client.fetch_my_trades, symbol, None, {"ordId": made}, "billId")
        return [await self._named(one, symbol) for one in rows]

    async def _named(self, trade: dict[str, Any], symbol: str) -> dict[str, Any]:
        """Return an execution with the id and the client id its order goes by."""
        ours = (trade.get("info") or {}).get("clOrdId")
        if ours:
            return trade | {"clientOrderId": ours}
        made = str(trade["order"])
        if made not in self._made_by:
            try:
                self._made_by[made] = self.seen(await self._read(self.client.fetch_order(made, symbol), symbol))
            except Told as error:
                if not error.outcome.absent:
                    raise
                return trade
        order = self._made_by[made]
        return trade | {"order": order["id"], "clientOrderId": order["clientOrderId"]}

    async def watch(self) -> list[dict[str, Any]]:
        """Wait for news of orders of either kind; of one that made an ordinary order the latter tells."""
        for name, params in (("orders", {}), ("orders-algo", {"trigger": True})):
            if name not in self._watched:
                call = self._ask(self.client.watch_orders(None, None, None, params), "read", "", "")
                self._watched[name] = asyncio.ensure_future(call)
        await asyncio.wait(self._watched.values(), return_when=asyncio.FIRST_COMPLETED)
        found: list[dict[str, Any]] = []
        for name in [name for name, task in self._watched.items() if task.done()]:
            rows = self._watched.pop(name).result()
            found += [self.seen(one) for one in rows if name == "orders" or one["info"].get("state") not in _MADE]
        return found

    async def close(self) -> None:
        """End what is watched."""
        tasks = [*self._watched.values()]
        self._watched = {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, call: Awaitable[Any], symbol: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._ask(call, "read", symbol, "")
        return found

    async def _pages(
        self, call: Callable[..., Awaitable[Any]], symbol: str, since_ms: int | None, params: dict[str, Any], key: str
    ) -> list[dict[str, Any]]:
        """Return all rows of a list that is told newest first, a page at a time, oldest first."""
        found: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            rows = await self._ask(call(symbol, since_ms, None, params | more), "read", symbol, "")
            found = [*rows, *found]
            if len(rows) < _PAGE:
                return found
            more = {"after": min((str(row["info"][key]) for row in rows), key=int)}


def mended(order: dict[str, Any]) -> dict[str, Any]:
    """Return an order with our client id, also where it is the order of a stop that was met."""
    info = order.get("info") or {}
    return order | {"clientOrderId": info.get(ALGO) or info.get("clOrdId") or order.get("clientOrderId")}


def streamed(trade: dict[str, Any]) -> dict[str, Any]:
    """Return an execution of the stream with its client id, and with the sign of its fee that CCXT's others have."""
    info, fee = trade.get("info") or {}, trade.get("fee") or {}
    cost = fee.get("cost")
    paid = fee | {"cost": None if cost is None else 0.0 - float(cost)}
    return trade | {"clientOrderId": info.get(ALGO) or info.get("clOrdId"), "fee": paid}


async def candles(
    ask: Callable[[Awaitable[Any]], Awaitable[Any]],
    client: Any,
    symbol: str,
    timeframe: str,
    since_ms: int,
    most: int,
    until_ms: int | None,
) -> list[Any]:
    """Return candles from a moment on, oldest first, as many pages as are needed; the last may be forming."""
    found: list[Any] = []
    begin, length = since_ms, int(client.parse_timeframe(timeframe)) * 1000
    while True:
        count = min(_CANDLES, most - len(found))
        rows = await ask(client.fetch_ohlcv(symbol, timeframe, begin, count))
        found += rows
        begin = (
            rows[-1][0] + length if rows else begin + count * length
        )  # a page is a stretch of time, and may be a gap
        wanted = until_ms if until_ms is not None else begin if rows else begin - 1
        if len(found) >= most or begin > min(wanted, client.milliseconds()):
            return found


def prepare(client: Any, kind: str) -> None:
    """Have a client name candles of 6 hours or more so that they begin in UTC, and stream orders of its markets alone.

    Parameters
    ----------
    client : ccxt.pro.okx
    kind : str
        ``swap`` or ``spot``: orders of markets it has not loaded would be an error in every message.
    """
    for name, told in list(client.timeframes.items()):
        if client.parse_timeframe(name) >= _UTC_FROM_S and not told.endswith("utc"):
            client.timeframes[name] = told + "utc"
    for stream in ("watchOrders", "watchMyTrades"):
        client.options[stream] = {"type": kind}
    client.options["fetchOHLCV"] = client.options.get("fetchOHLCV", {}) | {"timezone": "as named"}
