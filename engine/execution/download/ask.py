"""Ask a venue until it answers: within its limits, waiting as long as it says, giving up in words.

CCXT's throttler spaces the questions.  What fails is sorted by ``engine.execution.outcome``: what may be asked again
is, after the venue's own delay or a doubling one; a limit of the venue holds all questions back, not only the one
that hit it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from engine.execution.outcome import Outcome, outcome_of
from parquet_store.errors import Failed, Retry

__all__ = ["Asker"]

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
LONGEST_WAIT_S = 900.0  # a longer ban is told to the user, who may want to do something else


class Asker:
    """Asks one client; all questions to a venue go through the same one.

    Parameters
    ----------
    client : ccxt async exchange
    sleep : callable
        Waits some seconds.
    tries : int
        How often a question is asked that fails without the venue naming a delay.
    """

    def __init__(self, client: Any, sleep: Sleep = asyncio.sleep, tries: int = 8) -> None:
        self.client, self.venue, self.tries = client, str(client.id), tries
        self.waits: list[float] = []
        self._sleep = sleep
        self._pause: asyncio.Event | None = None

    async def ask(self, question: Callable[[], Awaitable[T]], symbol: str = "", tries: int | None = None) -> T:
        """Return the answer to a question.

        Parameters
        ----------
        question : callable
            Makes the call anew each time.
        symbol : str
            For messages.
        tries : int, optional
            Instead of the asker's own.

        Raises
        ------
        Refuse, Halt
            The venue said no to this question, or to everything.
        Failed
            It could not be asked, or wants to be left alone for longer than a quarter of an hour.
        """
        failed = waited = 0.0
        while True:
            while self._pause is not None:
                await self._pause.wait()
            try:
                return await question()
            except Exception as error:  # noqa: BLE001  (sorted below, a fault of the program too)
                outcome = self._outcome(error, symbol)
            if outcome.meaning != "retry":
                raise outcome.failure()  # outside of the except block: the first error's text is not for reading
            if math.isnan(outcome.delay_s):
                failed += 1
                if failed >= (self.tries if tries is None else tries):
                    raise Failed(self._unreached(outcome, int(failed)))
                await self._wait(min(FIRST_DELAY_S * 2.0 ** (failed - 1), LONGEST_DELAY_S))
                continue
            waited += outcome.delay_s
            if waited > LONGEST_WAIT_S:
                raise Retry(
                    f"{_what(outcome)}; it wants no questions for {outcome.delay_s:,.0f} s: run the same command again "
                    "then, it goes on where this one ended; what was stored is intact"
                )
            await self._hold(outcome.delay_s)

    def _outcome(self, error: Exception, symbol: str) -> Outcome:
        headers = getattr(self.client, "last_response_headers", None)
        now_ns = self.client.milliseconds() * 1_000_000
        return outcome_of(error, "read", self.venue, symbol, headers=headers, now_ns=now_ns)

    async def _hold(self, delay_s: float) -> None:
        """Let nobody ask for a while; who is told the same meanwhile waits for the same end."""
        if self._pause is not None:
            await self._pause.wait()
            return
        self._pause = asyncio.Event()
        try:
            await self._wait(delay_s)
        finally:
            self._pause.set()
            self._pause = None

    async def _wait(self, delay_s: float) -> None:
        self.waits.append(delay_s)
        await self._sleep(delay_s)

    def _unreached(self, outcome: Outcome, tries: int) -> str:
        return (
            f"{_what(outcome)}; asked {tries} times: check the network and whether {self.venue} may be used from here, "
            "then run the same command again; it goes on where this one ended"
        )


def _what(outcome: Outcome) -> str:
    """Return what happened, without what is done about it: here that is something else."""
    return outcome.message.rpartition("; nothing happened")[0]
