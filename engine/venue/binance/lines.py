"""Binance's WebSocket connections over a venue, and the market streams that spot and futures share.

Every connection has a queue of at most 10,000 messages; a client that does not read loses its connection, not the
venue its memory.  A message nobody subscribed to is not made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from engine.venue.binance import say
from engine.venue.binance.guard import Guard
from engine.venue.core import Venue
from engine.venue.events import AccountEvent, BookChanged, CandleChanged, Event, Levels, MarketEvent, Traded
from engine.venue.market import plain
from engine.venue.protocol import Feed
from engine.venue.tape import Tape

__all__ = ["Line", "Lines"]

_QUEUE = 10_000
_DEPTHS = ("", "@0ms", "@100ms", "@250ms", "@500ms")


class Line:
    """One connection: what it subscribed to, whose account it follows, and what waits to be sent."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.streams: set[str] = set()
        self.account = ""
        self.listen_key = ""
        self.queue: asyncio.Queue[str | None] = asyncio.Queue(_QUEUE)

    def send(self, message: Any) -> None:
        """Queue a message; a full queue ends the line."""
        self.send_text(orjson.dumps(message).decode())

    def send_text(self, text: str) -> None:
        """Queue a text; a full queue ends the line."""
        try:
            self.queue.put_nowait(text)
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


class Lines:
    """Routes and the connections behind them.

    Parameters
    ----------
    venue : Venue
    guard : Guard
    feed : Feed
    """

    paths: tuple[str, ...] = ()

    def __init__(self, venue: Venue, guard: Guard, feed: Feed) -> None:
        self.venue = venue
        self.guard = guard
        self.lines: set[Line] = set()
        self._books: dict[str, tuple[Levels, Levels]] = {symbol: tape.book() for symbol, tape in venue.tapes.items()}
        self._end = feed.listen(self._heard)

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        for path in self.paths:
            app.router.add_get(path, self.connect)
        app.on_shutdown.append(self.close)

    async def close(self, app: web.Application) -> None:
        """End all connections."""
        self._end()
        for line in tuple(self.lines):
            await line.socket.close()

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        socket = web.WebSocketResponse(max_msg_size=1 << 16)
        await socket.prepare(request)
        line = Line(socket)
        self.lines.add(line)
        self.entered(line, request)
        sender = asyncio.create_task(line.drain())
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._asked(line, message.data)
        finally:
            self.lines.discard(line)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        return socket

    def entered(self, line: Line, request: web.Request) -> None:
        """Do what a connection's address says."""

    def asked(self, line: Line, method: str, params: Any, number: Any) -> None:
        """Answer what is no subscription."""
        line.send({"id": number, "status": 400, "error": {"code": -1103, "msg": "An unknown parameter was sent."}})

    def heard_private(self, event: AccountEvent) -> None:
        """Tell whom it concerns what happened to an account."""
        raise NotImplementedError

    def trade(self, event: Traded, symbol: str, *, aggregate: bool) -> dict[str, Any]:
        """Return a trade in the stream's words."""
        return say.trade(event.trade, symbol, aggregate=aggregate, streamed=True)

    def day(self, tape: Tape) -> dict[str, Any]:
        """Return the ticker of 24 hours in the stream's words."""
        return say.ticker(tape, self.venue.time_ms, streamed=True)

    def best(self, event: BookChanged, tape: Tape) -> dict[str, Any]:
        """Return the best prices in the stream's words."""
        return say.best_streamed(event, tape.market.id)

    def depth(self, event: BookChanged, symbol: str, before: tuple[Levels, Levels]) -> dict[str, Any]:
        """Return an update of the book: what changed, and what is gone since the levels before."""
        sides = []
        for gone_from, levels in zip(before, (event.bids, event.asks), strict=True):
            prices = {price for price, _ in levels}
            gone = [(price, 0.0) for price in sorted({price for price, _ in gone_from} - prices)]
            sides.append([[plain(price), plain(quantity)] for price, quantity in (*gone, *levels)])
        head = {"e": "depthUpdate", "E": event.time_ms, "s": symbol, "U": event.update, "u": event.update}
        return head | {"b": sides[0], "a": sides[1]}

    def tell(self, names: set[str], make: Callable[[], Any]) -> None:
        """Send a message to all who subscribed to one of the streams, made once and only for them."""
        to = [line for line in self.lines if names & line.streams]
        if to:
            text = orjson.dumps(make()).decode()
            for line in to:
                line.send_text(text)

    def heard_candle(self, event: CandleChanged, tape: Tape, lower: str) -> None:
        """Tell of a candle, and of the tickers that move with it."""
        symbol, now, frame = tape.market.id, self.venue.time_ms, self.venue.timeframe
        self.tell({f"{lower}@kline_{frame}"}, lambda: say.kline(symbol, frame, event.candle, now))
        self.tell({f"{lower}@ticker"}, lambda: self.day(tape))
        self.tell({"!ticker@arr"}, lambda: [self.day(tape)])
        self.tell({f"{lower}@miniTicker"}, lambda: say.mini(self.day(tape)))
        self.tell({"!miniTicker@arr"}, lambda: [say.mini(self.day(tape))])

    def _asked(self, line: Line, text: str) -> None:
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
        else:
            self.asked(line, method, params, number)

    def _heard(self, event: Event) -> None:
        if not isinstance(event, MarketEvent):
            self.heard_private(event)
            return
        tape = self.venue.tapes[event.symbol]
        symbol = tape.market.id
        lower = symbol.lower()
        if isinstance(event, CandleChanged):
            self.heard_candle(event, tape, lower)
        elif isinstance(event, Traded):
            self.tell({f"{lower}@trade"}, lambda: self.trade(event, symbol, aggregate=False))
            self.tell({f"{lower}@aggTrade"}, lambda: self.trade(event, symbol, aggregate=True))
        else:
            before, self._books[event.symbol] = self._books[event.symbol], (event.bids, event.asks)
            self.tell({f"{lower}@depth{rate}" for rate in _DEPTHS}, lambda: self.depth(event, symbol, before))
            self.tell({f"{lower}@bookTicker", "!bookTicker"}, lambda: self.best(event, tape))
