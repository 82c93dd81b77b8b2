"""A REST request that a fault acts on: it may be run before, after or not at all, and seen by the venue or not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from engine.venue.core import Venue
from engine.venue.faults.words import say

__all__ = ["Call"]


@dataclass
class Call:
    """A request with the handler that would answer it.

    Attributes
    ----------
    request : web.Request
    role : str
    venue : Venue
    protocol : str
        Its name.
    handler : callable
    """

    request: web.Request
    role: str
    venue: Venue
    protocol: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]

    async def run(self) -> web.Response:
        """Have the request done and return the true answer."""
        answer = await self.handler(self.request)
        if not isinstance(answer, web.Response):
            raise AssertionError(f"{self.request.path}: expected an answer that is whole, found a stream")
        return answer

    async def run_seeing(self, view: contextlib.AbstractContextManager[object]) -> web.Response:
        """Have the request done while the venue shows something else than it is."""
        await self.request.read()  # so that nothing else runs while the view stands
        with view:
            return await self.run()

    def says(self, event: str) -> web.Response:
        """Return what the venue says in an event, in its own words."""
        return say(self.protocol, event)

    async def until_gone(self, most_ms: float) -> web.Response:
        """Answer nothing until the client has given up, then cut the connection."""
        loop = asyncio.get_running_loop()
        end = loop.time() + most_ms / 1000.0
        while loop.time() < end and (line := self.request.transport) is not None and not line.is_closing():
            await asyncio.sleep(0.01)
        return self.cut()

    def cut(self) -> web.Response:
        """Break the connection without another byte."""
        if self.request.transport is not None:
            self.request.transport.abort()
        return web.Response()

    async def half(self, answer: web.Response) -> web.StreamResponse:
        """Send the head and half the body of an answer, then break the connection."""
        body = _bytes(answer)
        begun = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
        begun.content_length = len(body)
        await begun.prepare(self.request)
        await begun.write(body[: len(body) // 2])
        if self.request.transport is not None:
            self.request.transport.close()
        return begun


def _bytes(answer: web.Response) -> bytes:
    body = answer.body
    return body if isinstance(body, bytes) else b""
