"""A WebSocket connection that faults act on: the protocol's own, made to pass every message by the faults first."""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING, Any

from aiohttp import WSMessage, WSMsgType, web

if TYPE_CHECKING:
    from engine.venue.faults.faults import Faults

__all__ = ["Line"]


class Line(web.WebSocketResponse):
    """What a protocol's ``WebSocketResponse`` becomes before its handshake is answered.

    Attributes
    ----------
    faults : Faults
    wire : asyncio.Transport or None
    mute : bool
        Whether all that is sent from now on is lost, while the connection lives.
    lag : int
        How many messages what is sent is behind.
    ends : bool
        Whether it is mute after the message that is being sent.
    waiting : deque of str
    late : list of str
        What is sent after the next message.
    """

    faults: Faults
    wire: asyncio.Transport | None
    mute: bool
    ends: bool
    lag: int
    waiting: collections.deque[str]
    late: list[str]

    @classmethod
    def take(cls, socket: web.WebSocketResponse, request: web.Request, faults: Faults) -> None:
        """Make a connection one that faults act on."""
        socket.__class__ = cls
        assert isinstance(socket, cls)
        socket.faults, socket.wire = faults, request.transport
        socket.mute = socket.ends = False
        socket.lag, socket.waiting, socket.late = 0, collections.deque(), []

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send a text, or what a fault makes of it."""
        if self.mute:
            return
        late, self.late = self.late, []
        texts = await self.faults.sends(self, data)
        if not self.mute:
            self.waiting.extend((*texts, *late))
        self.mute = self.mute or self.ends
        while len(self.waiting) > self.lag:
            await super().send_str(self.waiting.popleft(), compress)

    async def receive(self, timeout: float | None = None) -> Any:
        """Return the next message, or what a fault makes of it."""
        while True:
            message = await super().receive(timeout)
            if message.type is not WSMsgType.TEXT:
                return message
            texts = await self.faults.receives(self, message.data)
            if texts:
                return WSMessage(WSMsgType.TEXT, texts[0], message.extra)

    async def pong(self, message: bytes | str = b"") -> None:
        """Answer a ping, unless a fault does not."""
        if await self.faults.receives(self, "ping"):
            await super().pong(message if isinstance(message, bytes) else message.encode())

    def drop(self, last: bytes = b"") -> None:
        """Break the connection, after these bytes."""
        if self.wire is None:
            return
        if last:
            self.wire.write(last)
            self.wire.close()
        else:
            self.wire.abort()
