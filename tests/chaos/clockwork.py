"""An event loop whose time jumps to whatever is due next, and a process that can be killed anywhere in it.

Nothing sleeps and nothing is random: the same program does the same, to the order of its callbacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable
from typing import Any

__all__ = ["Deadlock", "Killed", "SimulatedClock", "SimulatedLoop"]

WRITE_S = 0.002  # until the journal's thread has written


class Killed(KeyboardInterrupt):
    """The process ends here: nothing after it runs."""


class Deadlock(Exception):
    """Everything waits, and nothing is due."""


class _Jump(selectors.BaseSelector):
    """Waits for nothing: moves the loop's time on."""

    def __init__(self) -> None:
        self.loop: SimulatedLoop | None = None
        self._kept: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self._kept[fileobj] = key = selectors.SelectorKey(fileobj, -1, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._kept.pop(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self.register(fileobj, events, data)

    def get_map(self) -> Any:
        return self._kept

    def select(self, timeout: float | None = None) -> list[Any]:
        assert self.loop is not None
        if timeout is None:
            raise Deadlock("every task waits, and nothing is due")
        self.loop.now += timeout
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The event loop.

    Attributes
    ----------
    now : float
        Its time, s.
    """

    def __init__(self) -> None:
        selector = _Jump()
        self.now = 0.0
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        """Return its time."""
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run a function a little later, in turn."""
        made: asyncio.Future[Any] = self.create_future()

        def run() -> None:
            try:
                found = func(*args)
            except Exception as error:  # noqa: BLE001  (whoever waits is told)
                if not made.done():
                    made.set_exception(error)
            else:
                if not made.done():
                    made.set_result(found)

        self.call_later(WRITE_S, run)
        return made

    def bury(self) -> None:
        """End what a killed process left: its tasks are cancelled and let go."""
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        self.set_exception_handler(lambda *what: None)
        if left:
            with contextlib.suppress(BaseException):
                self.run_until_complete(asyncio.wait(left))
        for task in left:
            if task.done() and not task.cancelled():
                task.exception()


class SimulatedClock:
    """Time of the loop as the bot reads it.

    Attributes
    ----------
    ahead_ns : int
        How far it is from the venue's.
    """

    def __init__(self, loop: SimulatedLoop, start_ns: int) -> None:
        self.loop, self.start_ns, self.ahead_ns = loop, start_ns, 0

    def true_ns(self) -> int:
        """Return the venue's time."""
        return self.start_ns + round(self.loop.now * 1e9)

    def now_ns(self) -> int:
        """Return what the bot takes for the venue's time."""
        return self.true_ns() + self.ahead_ns
