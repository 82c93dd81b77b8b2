"""What the streams of a run say, put among its events; a stream that ends is connected anew."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

from engine.execution.exchange import Exchange
from engine.execution.outcome import Told
from engine.live.clock import Clock
from engine.live.events import AccountStreamCut, CandlesStreamed, Event, FillsSeen, OrderSeen, StreamCut
from engine.live.journal import Journal
from engine.live.loop import Loop
from engine.live.writing import Writing
from pipelines.candles import Candle

__all__ = ["BACKOFF_S", "Streaming", "candles_of"]

_MS: Final = 1_000_000
BACKOFF_S: Final = (0.05, 0.2, 1.0, 2.0, 5.0)


class Streaming(Writing):
    """The streams of a run.

    Parameters
    ----------
    loop : Loop
    feed : Exchange
    journal : Journal
    clock : Clock
    calm_s : float
        How often a forming candle is passed on at most; what closes a bar is passed on at once.

    Attributes
    ----------
    latest : dict of str to Candle
        The stream's newest candle, by series.
    symbols : dict of str to (str, str)
        Symbol and timeframe, by series.
    """

    def __init__(self, loop: Loop, feed: Exchange, journal: Journal, clock: Clock, calm_s: float) -> None:
        super().__init__(loop, journal)
        self.feed, self.clock, self.calm_s = feed, clock, calm_s
        self.latest: dict[str, Candle] = {}
        self.symbols = {one.series: (one.symbol, one.timeframe) for one in loop.setup.placements}
        self._events: list[Event] = []
        self._wake = asyncio.Event()
        self._calm = asyncio.Event()
        self._news = asyncio.Event()
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, tuple[Candle, float]] = {}
        self._shown_s = 0.0  # when the streams last showed a candle
        self._calls: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._reconnected = -1.0

    def put(self, event: Event) -> None:
        """Hand in an event."""
        self._events.append(event)
        self._calm.clear()
        self._wake.set()

    async def streamed(self, series: str, candle: Candle, patience_s: float) -> bool:
        """Wait until the stream has shown a candle as it is, or a later one; False if it did not in time."""
        end = asyncio.get_running_loop().time() + patience_s
        while True:
            latest = self.latest.get(series)
            if latest is not None and (latest == candle or latest.open_ns > candle.open_ns):
                return True
            left = end - asyncio.get_running_loop().time()
            if left <= 0.0:
                return False
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):  # wait_for can swallow that its task was cancelled
                    await self._news.wait()

    def reconnect(self) -> None:
        """Close the streams; those who watch them connect anew and say that they were cut.  Once a second at most."""
        now = asyncio.get_running_loop().time()
        if now >= self._reconnected + 1.0 and not self._ended.is_set():
            self._reconnected = now
            self._call(self.feed.reconnect())

    def flush(self) -> None:
        """Pass on the forming candles that are held back."""
        for series, (candle, _) in list(self._held.items()):
            self._pass(series, (candle,))

    def _watch(self, series: str) -> None:
        assert self._group is not None
        before = self._watchers.get(series)
        if before is not None:
            before.cancel()
        self._watchers[series] = self._group.create_task(self._watch_candles(series))

    async def _watch_candles(self, series: str) -> None:
        symbol, timeframe = self.symbols[series]
        failures = 0
        while True:
            try:
                rows = await self.feed.watch_candles(symbol, timeframe)
            except Told:
                self.put(StreamCut(series, self.clock.now_ns()))
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                continue
            failures = 0
            self._see(series, candles_of(rows))

    def _see(self, series: str, candles: Sequence[Candle]) -> None:
        """Take candles of the stream; a forming one alone is passed on only so often."""
        if not candles:
            return
        held, newest = self._held.get(series), max(candles, key=lambda candle: candle.open_ns)
        self._shown_s = now = asyncio.get_running_loop().time()
        self.latest[series] = newest
        self._news.set()
        if held is not None and len(candles) == 1 and newest.open_ns == held[0].open_ns and now < held[1] + self.calm_s:
            self._held[series] = newest, held[1]
            return
        before = () if held is None or any(c.open_ns == held[0].open_ns for c in candles) else (held[0],)
        self._pass(series, (*before, *candles))
        self._held[series] = newest, now

    def _pass(self, series: str, candles: tuple[Candle, ...]) -> None:
        self._held.pop(series, None)
        self.put(CandlesStreamed(series, candles, self.clock.now_ns()))

    async def _watch_orders(self, venue: Exchange) -> None:
        failures = 0
        while True:
            try:
                reports = await venue.watch_orders()
            except Told:
                self.put(AccountStreamCut(self.clock.now_ns()))
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                continue
            failures = 0
            for report in reports:
                self.put(OrderSeen(report, self.clock.now_ns()))

    async def _watch_fills(self, venue: Exchange) -> None:
        failures = 0
        while True:
            try:
                fills = await venue.watch_fills()
            except Told:  # the orders' stream says that it was cut
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                continue
            failures = 0
            self.put(FillsSeen(tuple(fills), self.clock.now_ns()))

    def _call(self, call: Any) -> asyncio.Task[None]:
        assert self._group is not None
        task = self._group.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task


def candles_of(rows: Sequence[Sequence[Any]]) -> tuple[Candle, ...]:
    """Return CCXT's rows of [ms, open, high, low, close, volume] as candles; rows with holes are left out."""
    return tuple(
        Candle(int(row[0]) * _MS, *(float(value) for value in row[1:6]))
        for row in rows
        if len(row) >= 6 and None not in row[:6]
    )
