"""How the account stands as a whole: what it holds and has, what losses ended, and what keeps it from entering."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Final

import orjson
from numpy.typing import NDArray

from engine.live.actions import Action, Said
from engine.live.deciding import Deciding
from engine.live.events import BalanceSeen, FundingSeen, HoldingSeen, Killed, Limited, Rearmed, Stopping
from engine.live.feeding import Feeding
from engine.live.funding import FundingBook
from engine.live.holdings import Holdings
from engine.live.ledger import ClosedBar
from engine.live.moments import Moments
from engine.live.money import Money
from engine.live.owning import Owning
from engine.live.setup import Setup, refuse_netting, refuse_pairs
from engine.live.subaccount import SubAccount
from engine.risk import Limits

__all__ = ["Standing"]

RECENT: Final = 8  # closed bars of a series that fills are dated by


class Standing(Feeding, Owning):
    """The account of a run.

    Parameters
    ----------
    setup : Setup

    Attributes
    ----------
    killed : str
        Why everything was left; empty while it trades.
    limits : Limits, optional
        Those in force.
    holdings : Holdings
        What the venue holds against what the accounts do.
    money : Money
        What the account has to trade with.
    funding : FundingBook
        What funding brought.
    """

    def __init__(self, setup: Setup) -> None:
        terms, placements, risk = setup.terms, setup.placements, setup.risk
        if terms.spot and not (terms.pairs or terms.paper):
            refuse_pairs(setup)
        if not (terms.spot or terms.paper):
            refuse_netting(setup)
        Feeding.__init__(self, setup)
        held = [(self.together.place[one.series], one.program, one.costs, one.share, one.digest) for one in placements]
        self._delayed = terms.paper and terms.latency_ns > 0
        self._deciding = Deciding(self.together, held, risk, paper=terms.paper, delayed=self._delayed)
        self._recent: dict[str, deque[ClosedBar]] = {series: deque(maxlen=RECENT) for series in self.rules}
        accounts = tuple(
            SubAccount(
                one.name,
                one.symbol,
                one.program,
                one.digest,
                one.costs,
                terms,
                self._deciding.noted(k),
                self._recent[one.series],
            )
            for k, one in enumerate(placements)
        )
        Owning.__init__(self, accounts)
        self.killed = ""
        self.limits = risk.limits
        self.bars = 0
        self.holdings = Holdings(self.accounts)
        for account in self.accounts:
            account.peers = self.holdings.on[account.symbol]
        self.money = Money(self.accounts)
        self.funding = FundingBook(self.holdings.on, self.holdings.others)
        self._told_state = (0, 0)
        self._before = (1 << 62, 0.0)  # the day, and the equity, as a run that was interrupted left them
        self._symbols = {one.series: one.symbol for one in placements}
        self._on: dict[str, list[int]] = {series: [] for series in self.rules}
        for k, one in enumerate(placements):
            self._on[one.series].append(k)
        self._stopping = False
        frames = [self._frames[series] for series in self.together.symbols]
        self._moments = Moments(frames, self._waiting, risk.wait_ns) if risk.guards else None
        self._doubted: set[int] = set()  # places of the series that wait for what became of their orders

    @property
    def rows(self) -> NDArray[Any]:
        """The accounts as one array of ``engine.simulate.account.ACCOUNT``, in the order of ``accounts``."""
        return self._deciding.accounts

    @property
    def marks(self) -> NDArray[Any]:
        """The last close of each account's symbol, NaN before the first."""
        return self._deciding.legs["mark"]

    @property
    def book(self) -> Any:
        """What the limits remember of the account, of ``engine.risk.state.BOOK``."""
        return self._deciding.book[0]

    @property
    def flat(self) -> bool:
        """Whether nothing is held and no order is under way; on paper always: nothing is at a venue."""
        return self.setup.terms.paper or not (any(one.tickets for one in self.accounts) or self.rows["quantity"].any())

    def close_of(self, client_id: str) -> float:
        """Return the last close of an order's symbol, NaN before the first."""
        k = self.owner(client_id)
        return float(self.marks[k]) if k >= 0 else math.nan

    def unwanted(self, client_id: str) -> str:
        """Return why an order that was to be sent is not to be sent any more; empty if it is."""
        if not self.enters(client_id):
            return ""
        book = self.book
        if self.killed or book["day_over"] or book["paused"] or book["stopped"]:
            return f"not sent: {self.killed or 'a loss that ends trading was reached since'}"
        found = next((name for one in self.accounts[self.owner(client_id)].peers if (name := one.unknown)), "")
        return f"not sent: what became of order {found} is not known yet" if found else ""

    def _day_began(self) -> None:
        """Let a day that began while the run was interrupted lose no more than from what it had before.

        Fills of the meantime are known by now, also those from after midnight: the equity of then is not.
        """
        book, (day, equity) = self.book, self._before
        book["day_start"] = max(book["day_start"], equity)
        if (book["day"] + 3) // 7 > (day + 3) // 7:
            book["week_start"] = max(book["week_start"], equity)
        if not self._due:
            self._before = (1 << 62, 0.0)

    def _tripped(self) -> list[Action]:
        """Tell when a loss ends trading until somebody looks."""
        book, before = self.book, self._told_state
        self._told_state = state = int(book["paused"]), int(book["stopped"])
        actions: list[Action] = []
        if state[0] > before[0]:
            text = "account.weekly_loss was reached: nothing is entered until lockstep kill --rearm"
            actions.append(Said("error", "run", text))
        if state[1] > before[1]:
            text = "account.drawdown was reached: everything is left, nothing entered until lockstep kill --rearm"
            actions.append(Said("error", "run", text))
        return actions

    def _late(self, series: str, bar: ClosedBar) -> str:
        """Return why no entry may follow from a bar; empty if one may."""
        if self.killed:
            return f"it was killed: {self.killed}"
        if self._stopping:
            return "the run is ending"
        if series in self.halted:
            return self.halted[series]
        symbol = self._symbols[series]
        if why := self.holdings.why(symbol, whole=self.setup.risk.guards) or self.money.why(symbol):
            return why
        for account in self.holdings.on[symbol]:
            if name := account.unknown:
                return f"what became of order {name} is not known yet"
        if self._closed[series] or self.time_ns >= 2 * bar.close_ns - bar.open_ns:
            return (
                f"it came {(self.time_ns - bar.close_ns) / 1e9:.1f} s after its close, when the next bar was over too"
            )
        return ""

    def _kill(self, event: Killed) -> list[Action]:
        self.killed = event.reason
        text = f"killed: {event.reason}: orders are cancelled, positions left at market"
        actions: list[Action] = [Said("error", "run", text)]
        for k, account in enumerate(self.accounts):
            actions += self._own(k, account.kill(event.time_ns))
        return actions

    def _holding(self, event: HoldingSeen) -> list[Action]:
        return self.holdings.take(event)

    def _balance(self, event: BalanceSeen) -> list[Action]:
        return self.money.take(event)

    def _funded(self, event: FundingSeen) -> list[Action]:
        return self.funding.take(event.payments)

    def _limited(self, event: Limited) -> list[Action]:
        self.limits = Limits(**orjson.loads(event.limits))
        self._deciding.limit(self.limits)
        return [Said("warning", "run", "other limits hold from here on")]

    def _rearmed(self, event: Rearmed) -> list[Action]:
        book = self.book
        actions: list[Action] = []
        for account in self.accounts:
            if account.halted:
                actions.append(Said("warning", account.name, f"rearmed: {event.reason}; it enters again"))
                account.halted = ""
        for series in self.halted:
            actions.append(Said("warning", series, f"rearmed: {event.reason}; entries follow from it again"))
        self.halted.clear()
        if book["paused"] or book["stopped"]:
            book["paused"] = book["stopped"] = 0
            book["peak"] = book["week_start"] = book["equity"]
            text = f"rearmed: {event.reason}; losses count from {book['equity']:,.2f}"
            actions.append(Said("warning", "run", text))
        return actions or [Said("info", "run", "nothing was stopped: nothing to rearm")]

    def _stop(self, event: Stopping) -> list[Action]:
        self._stopping = True
        return [Said("info", "run", "ending: nothing is entered any more; what rests at the venue stays there")]
