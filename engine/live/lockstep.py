"""Driving a local venue bar by bar: the next half is released once everything the last one caused is done.

A bar is played as: open; what was due fills, and what protects it rests at the venue; then the range; then the close
and the decision.  So a run over recorded bars is the simulation's order of things, whatever the speed of the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import aiohttp

from engine.live.clock import PlayedClock
from engine.live.events import AccountStreamCut, ClockAdvanced
from engine.live.node import Node
from parquet_store.errors import Failed
from pipelines.candles import Candle

__all__ = ["Lockstep"]

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
PATIENCE_S = 1.0  # how long a stream is waited for before REST is relied on
SHORT_S = 0.1  # the same for one that was silent the last time
LOOKED: Final = 24  # bars after which the venue is asked what the account holds
PATIENT_SECONDS: Final = 20  # of venue time, for a bar that is not decided on


class Lockstep:
    """A node and the local venue it trades at, in step.

    Parameters
    ----------
    node : Node
        Made with ``tick_s=0`` and this clock.
    control_url : str
        Of the venue, as in ``http://127.0.0.1:8899/control``.
    clock : PlayedClock
    """

    def __init__(self, node: Node, control_url: str, clock: PlayedClock) -> None:
        self.node, self.control_url, self.clock = node, control_url, clock
        self.bars = 0
        self._silent: set[str] = set()

    async def play(self, bars: int | None = None, progress: Callable[[int], None] | None = None) -> int:
        """Play bars until none is left, or so many; return how many were.

        Raises
        ------
        Failed
            The venue does not answer as one in lockstep.
        """
        async with aiohttp.ClientSession() as session:
            if self.node.loop.bars:
                await self._resumed()
            self.node.look()
            await self.node.settled()
            told = await self._told(session.get, "state")
            while bars is None or self.bars < bars:
                if not told["opened"]:  # a run that was killed between the halves goes on with the second
                    told = await self._told(session.post, "open")
                    if not told["played"]:
                        break
                await self._caught_up(told, told["time"] * _MS)
                told = await self._told(session.post, "close")
                grace_ns = self.node.loop.setup.feed.grace_ns
                await self._caught_up(told, (told["time"] + 1) * _MS + grace_ns)
                await self._decided(told)
                self.bars += 1
                if self.bars % LOOKED == 0:
                    self.node.look()
                    await self.node.settled()
                if progress is not None:
                    progress(1)
        return self.bars

    async def _caught_up(self, told: dict[str, Any], now_ns: int) -> None:
        """Wait for the streams, then let time pass, ask for all orders, and wait until everything is done."""
        node = self.node
        for series, (symbol, _) in node.symbols.items():
            row = told["candles"].get(symbol)
            if row is not None:
                shown = Candle(int(row[0]) * _MS, *(float(value) for value in row[1:]))
                patience_s = SHORT_S if series in self._silent else PATIENCE_S
                if await node.streamed(series, shown, patience_s):
                    self._silent.discard(series)
                elif series in self._silent:
                    node.reconnect()
                else:
                    self._silent.add(series)
        node.flush()
        self.clock.set(now_ns)
        if any(account.tickets for account in node.loop.accounts):
            node.put(AccountStreamCut(now_ns))  # asks for every order: fills before decisions
        await node.settled()
        node.put(ClockAdvanced(now_ns))
        await node.settled()

    async def _resumed(self) -> None:
        """Let time pass until it is known what became of a run's orders, and what closed before it went on."""
        step_ns = max(_SECOND, self.node.loop.setup.feed.grace_ns)
        await self.node.settled()
        for second in range(PATIENT_SECONDS):
            if second and not any(account.doubted for account in self.node.loop.accounts):
                return
            self.clock.set(self.clock.now_ns() + step_ns)
            self.node.put(ClockAdvanced(self.clock.now_ns()))
            await self.node.settled()

    async def _decided(self, told: dict[str, Any]) -> None:
        """Let time pass until the bars that closed are decided on: those before them may have to be shown absent."""
        node, feed = self.node, self.node.loop.setup.feed
        closed = {
            series: int(told["candles"][symbol][0]) * _MS
            for series, (symbol, _) in node.symbols.items()
            if symbol in told["candles"]
        }
        now_ns = self.clock.now_ns() + feed.absence_ns
        for _ in range(PATIENT_SECONDS):
            if all(node.loop.rules[series].next_ns > open_ns for series, open_ns in closed.items()):
                return
            self.clock.set(now_ns)
            node.put(ClockAdvanced(now_ns))
            await node.settled()
            now_ns += _SECOND

    async def _told(self, ask: Callable[[str], Any], name: str) -> dict[str, Any]:
        url = f"{self.control_url}/{name}"
        try:
            async with ask(url) as answer:
                if answer.status != 200:
                    raise Failed(f"{url}: status {answer.status}; start the venue with --lockstep")
                told: dict[str, Any] = await answer.json()
                return told
        except aiohttp.ClientError as error:
            raise Failed(f"{url}: no answer ({error}); is the local venue running?") from None
