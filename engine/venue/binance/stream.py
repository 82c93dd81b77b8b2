"""Binance's WebSocket streams over a venue: market streams, and the user data stream of the WebSocket API.

Every connection has a queue of at most 10,000 messages; a client that does not read loses its connection, not the
venue its memory.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import WSMsgType, web

from engine.venue.binance import say
from engine.venue.binance.codes import Problem
from engine.venue.binance.guard import Guard
from engine.venue.core import Venue
from engine.venue.events import BalanceChanged, BookChanged, CandleChanged, Event, MarketEvent, OrderChanged, Traded
from engine.venue.market import plain
from engine.venue.protocol import Feed

__all__ = ["Streams"]

_QUEUE = 10_000


class _Line:
    """One connection: what it subscribed to, whose account it follows, and what waits to be sent."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.streams: set[str] = set()
        self.account = ""
        self.levels: dict[str, tuple[set[float], set[float]]] = {}
        self.queue: asyncio.Queue[str | None] = asyncio.Queue(_QUEUE)

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message; a full queue ends the line."""
        try:
            self.queue.put_nowait(json.dumps(message))
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(None)

    async def drain(self) -> None:
        """Send what waits until the line ends."""
        while (text := await self.queue.get()) is not None:
            try:
                await self.socket.send_str(text)
            except ConnectionError:
                return
        await self.socket.close()


class Streams:
    """Routes and the connections behind them."""

    def __init__(self, venue: Venue, guard: Guard, feed: Feed) -> None:
        self.venue = venue
        self.guard = guard
        self._lines: set[_Line] = set()
        self._books: dict[str, tuple[set[float], set[float]]] = {}
        for symbol, tape in venue.tapes.items():
            bids, asks = tape.book()
            self._books[symbol] = {p for p, _ in bids}, {p for p, _ in asks}
        self._end = feed.listen(self._heard)

    def add_to(self, app: web.Application) -> None:
        """Add the routes ``/stream/ws`` (market data) and ``/ws-api/v3`` (user data)."""
        for path in ("/stream/ws", "/stream/ws/{name}", "/ws-api/v3"):
            app.router.add_get(path, self.connect)
        app.on_shutdown.append(self.close)

    async def close(self, app: web.Application) -> None:
        """End all connections."""
        self._end()
        for line in tuple(self._lines):
            await line.socket.close()

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        socket = web.WebSocketResponse(max_msg_size=1 << 16)
        await socket.prepare(request)
        line = _Line(socket)
        self._lines.add(line)
        sender = asyncio.create_task(line.drain())
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._asked(line, message.data)
        finally:
            self._lines.discard(line)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        return socket

    def _asked(self, line: _Line, text: str) -> None:
        try:
            asked = json.loads(text)
            method, params, number = asked["method"], asked.get("params") or [], asked.get("id")
        except (ValueError, KeyError, TypeError, AttributeError):
            line.send({"error": {"code": 3, "msg": "Invalid JSON: expected value"}})
            return
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            names = {name for name in params if isinstance(name, str)}
            line.streams = line.streams | names if method == "SUBSCRIBE" else line.streams - names
            line.send({"result": None, "id": number})
        elif method == "userDataStream.subscribe.signature":
            try:
                line.account = self.guard.signed_message(dict(params)).key
            except Problem as found:
                line.send({"id": number, "status": found.status, "error": {"code": found.code, "msg": found.message}})
                return
            line.send({"id": number, "status": 200, "result": {"subscriptionId": 0}})
        else:
            line.send({"id": number, "status": 400, "error": {"code": -1103, "msg": "An unknown parameter was sent."}})

    # --- from the venue

    def _heard(self, event: Event) -> None:
        if isinstance(event, OrderChanged | BalanceChanged):
            self._private(event)
        if not isinstance(event, MarketEvent):
            return
        tape = self.venue.tapes[event.symbol]
        lower, symbol, now = tape.market.id.lower(), tape.market.id, self.venue.time_ms
        if isinstance(event, CandleChanged):
            frame = self.venue.timeframe
            self._publish({f"{lower}@kline_{frame}"}, say.kline(symbol, frame, event.candle, now))
            day = say.ticker(tape, now, streamed=True)
            self._publish({f"{lower}@ticker"}, day)
            mini = {name: day[name] for name in ("E", "s", "c", "o", "h", "l", "v", "q")}
            self._publish({f"{lower}@miniTicker"}, {"e": "24hrMiniTicker"} | mini)
        elif isinstance(event, Traded):
            for name, aggregate in (("trade", False), ("aggTrade", True)):
                said = say.trade(event.trade, symbol, aggregate=aggregate, streamed=True)
                self._publish({f"{lower}@{name}"}, said)
        else:
            self._publish({f"{lower}@depth", f"{lower}@depth@100ms"}, self._depth(event, symbol))

    def _depth(self, event: BookChanged, symbol: str) -> dict[str, Any]:
        sides = []
        prices: list[set[float]] = []
        for before, levels in zip(self._books[event.symbol], (event.bids, event.asks), strict=True):
            prices.append({price for price, _ in levels})
            gone = [(price, 0.0) for price in sorted(before - prices[-1])]
            sides.append([[plain(price), plain(quantity)] for price, quantity in (*gone, *levels)])
        self._books[event.symbol] = prices[0], prices[1]
        head = {"e": "depthUpdate", "E": event.time_ms, "s": symbol, "U": event.update, "u": event.update}
        return head | {"b": sides[0], "a": sides[1]}

    def _private(self, event: OrderChanged | BalanceChanged) -> None:
        if isinstance(event, OrderChanged):
            order = event.order
            market = self.venue.tapes[order.asked.symbol].market
            said = say.execution_report(event, market, order.filled, order.spent)
        else:
            balances = say.account(self.venue.accounts[event.account], event.time_ms, (0.0, 0.0))["balances"]
            short = [
                {"a": one["asset"], "f": one["free"], "l": one["locked"]}
                for one in balances
                if one["asset"] in event.currencies
            ]
            said = {"e": "outboundAccountPosition", "E": event.time_ms, "u": event.time_ms, "B": short}
        for line in self._lines:
            if line.account == event.account:
                line.send({"subscriptionId": 0, "event": said})

    def _publish(self, names: set[str], message: dict[str, Any]) -> None:
        for line in self._lines:
            if names & line.streams:
                line.send(message)
