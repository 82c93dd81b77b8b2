"""Coinbase's WebSocket over a venue: one connection with a channel a subscription, each message with a number.

Every connection has a queue of at most 10,000 messages; a client that does not read loses its connection, not the
venue its memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from engine.venue.coinbase import say
from engine.venue.coinbase.asked import Untaken
from engine.venue.coinbase.guard import Guard, Unauthorized
from engine.venue.core import Venue
from engine.venue.events import BookChanged, CandleChanged, Event, OrderChanged, Traded
from engine.venue.market import plain
from engine.venue.order import Order, State
from engine.venue.protocol import Feed

__all__ = ["Streams"]

_QUEUE = 10_000
_TRADES = 50  # of a product that a new subscription is shown
_BEAT_S = 1.0
_CANDLES = "5m"  # the one timeframe of the channel of candles
CHANNELS = ("heartbeats", "candles", "ticker", "ticker_batch", "level2", "user", "market_trades", "status")


class _Line:
    """One connection: its channels with their products, whose account it follows, and what waits to be sent."""

    def __init__(self, socket: web.WebSocketResponse, clock: Callable[[], int]) -> None:
        self.socket = socket
        self.channels: dict[str, set[str]] = {}
        self.account = ""
        self.number = 0
        self.queue: asyncio.Queue[str | None] = asyncio.Queue(_QUEUE)
        self.beats: asyncio.Task[None] | None = None
        self._clock = clock

    def tell(self, channel: str, events: list[dict[str, Any]]) -> None:
        """Queue a message of a channel; a full queue ends the line."""
        head = {"channel": channel, "client_id": "", "timestamp": say.iso(self._clock()), "sequence_num": self.number}
        self.number += 1
        self.send(head | {"events": events})

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message; a full queue ends the line."""
        try:
            self.queue.put_nowait(orjson.dumps(message).decode())
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

    async def beat(self) -> None:
        """Send a heartbeat a second."""
        count = 0
        while True:
            told = datetime.fromtimestamp(self._clock() / 1000.0, UTC).isoformat(" ")
            self.tell("heartbeats", [{"current_time": told, "heartbeat_counter": count}])
            count += 1
            await asyncio.sleep(_BEAT_S)


