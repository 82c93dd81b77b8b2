"""One WebSocket connection of OKX's protocol: what it subscribed to, whose account it follows, what waits to be sent.

A queue has at most 10,000 messages; a client that does not read loses its connection, not the venue its memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

__all__ = ["Line"]

_QUEUE = 10_000
Topic = tuple[str, str, str]  # channel, instId, instType; empty where it was not said


class Line:
    """A connection.

    Attributes
    ----------
    access : str
        ``public``, ``business`` or ``private``, as in its address.
    topics : dict
        What it subscribed to, as it said it, by channel, instrument and type.
    account : str
        The key it logged in with, empty before.
    """

    def __init__(self, socket: web.WebSocketResponse, access: str, name: str, *, simulated: bool) -> None:
        self.socket = socket
        self.access = access
        self.name = name
        self.simulated = simulated
        self.account = ""
        self.topics: dict[Topic, dict[str, Any]] = {}
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(_QUEUE)

    @staticmethod
    def topic(arg: Mapping[str, Any]) -> Topic:
        """Return what a subscription is known by."""
        return str(arg.get("channel", "")), str(arg.get("instId") or ""), str(arg.get("instType") or "")

    def tell(self, message: dict[str, Any]) -> None:
        """Queue a message as JSON."""
        self.send(orjson.dumps(message).decode())

    def push(self, arg: dict[str, Any], rows: list[Any], **more: Any) -> None:
        """Queue data of a subscription."""
        self.tell({"arg": arg} | more | {"data": rows})

    def refuse(self, code: str, words: str, number: object = None) -> None:
        """Queue an error."""
        said = {"event": "error", "code": code, "msg": words, "connId": self.name}
        self.tell(said if number is None else said | {"id": str(number)})

    def send(self, text: str) -> None:
        """Queue a text; a full queue ends the line."""
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(None)

    async def drain(self) -> None:
        """Send what waits until the line ends."""
        while (text := await self._queue.get()) is not None:
            try:
                await self.socket.send_str(text)
            except ConnectionError:
                return
        await self.socket.close()
