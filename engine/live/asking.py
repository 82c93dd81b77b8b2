"""What is asked of a venue about orders: in turn for each sub-account, a few requests at a pass of the event loop.

A request takes half a millisecond to be signed.  A few at a pass let candles and answers come in between, whatever
number of orders a close brings.  A call's failure becomes an event; nothing is repeated here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final, Literal

from engine.execution.budget import Budget
from engine.execution.exchange import Exchange
from engine.execution.orders import OrderReport, OrderRequest
from engine.execution.outcome import Told
from engine.live.actions import AmendOrder, CancelOrder, FetchFills, FindOrder, PlaceOrder, PlacePair
from engine.live.approved import Approved
from engine.live.clock import Clock
from engine.live.events import CallFailed, Estimated, Event, FillsSeen, OrderAbsent, OrderSeen
from parquet_store.errors import Halt

__all__ = ["Asked", "Asking"]

Asked = PlaceOrder | PlacePair | AmendOrder | CancelOrder | FindOrder | FetchFills
Written = asyncio.Future[int] | None
WAIT_S: Final = 0.25  # before an order is tried again where the venue names no time
MOST_WAIT_S: Final = 30.0
FAR: Final = 0.3  # as a fraction: no market is so far from its last close, and a fault is
AT_ONCE: Final = 8  # requests signed at a pass


class Asking:
    """The calls under way.

    Parameters
    ----------
    venue : Exchange
    clock : Clock
    put : callable
        Takes events.
    start : callable
        Starts a coroutine as a task of the run.
    first : callable, optional
        What requests wait for before they are signed.
    unwanted : callable
        Given an order's id when its turn has come, says why it is not to be sent any more; empty if it is.
    enters : callable
        Given an order's id, says whether it opens a position: such orders wait for cancels and exits.
    budget : Budget, optional
        What the venue takes; None: no matter how many.
    slippage : float
        The most an entry at market may be estimated to pay beyond the best price; 0: not looked at.
    close : callable
        Given an order's id, returns the last close of its symbol: a book far from it is not believed.

    Attributes
    ----------
    chains : dict of int to Task
        The last call of each sub-account that has one under way.
    """

    def __init__(
        self,
        venue: Exchange,
        clock: Clock,
        put: Callable[[Event], None],
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        first: Callable[[], Awaitable[None]] | None = None,
        unwanted: Callable[[str], str] = lambda client_id: "",
        enters: Callable[[str], bool] = lambda client_id: False,
        budget: Budget | None = None,
        slippage: float = 0.0,
        close: Callable[[str], float] = lambda client_id: float("nan"),
    ) -> None:
        self.enters, self.budget, self.slippage, self.close = enters, budget, slippage, close
        self.venue, self.clock, self.put, self.start, self.first = venue, clock, put, start, first
        self.unwanted = unwanted
        self.chains: dict[int, asyncio.Task[None]] = {}
        self._outbox: deque[tuple[int, Asked, Written]] = deque()
        self._sending = False

    def ask(self, owner: int, action: Asked, written: Written) -> None:
        """Ask, in turn.

        Parameters
        ----------
        owner : int
            The sub-account whose order it is.
        action : Asked
        written : Future, optional
            What has to be done before an order, or its cancellation, may leave.
        """
        if self.first is None and not self._sending:
            self._begin(owner, action, written)
        else:
            self._outbox.append((owner, action, written))
        if not self._sending:
            self._sending = True
            self.start(self._send_out())

    async def _send_out(self) -> None:
        if self.first is not None:
            await self.first()
        while self._outbox:
            for _ in range(min(AT_ONCE, len(self._outbox))):
                self._begin(*self._outbox.popleft())
            await asyncio.sleep(0)
        self._sending = False

    def _begin(self, owner: int, action: Asked, written: Written) -> None:
        before = self.chains.get(owner)
        self.chains[owner] = task = self.start(self._after(before, action, written))
        task.add_done_callback(partial(self._unchained, owner))

    def _unchained(self, owner: int, done: asyncio.Task[None]) -> None:
        if self.chains.get(owner) is done:
            del self.chains[owner]

    async def _after(self, before: asyncio.Task[None] | None, action: Asked, written: Written) -> None:
        if before is not None:
            await asyncio.wait([before])
        await self._call(action, written)

    async def _call(self, action: Asked, written: Written) -> None:
        venue, request = self.venue, asked_of(action)
        call: Literal["place", "amend", "cancel", "find"] = "find"
        try:
            if isinstance(action, PlaceOrder | PlacePair):
                call = "place"
                await self._afford(request, 1 if isinstance(action, PlaceOrder) else 2)
                why = self._barred(action)
                if not why and self.slippage and request.kind == "market" and self.enters(request.client_id):
                    why = await self._too_dear(request) or self._barred(action)
                if why:
                    self.put(CallFailed(request.client_id, call, "refuse", why, self.clock.now_ns()))
                    return
            if isinstance(action, PlaceOrder):
                with venue.after(written):
                    self.seen([await venue.place(request)])
            elif isinstance(action, PlacePair):
                with venue.after(written):
                    self.seen(await venue.place_pair(action.stop, action.target))
            elif isinstance(action, FetchFills):
                fills = tuple(await venue.fills_of(request.symbol, action.venue_id))
                self.put(FillsSeen(fills, self.clock.now_ns()))
            else:
                if isinstance(action, AmendOrder):
                    call = "amend"
                    approved(request)
                    await self._afford(request, 1)
                    if why := self.unwanted(request.client_id):  # it goes no nearer to a fill
                        self.put(CallFailed(request.client_id, call, "refuse", why, self.clock.now_ns()))
                        return
                    with venue.after(written):
                        await venue.amend(request, action.venue_id)
                    call = "find"
                elif isinstance(action, CancelOrder):
                    call = "cancel"
                    await self._afford(request, 1)
                    with venue.after(written):
                        await venue.cancel(request.symbol, action.venue_id, request.client_id)
                    call = "find"
                found = await venue.find(request)
                if found is None:
                    self.put(OrderAbsent(request.client_id, self.clock.now_ns()))
                else:
                    self.seen([found])
        except Told as error:
            outcome = error.outcome
            if outcome.meaning == "retry":  # what follows waits, and with it all later orders of this sub-account
                await asyncio.sleep(min(outcome.delay_s, MOST_WAIT_S) if outcome.delay_s >= 0.0 else WAIT_S)
            now_ns = self.clock.now_ns()
            self.put(CallFailed(request.client_id, call, outcome.meaning, outcome.message, now_ns))
            if isinstance(action, PlacePair):
                self.put(CallFailed(action.target.client_id, call, outcome.meaning, outcome.message, now_ns))

    async def _afford(self, request: OrderRequest, count: int) -> None:
        """Wait until the venue takes so many more."""
        if self.budget is not None:
            for _ in range(count):
                await self.budget.take(urgent=not self.enters(request.client_id))

    async def _too_dear(self, request: OrderRequest) -> str:
        """Look at the book; return why an entry is not worth it, empty if it is."""
        try:
            found = await self.venue.estimate(request)
        except Told as error:
            return f"not sent: its price could not be estimated: {error}"
        if found is None:
            return "not sent: its price could not be estimated: the book is empty, crossed or without prices"
        last = self.close(request.client_id)
        if abs(found.best / last - 1.0) > FAR:
            return f"not sent: the book begins at {found.best:g}, the last close was {last:g}: one of them is wrong"
        if found.share > self.slippage:
            paid = f"{found.share:.2%} beyond" if found.share < 1e9 else "more than the book shows of"
            return f"not sent: {request.quantity:g} would pay {paid} the best price, at most {self.slippage:.2%} is let"
        self.put(Estimated(request.client_id, found.best, found.share, self.clock.now_ns()))
        return ""

    def _barred(self, action: PlaceOrder | PlacePair) -> str:
        """Return why an order may not leave; empty if it may.

        Raises
        ------
        Halt
            Nobody approved it.
        """
        requests = (action.request,) if isinstance(action, PlaceOrder) else (action.stop, action.target)
        for one in requests:
            approved(one)
        return self.unwanted(requests[0].client_id)

    def seen(self, reports: Iterable[OrderReport]) -> None:
        """Pass on what the venue says of orders."""
        for report in reports:
            self.put(OrderSeen(report, self.clock.now_ns()))


def approved(request: OrderRequest) -> None:
    """Refuse what nobody approved.

    Raises
    ------
    Halt
        It is such an order.
    """
    if not isinstance(request, Approved):
        raise Halt(f"order {request.client_id} was approved by nobody: this is a fault of the program, report it")


def asked_of(action: Asked) -> OrderRequest:
    """Return the order an action is about; of a pair, the stop."""
    return action.stop if isinstance(action, PlacePair) else action.request
