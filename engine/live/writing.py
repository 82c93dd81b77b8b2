"""What a run has taken and done, handed to the journal on a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from engine.live.actions import Action
from engine.live.events import Event, pack
from engine.live.journal import Journal
from engine.live.loop import Loop

__all__ = ["Writing"]

SOON_S: Final = 0.005  # how long what sends nothing may wait to be written with what follows


class Writing:
    """The writing side of a run.

    Parameters
    ----------
    loop : Loop
    journal : Journal
    """

    def __init__(self, loop: Loop, journal: Journal) -> None:
        self.loop, self.journal = loop, journal
        self._writer = ThreadPoolExecutor(1, "journal")
        self._unwritten: list[tuple[int, str, Sequence[Any]]] = []
        self._soon: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()
        self._fault: BaseException | None = None

    def stop(self) -> None:
        """End the run: nothing is entered any more, calls under way are waited for."""
        self._ended.set()

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
