"""A bot from settings to its last word: the journal opened, the venue asked, the loop run, everything closed.

What the run says of itself lies beside the journal: ``status.json``, whole at any moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from engine.execution.client import client_of
from engine.execution.exchange import Exchange
from engine.live.actions import Action, Decided
from engine.live.adjusting import adjusted
from engine.live.clock import Clock, PlayedClock, VenueClock
from engine.live.events import Limited, Resumed
from engine.live.journal import Journal
from engine.live.key_checks import key_notes
from engine.live.kill import kill, refuse_killed, watched
from engine.live.left import refuse_left
from engine.live.lockstep import Lockstep
from engine.live.loop import Loop
from engine.live.node import Node
from engine.live.pace import unhindered
from engine.live.resuming import go_on
from engine.live.start import clock_of, load_plan, setup_of
from engine.live.status import STATUS, snapshot, write_status
from engine.settings import BotSettings, Credentials, load_credentials, refuse_unsafe
from parquet_store import Store

__all__ = ["Result", "event_loop", "run_bot"]

STATUS_S: Final = 0.5
AHEAD_NS: Final = 1_000_000_000
Listener = Callable[[Sequence[Action], int], None]


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes
    ----------
    loop : Loop
        As it ended.
    bars : int
        Bars digested, of all series.
    entries : int
        Entries of the journal.
    """

    loop: Loop
    bars: int
    entries: int


def event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where it is there, else Python's own."""
    try:
        import uvloop
    except ImportError:  # not on this system
        return asyncio.new_event_loop()
    made: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return made


