"""The streams of one process: a line a symbol and a private one, each with what goes wrong on a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ccxt

from engine.execution.outcome import outcome_of
from engine.venue.events import CandleChanged, Event, OrderChanged

if TYPE_CHECKING:
    from tests.chaos.world import World

__all__ = ["Stream", "Streams"]

TELL_S = 0.006
CONNECT_S = 0.05
BREAKS = ("stream_dropped", "stream_closed", "message_cut", "message_split", "message_garbage")


class Stream:
    """One connection.

    Parameters
    ----------
    world : World
    role : str
        Of its messages: ``candle`` or ``private``.
    """

    def __init__(self, world: World, role: str) -> None:
        self.world, self.role = world, role
        self.connected = self.mute = False
        self.lag = 0
        self.queues: dict[str, list[Any]] = {}
        self._behind: list[tuple[str, Any]] = []
        self._late: list[tuple[str, Any]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._connecting: asyncio.Future[None] | None = None

    async def watch(self, name: str) -> list[Any]:
        """Wait for what a channel says."""
        await self._connect()
        while not self.queues.get(name):
            news: asyncio.Future[None] = self.world.loop.create_future()
            self._waiting.append(news)
            await news
        found, self.queues[name] = self.queues[name], []
        return found

    async def _connect(self) -> None:
        while self._connecting is not None:
            await asyncio.wait([self._connecting])
        if self.connected:
            return
        self._connecting = self.world.loop.create_future()
        try:
            self.world.reached("on_reconnect", self)
            await asyncio.sleep(CONNECT_S)
            faults = self.world.faults
            one = faults.due("request", "stream")
            if one is not None:
                faults._happened(one, "stream")
                raise self._failure("a connection for streams is refused")
            if self.role == "private":
                one = faults.due("message", "login")
                if one is not None:
                    faults._happened(one, "login")
                    error = ccxt.AuthenticationError("binance login refused")
                    raise outcome_of(error, "read", "binance").failure()
            one = faults.due("message", "asked")
            if one is not None:
                faults._happened(one, "asked")
            self.connected, self.mute, self.lag = True, one is not None, 0
            self._behind, self._late = [], []
        finally:
            self._connecting.set_result(None)
            self._connecting = None

    def _failure(self, text: str) -> Exception:
        return outcome_of(ccxt.NetworkError(f"binance {text}"), "read", "binance").failure()

    def cut(self, text: str) -> None:
        """End the connection: what was not read is lost."""
        self.connected, self.queues = False, {}
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_exception(self._failure(text))

    def send(self, name: str, message: Any) -> None:
        """Send a message, or what a fault makes of it."""
        if not self.connected or self.mute:
            return
        late, self._late = self._late, []
        told = self._acted(name, message)
        if not self.connected:
            return
        self._behind += [*told, *late]
        while len(self._behind) > self.lag:
            channel, what = self._behind.pop(0)
            self.queues.setdefault(channel, []).append(what)
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def _acted(self, name: str, message: Any) -> list[tuple[str, Any]]:
        faults = self.world.faults
        one = faults.due("message", self.role)
        if one is None:
            return [(name, message)]
        kind = one.kind.name
        faults._happened(one, self.role)
        if kind in BREAKS:
            self.cut(kind)
            return []
        if kind == "stream_silent":
            self.mute = True
            return []
        if kind == "account_stream_ended":
            self.mute = True
            self.world.at_venue(0.0, self._ended)
            return []
        if kind == "stream_stale":
            self.lag = int(one.size)
        elif kind == "message_repeated":
            return [(name, message), (name, message)]
        elif kind == "messages_swapped":
            self._late.append((name, message))
            return []
        elif kind == "fee_currency_changed_told" and name == "fill":
            return [(name, replace(message, fee_currency="BNB"))]
        return [(name, message)]

    async def _ended(self) -> None:
        self.cut("the subscription ended")


class Streams:
    """All of a process.

    Parameters
    ----------
    world : World
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.private = Stream(world, "private")
        self._candles: dict[str, Stream] = {}

    def of(self, symbol: str) -> Stream:
        """Return the connection for a symbol's candles."""
        if symbol not in self._candles:
            self._candles[symbol] = Stream(self.world, "candle")
        return self._candles[symbol]

    def cut(self, text: str) -> None:
        """End all of them."""
        for one in (self.private, *self._candles.values()):
            one.cut(text)

    def heard(self, event: Event) -> None:
        """Take what the venue tells, and say it a little later."""
        from tests.chaos.near import fill_of, report_of, row_of

        if isinstance(event, CandleChanged):
            row, stream = row_of(event.candle), self.of(event.symbol)
            self._soon(lambda: stream.send("candle", row))
        elif isinstance(event, OrderChanged):
            order, report = event.order, report_of(event.order, None, event.state)
            if event.execution is not None:
                k = next(k for k, one in enumerate(order.executions) if one.trade_id == event.execution.trade_id)
                fill = fill_of(order, k)
                self._soon(lambda: self.private.send("fill", fill))
            self._soon(lambda: self.private.send("order", report))

    def _soon(self, act: Callable[[], None]) -> None:
        self.world.loop.call_later(TELL_S, act)
