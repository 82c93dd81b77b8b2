"""OKX's WebSocket over a venue: subscriptions, login, and the channels of the market."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import WSMsgType, web

from engine.venue.core import Venue
from engine.venue.events import BookChanged, CandleChanged, Event, FundingPaid, Levels, Traded
from engine.venue.okx import say
from engine.venue.okx.codes import Problem
from engine.venue.okx.guard import Guard
from engine.venue.okx.instrument import bars_of, inst_id, inst_type
from engine.venue.okx.line import Line
from engine.venue.okx.stream_account import PRIVATE, AccountChannels
from engine.venue.protocol import Feed
from engine.venue.tape import Tape

__all__ = ["Streams"]

_BOOKS = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50}
_TOPS = {"books5": 5, "bbo-tbt": 1}
_PUBLIC = {"tickers", "trades", "mark-price", "funding-rate", "instruments", *_BOOKS, *_TOPS}
_TYPES = ("SPOT", "SWAP", "ANY")


class Streams:
    """Routes and the connections behind them.

    Parameters
    ----------
    venue : Venue
    guard : Guard
    feed : Feed
    types : dict of int to str
        The type each order was asked for as, by the venue's number.
    """

    def __init__(self, venue: Venue, guard: Guard, feed: Feed, types: dict[int, str]) -> None:
        self.venue = venue
        self.guard = guard
        self._lines: set[Line] = set()
        self._count = 0
        self._by_id = {inst_id(tape.market): tape for tape in venue.tapes.values()}
        self._candles = {f"candle{name}" for name in bars_of(venue.timeframe, venue.length_ms)}
        self._books = {symbol: tape.book() for symbol, tape in venue.tapes.items()}
        self._own = AccountChannels(venue, types)
        self._end = feed.listen(self._heard)

    def add_to(self, app: web.Application) -> None:
        """Add the routes ``/ws/v5/public``, ``business`` and ``private``."""
        for access in ("public", "business", "private"):
            app.router.add_get(f"/ws/v5/{access}", self.connect)
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
        self._count += 1
        simulated = request.headers.get("x-simulated-trading") == "1" or request.query.get("brokerId") == "9999"
        line = Line(socket, request.path.rpartition("/")[2], f"{self._count:08x}", simulated=simulated)
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

    # --- from the client

    def _asked(self, line: Line, text: str) -> None:
        if text == "ping":
            line.send("pong")
            return
        number = None
        try:
            try:
                asked = json.loads(text)
                operation, args, number = asked["op"], asked["args"], asked.get("id")
                if not isinstance(args, list) or not all(isinstance(arg, dict) for arg in args):
                    raise TypeError("args")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise Problem("ws_request", text) from None
            if operation == "login":
                self._login(line, args)
            elif operation in ("subscribe", "unsubscribe"):
                for arg in args:
                    (self._subscribe if operation == "subscribe" else self._unsubscribe)(line, arg, number)
            else:
                raise Problem("ws_request", text)
        except Problem as found:
            line.refuse(found.code, found.message, number)

    def _login(self, line: Line, args: list[dict[str, Any]]) -> None:
        account = self.guard.logged_in(args[0] if args else {}, simulated=line.simulated)
        line.account = account.key
        line.tell({"event": "login", "code": "0", "msg": "", "connId": line.name})

    def _subscribe(self, line: Line, arg: dict[str, Any], number: object) -> None:
        channel, name, kind = line.topic(arg)
        if line.access != self._access(channel):
            raise Problem("ws_channel", _named(arg))
        own = channel in PRIVATE
        if own and not line.account:
            raise Problem("ws_login")
        known = name in self._by_id or (not name and (own or channel == "instruments"))
        if not known or (kind and kind not in _TYPES):
            raise Problem("ws_channel", _named(arg))
        line.topics[channel, name, kind] = arg
        said = {"event": "subscribe", "arg": arg, "connId": line.name}
        line.tell(said if number is None else said | {"id": str(number)})
        if own:
            self._own.begin(line, arg)
        elif name:
            self._begin(line, channel, arg, self._by_id[name])

    def _unsubscribe(self, line: Line, arg: dict[str, Any], number: object) -> None:
        line.topics.pop(line.topic(arg), None)
        said = {"event": "unsubscribe", "arg": arg, "connId": line.name}
        line.tell(said if number is None else said | {"id": str(number)})

    def _access(self, channel: str) -> str:
        if channel in self._candles or channel in ("orders-algo", "trades-all"):
            return "business"
        return "private" if channel in PRIVATE else "public" if channel in _PUBLIC else ""

    def _begin(self, line: Line, channel: str, arg: dict[str, Any], tape: Tape) -> None:
        """Push what a channel begins with."""
        market, now = tape.market, self.venue.time_ms
        if channel in _BOOKS:
            whole = say.book(tape, now, _BOOKS[channel])
            whole |= {"prevSeqId": -1, "checksum": say.checksum(whole["bids"], whole["asks"])}
            line.push(arg, [whole], action="snapshot")
        elif channel in _TOPS:
            line.push(arg, [say.book(tape, now, _TOPS[channel])])
        elif channel == "tickers":
            line.push(arg, [say.ticker(tape, now)])
        elif channel == "mark-price":
            line.push(arg, [say.mark_price(market, self.venue.mark_price(market.symbol), now)])
        elif channel == "funding-rate" and market.linear:
            line.push(arg, [say.funding_rate(self.venue.funding(market.symbol), market, now)])

    # --- from the venue

    def _heard(self, event: Event) -> None:
        if not isinstance(event, CandleChanged | Traded | BookChanged):
            self._own.heard(event, self._lines)
            if isinstance(event, FundingPaid):
                self._funding(self.venue.tapes[event.symbol])
            return
        tape = self.venue.tapes[event.symbol]
        now = self.venue.time_ms
        if isinstance(event, CandleChanged):
            for channel in self._candles:
                self._publish(channel, tape, [say.candle(event.candle, tape.market)])
            self._publish("tickers", tape, [say.ticker(tape, now)])
            if tape.market.linear:
                price = self.venue.mark_price(event.symbol)
                self._publish("mark-price", tape, [say.mark_price(tape.market, price, now)])
        elif isinstance(event, Traded):
            for channel in ("trades", "trades-all"):
                self._publish(channel, tape, [say.trade(event.trade, tape.market)])
        else:
            self._book(event, tape)

    def _funding(self, tape: Tape) -> None:
        rate = self.venue.funding(tape.market.symbol)
        self._publish("funding-rate", tape, [say.funding_rate(rate, tape.market, self.venue.time_ms)])

    def _book(self, event: BookChanged, tape: Tape) -> None:
        before = self._books[event.symbol]
        self._books[event.symbol] = after = (event.bids, event.asks)
        whole = [say.levels(side, tape.market) for side in after]
        head = {"ts": str(event.time_ms), "seqId": event.update}
        moved = [say.levels(_moved(old, new), tape.market) for old, new in zip(before, after, strict=True)]
        update = {"asks": moved[1], "bids": moved[0]} | head
        update |= {"prevSeqId": event.update - 1, "checksum": say.checksum(*whole)}
        for channel in _BOOKS:
            self._publish(channel, tape, [update], action="update")
        for channel, depth in _TOPS.items():
            self._publish(channel, tape, [{"asks": whole[1][:depth], "bids": whole[0][:depth]} | head])

    def _publish(self, channel: str, tape: Tape, rows: list[Any], **more: Any) -> None:
        name, kind = inst_id(tape.market), inst_type(tape.market)
        for line in self._lines:
            for asked in ("", kind, "ANY"):
                arg = line.topics.get((channel, name, asked))
                if arg is not None:
                    line.push(arg, rows, **more)


def _moved(before: Levels, after: Levels) -> Levels:
    """Return the levels that changed, with a quantity of 0 where one is gone."""
    kept, gone = set(before), {price for price, _ in before} - {price for price, _ in after}
    return tuple((price, 0.0) for price in sorted(gone)) + tuple(level for level in after if level not in kept)


def _named(arg: dict[str, Any]) -> str:
    return ",".join(f"{name}:{value}" for name, value in arg.items())