async def run_bot(
    settings: BotSettings,
    *,
    yes: bool,
    say: Callable[[str], None],
    credentials: Credentials | None = None,
    bars: int | None = None,
    listener: Callable[[Loop], Listener] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Run a bot until it is stopped by SIGTERM or Ctrl-C, or the local venue has no more bars.

    Parameters
    ----------
    settings : BotSettings
    yes : bool
        The second yes, for live trading.
    say : callable
        Told what a person should know while it starts.
    credentials : Credentials, optional
        Else those of the settings' environment or keyring; paper needs none.
    bars : int, optional
        With a local venue in lockstep: play so many, then end.
    listener : callable, optional
        Given the loop before its first step, returns what is called with (actions, venue time in ns) after each.
    progress : callable, optional
        Called with the number of bars just played, in lockstep.

    Raises
    ------
    Usage, Failed
        Something is missing, wrong or refused; nothing was sent.
    """
    refuse_unsafe(settings, yes=yes)
    refuse_killed(settings.journal.parent)
    plan = load_plan(settings)
    hidden: tuple[str, ...] = ()
    if settings.mode == "paper":
        credentials = None
    elif credentials is None:
        credentials = load_credentials(settings.venue.name, settings.venue.keys_from)
    if credentials is not None:
        hidden = credentials.revealed()
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(Journal(settings.journal))
        trader = await stack.enter_async_context(Exchange(client_of(settings, credentials), hidden))
        feed = trader
        if settings.feed.candles_from not in ("", settings.venue.name):
            other = settings.venue.model_copy(
                update={"name": settings.feed.candles_from, "rest_url": "", "stream_url": ""}
            )
            feed = await stack.enter_async_context(Exchange(client_of(settings.model_copy(update={"venue": other}))))
        venue = None if settings.mode == "paper" else trader
        clock, control = await clock_of(settings, feed)
        ahead_ns = clock.ahead_ns if isinstance(clock, VenueClock) else feed.adjusted_ns
        if abs(ahead_ns) >= AHEAD_NS:
            apart = f"{abs(ahead_ns) / 1e9:.1f} s {'ahead of' if ahead_ns > 0 else 'behind'}"
            say(f"{feed.venue}: its clock is {apart} this machine's, and counts; set this machine's by NTP")
        for _, _, symbol, _ in plan.placed:
            for one in {feed, venue or feed}:
                one.rules(symbol)
        if venue is not None and credentials is not None:
            for line in await key_notes(settings, venue, credentials.key.reveal(), datetime.now(UTC).date()):
                say(line)
        before = await asyncio.to_thread(go_on, settings.journal, settings, plan, feed, venue, clock, say)
        if before is None:
            if venue is not None:
                await refuse_left(settings.journal.parent / STATUS, venue)
            setup = await setup_of(settings, plan, Store.open(settings.store), feed, venue, clock, say)
            await asyncio.to_thread(journal.append, clock.now_ns(), "setup", setup.as_json(), True)
        loop = before or Loop(setup)
        lags: dict[str, int] = {}
        node = Node(
            loop,
            feed,
            venue,
            journal,
            clock,
            tick_s=0.0 if control else tick_of(clock),
            calm_s=0.0 if isinstance(clock, PlayedClock) else 1.0,
            renew_s=settings.feed.reconnect_hours * 3600.0,
            listener=following(loop, lags, listener(loop) if listener else None),
            dead_man_s=settings.venue.dead_man_seconds,
        )
        place = settings.journal.parent / STATUS

        def told(running: bool) -> Callable[[], dict[str, Any]]:
            return snapshot(loop, settings.mode, clock.now_ns(), running=running, lags_ns=lags)

        if before is not None:
            say(f"the run before goes on after {loop.bars} bars")
            node.put(Resumed(clock.now_ns()))
            if settings.limits is not None and settings.limits != loop.limits:
                node.put(Limited(settings.limits.model_dump_json(), clock.now_ns()))
        until = None
        if control and isinstance(clock, PlayedClock):
            until = driven(Lockstep(node, control, clock), bars, progress)
        asyncio.get_running_loop().set_exception_handler(hearing(node, say))
        publishing = asyncio.create_task(published(place, told))
        watching = asyncio.create_task(watched(node, place.parent))
        adjusting = asyncio.create_task(adjusted(node, place.parent, say))
        try:
            with stopping_by_signal(node, place.parent), unhindered():
                await node.run(until)
        finally:
            publishing.cancel()
            watching.cancel()
            adjusting.cancel()
            await asyncio.to_thread(write_status, place, told(False))
        await asyncio.to_thread(journal.append, clock.now_ns(), "ended", {"bars": loop.bars}, True)
        return Result(loop, loop.bars, journal.sequence)


async def driven(lockstep: Lockstep, bars: int | None, progress: Callable[[int], None] | None) -> None:
    """Drive a local venue once the streams had a moment to connect; what they miss, REST is asked for."""
    await asyncio.sleep(0.2)
    await lockstep.play(bars, progress)


def tick_of(clock: Clock) -> float:
    """Return how often to look at a clock, s."""
    speed = clock.speed if isinstance(clock, PlayedClock) else 1.0
    return min(0.25, max(0.02, 0.25 / max(1.0, speed / 60.0)))


def following(loop: Loop, lags: dict[str, int], listener: Listener | None) -> Listener:
    """Return a listener that notes how late each series was decided on."""
    series_of = {one.name: one.series for one in loop.setup.placements}

    def heard(actions: Sequence[Action], time_ns: int) -> None:
        for action in actions:
            if isinstance(action, Decided):
                lags[series_of[action.account]] = time_ns - action.close_ns
        if listener is not None:
            listener(actions, time_ns)

    return heard


def hearing(node: Node, say: Callable[[str], None]) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return what takes the errors nobody waits for: a frame that is no JSON ends CCXT's reading without a word."""

    def heard(running: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        say(f"warning: streams: {type(error).__name__ if error else context['message']}: they are connected anew")
        node.reconnect()

    return heard


async def published(place: Path, told: Callable[[bool], Callable[[], dict[str, Any]]]) -> None:
    """Write the status again and again, on another thread."""
    while True:
        await asyncio.to_thread(write_status, place, told(True))
        await asyncio.sleep(STATUS_S)


@contextlib.contextmanager
def stopping_by_signal(node: Node, folder: Path) -> Iterator[None]:
    """End the run cleanly on SIGTERM and Ctrl-C; on SIGUSR1, where there is one, throw the kill switch."""
    running = asyncio.get_running_loop()
    added = []
    handlers: dict[int, Callable[[], None]] = {signal.SIGTERM: node.stop, signal.SIGINT: node.stop}
    if hasattr(signal, "SIGUSR1"):
        handlers[signal.SIGUSR1] = partial(kill, folder, "signal SIGUSR1")
    for number, handler in handlers.items():
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # not here, or not in the main thread
            running.add_signal_handler(number, handler)
            added.append(number)
    try:
        yield
    finally:
        for number in added:
            running.remove_signal_handler(number)
