"""What runs the loop: streams and answers in, journal, actions out; asyncio on one thread, the journal on another.

One consumer takes all events that are there, steps, hands events and actions to the journal, and does the actions.  An
order is prepared and signed meanwhile, and leaves when the journal is flushed.  Orders of one sub-account leave in
turn, those of several side by side; candles that are there already are decided on before, what only confirms candles
waits.  A call's failure comes back as an event, told by `engine.execution.outcome`; nothing is repeated here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from engine.execution.budget import Budget
from engine.execution.exchange import Exchange
from engine.execution.outcome import Told
from engine.live.actions import (
    Action,
    AmendOrder,
    CancelOrder,
    Decided,
    FetchCandles,
    FetchHoldings,
    FetchQuote,
    PlaceOrder,
    PlacePair,
    Reconnect,
    Said,
    Traded,
)
from engine.live.asking import Asked, Asking, asked_of
from engine.live.clock import Clock
from engine.live.events import (
    AccountStreamCut,
    BalanceSeen,
    CandlesAnswered,
    CandlesStreamed,
    ClockAdvanced,
    Event,
    FillsSeen,
    FundingSeen,
    HoldingSeen,
    OrderSeen,
    QuoteSeen,
    Stopping,
    StreamCut,
    pack,
)
from engine.live.journal import Journal
from engine.live.loop import Loop
from engine.live.money import quote_of
from parquet_store.errors import LockstepError
from pipelines.candles import Candle

__all__ = ["Node"]

_MS: Final = 1_000_000
SENDS: Final = (PlaceOrder, PlacePair, AmendOrder, CancelOrder)
TOLD: Final = frozenset((Decided, Traded, Said))  # nothing is to be done about them
LOOK_S: Final = 180.0  # how often the venue is asked what the account holds
ASKING_S: Final = 15.0  # how often orders are asked for, whatever the streams say
SOON_S: Final = 0.005  # how long what sends nothing may wait to be written with what follows
FIRST_S: Final = 0.05  # how long a question for candles lets orders and streams go first
QUIET_S: Final = 0.001  # after which the streams have shown what closed
BACKOFF_S: Final = (0.05, 0.2, 1.0, 2.0, 5.0)


class Node:
    """A run.

    Parameters
    ----------
    loop : Loop
    feed : Exchange
        Where candles come from.
    venue : Exchange or None
        Where orders go; None on paper.
    journal : Journal
    clock : Clock
    tick_s : float
        How often the clock is looked at; 0: never, somebody else puts `ClockAdvanced`.
    calm_s : float
        How often a forming candle is passed on at most; what closes a bar is passed on at once.
    renew_s : float
        After which streams are closed and made anew.
    listener : callable, optional
        Called with (actions, venue time in ns) after each step that had any.
    dead_man_s : int
        After which the venue cancels what waits in its book if this run is silent, where it can; 0: never.
    """

    def __init__(
        self,
        loop: Loop,
        feed: Exchange,
        venue: Exchange | None,
        journal: Journal,
        clock: Clock,
        *,
        tick_s: float = 0.25,
        calm_s: float = 1.0,
        renew_s: float = 82_800.0,
        listener: Callable[[Sequence[Action], int], None] | None = None,
        dead_man_s: int = 0,
    ) -> None:
        self.dead_man_s = dead_man_s if venue is not None and venue.has_dead_man else 0
        self.loop, self.feed, self.venue, self.journal, self.clock = loop, feed, venue, journal, clock
        self.tick_s, self.calm_s, self.renew_s, self.listener = tick_s, calm_s, renew_s, listener
        self.latest: dict[str, Candle] = {}  # the stream's newest candle, by series
        self.symbols = {one.series: (one.symbol, one.timeframe) for one in loop.setup.placements}
        first = self._quiet if len(self.symbols) > 1 else None  # other series are decided on before orders are signed
        self.asking = None
        if venue is not None:
            budget = Budget.of(venue.venue) if venue.throttled else None
            most = loop.setup.terms.slippage
            self.asking = Asking(
                venue, clock, self.put, self._call, first, loop.unwanted, loop.enters, budget, most, loop.close_of
            )
        self._events: list[Event] = []
        self._wake = asyncio.Event()
        self._calm = asyncio.Event()
        self._news = asyncio.Event()
        self._busy = False
        self._calls: set[asyncio.Task[None]] = set()
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, tuple[Candle, float]] = {}
        self._writer = ThreadPoolExecutor(1, "journal")
        self._unwritten: list[tuple[int, str, Sequence[Any]]] = []
        self._soon: asyncio.TimerHandle | None = None
        self._still = asyncio.Event()  # cleared while the streams are looked at
        self._still.set()
        self._shown_s = 0.0  # when the streams last showed a candle
        self._group: asyncio.TaskGroup | None = None
        self._ended = asyncio.Event()
        self._fault: BaseException | None = None
        self._reconnected = -1.0

    # --- from outside

    def put(self, event: Event) -> None:
        """Hand in an event."""
        self._events.append(event)
        self._calm.clear()
        self._wake.set()

    def stop(self) -> None:
        """End the run: nothing is entered any more, calls under way are waited for."""
        self._ended.set()

    async def settled(self) -> None:
        """Wait until no event is left and no call is under way."""
        while self._events or self._busy or self._calls:
            if self._calls:
                await asyncio.wait(self._calls)
                await asyncio.sleep(0)
            else:
                await self._calm.wait()

    def look(self) -> None:
        """Ask what the account holds at the venue, and what funding brought; the answers are events."""
        if self.venue is not None and not self._ended.is_set():
            self._call(self._hold(tuple(sorted({symbol for symbol, _ in self.symbols.values()}))))
            names = sorted({quote_of(symbol) for symbol, _ in self.symbols.values()})
            self._call(self._count(self.venue, names))
            if self.venue.pays_funding and self.loop.funding.since_ns:
                self._call(self._fund(self.venue, self.loop.funding.since_ns))

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

    # --- the run

    async def run(self, until: Awaitable[Any] | None = None) -> None:
        """Run until ``stop`` is called, or what is awaited is done; then end cleanly.

        Raises
        ------
        LockstepError
            Of whatever ended the run: the journal cannot be written, a step wrote past its memory.
        """
        try:
            await self._run(until)
        except BaseExceptionGroup as group:
            told = group.subgroup(LockstepError)
            first: BaseException | None = told
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            if first is None:
                raise
            raise first from None
        if self._fault is not None:
            raise self._fault

    async def _run(self, until: Awaitable[Any] | None) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                tasks = [group.create_task(self._consume())]
                for series in self.symbols:
                    self._watch(series)
                if self.venue is not None:
                    tasks.append(group.create_task(self._watch_orders(self.venue)))
                    if self.venue.streams_fills:
                        tasks.append(group.create_task(self._watch_fills(self.venue)))
                if self.tick_s:
                    tasks.append(group.create_task(self._tick()))
                ended = group.create_task(self._ended.wait())
                over = ended if until is None else asyncio.ensure_future(until)
                await asyncio.wait([ended, over], return_when=asyncio.FIRST_COMPLETED)
                self._ended.set()
                over.cancel()
                await asyncio.wait([over])
                if over is not ended and over.done() and not over.cancelled():
                    over.result()
                self.flush()
                self.put(Stopping(self.clock.now_ns()))
                await self.settled()
                for task in (*tasks, *self._watchers.values()):
                    task.cancel()
        finally:
            if self._soon is not None:
                self._hand_over()
            self._group = None
            self._writer.shutdown()

    async def _consume(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._events:
                batch, self._events, self._busy = self._events, [], True
                try:
                    actions = self.loop.step(batch)
                    sends = any(isinstance(action, SENDS) for action in actions)
                    self._write(batch, actions)
                    written = self._hand_over(durable=True) if sends else None
                    for action in actions:
                        if type(action) not in TOLD:
                            self._do(action, written)
                finally:
                    self._busy = False
                if actions and self.listener is not None:
                    self.listener(actions, self.loop.time_ns)
            self._calm.set()

    def _write(self, batch: Sequence[Event], actions: Sequence[Action]) -> None:
        """Have a step written soon: with the next ones, or with the next that sends something."""
        time_ns = self.loop.time_ns
        self._unwritten.append((time_ns, "events", batch))
        if actions:
            self._unwritten.append((time_ns, "actions", actions))
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(SOON_S, self._hand_over)

    def _hand_over(self, *, durable: bool = False) -> asyncio.Future[int]:
        """Give the journal's thread what is to be written; a fault there ends the run, whoever waits for it."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        entries, self._unwritten = self._unwritten, []
        made = asyncio.get_running_loop().run_in_executor(self._writer, self._append, entries, durable)
        made.add_done_callback(self._written)
        return made

    def _append(self, entries: Sequence[tuple[int, str, Sequence[Any]]], durable: bool) -> int:
        packed = [(at, kind, [pack(one) for one in body]) for at, kind, body in entries]
        return self.journal.append_many(packed, durable)

    def _written(self, done: asyncio.Future[int]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None and self._fault is None:
            self._fault = error
            self._ended.set()

    # --- streams

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

    async def _tick(self) -> None:
        running = asyncio.get_running_loop()
        asked = connected = looked = running.time()
        here = float(-self.dead_man_s)
        self.look()
        while True:
            await asyncio.sleep(self.tick_s)
            if running.time() >= connected + self.renew_s:
                connected = running.time()
                self.reconnect()
            if running.time() >= asked + ASKING_S and any(one.tickets for one in self.loop.accounts):
                asked = running.time()
                self.put(AccountStreamCut(self.clock.now_ns()))  # a stream that says nothing may have ended unheard
            if self.dead_man_s and running.time() >= here + self.dead_man_s / 3.0:
                here = running.time()
                self._call(self._still_here())
            if running.time() >= looked + LOOK_S:
                looked = running.time()
                self.look()
            self.flush()
            self.put(ClockAdvanced(self.clock.now_ns()))

    # --- actions

    def _do(self, action: Action, written: asyncio.Future[int] | None) -> None:
        if isinstance(action, FetchCandles):
            self._call(self._fetch(action))
        elif isinstance(action, Reconnect):
            self.reconnect()
        elif isinstance(action, FetchHoldings):
            self._call(self._hold((action.symbol,)))
        elif isinstance(action, FetchQuote):
            self._call(self._quote(action.symbol))
        elif self.asking is not None and isinstance(action, Asked):
            self.asking.ask(self.loop.owner(asked_of(action).client_id), action, written)

    def _call(self, call: Any) -> asyncio.Task[None]:
        assert self._group is not None
        task = self._group.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task

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


def candles_of(rows: Sequence[Sequence[Any]]) -> tuple[Candle, ...]:
    """Return CCXT's rows of [ms, open, high, low, close, volume] as candles; rows with holes are left out."""
    return tuple(
        Candle(int(row[0]) * _MS, *(float(value) for value in row[1:6]))
        for row in rows
        if len(row) >= 6 and None not in row[:6]
    )
