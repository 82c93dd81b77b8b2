"""What a run asks of the venue besides its orders: candles, the best prices, what the account holds and has."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from engine.execution.exchange import Exchange
from engine.execution.outcome import Told
from engine.live.actions import FetchCandles
from engine.live.asking import Asking
from engine.live.clock import Clock
from engine.live.events import BalanceSeen, CandlesAnswered, FundingSeen, HoldingSeen, QuoteSeen
from engine.live.journal import Journal
from engine.live.loop import Loop
from engine.live.money import quote_of
from engine.live.streaming import BACKOFF_S, Streaming, candles_of

__all__ = ["Questioning"]

_MS: Final = 1_000_000
FIRST_S: Final = 0.05  # how long a question for candles lets orders and streams go first
QUIET_S: Final = 0.001  # after which the streams have shown what closed


class Questioning(Streaming):
    """The questions of a run; their answers are events.

    Parameters
    ----------
    loop : Loop
    feed : Exchange
    venue : Exchange or None
    journal : Journal
    clock : Clock
    calm_s : float
    dead_man_s : int
    """

    asking: Asking | None = None  # for orders, which candles wait for

    def __init__(
        self,
        loop: Loop,
        feed: Exchange,
        venue: Exchange | None,
        journal: Journal,
        clock: Clock,
        calm_s: float,
        dead_man_s: int,
    ) -> None:
        super().__init__(loop, feed, journal, clock, calm_s)
        self.venue = venue
        self.dead_man_s = dead_man_s if venue is not None and venue.has_dead_man else 0
        self._still = asyncio.Event()  # cleared while the streams are looked at
        self._still.set()

    def look(self) -> None:
        """Ask what the account holds at the venue, and what funding brought; the answers are events."""
        if self.venue is not None and not self._ended.is_set():
            self._call(self._hold(tuple(sorted({symbol for symbol, _ in self.symbols.values()}))))
            names = sorted({quote_of(symbol) for symbol, _ in self.symbols.values()})
            self._call(self._count(self.venue, names))
            if self.venue.pays_funding and self.loop.funding.since_ns:
                self._call(self._fund(self.venue, self.loop.funding.since_ns))

    async def _fetch(self, action: FetchCandles) -> None:
        symbol, timeframe = self.symbols[action.series]
        if self.asking is not None and self.asking.chains:
            await asyncio.wait(self.asking.chains.values(), timeout=FIRST_S)
        await self._quiet()
        sent_ns, failures = self.clock.now_ns(), 0
        while True:
            try:
                rows = await self.feed.candles(symbol, timeframe, action.from_ns // _MS, 1000, action.to_ns // _MS)
                break
            except Told:  # the rule asks again by itself
                if failures >= len(BACKOFF_S):
                    return
                await asyncio.sleep(BACKOFF_S[failures])
                failures += 1
                sent_ns = self.clock.now_ns()
        found = candles_of(rows)
        whole = len(found) < 1000
        now_ns = self.clock.now_ns()
        self.put(CandlesAnswered(action.series, found, action.from_ns, action.to_ns, sent_ns, whole, now_ns))

    async def _hold(self, symbols: tuple[str, ...]) -> None:
        sent_ns = self.clock.now_ns()
        try:
            found = {} if self.venue is None else await self.venue.holdings(symbols)
        except Told:  # asked again in its turn
            return
        for symbol, quantity in found.items():
            self.put(HoldingSeen(symbol, quantity, sent_ns, self.clock.now_ns()))

    async def _quote(self, symbol: str) -> None:
        if self.venue is not None:
            with contextlib.suppress(Told):  # asked again in its turn
                found = await self.venue.quote(symbol)
                self.put(QuoteSeen(symbol, found.bid, found.ask, self.clock.now_ns()))

    async def _count(self, venue: Exchange, currencies: Sequence[str]) -> None:
        sent_ns = self.clock.now_ns()
        try:
            found = {one.currency: one.free + one.used for one in await venue.balances()}
        except Told:  # asked again in its turn
            return
        for name in currencies:
            self.put(BalanceSeen(name, found.get(name, 0.0), sent_ns, self.clock.now_ns()))

    async def _fund(self, venue: Exchange, since_ns: int) -> None:
        try:
            found = await venue.funding(since_ns // _MS)
        except Told:  # asked again in its turn
            return
        if found:
            self.put(FundingSeen(tuple(found), self.clock.now_ns()))

    async def _still_here(self) -> None:
        with contextlib.suppress(Told):  # told again in its turn; the venue cancels what waits if it never is
            if self.venue is not None:
                await self.venue.still_here(self.dead_man_s)

    async def _quiet(self) -> None:
        """Wait until the streams have shown what they show at a close; all who wait share one look."""
        if self._still.is_set():
            self._still.clear()
            self._call(self._look())
        await self._still.wait()

    async def _look(self) -> None:
        running, shown_s = asyncio.get_running_loop(), -1.0
        end = running.time() + FIRST_S
        while self._shown_s != shown_s and running.time() < end:
            shown_s = self._shown_s
            await asyncio.sleep(QUIET_S)
            await asyncio.sleep(0)  # a timer that is late goes before what waits to be read
            await asyncio.sleep(0)
        self._still.set()
