"""The live loop's core: events in, actions out, nothing else.

``Loop.step`` asks nobody, knows no clock and no chance: the same setup and the same events give the same actions and
the same state, byte for byte.  Whoever runs it (``engine.live.node``) journals events and actions, and does them.

Within one step all events are taken first, then the bars they closed: every series advances by its next closed bar in
one compiled call, the sub-accounts decide, and so on until no closed bar is left.  What candles become is said in
`engine.live.feeding`, whose an order is in `engine.live.owning`, how the account stands as a whole in
`engine.live.standing`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

from engine.live.actions import Action, Said
from engine.live.deciding import OUT
from engine.live.events import (
    AccountStreamCut,
    BalanceSeen,
    CallFailed,
    CandlesAnswered,
    CandlesStreamed,
    ClockAdvanced,
    Estimated,
    Event,
    FillsSeen,
    FundingSeen,
    HoldingSeen,
    Killed,
    Limited,
    OrderAbsent,
    OrderSeen,
    QuoteSeen,
    Rearmed,
    Resumed,
    Stopping,
    StreamCut,
)
from engine.live.ledger import ClosedBar
from engine.live.setup import Setup
from engine.live.standing import Standing
from pipelines.candles import Candle

__all__ = ["Loop"]

_MS: Final = 1_000_000
ROLES_AT: Final = OUT.index("entry")


class Loop(Standing):
    """The state of a run.

    Parameters
    ----------
    setup : Setup

    Raises
    ------
    Usage
        A program has a stop and a target, and the venue cannot rest both; programs of both sides share a contract.

    Attributes
    ----------
    together : Together
        All programs.
    accounts : tuple of SubAccount
        In the order of the setup's placements.
    bars : int
        Decided on so far.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._take: dict[type[Any], Callable[[Any], list[Action]]] = {
            CandlesStreamed: self._streamed,
            CandlesAnswered: self._answered,
            StreamCut: self._cut,
            AccountStreamCut: self._account_cut,
            ClockAdvanced: self._clock,
            OrderSeen: self._order,
            FillsSeen: self._fills,
            OrderAbsent: self._absent,
            CallFailed: self._failed,
            HoldingSeen: self._holding,
            BalanceSeen: self._balance,
            FundingSeen: self._funded,
            Estimated: self._estimated,
            QuoteSeen: self._quoted,
            Killed: self._kill,
            Limited: self._limited,
            Rearmed: self._rearmed,
            Resumed: self._resumed,
            Stopping: self._stop,
        }

    def step(self, events: Iterable[Event]) -> list[Action]:
        """Take events and return what to do, in order."""
        actions: list[Action] = []
        for event in events:
            self.time_ns = max(self.time_ns, event.time_ns)
            self.funding.begins(event.time_ns)
            actions += self._take[type(event)](event)
        if not self._due:
            self._correcting.renew()
        while self._due:
            places = self._due
            if self._doubted and not (places := places - self._still_doubted()):
                break
            if self._moments is not None and not (places := self._moments.ripe(places, self.time_ns)):
                break
            actions += self._advance(places)
        for series, price in self._opened.items():
            for k in self._on[series]:
                actions += self._own(k, self.accounts[k].bar_opened(price))
        self._opened.clear()
        return actions

    def _clock(self, event: ClockAdvanced) -> list[Action]:
        actions: list[Action] = []
        for series, rule in self.rules.items():
            actions += self._candles(series, rule.at(event.time_ns))
        for k, account in enumerate(self.accounts):
            if account.waits:
                actions += self._own(k, account.clock(event.time_ns))
        return [*actions, *self.holdings.clock(event.time_ns)]

    def _advance(self, places: set[int]) -> list[Action]:
        """Advance some series by their next closed bar, and decide for all their accounts, in one call."""
        deciding, accounts, symbols = self._deciding, self.accounts, self.together.symbols
        closed: list[tuple[int, Candle, ClosedBar, str]] = []
        count, met = 0, math.nan
        for k, place in enumerate(sorted(places)):
            waiting, series = self._waiting[place], symbols[place]
            candle = waiting.popleft()
            if not waiting:
                self._due.discard(place)
            frame, open_ns = self._frames[series], candle.open_ns
            number = frame.number(open_ns // _MS)
            bar = ClosedBar(number, open_ns, frame.close_ms(number) * _MS, candle.close)
            if self._delayed:
                met = self._met(series, open_ns)
            deciding.put(k, place, number, candle, met)
            closed.append((place, candle, bar, self._late(series, bar)))
            for p in deciding.owners[place]:
                count += 1
                if accounts[p].waits:
                    deciding.working[p] = accounts[p].enters
        decided = deciding(len(closed), count, closed[0][2].close_ns // _MS)
        if self.book["day"] > self._before[0]:
            self._day_began()
        self.bars += len(closed)
        actions: list[Action] = [] if self._moments is None else self._tripped()
        j = 0
        time_ns = self.time_ns
        for place, candle, bar, late in closed:
            first = j
            self._recent[symbols[place]].append(bar)
            for p in deciding.owners[place]:
                out = decided[j]
                if out[0]:
                    accounts[p].ledger.keep(deciding.fresh[j, : int(out[0])])
                made = accounts[p].decided(bar, out, time_ns, late)
                actions += made if len(made) == 1 else self._own(p, made)
                j += 1
            self._correcting.advanced(place, bar.number, candle, [out[ROLES_AT:] for out in decided[first:j]])
        return actions

    def _still_doubted(self) -> set[int]:
        """Return the places of the series on which nothing is decided yet, as the run was interrupted."""
        on, symbols = self._on, self.together.symbols
        self._doubted = {p for p in self._doubted if any(self.accounts[k].doubted for k in on[symbols[p]])}
        return self._doubted

    def _resumed(self, event: Resumed) -> list[Action]:
        self._stopping, self.killed = False, ""
        actions: list[Action] = [Said("info", "run", f"goes on after {self.bars} bars")]
        for account in self.accounts:
            actions += account.resumed(event.time_ns)
        self._doubted = set(range(len(self.together.symbols)))
        self._before = int(self.book["day"]), float(self.book["equity"])
        for series, rule in self.rules.items():
            actions += self._candles(series, rule.resumed(event.time_ns))
        return actions
