"""The control routes of the local exchange: what time it plays, and in lockstep the next half of a bar on command.

``GET /control/state`` tells time and speed.  In lockstep ``POST /control/open`` and ``/control/close`` play the halves
of a bar, ``/control/release`` a whole one.  Each answers ``time`` (ms), ``played`` (whether there was a bar), ``speed``
(seconds a second, 0 in lockstep) and ``candles``: symbol to [open time in ms, open, high, low, close, volume] of the
bars just played, as far as they are shown, so that a client knows when its streams have caught up.  ``opened`` says
whether the second half of a bar is to come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from engine.venue.core import Venue
from parquet_store.errors import Usage

__all__ = ["Control"]


class Control:
    """Control routes over a venue.

    Parameters
    ----------
    venue : Venue
    lockstep : bool
        Whether bars are played on command.

    Attributes
    ----------
    speed : float
        Seconds of venue time a second; 0: bars are played on command.
    clock : callable
        Returns the venue's time in ms: between the halves of a bar it goes on where bars are played at a speed.
    """

    def __init__(self, venue: Venue, *, lockstep: bool) -> None:
        self.venue = venue
        self.lockstep = lockstep
        self.speed = 0.0
        self.clock: Callable[[], int] = lambda: venue.time_ms
        self._symbols: list[str] = []

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/control/state", self._route(lambda: False))
        if self.lockstep:
            for name, step in (("open", self._open), ("close", self._close), ("release", self._release)):
                app.router.add_post(f"/control/{name}", self._route(step))

    def _open(self) -> bool:
        played = self.venue.open_bar()
        self._symbols = [symbol for symbol, tape in self.venue.tapes.items() if tape.opened]
        return played

    def _close(self) -> bool:
        self.venue.close_bar()
        return True

    def _release(self) -> bool:
        if not any(tape.opened for tape in self.venue.tapes.values()) and not self._open():
            return False
        return self._close()

    def _route(self, step: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                played = step()
            except Usage as found:
                return web.json_response({"error": str(found)}, status=409)
            candles = {}
            for symbol in self._symbols:
                tape = self.venue.tapes[symbol]
                if tape.opened or tape.shown:
                    one = tape.candle(tape.shown if tape.opened else tape.shown - 1)
                    candles[symbol] = [one.open_ms, one.open, one.high, one.low, one.close, one.volume]
            told = {"time": self.clock(), "played": played, "speed": self.speed, "candles": candles}
            opened = any(tape.opened for tape in self.venue.tapes.values())
            return web.json_response(told | {"opened": opened})

        return handle
