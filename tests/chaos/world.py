"""One scenario played: a venue, a process beside it that may be killed and started again, and what is seen of both."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from engine.execution.orders import OrderRequest
from engine.live.asking import Asking
from engine.live.events import Resumed
from engine.live.journal import Journal
from engine.live.loop import Loop
from engine.live.node import Node
from engine.live.resuming import resumed_loop
from engine.live.setup import Setup
from engine.venue.core import Venue
from engine.venue.events import Event, OrderChanged
from engine.venue.faults import Faults
from engine.venue.faults.table import TABLE
from engine.venue.market import Market
from parquet_store.errors import LockstepError, Usage
from tests.chaos.case import CALM, CASH, HISTORY, MINUTE_MS, Case, bars_of, costs_of, setup_of
from tests.chaos.clockwork import Deadlock, Killed, SimulatedClock, SimulatedLoop
from tests.chaos.near import Near, copied
from tests.chaos.watch import Watch

__all__ = ["Outcome", "World", "play"]

TICK_S = 5.0
MOST_S = 2400.0  # beyond the bars
REST_S = 100.0  # a run that was just started again is given so long to come to rest


@dataclasses.dataclass
class Outcome:
    """What a scenario came to.

    Attributes
    ----------
    case : Case
    met : int
        How often the fault acted; kills count.
    halted : list of str
        What nothing is entered for any more, and why.
    broken : list of str
        Invariants that did not hold; empty is what is wanted.
    chain : bytes
        Of the journal: one number for everything that happened.
    writes, entries, fills : int
        Journal writes, orders that were taken, executions.
    """

    case: Case
    met: int
    halted: list[str]
    broken: list[str]
    chain: bytes
    writes: int
    entries: int
    fills: int


class Kept(Journal):
    """The journal, whose writes are counted, and may be the last thing a process does."""

    def __init__(self, path: Path, world: World) -> None:
        super().__init__(path)
        self.world, self.dead, self.safe = world, False, self.sequence
        self._soon: set[str] = set()  # orders in entries that are not on the disk yet

    def append_many(self, entries: Any, durable: bool = False) -> int:
        """Append entries, unless the process ends here."""
        if self.dead:
            return self.sequence
        world = self.world
        world.writes += 1
        if world.case.kill == f"write {world.writes} before":
            world.kill()
        entries = list(entries)
        found = super().append_many(entries, durable)
        for _, kind, content in entries:
            if kind == "actions":
                self._soon.update(name for one in content for name in ordered(one))
        if durable:
            self.safe = self.sequence
            world.watch.durable |= self._soon
        if world.case.kill == f"write {world.writes} after":
            world.kill()
        return found

    def cut(self) -> None:
        """End as the machine's power does: what was not on the disk is gone."""
        self._connection.execute("DELETE FROM entries WHERE sequence > ?", (self.safe,))


