"""What runs the loop: streams and answers in, journal, actions out; asyncio on one thread, the journal on another.

One consumer takes all events that are there, steps, hands events and actions to the journal, and does the actions.  An
order is prepared and signed meanwhile, and leaves when the journal is flushed.  Orders of one sub-account leave in
turn, those of several side by side; candles that are there already are decided on before, what only confirms candles
waits.  A call's failure comes back as an event, told by `engine.execution.outcome`; nothing is repeated here.  What is
written is said in `engine.live.writing`, the streams are in `engine.live.streaming`, what is asked besides orders in
`engine.live.questioning`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from engine.execution.budget import Budget
from engine.execution.exchange import Exchange
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
from engine.live.events import AccountStreamCut, ClockAdvanced, Stopping
from engine.live.journal import Journal
from engine.live.loop import Loop
from engine.live.questioning import Questioning
from parquet_store.errors import LockstepError

__all__ = ["Node"]

SENDS: Final = (PlaceOrder, PlacePair, AmendOrder, CancelOrder)
TOLD: Final = frozenset((Decided, Traded, Said))  # nothing is to be done about them
LOOK_S: Final = 180.0  # how often the venue is asked what the account holds
ASKING_S: Final = 15.0  # how often orders are asked for, whatever the streams say


class Node(Questioning):
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
        super().__init__(loop, feed, venue, journal, clock, calm_s, dead_man_s)
        self.tick_s, self.renew_s, self.listener = tick_s, renew_s, listener
        first = self._quiet if len(self.symbols) > 1 else None  # other series are decided on before orders are signed
        if venue is not None:
            budget = Budget.of(venue.venue) if venue.throttled else None
            most = loop.setup.terms.slippage
            self.asking = Asking(
                venue, clock, self.put, self._call, first, loop.unwanted, loop.enters, budget, most, loop.close_of
            )
        self._busy = False

    async def settled(self) -> None:
        """Wait until no event is left and no call is under way."""
        while self._events or self._busy or self._calls:
            if self._calls:
                await asyncio.wait(self._calls)
                await asyncio.sleep(0)
            else:
                await self._calm.wait()

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
