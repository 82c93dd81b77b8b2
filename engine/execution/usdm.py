"""What Binance's USD-M futures need beyond CCXT's unified calls: orders that wait for a price are algo orders there.

An algo order has an id of another series, and is asked for and cancelled by calls of its own.  When its price is met
it makes an ordinary order with another id: executions name that one.  Here both go by the id and the client id of the
first.  CCXT knows by the host's name which errors are those of futures, so a client of another host is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from engine.execution.orders import OrderRequest
from engine.execution.outcome import Call, Told

__all__ = ["Orders", "point"]

_PAGE: Final = 1000
_WEEK_MS: Final = 604_800_000
_RUNS: Final = ("TRIGGERING", "TRIGGERED", "FINISHED")
Ask = Callable[[Awaitable[Any], Call, str, str], Awaitable[Any]]


class Orders:
    """The orders of one account, each known by one id.

    Parameters
    ----------
    client : ccxt.pro.binanceusdm
    ask : callable
        Awaits a call: (call, what it does, symbol, client id).
    """

    def __init__(self, client: Any, ask: Ask) -> None:
        self.client = client
        self._ask = ask
        self._algos: set[str] = set()
        self._made_by: dict[str, tuple[str, str]] = {}  # ordinary id -> id and client id of the algo order
        self._asked: set[str] = set()  # ordinary ids that no algo order made

    def seen(self, order: dict[str, Any]) -> dict[str, Any]:
        """Return an order as it is known here, and remember what made it."""
        info = order.get("info") or {}
        algo = info.get("algoId") or info.get("aid")
        if not algo:
            made = self._made_by.get(str(order["id"]))
            return order if made is None else order | {"id": made[0], "clientOrderId": made[1]}
        name = str(info.get("clientAlgoId") or info.get("caid") or "")
        self._algos.add(str(algo))
        if ordinary := _made(order):
            self._made_by[ordinary] = str(algo), name
        status = order.get("status")
        if _state(order) in _RUNS and not _made(order):  # in CCXT's words it is closed, and nothing was filled
            status = "canceled" if _state(order) == "FINISHED" else "open"
        return order | {"id": str(algo), "clientOrderId": name, "status": status}

    def named(self, trade: dict[str, Any]) -> dict[str, Any]:
        """Return an execution under the ids of the order we sent."""
        made = self._made_by.get(str(trade["order"]))
        if made is not None:
            return trade | {"order": made[0], "clientOrderId": made[1]}
        return trade | {"clientOrderId": (trade.get("info") or {}).get("c") or trade.get("clientOrderId")}

    async def find(self, request: OrderRequest) -> dict[str, Any]:
        """Return an order with a trigger, asked for by its client id.

        Raises
        ------
        Told
            Its outcome is ``absent`` if the venue knows no such order.
        """
        asked = {"trigger": True, "clientOrderId": request.client_id}
        algo = self.seen(await self._read(self.client.fetch_order(None, request.symbol, asked), request.symbol))
        made = _made(algo)
        if not made:
            return algo
        return self.seen(await self._read(self.client.fetch_order(made, request.symbol), request.symbol))

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
            call = self.client.cancel_order(venue_id, symbol, {"trigger": True})
            await self._ask(call, "cancel", symbol, client_id)
        except Told as error:
            algo = await self._algo(symbol, venue_id) if error.outcome.absent else None
            made = _made(algo) if algo else ""
            if not made:
                raise
            await self._ask(self.client.cancel_order(made, symbol), "cancel", symbol, client_id)

    async def _algo(self, symbol: str, venue_id: str) -> dict[str, Any] | None:
        try:
            return self.seen(await self._read(self.client.fetch_order(venue_id, symbol, {"trigger": True}), symbol))
        except Told as error:
            if error.outcome.absent:
                return None
            raise

    async def open_orders(self, symbol: str) -> list[dict[str, Any]]:
        """Return ordinary orders and those that wait for a price."""
        waiting = await self._ask(
            self.client.fetch_open_orders(symbol, None, None, {"trigger": True}), "read", symbol, ""
        )
        plain = await self._ask(self.client.fetch_open_orders(symbol), "read", symbol, "")
        return [self.seen(one) for one in (*plain, *waiting)]

    async def fills(self, symbol: str, since_ms: int | None) -> list[dict[str, Any]]:
        """Return executions, oldest first, each under the id of the order we sent."""
        rows = await self._executions(symbol, since_ms)
        ids = {str(row["order"]) for row in rows}
        if not ids <= self._made_by.keys() | self._asked:
            call = self.client.fetch_orders(symbol, None, None, {"trigger": True})
            for one in await self._ask(call, "read", symbol, ""):
                self.seen(one)
            self._asked |= ids - self._made_by.keys()
        return [self.named(row) for row in rows]

    async def fills_of(self, symbol: str, venue_id: str) -> list[dict[str, Any]]:
        """Return the executions of one order, oldest first."""
        rows = [] if venue_id in self._algos else await self._of(symbol, venue_id)
        if not rows:
            algo = await self._algo(symbol, venue_id)
            made = _made(algo) if algo else ""
            rows = await self._of(symbol, made) if made else []
        return [self.named(row) for row in rows]

    async def _executions(self, symbol: str, since_ms: int | None) -> list[dict[str, Any]]:
        """Return executions, oldest first: the last ones, or all from a time on.

        A page from a time on holds a week of them at most, so that empty weeks are passed over; pages from a number on
        have no such end.
        """
        if since_ms is None:
            found: list[dict[str, Any]] = await self._ask(
                self.client.fetch_my_trades(symbol, None, _PAGE), "read", symbol, ""
            )
            return found
        rows: list[dict[str, Any]] = []
        page: list[dict[str, Any]] = []
        while not page and since_ms <= self.client.milliseconds():
            page = await self._ask(self.client.fetch_my_trades(symbol, since_ms, _PAGE), "read", symbol, "")
            since_ms += _WEEK_MS
        while page:
            rows += page
            following = {"fromId": int(page[-1]["id"]) + 1}
            page = await self._ask(self.client.fetch_my_trades(symbol, None, _PAGE, following), "read", symbol, "")
        return rows

    async def _of(self, symbol: str, ordinary: str) -> list[dict[str, Any]]:
        call = self.client.fetch_my_trades(symbol, None, None, {"orderId": ordinary})
        return [row for row in await self._ask(call, "read", symbol, "") if str(row["order"]) == ordinary]

    async def watch(self) -> list[dict[str, Any]]:
        """Wait for news of orders of either kind; of one that made an ordinary order the latter tells."""
        while True:
            rows = [(row, self.seen(row)) for row in await self._ask(self.client.watch_orders(), "read", "", "")]
            told = [known for row, known in rows if _state(row) not in _RUNS or not _made(row)]
            if told:
                return told

    async def close(self) -> None:
        """End nothing: the client's streams end with it."""

    async def _read(self, call: Awaitable[Any], symbol: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._ask(call, "read", symbol, "")
        return found


def _state(order: dict[str, Any]) -> str:
    """Return the state of an algo order in the venue's words, "" of an ordinary one."""
    info = order.get("info") or {}
    return str(info.get("algoStatus") or (info.get("X") if "aid" in info else "") or "")


def _made(order: dict[str, Any]) -> str:
    """Return the id of the ordinary order an algo order made, "" if it made none."""
    info = order.get("info") or {}
    return str(info.get("actualOrderId") or info.get("ai") or "")


def point(client: Any, rest: str, stream: str) -> None:
    """Point a client at another host.

    Parameters
    ----------
    client : ccxt.pro.binanceusdm
    rest : str
        Of version 1, as ``http://127.0.0.1:8899/fapi/v1``; versions 2 and 3 are beside it.
    stream : str
        Ends in ``/ws``, before which CCXT puts the kind of stream.
    """
    urls = client.urls["api"]
    for name in ("fapiPublic", "fapiPrivate"):
        urls[name] = rest
        for version in ("2", "3"):
            urls[f"{name}V{version}"] = rest.removesuffix("1") + version
    urls["ws"]["linear"] = stream
    errors = client.exceptions
    client.exceptions = {**errors, "exact": errors["exact"] | errors["linear"]["exact"]}
