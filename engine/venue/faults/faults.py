"""Faults armed on one local exchange: they stand before its routes, its events, its connections and its clock."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from engine.venue.core import Venue
from engine.venue.events import CandleChanged, Event
from engine.venue.faults.armed import Armed, Injected, numbers, parse
from engine.venue.faults.call import Call
from engine.venue.faults.kinds import Where
from engine.venue.faults.line import Line
from engine.venue.faults.roles import role_of, role_of_text
from engine.venue.faults.table import TABLE
from engine.venue.faults.turn import Feed, Turn, name_of, symbol_of
from parquet_store.errors import Usage, unknown

__all__ = ["Faults"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Faults:
    """What goes wrong, and what went wrong.

    Parameters
    ----------
    seed : int
        What chance is drawn from: the same seed and the same requests give the same faults.

    Attributes
    ----------
    armed : list of Armed
        In the order they were armed; at one opportunity the first that is due acts.
    record : list of Injected
        Every fault that happened; one that acts always is written down once for each thing it hit.
    rest : str
        Of a message that was cut, what comes first on the next connection.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.armed: list[Armed] = []
        self.record: list[Injected] = []
        self.rest = ""
        self.venue: Venue | None = None
        self.protocol = "binance"
        self._known: set[tuple[int, str]] = set()
        self._armed_so_far: dict[str, int] = {}
        self._first_ms = 0

    # --- arming

    def arm(self, name: str, **settings: Any) -> Armed:
        """Arm a kind by its name, with ``times``, ``probability``, ``after``, ``at_ms``, ``at_bar``, ``on``, ``size``.

        Raises
        ------
        Usage
            For an unknown name or setting, a number out of its bounds, or a kind the protocol does not have.
        """
        if name not in TABLE:
            raise unknown("fault", name, TABLE)
        kind, given = TABLE[name], numbers(name, settings)
        self._fits(name)
        self._armed_so_far[name] = count = self._armed_so_far.get(name, 0) + 1
        given = {"times": kind.times, "size": kind.size} | given
        one = Armed(kind, f"{self.seed}:{name}:{count}", **given)
        self.armed.append(one)
        return one

    def arm_text(self, text: str) -> Armed:
        """Arm what ``NAME[:times=1,probability=0.1,...]`` says."""
        name, settings = parse(text)
        return self.arm(name, **settings)

    def disarm(self, name: str = "") -> int:
        """Disarm a kind, or all; return how many were armed.  What it changed in the exchange stays changed."""
        before = len(self.armed)
        self.armed = [one for one in self.armed if name not in ("", one.kind.name)]
        return before - len(self.armed)

    # --- taking its place

    def between(self, venue: Venue, clock: Callable[[], int], protocol: str) -> tuple[Feed, Callable[[], int]]:
        """Stand between an exchange and one protocol: return the feed its streams listen to, and the clock it reads.

        Raises
        ------
        Usage
            If something is armed that the protocol does not have, or if it stands before an exchange already.
        """
        if self.venue is not None:
            raise Usage("faults: they stand before one exchange already: make others for the next")
        self.venue, self.protocol, self._first_ms = venue, protocol, venue.time_ms
        for one in self.armed:
            self._fits(one.kind.name)
        return Feed(venue, self._turn, self._after), lambda: self._look(clock())

    def add_to(self, app: web.Application) -> None:
        """Stand before the routes of an application, and add ``/control/fault`` and ``/control/faults``."""
        app.middlewares.append(self._middleware)
        app.on_response_prepare.append(self._prepared)
        app.router.add_post("/control/fault", self._control_arm)
        app.router.add_delete("/control/fault", self._control_disarm)
        app.router.add_get("/control/faults", self._control_tell)

    def _fits(self, name: str) -> None:
        if self.venue is not None and self.protocol not in TABLE[name].protocols:
            raise Usage(
                f"fault {name}: found the protocol {self.protocol}, expected {', '.join(TABLE[name].protocols)}"
            )

    # --- what acts

    def due(self, where: Where, role: str, symbol: str = "") -> Armed | None:
        """Return the first armed fault that acts at an opportunity, None if none does."""
        if self.venue is None:
            return None
        now = self.venue.time_ms
        bar = (now - self._first_ms) // self.venue.length_ms
        for one in self.armed:
            if one.kind.where == where and one.due(role, symbol, now, bar):
                return one
        return None

    def _happened(self, one: Armed, what: str) -> None:
        if one.passed:  # it found nothing to do
            one.passed = False
            return
        if one.times == 0 and (id(one), what) in self._known:
            return
        self._known.add((id(one), what))
        assert self.venue is not None
        self.record.append(Injected(len(self.record) + 1, one.kind.name, one.seen, self.venue.time_ms, what))

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        role = role_of(request)
        if role == "control" or self.venue is None:
            return await handler(request)
        one = self.due("request", role)
        if one is None:
            return await handler(request)
        self._happened(one, f"{request.method} {request.path}")
        answer: web.StreamResponse = await one.kind.act(Call(request, role, self.venue, self.protocol, handler), one)
        return answer

    async def _prepared(self, request: web.Request, response: web.StreamResponse) -> None:
        if isinstance(response, web.WebSocketResponse):
            Line.take(response, request, self)

    async def sends(self, line: Line, text: str) -> list[str]:
        """Return what is sent on a connection in place of a message."""
        rest, self.rest = self.rest, ""
        told = await self._message(line, text, role_of_text(text, sent=True))
        return [rest, *told] if rest else told

    async def receives(self, line: Line, text: str) -> list[str]:
        """Return what the venue receives in place of a message: one text, or none."""
        return await self._message(line, text, role_of_text(text, sent=False))

    async def _message(self, line: Line, text: str, role: str) -> list[str]:
        one = self.due("message", role)
        if one is None:
            return [text]
        self._happened(one, role)
        told: list[str] = await one.kind.act(line, text, one)
        if one.passed:  # it found nothing to do
            one.passed = False
            self.record.pop()
        return told

    def _look(self, now: int) -> int:
        one = self.due("clock", "clock")
        if one is None:
            return now
        self._happened(one, "clock")
        return int(one.kind.act(now, one))

    def _turn(self, turn: Turn) -> list[Event]:
        name, symbol = name_of(turn.event), symbol_of(turn.event)
        one = self.due("event", name, symbol)
        if one is None:
            return [turn.event]
        told: list[Event] = one.kind.act(turn, one)
        self._happened(one, f"{name} {symbol}".strip())
        return told

    def _after(self, event: Event) -> list[Event]:
        """Change the exchange once a half bar of a symbol was told; return what is told besides."""
        if self.venue is None or not isinstance(event, CandleChanged):
            return []
        one = self.due("market", "close" if event.candle.closed else "open", event.symbol)
        if one is None:
            return []
        told: list[Event] | None = one.kind.act(self.venue, event.symbol, one)
        if told is None:
            one.pass_by()
        self._happened(one, event.symbol)
        return told or []

    # --- control

    def told(self) -> dict[str, Any]:
        """Return what is armed and what happened, as ``GET /control/faults`` answers it."""
        armed = [
            {"name": one.kind.name, "times": one.times, "seen": one.seen, "acted": one.acted} for one in self.armed
        ]
        return {"seed": self.seed, "armed": armed, "record": [asdict(one) for one in self.record]}

    async def _control_arm(self, request: web.Request) -> web.Response:
        try:
            asked = json.loads(await request.text())
            name = asked.pop("name")
        except (ValueError, AttributeError, KeyError, TypeError):
            return web.json_response({"error": 'expected JSON such as {"name": "fill_repeated"}'}, status=400)
        try:
            self.arm(str(name), **asked)
        except Usage as found:
            return web.json_response({"error": str(found)}, status=400)
        return web.json_response(self.told())

    async def _control_disarm(self, request: web.Request) -> web.Response:
        self.disarm(request.query.get("name", ""))
        return web.json_response(self.told())

    async def _control_tell(self, request: web.Request) -> web.Response:
        return web.json_response(self.told())