class World:
    """A scenario being played.

    Parameters
    ----------
    case : Case
    folder : Path
    """

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.protocol, self.path = case, case.protocol, folder / "journal.sqlite"
        self.loop = SimulatedLoop()
        costs = costs_of(spot=case.spot)
        bars = {Market.of(symbol, costs): bars_of(case.seed, k, case.bars) for k, symbol in enumerate(case.symbols)}
        funding = None
        if not case.spot:
            due = int(bars_of(case.seed, 0, case.bars).time[HISTORY + 8])
            funding = {symbol: ([due], [0.0003]) for symbol in case.symbols}
        self.venue = Venue(bars, history=HISTORY, fill_share=case.fill_share, funding=funding)
        self.account = self.venue.open_account("key", "secret", {"USDT": CASH})
        first = int(bars_of(case.seed, 0, case.bars).time[HISTORY])
        self.clock = SimulatedClock(self.loop, first * 1_000_000 - 2_000_000_000)
        self.faults = Faults(case.seed)
        feed, self.venue_clock = self.faults.between(
            self.venue, lambda: self.clock.true_ns() // 1_000_000, self.protocol
        )
        feed.listen(self._heard)
        self.setup: Setup = setup_of(case)
        self.watch = Watch(self)
        self.near: Near | None = None
        self.node: Node | None = None
        self.journal: Kept | None = None
        self.bar = self.writes = 0
        self.killed = False
        self.ended = ""
        self.last_fills: list[Any] = []
        self._over = False
        self._armed = False
        self._own: set[asyncio.Task[Any]] = set()

    # --- the venue's side

    def at_venue(self, delay_s: float, act: Callable[[], Awaitable[Any]]) -> None:
        """Do something at the venue later, whatever becomes of the process meanwhile."""
        self.loop.call_later(delay_s, lambda: self._keep(act()))

    def _keep(self, what: Any) -> None:
        task = self.loop.create_task(what)
        self._own.add(task)
        task.add_done_callback(self._kept)

    def _kept(self, task: asyncio.Task[Any]) -> None:
        self._own.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Killed):
            self.watch.broke(f"the venue fails: {error!r}")

    async def _play(self) -> None:
        """Play the bars."""
        start = self.clock.start_ns // 1_000_000
        for k in range(self.case.bars + CALM):
            opens = int(bars_of(self.case.seed, 0, self.case.bars).time[HISTORY + k])
            await self._until((opens - start) / 1000.0)
            self.bar = k
            if k == self.case.bars:
                self.faults.disarm()
                self._armed = True
            self.venue.open_bar()
            self.bar_opened(k)
            if k == self.case.bar and self.case.point == "on_reconnect" and self.near is not None:
                self.near.streams.cut("the venue closed it")
            if k == self.case.bar and self.case.point == "on_start" and not self.killed:
                self.loop.call_later(5.0, self.kill)
            await self._until((opens - start + MINUTE_MS - 1) / 1000.0)
            self.venue.close_bar()
            self.watch.bar_closed()
        await asyncio.sleep(50.0)
        self._over = True

    def bar_opened(self, k: int) -> None:
        """Do what else is to be done once a bar is open: nothing here."""

    async def _until(self, time_s: float) -> None:
        await asyncio.sleep(max(0.0, time_s - self.loop.now))

    def _heard(self, event: Event) -> None:
        if isinstance(event, OrderChanged) and event.execution is not None:
            self.watch.filled(event)
            self.loop.call_soon(self.reached, "mid_fill")
        if self.near is not None:
            self.near.streams.heard(event)

    def arrived(self, request: OrderRequest) -> None:
        """Take note of an order that reached the venue."""
        self.watch.arrived(request)

    # --- moments

    def reached(self, point: str, what: object = None) -> None:
        """Take note of a moment: a fault may be armed, the process may end."""
        case = self.case
        if self._armed or self.bar < case.bar:
            return
        if case.kill == point and not self.killed:
            self.kill()
        if case.point == point and case.kind:
            self._arm()

    def _arm(self) -> None:
        self._armed = True
        self.faults.arm(self.case.kind)

    def kill(self) -> None:
        """End the process here."""
        if self.near is None:
            return
        self.killed = True
        assert self.journal is not None
        self.journal.dead = True
        raise Killed

    # --- the process

    def play(self) -> Outcome:
        """Play all of it."""
        case, loop = self.case, self.loop
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(self._unheard)
        self._keep(self._play())
        if case.kind and TABLE[case.kind].where == "clock" and case.point == "on_start":
            self._arm()
        try:
            while True:
                try:
                    loop.run_until_complete(self._process())
                    break
                except Killed:
                    self._bury()
                    if case.point == "on_start" and not self._armed and case.kind:
                        self._arm()
                    loop.run_until_complete(asyncio.sleep(case.down_s))
        except LockstepError as error:
            self.ended = f"{type(error).__name__}: {error}"
            if isinstance(error, Usage):  # nobody asked for anything: a fault of the program
                self.watch.broke(self.ended)
            self._bury()
        except (Deadlock, BaseExceptionGroup) as error:
            first: BaseException = error
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            self.watch.broke(f"{type(first).__name__}: {first}")
        finally:
            self._bury(everything=True)
            loop.close()
            asyncio.set_event_loop(None)
        self.watch.at_rest()
        chain = b"" if self.journal is None else self.journal.chain
        if self.journal is not None:
            self.journal.close()
        return Outcome(
            case,
            len(self.faults.record) + self.killed,
            self.watch.halted(),
            self.watch.broken,
            chain,
            self.writes,
            self.watch.entered,
            self.watch.fills,
        )

    def _unheard(self, loop: object, context: dict[str, Any]) -> None:
        """Take note of what nobody waited for."""
        error = context.get("exception")
        if not isinstance(error, Killed) and not self.killed:
            self.watch.broke(f"{context['message']}: {error!r}")

    async def _process(self) -> None:
        self.clock.ahead_ns = (self.venue_clock() - self.clock.true_ns() // 1_000_000) * 1_000_000
        self.near = near = Near(self)
        self.journal = journal = Kept(self.path, self)
        now_ns = self.clock.now_ns()
        found = resumed_loop(self.path)
        if found is None:
            journal.append(now_ns, "setup", self.setup.as_json(), True)
            loop = Loop(self.setup)
        else:
            loop = found
        self.node = node = Node(loop, near, near, journal, self.clock, tick_s=TICK_S)  # type: ignore[arg-type]
        if found is not None:
            node.put(Resumed(now_ns))
        if "written" in self.case.off:
            node.asking = Hasty(node.asking)  # type: ignore[assignment,arg-type]
        until = self.loop.create_task(self._wait())
        await node.run(until)
        journal.append(self.clock.now_ns(), "ended", {"bars": loop.bars}, True)

    async def _wait(self) -> None:
        began = self.loop.now
        while not self._over or self.loop.now < began + REST_S:
            await asyncio.sleep(1.0)
            if self.loop.now > MOST_S + 60.0 * self.case.bars:
                raise Deadlock("there is no end of it")

    def _bury(self, *, everything: bool = False) -> None:
        """Let go of what the process left; orders under way at the venue go on."""
        if self.journal is not None:
            self.journal.dead = True
        self.near = None
        left = [one for one in asyncio.all_tasks(self.loop) if everything or one not in self._own]
        for one in left:
            one.cancel()
        while any(not one.done() for one in left):  # a group of tasks tells once more that it was killed
            with contextlib.suppress(Killed, Exception):
                self.loop.run_until_complete(asyncio.wait(left))
        if self.journal is not None and not everything:
            if self.case.power:
                self.journal.cut()
            self.journal.close()


class Hasty:
    """A way to the venue that does not wait until an order is written: what must not be."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def ask(self, owner: int, action: Any, written: Any) -> None:
        """Ask at once."""
        self._asking.ask(owner, action, None)

    @property
    def chains(self) -> Any:
        """Those of the real one."""
        return self._asking.chains


def ordered(action: dict[str, Any]) -> list[str]:
    """Return the ids of the orders an action sends."""
    if "PlaceOrder" in action:
        return [copied(action["PlaceOrder"]["request"]["client_id"])]
    return [copied(one["client_id"]) for one in action.get("PlacePair", {}).values()]


def play(case: Case, folder: Path) -> Outcome:
    """Play a scenario in a folder of its own."""
    return World(case, folder).play()