class Streams:
    """The route and the connections behind it.

    Parameters
    ----------
    venue : Venue
    guard : Guard
    feed : Feed
    """

    def __init__(self, venue: Venue, guard: Guard, feed: Feed) -> None:
        self.venue = venue
        self.guard = guard
        self._lines: set[_Line] = set()
        self._books: dict[str, tuple[set[float], set[float]]] = {}
        self._by_id = {say.product_id(tape.market): symbol for symbol, tape in venue.tapes.items()}
        for symbol, tape in venue.tapes.items():
            bids, asks = tape.book()
            self._books[symbol] = {p for p, _ in bids}, {p for p, _ in asks}
        self._end = feed.listen(self._heard)

    def add_to(self, app: web.Application) -> None:
        """Add the route ``/ws``."""
        app.router.add_get("/ws", self.connect)
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
        line = _Line(socket, lambda: self.venue.time_ms)
        self._lines.add(line)
        sender = asyncio.create_task(line.drain())
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._asked(line, message.data)
        finally:
            self._lines.discard(line)
            tasks = [task for task in (sender, line.beats) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return socket

    # --- what a client says

    def _asked(self, line: _Line, text: str) -> None:
        try:
            said = json.loads(text)
            what, channel, products = said["type"], said["channel"], said.get("product_ids") or []
            wanted = set(map(str, products))
        except (ValueError, KeyError, TypeError, AttributeError):
            line.send({"type": "error", "message": "failed to parse request"})
            return
        try:
            if what not in ("subscribe", "unsubscribe") or channel not in CHANNELS:
                raise Untaken(
                    f"channel {channel} is not supported" if channel not in CHANNELS else "type not supported"
                )
            strange = sorted(wanted - set(self._by_id))
            if strange:
                raise Untaken(f"{strange[0]} is not a valid product")
            account = self._account(said, channel, products)
        except Untaken as found:
            line.send({"type": "error", "message": found.reason})
            return
        except Unauthorized:
            line.send({"type": "error", "message": "authentication failure"})
            return
        if what == "unsubscribe":
            left = line.channels.get(channel, set()) - wanted if wanted else set()
            line.channels.pop(channel, None)
            if left:
                line.channels[channel] = left
            self._confirm(line)
            return
        line.account = account or line.account
        self._subscribe(line, channel, wanted)

    def _account(self, said: dict[str, Any], channel: str, products: list[str]) -> str:
        """Return whose connection it is to be; proven for the channel of users, or where proof is brought."""
        if said.get("jwt"):
            return self.guard.bearer(str(said["jwt"]), None).key
        if said.get("signature"):
            stamp = str(said.get("timestamp", ""))
            text = f"{stamp}{channel}{','.join(products)}"
            return self.guard.legacy(str(said.get("api_key", "")), stamp, text, str(said["signature"])).key
        if channel == "user":
            raise Unauthorized
        return ""

    def _subscribe(self, line: _Line, channel: str, wanted: set[str]) -> None:
        fresh = sorted(wanted - line.channels.get(channel, set()))
        line.channels[channel] = line.channels.get(channel, set()) | wanted
        self._confirm(line)
        if channel == "heartbeats" and line.beats is None:
            line.beats = asyncio.get_running_loop().create_task(line.beat())
        elif channel == "user":
            open_orders = [one for one in self.venue.accounts[line.account].orders.values() if one.open]
            told = [
                _order(one, one.state, self.venue) for one in open_orders if not wanted or self._product(one) in wanted
            ]
            line.tell("user", [{"type": "snapshot", "orders": told, "positions": {}}])
        for product in fresh:
            events = self._snapshot(channel, self._by_id[product])
            if events:
                line.tell("l2_data" if channel == "level2" else channel, events)

    def _confirm(self, line: _Line) -> None:
        line.tell("subscriptions", [{"subscriptions": {name: sorted(found) for name, found in line.channels.items()}}])

    def _snapshot(self, channel: str, symbol: str) -> list[dict[str, Any]]:
        """Return what a new subscription of a product is shown at once."""
        tape, now = self.venue.tapes[symbol], self.venue.time_ms
        if channel == "market_trades":
            told = [say.trade(one, tape.market) for one in tape.trades(_TRADES)]
            return [{"type": "snapshot", "trades": told[::-1]}]
        if channel == "level2":
            bids, asks = tape.book()
            return [_level2("snapshot", say.product_id(tape.market), (bids, asks), now)]
        if channel in ("ticker", "ticker_batch"):
            return [{"type": "snapshot", "tickers": [say.ticker(tape, now, batch=channel == "ticker_batch")]}]
        if channel == "candles" and self.venue.timeframe == _CANDLES:
            return [
                {"type": "snapshot", "candles": [_candle(one, tape) for one in tape.candles(None, None, 100)[::-1]]}
            ]
        if channel == "status":
            row = say.product(tape, now)
            names = ("product_type", "base_increment", "quote_increment", "display_name", "status")
            named = {"id": row["product_id"], "base_currency": tape.market.base, "quote_currency": tape.market.quote}
            rest = {"status_message": "", "min_market_funds": row["quote_min_size"]}
            return [{"type": "snapshot", "products": [named | {name: row[name] for name in names} | rest]}]
        return []

    # --- from the venue

    def _heard(self, event: Event) -> None:
        if isinstance(event, OrderChanged):
            product = self._product(event.order)
            for line in self._lines:
                wanted = line.channels.get("user")
                if line.account == event.account and wanted is not None and (not wanted or product in wanted):
                    line.tell("user", [{"type": "update", "orders": [_order(event.order, event.state, self.venue)]}])
        elif isinstance(event, Traded):
            tape = self.venue.tapes[event.symbol]
            self._publish(
                "market_trades", event.symbol, {"type": "update", "trades": [say.trade(event.trade, tape.market)]}
            )
            self._tick("ticker", event.symbol)
        elif isinstance(event, BookChanged):
            self._publish("level2", event.symbol, self._moved(event))
        elif isinstance(event, CandleChanged):
            tape = self.venue.tapes[event.symbol]
            if self.venue.timeframe == _CANDLES:
                self._publish("candles", event.symbol, {"type": "update", "candles": [_candle(event.candle, tape)]})
            self._tick("ticker_batch", event.symbol)

    def _tick(self, channel: str, symbol: str) -> None:
        if any(channel in line.channels for line in self._lines):
            said = say.ticker(self.venue.tapes[symbol], self.venue.time_ms, batch=channel == "ticker_batch")
            self._publish(channel, symbol, {"type": "update", "tickers": [said]})

    def _moved(self, event: BookChanged) -> dict[str, Any]:
        sides = []
        prices: list[set[float]] = []
        for before, levels in zip(self._books[event.symbol], (event.bids, event.asks), strict=True):
            prices.append({price for price, _ in levels})
            sides.append((*((price, 0.0) for price in sorted(before - prices[-1])), *levels))
        self._books[event.symbol] = prices[0], prices[1]
        product = say.product_id(self.venue.tapes[event.symbol].market)
        return _level2("update", product, (sides[0], sides[1]), event.time_ms)

    def _product(self, one: Order) -> str:
        return say.product_id(self.venue.tapes[one.asked.symbol].market)

    def _publish(self, channel: str, symbol: str, event: dict[str, Any]) -> None:
        product = say.product_id(self.venue.tapes[symbol].market)
        for line in self._lines:
            if product in line.channels.get(channel, ()):
                line.tell("l2_data" if channel == "level2" else channel, [event])


def _level2(kind: str, product: str, sides: tuple[Iterable[tuple[float, float]], ...], now_ms: int) -> dict[str, Any]:
    """Return an event of the channel ``l2_data``; a quantity of 0 takes a level away."""
    updates = [
        {"side": name, "event_time": say.iso(now_ms), "price_level": plain(price), "new_quantity": plain(quantity)}
        for name, side in zip(("bid", "offer"), sides, strict=True)
        for price, quantity in side
    ]
    return {"type": kind, "product_id": product, "updates": updates}


def _candle(one: Any, tape: Any) -> dict[str, str]:
    return say.candle(one) | {"product_id": say.product_id(tape.market)}


def _order(one: Order, state: State, venue: Venue) -> dict[str, Any]:
    """Return an order as the channel ``user`` has it, in the state it was in when it was told."""
    said = say.order(one, venue.tapes[one.asked.symbol].market)
    asked = one.asked
    return {
        "order_id": said["order_id"],
        "client_order_id": asked.client_id,
        "cumulative_quantity": said["filled_size"],
        "leaves_quantity": plain(max(0.0, one.rest)),
        "avg_price": said["average_filled_price"],
        "total_fees": said["total_fees"],
        "status": say.status_of(state),
        "product_id": said["product_id"],
        "creation_time": said["created_time"],
        "order_side": said["side"],
        "order_type": {"MARKET": "Market", "LIMIT": "Limit", "STOP_LIMIT": "Stop Limit"}[said["order_type"]],
        "cancel_reason": said["cancel_message"],
        "reject_Reason": "",
        "filled_value": said["filled_value"],
        "limit_price": plain(asked.price) if asked.price else "",
        "stop_price": plain(asked.stop_price) if asked.stop_price else "",
        "number_of_fills": said["number_of_fills"],
        "outstanding_hold_amount": said["outstanding_hold_amount"],
        "post_only": str(asked.kind == "limit_maker").lower(),
        "product_type": "SPOT",
        "time_in_force": said["time_in_force"],
        "total_value_after_fees": said["total_value_after_fees"],
        "trigger_status": said["trigger_status"],
    }
